"""Print how well copies are found: real clips cut into moments, edited in many ways, found again among each other.

Run: .venv/bin/python benchmarks/bench_duplicates.py [FOLDER] [--quick] [--million]  (default ../shared/clips)

Each source is cut into moments. The first two are edited in every way of benchmarks/video_edits.py; the others are the
hard negatives: another moment of the same scene. A threshold on the score is tuned on one half of the *sources* and
reported on the other. Beside it: sha256, and vPDQ's rule (bits <= 31, quality >= 50, share of the pictures that match).
Then times: fingerprinting against real time and decoding alone, search against a plain scan of the array's bytes.

--quick: every third source and six edits. --million: also search among 1,000,000 clips (6 GB of disk, 8 GB of memory).
--keep: where the made copies stay for another time. Sources that repeat another one must be named: in SAME for
../shared/clips, in a column `same_as` of FOLDER/clips.csv otherwise; files of equal bytes are seen.
"""

import argparse
import csv
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from benchmarks.fingerprint_times import report_fingerprinting
from benchmarks.hash_search import report_search, self_join
from benchmarks.video_edits import EDITS, Frames, Scene
from plusmv.core.errors import BadInput
from plusmv.core.workers import map_unordered
from plusmv.core.workspace import sha256_of
from plusmv.curate.duplicates.alignment import COPY, Alignment, compare, is_sure
from plusmv.curate.duplicates.candidates import HashIndex
from plusmv.curate.duplicates.fingerprint import Fingerprint, fingerprint_video
from plusmv.curate.duplicates.hash_store import mapped, record_of, write_array
from plusmv.curate.duplicates.pdq import SIDE, hamming, pdq
from plusmv.db.models import EdgeKind
from plusmv.features.decode import DecodeLimits, probe, sample_frames, sample_raw

SAME = {"mmaction2_tests_test.avi", "mmaction2_demo_spatiotemporal.mp4", "mmaction2_rawvideo_part0.mp4"}
FPS, SHORT_SIDE, MOMENT_S, LONGEST_S, LEAST_S, EDITED = 25, 288, 3.5, 5.0, 1.5, 2
QUICK = ("crf 40", "mirror", "crop 20 %", "speed 1.25", "blurred bars", "stitch")
OF_TWO = ("stitch", "picture in picture")
PRECISION, RANDOM_PAIRS, WORKERS = 0.99, 10_000, 2
VPDQ_BITS, VPDQ_QUALITY, VPDQ_SHARE = 31, 50, 0.8


@dataclass(frozen=True)
class Made:
    """A moment (edit "") or an edited copy of one. other: the source of which it shows something too."""

    path: Path
    source: str
    moment: int
    edit: str
    other: str = ""

    def shows(self) -> set[str]:
        return {self.source, self.other} - {""}


@dataclass(frozen=True)
class Judged:
    """A pair of a copy and a moment: its truth (copy, hard, easy) and what each method says of it."""

    edit: str
    source: str
    truth: str
    scores: dict[str, float]
    kind: EdgeKind | None


class MakeStage:
    """A worker's part: all copies of the moments of one source."""

    def setup(self) -> None:
        cv2.setNumThreads(1)

    def process(self, task: tuple[Path, Path, Path, tuple[str, ...]]) -> list[Made]:
        path, other_path, out, edits = task
        moments, made = moments_of(path), []
        other = moments_of(other_path)[0]
        for number, frames in enumerate(moments):
            for edit in ("", *(edits if number < EDITED else ())):
                second = other_path.stem if edit in OF_TWO else ""
                one = Made(
                    out / f"{path.stem}-{number}-{zlib.crc32(edit.encode()):08x}.mp4", path.stem, number, edit, second
                )
                made.append(one)
                if not one.path.exists():
                    draws = np.random.default_rng(zlib.crc32(one.path.name.encode()))
                    plain = Scene(frames, FPS, other, 26 if edit else 20)
                    write(one.path, EDITS[edit](plain, draws) if edit else plain)
        return made


class FingerprintFiles:
    """A worker's part: a fingerprint, and the whole frames' PDQ and quality for the vPDQ-like baseline."""

    def setup(self) -> None:
        cv2.setNumThreads(1)

    def process(self, path: Path) -> tuple[Fingerprint, np.ndarray]:
        shown = [frame.small_luma(120) for frame in sample_raw(path, 2.0)]
        hashes, quality = pdq(np.stack([cv2.resize(s, (SIDE, SIDE), interpolation=cv2.INTER_AREA) for s in shown]))
        return fingerprint_video(path), hashes[quality >= VPDQ_QUALITY]


