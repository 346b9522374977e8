"""The whole way from pixels: videos composed of real clips as files, and detection in those files against features.

    .venv/bin/python benchmarks/real/pixels.py --data ../shared/real [--home DIR] [--world cut] [--test 12-14]

A run is trained on the features of videos composed of the training sources. Test videos are composed of the clips
that --data has as files, twice: at feature level, and as one video file each, of those clips' frames, without loss
unless --crf says otherwise: compression alone moves features (at crf 4 to a cosine of .9995). `plusmv detect --video`
and `plusmv extract` take the files with the Kinetics-400 weights (`plusmv weights rgb`), at .35 to .9 s a snippet on
one core. Prints the cosine of both kinds of features, snippet by snippet, and mAP in % of the detections from either
and from the files. What was made in --home is kept, and is not made again. Composed of real clips.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

from plusmv.core.annotations import AnnotatedVideo, Instance, read_annotations, read_detections, write_annotations
from plusmv.core.workspace import atomic_path
from plusmv.features.decode import sample_raw
from plusmv.features.feature_files import VideoFeatures, read_features, write_features
from plusmv.features.snippets import SNIPPET_LENGTH
from plusmv.wsal.composed import ClipFeatures, SourceClip, World, compose, of_actions, parse_sources, read_clips
from plusmv.wsal.evaluate import evaluate
from plusmv.wsal.worlds import COMPOSED, SEED

TIOUS = (0.1, 0.3, 0.5, 0.7)
FPS = 25
Videos = list[tuple[AnnotatedVideo, VideoFeatures]]
Detections = dict[str, tuple[Instance, ...]]


def clip_files(data: Path) -> dict[str, Path]:
    """Clip id -> its file, of the clips that are there as files."""
    return {path.stem: path for path in sorted((data / "clips").iterdir())}


def composable(data: Path, world: World, files: Mapping[str, Path]) -> tuple[list[SourceClip], ClipFeatures]:
    """The world's clips, all of the training sources' actions and of the others those with a file; their features."""
    learned = parse_sources(COMPOSED[world].train_sources)
    clips = of_actions(read_clips(data / "real.csv"), COMPOSED[world].actions or None)
    usable = [clip for clip in clips if clip.id in files or (clip.is_action and clip.source in learned)]
    features = {clip.id: read_features([data / "features"], clip.id) for clip in usable}
    return usable, ClipFeatures(features, read_annotations(data / "segments.json"))


def composed_of(clips: Sequence[SourceClip], material: ClipFeatures, world: World, test: Sequence[int]) -> Videos:
    sources = {"training": parse_sources(COMPOSED[world].train_sources), "test": test}
    return list(compose(world, clips, material, sources, COMPOSED[world].most, SEED))


def places(clips: Sequence[SourceClip], material: ClipFeatures) -> ClipFeatures:
    """The material with each snippet's place, its clip's number and its own, (T, 2), where its features were.

    What `compose` makes of it says where the snippets of its videos come from.
    """
    features = {}
    for number, clip in enumerate(clips):
        own = np.arange(material.features[clip.id].count)
        features[clip.id] = VideoFeatures(clip.id, {"rgb": np.stack([np.full_like(own, number), own], 1)}, 25.0)
    return ClipFeatures(features, material.segments)


def frames_of(origin: np.ndarray, clips: Sequence[SourceClip], files: Mapping[str, Path]) -> Iterator[av.VideoFrame]:
    """The decoder's frames of snippets whose clip's number and place in it are the rows of origin (T, 2)."""
    starts = np.flatnonzero((np.diff(origin, axis=0, prepend=-2) != [0, 1]).any(1))  # where a stretch begins
    for stretch in np.split(origin, starts[1:]):
        number, first = stretch[0].tolist()
        pictures = sample_raw(files[clips[number].id], FPS)
        for picture in islice(pictures, first * SNIPPET_LENGTH, (first + len(stretch)) * SNIPPET_LENGTH):
            yield picture.frame


def write_video(path: Path, frames: Iterable[av.VideoFrame], crf: int) -> None:
    """Write a decoder's frames, all of one size, as H.264 at 25 fps."""
    with atomic_path(path) as part, av.open(str(part), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "superfast", "crf": str(crf)})
        for number, frame in enumerate(frames):
            if not number:
                stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
            frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, FPS), PictureType.NONE
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def plusmv(home: Path, *arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "plusmv", "--home", home, "--quiet", *arguments], check=True)


