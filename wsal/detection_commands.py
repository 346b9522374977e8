"""The commands `detect` and `plot`: a trained run and features, or a video file, in; detections and pictures out."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict, cast

import typer

from plusmv.core.annotations import AnnotatedVideo, Instance, unannotated
from plusmv.core.commandline import HOME, FeatureLayout, Home, Json, conclude, emit, say, table, track
from plusmv.core.errors import BadInput, Refused
from plusmv.core.workspace import Workspace, write_json
from plusmv.wsal.options import (
    AllowMixed,
    Annotations,
    CheckpointFile,
    Device,
    FeatureFps,
    FeatureStride,
    Folders,
    Paper,
    Proposals,
    Run,
    Subset,
    Thresholds,
    open_source,
    proposals_of,
)

if TYPE_CHECKING:
    from plusmv.wsal.checkpoints import Checkpoint
    from plusmv.wsal.detect import DetectionSettings, Score, VideoReadout
    from plusmv.wsal.detection_runs import DetectionFacts, ScoresResult, VideoDetections

app = typer.Typer(rich_markup_mode=None)


class PlotResult(TypedDict):
    """What `plusmv plot --json` prints."""

    video: str
    plot: str  # path of the PNG
    detections: dict[str, int]  # run -> how many
    truth: int  # instances


@app.command()
def detect(
    annotations: Annotations = None,
    features: Folders = None,
    subset: Subset = None,
    video: Annotated[
        Path | None, typer.Option(help="A video file, instead of features; --annotations are then only drawn.")
    ] = None,
    run: Run = None,
    checkpoint: CheckpointFile = None,
    classifier: Annotated[str | None, typer.Option(help="kinetics: no run needed, only --video.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the detections go (default: beside the checkpoint; --video: HOME/detections)."),
    ] = None,
    text: Annotated[Path | None, typer.Option(help="Write them in the THUMOS text format too.")] = None,
    scores: Annotated[Path | None, typer.Option(help="Write a CSV of class scores per video, no detections.")] = None,
    proposals: Proposals = None,
    paper: Paper = False,
    thresholds: Thresholds = None,
    score: Annotated[
        str | None, typer.Option(help="mean (Eq. 12) or contrast (less the mean beside it), not with two-sided.")
    ] = None,
    scale_attention: Annotated[
        bool, typer.Option("--scale-attention", help="Scale the attention to 0..1 within each video.")
    ] = False,
    gate: Annotated[float, typer.Option(help="Minimum video-level probability of a class.")] = 0.1,
    theta: Annotated[float, typer.Option(help="Share of RGB in Eq. 12.")] = 0.5,
    overlap: Annotated[
        float | None, typer.Option(help="tIoU of non-maximum suppression (default 0.5; two-sided 0.4).")
    ] = None,
    soft_nms: Annotated[
        float | None,
        typer.Option(help="Sigma of Gaussian soft-NMS in place of dropping; 0: drop (default 0; two-sided 0.2)."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="With --video: where the picture goes (default: beside --out).")
    ] = None,
    device: Device = "auto",
    feature_fps: FeatureFps = "25",
    feature_stride: FeatureStride = 16,
    layout: FeatureLayout = None,
    allow_mixed_recipes: AllowMixed = False,
    allow_other_classes: Annotated[
        bool, typer.Option("--allow-other-classes", help="Accept annotations with labels that the run does not know.")
    ] = False,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Find actions: with a trained run in features or a video, or with the I3D's own Kinetics classes in a video."""
    import torch

    from plusmv.features.device import resolve_device
    from plusmv.wsal import detection_runs as runs
    from plusmv.wsal.checkpoints import load_checkpoint
    from plusmv.wsal.datasets import read_dataset, thumos_number
    from plusmv.wsal.detect import DetectionSettings
    from plusmv.wsal.feature_source import summary
    from plusmv.wsal.proposals import parse_steps

    if classifier and (classifier != "kinetics" or not video or run or checkpoint):
        raise BadInput("--classifier must be kinetics, and goes with --video and neither --run nor --checkpoint")
    if video and not video.is_file():
        raise BadInput(f"there is no video file {video}")
    if video and (features or scores or text):
        raise BadInput("--video is used alone; leave out --features, --scores and --text")
    truth = _truth_of(video, annotations) if video and annotations else ()
    workspace = Workspace(home)
    levels = parse_steps(thresholds) if thresholds else None
    way = proposals_of(proposals, paper)
    settings = DetectionSettings(gate, theta, way, levels, overlap, cast("Score", score), scale_attention, soft_nms)
    if video and classifier:
        _report_video(runs.detect_in_video_by_kinetics(video), truth, workspace, video, out, plot, as_json)
        return
    path = checkpoint_path(workspace, run, checkpoint)
    torch.set_num_threads(1)  # the matrices are small: more threads only add waiting
    trained = load_checkpoint(path, resolve_device(device))
    if text:
        for label in trained.classes:
            thumos_number(label)  # refuse before the work, not after
    if video:
        found = runs.detect_in_video(trained, video, settings, allow_mixed_recipes)
        _report_video(found, truth, workspace, video, out, plot, as_json)
        return
    source = open_source(features, feature_fps, feature_stride, layout)
    videos = read_dataset(annotations, subset) if annotations else runs.every_video(source)
    source.check_rates(videos.values())
    if not allow_other_classes:
        check_classes(videos, trained.classes, path)
    readouts, left_out = runs.read_videos(
        trained, source, track(videos.values(), len(videos), "detect"), allow_mixed_recipes
    )
    for line in summary(left_out):
        say(line)
    counted = runs.ended(readouts, left_out)
    if scores:
        rows = runs.write_scores(scores, readouts, trained.classes, theta)
        written: ScoresResult = {
            "videos": len(readouts), "left_out": left_out, "rows": rows, "out": str(scores), **counted,
        }  # fmt: skip
        emit(written, as_json, f"{rows} scores of {len(readouts)} videos written to {scores}")
    else:
        target = out or path.with_name("detections.json")
        _report_detections(trained, readouts, left_out, settings, target, text, as_json)
    conclude(counted, "videos")