class CompareStage:
    """A worker's part: what one fingerprint is to another."""

    def __init__(self, prints: dict[Path, Fingerprint]):
        self.prints = prints

    def setup(self) -> None:
        cv2.setNumThreads(1)

    def process(self, pair: tuple[Path, Path]) -> Alignment | None:
        return compare(self.prints[pair[0]], self.prints[pair[1]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    shared = Path(__file__).resolve().parents[2] / "shared" / "clips"
    parser.add_argument("folder", type=Path, nargs="?", default=shared)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--million", action="store_true")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    if not options.folder.is_dir():
        print(f"skipped: no clips in {options.folder}")
        return
    with tempfile.TemporaryDirectory() as scratch:
        made = make_copies(options.folder, options.keep or Path(scratch) / "made", options.quick)
        outcomes = {o.task: o.value for o in map_unordered(FingerprintFiles(), [m.path for m in made], workers=WORKERS)}
        prints = {path: value[0] for path, value in outcomes.items()}
        nominated = candidates(made, prints, Path(scratch))
        report_recall(judge(made, prints, {path: value[1] for path, value in outcomes.items()}, nominated))
        report_random_pairs(made, prints, nominated)
        report_fingerprinting(videos_of(options.folder), WORKERS)
        for clips in (2_000, 10_000, 100_000, *((1_000_000,) if options.million else ())):
            report_search(Path(scratch), clips)


def videos_of(folder: Path) -> list[Path]:
    """The folder's videos but for repeats."""
    repeats = set(SAME)
    if (folder / "clips.csv").is_file():
        with open(folder / "clips.csv", newline="", encoding="utf-8") as file:
            repeats |= {row["file"] for row in csv.DictReader(file) if row.get("same_as")}
    unlike = {sha256_of(path): path for path in sorted(folder.iterdir(), reverse=True) if path.is_file()}
    return sorted(path for path in unlike.values() if path.suffix not in {".csv", ".md"} and path.name not in repeats)


def moments_of(path: Path) -> list[Frames]:
    """Disjoint moments of about MOMENT_S; [] for what is too short or no video."""
    try:
        frames = list(sample_frames(path, FPS, min(SHORT_SIDE, *_sides(path)), DecodeLimits(seconds=120)))
    except BadInput:
        return []
    count = max(1, int(len(frames) / FPS // MOMENT_S))
    length = len(frames) // count
    cut = [frames[k * length : k * length + min(length, round(LONGEST_S * FPS))] for k in range(count)]
    return cut if length >= LEAST_S * FPS else []


def _sides(path: Path) -> tuple[int, int]:
    facts = probe(path)
    return facts.width, facts.height


def write(path: Path, scene: Scene) -> None:
    """Encode at its crf as H.264, by rename."""
    part, (height, width) = path.with_suffix(".part.mp4"), scene.frames[0].shape[:2]
    height, width = height - height % 2, width - width % 2
    with av.open(str(part), "w") as container:
        options = {"crf": str(scene.crf), "preset": "superfast", "threads": "1"}
        stream = container.add_stream("libx264", rate=Fraction(scene.fps).limit_denominator(1000), options=options)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for frame in scene.frames:
            picture = np.ascontiguousarray(frame[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    part.rename(path)


def make_copies(folder: Path, out: Path, quick: bool) -> list[Made]:
    out.mkdir(parents=True, exist_ok=True)
    paths = [path for path in videos_of(folder)[:: 3 if quick else 1] if moments_of(path)]
    edits = QUICK if quick else tuple(EDITS)
    tasks = [(path, paths[(number + 1) % len(paths)], out, edits) for number, path in enumerate(paths)]
    outcomes = list(map_unordered(MakeStage(), tasks, workers=WORKERS))
    for outcome in outcomes:
        if outcome.error:
            raise SystemExit(f"{outcome.task[0]}: {outcome.error}")
    made = sorted((one for outcome in outcomes for one in outcome.value), key=lambda one: one.path.name)
    copies = sum(bool(one.edit) for one in made)
    print(f"{len(paths)} sources, {len(made) - copies} moments, {copies} copies by {len(edits)} edits")
    return made


def candidates(made: list[Made], prints: dict[Path, Fingerprint], scratch: Path) -> set[tuple[int, int]]:
    """Ordered pairs of numbers of made clips that the hash index nominates."""
    write_array(scratch / "hashes.bin", (record_of(n, prints[one.path]) for n, one in enumerate(made)))
    index = HashIndex(mapped(scratch / "hashes.bin"))
    return {(asker, other) for asker, found in self_join(index) for other in found}


def compared(
    made: list[Made], prints: dict[Path, Fingerprint], pairs: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], Alignment | None]:
    numbers = {(made[a].path, made[b].path): (a, b) for a, b in pairs}
    outcomes = map_unordered(CompareStage(prints), list(numbers), workers=WORKERS)
    return {numbers[outcome.task]: outcome.value for outcome in outcomes}


def judge(
    made: list[Made], prints: dict[Path, Fingerprint], whole: dict[Path, np.ndarray], nominated: set[tuple[int, int]]
) -> list[Judged]:
    """Every copy with every moment, but those of which it shows something else."""
    pairs = [
        (a, b)
        for a, copy in enumerate(made)
        for b, moment in enumerate(made)
        if copy.edit and not moment.edit and moment.source != copy.other
    ]
    found = compared(made, prints, [pair for pair in pairs if pair in nominated])
    judged = []
    for a, b in pairs:
        copy, moment, how = made[a], made[b], found.get((a, b))
        same = copy.source == moment.source
        scores = {"plusmv": how.score if how else 0.0, "vPDQ-like": _vpdq(whole[copy.path], whole[moment.path]),
                  "sha256": 0.0}  # fmt: skip
        truth = ("copy" if copy.moment == moment.moment else "hard") if same else "easy"
        judged.append(Judged(copy.edit, copy.source, truth, scores, how.kind if how else None))
    return judged


def _vpdq(a: np.ndarray, b: np.ndarray) -> float:
    """Share of the pictures of one that have a like one in the other, the greater of both ways."""
    if not (len(a) and len(b)):
        return 0.0
    near = hamming(a, b) <= VPDQ_BITS
    return float(max(near.any(1).mean(), near.any(0).mean()))


def threshold_at(judged: list[Judged], method: str) -> float:
    """The least score at which PRECISION is held."""
    scores = np.array([one.scores[method] for one in judged])
    right = np.array([one.truth == "copy" for one in judged])
    for least in np.unique(scores[scores > 0]):
        if right[scores >= least].mean() >= PRECISION:
            return float(least)
    return np.inf


def at(judged: list[Judged], method: str, least: float) -> str:
    kept = [one.truth == "copy" for one in judged if one.scores[method] >= least]
    total = sum(one.truth == "copy" for one in judged)
    precision = f"{np.mean(kept):.4f}" if kept else "-"
    return f"P {precision} R {sum(kept) / total:.3f}"


def report_recall(judged: list[Judged]) -> None:
    sources = sorted({one.source for one in judged})
    tuning, held_out = ([one for one in judged if one.source in sources[half::2]] for half in (0, 1))
    counts = {truth: sum(one.truth == truth for one in held_out) for truth in ("copy", "hard", "easy")}
    print(f"held-out half: {len(sources[1::2])} sources, pairs: {counts}")
    for method in ("plusmv", "vPDQ-like", "sha256"):
        for name, hard in (("with hard negatives", True), ("without", False)):
            own, tuned = ([one for one in half if hard or one.truth != "hard"] for half in (held_out, tuning))
            least = threshold_at(tuned, method)
            print(f"  {method:10} {name:20} threshold tuned on the other half {least:.3f}: {at(own, method, least)};"
                  f" at P {PRECISION} R {at(own, method, threshold_at(own, method)).split()[-1]}")  # fmt: skip
    print(f"  {'vPDQ-like':10} at its defaults: {at(held_out, 'vPDQ-like', VPDQ_SHARE)}")
    print(f"  {'plusmv':10} as shipped (score {COPY}), all sources: {at(judged, 'plusmv', COPY)};"
          f" held-out: {at(held_out, 'plusmv', COPY)}")  # fmt: skip
    least = threshold_at(tuning, "plusmv")
    print(f"per edit, held-out, at the tuned threshold: {'plusmv':>10} {'vPDQ-like':>10}   kinds")
    for edit in dict.fromkeys(one.edit for one in held_out):
        own = [one for one in held_out if one.edit == edit and one.truth == "copy"]
        kinds = {kind: sum(one.kind == kind for one in own) for kind in {one.kind for one in own}}
        told = ", ".join(f"{count} {kind or 'none'}" for kind, count in sorted(kinds.items(), key=str))
        limits = {"plusmv": least, "vPDQ-like": VPDQ_SHARE}
        ours, theirs = (np.mean([one.scores[method] >= limit for one in own]) for method, limit in limits.items())
        print(f"  {edit:48} {ours:>10.3f} {theirs:>10.3f}   {told}")


def report_random_pairs(made: list[Made], prints: dict[Path, Fingerprint], nominated: set[tuple[int, int]]) -> None:
    """Clips of different moments, edited or not; a third of the pairs are of one source."""
    draws, pairs = np.random.default_rng(0), set()
    for _ in range(100 * RANDOM_PAIRS):
        if len(pairs) == RANDOM_PAIRS:
            break
        a, b = (int(n) for n in draws.integers(0, len(made), 2))
        one, two = made[a], made[b]
        same = one.source == two.source
        apart = one.moment != two.moment and not (one.other or two.other) if same else not one.shows() & two.shows()
        if apart and (same or draws.random() < 0.1):
            pairs.add((min(a, b), max(a, b)))
    found = compared(made, prints, [pair for pair in pairs if pair in nominated])
    grouped = sum(how is not None and is_sure(how) for how in found.values())
    called = sum(how is not None and how.kind != EdgeKind.SAME_SCENE for how in found.values())
    hard = sum(made[a].source == made[b].source for a, b in pairs)
    told = f"{len(found)} nominated, {called} called copy or part, {grouped} grouped"
    print(f"{len(pairs)} random pairs of different moments ({hard} of one source): {told}")


if __name__ == "__main__":
    main()