def detect_all(home: Path, world: World, names: Iterable[str]) -> dict[str, Detections]:
    """Train the world's run, and detect in composed features, in those extracted from the files, and in the files."""
    known, rendered, pixels = home / f"{world}.json", home / "rendered", home / "pixels"
    plusmv(home, "train", "--annotations", known, "--features", home / "composed", "--subset", "training",
           "--streams", "rgb", "--run", world)  # fmt: skip
    plusmv(home, "extract", "--videos", rendered, "--out", home / "extracted", "--streams", "rgb",
           "--number-format", "float32")  # fmt: skip
    found: dict[str, Detections] = {}
    for kind in ("composed", "extracted"):
        out = home / f"{world}-{kind}.json"
        plusmv(home, "detect", "--annotations", known, "--features", home / kind, "--subset", "test", "--run", world,
               "--out", out)  # fmt: skip
        found[f"{kind} features"] = read_detections(out)
    for name in names:
        out = pixels / f"{name}.json"
        if not out.exists():
            plusmv(home, "detect", "--video", rendered / f"{name}.mp4", "--annotations", known, "--run", world,
                   "--out", out)  # fmt: skip
    return found | {"files": {name: read_detections(pixels / f"{name}.json")[name] for name in names}}


def cosines(videos: Videos, extracted: Path) -> np.ndarray:
    """(N,) of the composed and the extracted features of all snippets. Raises ValueError where their numbers differ."""
    each = []
    for video, composed in videos:
        ours, theirs = composed.streams["rgb"], read_features([extracted], video.id).streams["rgb"]
        products = np.einsum("td,td->t", ours, theirs)
        each.append(products / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1))
    return np.concatenate(each)


def compare(data: Path, home: Path, world: World, test: Sequence[int], crf: int) -> None:
    files = clip_files(data)
    clips, material = composable(data, world, files)
    made = composed_of(clips, material, world, test)
    write_annotations(home / f"{world}.json", [video for video, _ in made], note="composed of real clips")
    for video, features in made:
        write_features(home / "composed" / f"{video.id}.safetensors", features, "float32")
    tested = [pair for pair in made if pair[0].subset == "test"]
    origins = {
        video.id: each.streams["rgb"] for video, each in composed_of(clips, places(clips, material), world, test)
    }
    for video, _ in tested:
        path = home / "rendered" / f"{video.id}.mp4"
        if not path.exists():
            write_video(path, frames_of(origins[video.id], clips, files), crf)
    truth = {video.id: video for video, _ in tested}
    found = detect_all(home, world, truth)
    likeness = cosines(tested, home / "extracted")
    print(f"{world}, composed of real clips, {len(tested)} test videos, {len(likeness)} snippets: cosine of features"
          f" from files and composed ones, mean {likeness.mean():.5f}, least {likeness.min():.5f}")  # fmt: skip
    print(f"  mAP in % at tIoU {TIOUS}")
    for words, detections in found.items():
        per_class = evaluate(truth, detections, TIOUS)["per_class"]
        scores = 100 * np.mean([per_class[label] for label in COMPOSED[world].judged or per_class], axis=0)
        numbers = "  ".join(f"{score:5.1f}" for score in scores)
        print(f"  {words:20} {numbers}   {sum(map(len, detections.values()))} detections", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "real")
    parser.add_argument("--home", type=Path, help="where all is kept (default: a temporary folder)")
    parser.add_argument("--world", choices=("in-scene", "cut"), default="in-scene")
    parser.add_argument("--test", default="12-14", help="sources, each one video an action")
    parser.add_argument("--crf", type=int, default=0, help="of H.264; 0: lossless")
    parser.add_argument("--picture", type=Path, help="where a picture of --plot goes")
    parser.add_argument("--plot", default="in-scene_CricketBowling_14", help="a test video")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = options.home or Path(temporary)
        compare(options.data, home, options.world, parse_sources(options.test), options.crf)
        if options.picture:  # of features, not of the file, so that it shows nobody
            plusmv(home, "plot", "--video", options.plot, "--annotations", home / f"{options.world}.json", "--features",
                   home / "composed", "--run", options.world, "--out", options.picture)  # fmt: skip


if __name__ == "__main__":
    main()