@app.command()
def plot(
    video: Annotated[str, typer.Option(help="Id of the video: the name of its feature file.")],
    features: Folders = None,
    run: Annotated[list[str] | None, typer.Option(help="A training run; given twice, one above the other.")] = None,
    checkpoint: Annotated[list[Path] | None, typer.Option(help="A checkpoint file, instead of --run.")] = None,
    annotations: Annotations = None,
    film: Annotated[Path | None, typer.Option(help="The video file, for frames above the curves.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where the PNG goes (default HOME/plots/ID.png).")] = None,
    proposals: Proposals = None,
    paper: Paper = False,
    thresholds: Thresholds = None,
    feature_fps: FeatureFps = "25",
    feature_stride: FeatureStride = 16,
    layout: FeatureLayout = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Draw one video over time: attention, T-CAM by stream, proposals, detections and truth, for one run or two."""
    from plusmv.wsal.checkpoints import load_checkpoint
    from plusmv.wsal.datasets import read_dataset
    from plusmv.wsal.detect import DetectionSettings
    from plusmv.wsal.pictures import film_frames, plot_features
    from plusmv.wsal.proposals import parse_steps

    workspace = Workspace(home)
    paths = [checkpoint_path(workspace, name, None) for name in run or []] + list(checkpoint or [])
    if not paths:
        raise BadInput("choose a trained run to draw: --run NAME or --checkpoint FILE, once or twice")
    known = read_dataset(annotations) if annotations else {}
    if annotations and video not in known:
        raise BadInput(f"{annotations} has no video {video!r}; correct --video, or leave out --annotations")
    found = open_source(features, feature_fps, feature_stride, layout).read(known.get(video) or unannotated(video))
    target = out or workspace.home / "plots" / f"{video}.png"
    levels = parse_steps(thresholds) if thresholds else None
    settings = DetectionSettings(proposals=proposals_of(proposals, paper), thresholds=levels)
    trained = {}
    for path in paths:
        name = path.parent.name if path.name == "checkpoint.safetensors" else str(path)
        trained[str(path) if name in trained else name] = load_checkpoint(path)
    truth = known[video].instances if known else ()
    frames = film_frames(film, float(found.seconds()[-1, 1])) if film else ()
    counts = plot_features(target, found, trained, settings, truth, frames)
    result: PlotResult = {"video": video, "plot": str(target), "detections": counts, "truth": len(truth)}
    emit(result, as_json, str(target))


def checkpoint_path(workspace: Workspace, run: str | None, checkpoint: Path | None) -> Path:
    """The checkpoint of a run, or the file named. Raises BadInput for neither or both."""
    if checkpoint and not run:
        return checkpoint
    if run and not checkpoint:
        return workspace.run(run) / "checkpoint.safetensors"
    raise BadInput("choose a trained run: --run NAME or --checkpoint FILE, or --video with --classifier kinetics")


def check_classes(videos: dict[str, AnnotatedVideo], classes: tuple[str, ...], path: Path) -> None:
    """Raises Refused for annotations with a label that is not a class of the run."""
    from plusmv.wsal.class_names import offered
    from plusmv.wsal.datasets import labels_of

    unknown = sorted({label for video in videos.values() for label in labels_of(video)} - set(classes))
    if unknown:
        raise Refused(
            f"{path} was trained on another class list: it does not know {', '.join(offered(unknown[:3], classes))}"
            f"{' and more' if len(unknown) > 3 else ''}; use a run of these classes, or --allow-other-classes"
        )


def _truth_of(video: Path, annotations: Path) -> tuple[Instance, ...]:
    """The true instances of the video named like the file."""
    from plusmv.wsal.datasets import read_dataset

    known = read_dataset(annotations)
    if video.stem not in known:
        raise BadInput(
            f"{annotations} has no video {video.stem!r}; leave out --annotations to draw without ground truth"
        )
    return known[video.stem].instances


def _report_detections(
    trained: "Checkpoint",
    readouts: "dict[str, VideoReadout]",
    left_out: dict[str, str],
    settings: "DetectionSettings",
    target: Path,
    text: Path | None,
    as_json: bool,
) -> None:
    from plusmv.wsal import detection_runs as runs
    from plusmv.wsal.datasets import write_thumos_text

    found = runs.detect_all(trained, readouts, settings)
    facts: DetectionFacts = {
        **runs.detection_facts(trained, settings), "videos": len(readouts), "left_out": left_out,
        **runs.ended(readouts, left_out),
    }  # fmt: skip
    result = runs.detect_result(found, facts)
    if text:
        write_thumos_text(text, found)
    write_json(target, result)
    count = f"{len(readouts) + len(left_out)} videos = {len(readouts)} read + {len(left_out)} left out"
    total = sum(map(len, found.values()))
    where = f"{target} and {text}" if text else str(target)
    emit(result, as_json, f"{count}; {total} detections written to {where}")


def _report_video(
    found: "VideoDetections",
    truth: tuple[Instance, ...],
    workspace: Workspace,
    video: Path,
    out: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    from plusmv.features.cut_short import in_words
    from plusmv.wsal.detection_runs import detect_result
    from plusmv.wsal.pictures import film_frames
    from plusmv.wsal.video_plot import plot_video

    target = out or workspace.home / "detections" / f"{video.stem}.json"
    picture = plot or target.with_suffix(".png")
    frames = film_frames(video, float(found.seconds[-1, 1]))
    plot_video(picture, f"{video.name}, {found.made_with}", found.seconds, [found.section], truth, frames)
    result = detect_result(
        {video.stem: found.detections}, {"made_with": found.made_with, **found.facts, "plot": str(picture)}
    )
    write_json(target, result)
    rows = [(i.label, i.score, round(i.start, 2), round(i.end, 2)) for i in found.detections[:20]]
    summary = table(f"{len(found.detections)} detections in {video.name}", ["label", "score", "start", "end"], rows)
    emit(result, as_json, [summary, f"{target}  {picture}"])
    if "cut_short" in found.facts:
        say(f"{video.name} is {in_words(found.facts['cut_short'])}")
