"""The commands `train`, `detect` and `evaluate`: files in, files out; all arithmetic is in the other modules."""

from pathlib import Path
from typing import Annotated

import typer

from core.annotations import (
    MICROVIDEO_SUBSET,
    AnnotatedVideo,
    Instance,
    detections_json,
    read_annotations,
    read_detections,
)
from core.commandline import HOME, Home, Json, emit, say, table, track
from core.errors import BadInput
from core.workspace import Workspace, write_json

app = typer.Typer(rich_markup_mode=None)

Annotations = Annotated[Path | None, typer.Option(help="Annotations in ActivityNet JSON.")]
Folders = Annotated[list[Path] | None, typer.Option("--features", help="Folder of feature files; may be repeated.")]
FeatureFps = Annotated[float, typer.Option(min=0.1, help="Frames a second of feature files that do not say.")]
FeatureStride = Annotated[int, typer.Option(min=1, help="Frames between snippets, of feature files that do not say.")]
AllowMixed = Annotated[
    bool, typer.Option("--allow-mixed-recipes", help="Use features made in different ways together.")
]


@app.command()
def train(
    annotations: Annotated[Path, typer.Option(help="Annotations in ActivityNet JSON; only the labels are used.")],
    features: Folders = None,
    subset: Annotated[str, typer.Option(help="Which subset of the annotations to train on.")] = "validation",
    mv: Annotated[
        bool, typer.Option("--mv", help="Add the workspace's exported microvideos and their features.")
    ] = False,
    mv_set: Annotated[Path | None, typer.Option(help="Add the microvideos of this ActivityNet JSON.")] = None,
    mv_ratio: Annotated[float | None, typer.Option(help="Share of the steps that see a microvideo.")] = None,
    method: Annotated[str, typer.Option(help="bm (the paper) or stpn (its baseline).")] = "bm",
    run: Annotated[str | None, typer.Option(help="Name of the run (default: the method, with +mv).")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over all videos (default 25).")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of one video each, instead of --epochs.")] = None,
    lr: Annotated[float, typer.Option(help="Learning rate of Adam.")] = 1e-4,
    seed: Annotated[int, typer.Option(min=0, help="Decides initial weights and the order of videos.")] = 0,
    loss_weights: Annotated[str, typer.Option(help="Of L_bg, L_guide, L_cluster; 0 switches off.")] = "0.1,0.1,0.1",
    sparsity: Annotated[float, typer.Option(help="Weight of STPN's sparsity loss.")] = 1e-4,
    pool: Annotated[str, typer.Option(help="norm: divide by the attention's mass; mean: by T (paper).")] = "norm",
    centre: Annotated[float, typer.Option(help="Features to z-scores times this; 0: raw (paper).")] = 0.05,
    detach: Annotated[bool, typer.Option(help="Hold L_guide's targets still.")] = True,
    bias: Annotated[bool, typer.Option(help="Give the classifier a bias (paper: none).")] = False,
    sigma: Annotated[float, typer.Option(help="Snippets, of the Gaussian over L_guide's targets.")] = 1.0,
    streams: Annotated[str | None, typer.Option(help="rgb,flow or one of them (default: all there are).")] = None,
    feature_fps: FeatureFps = 25.0,
    feature_stride: FeatureStride = 16,
    allow_mixed_recipes: AllowMixed = False,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Train on video-level labels, without or with microvideos (+MV). The same command again resumes."""
    from wsal.feature_source import FeatureSource, summary
    from wsal.settings import Settings
    from wsal.training_set import load_training_set

    if mv_ratio is not None and not (mv or mv_set):
        raise BadInput("--mv-ratio shares the steps with microvideos; add them with --mv or --mv-set")
    workspace = Workspace(home)
    microvideos = _microvideos(workspace, mv, mv_set)
    folders = [*(features or []), *([workspace.features] if mv else [])]
    training = load_training_set(
        read_annotations(annotations, subset),
        _source(FeatureSource, folders, feature_fps, feature_stride),
        _streams(streams),
        microvideos,
        allow_mixed_recipes,
    )
    background, guide, cluster = _three_weights(loss_weights)
    settings = Settings(
        streams=training.streams,
        method=method,
        background_weight=background,
        guide_weight=guide,
        cluster_weight=cluster,
        sparsity_weight=sparsity,
        pool=pool,
        centre=centre,
        detach=detach,
        bias=bias,
        sigma=sigma,
        lr=lr,
        steps=steps or (epochs or 25) * len(training.videos),
        mv_ratio=mv_ratio,
        seed=seed,
    )
    for line in summary(training.left_out):
        say(line)
    if training.unknown_recipes:
        say(f"{training.unknown_recipes} of {len(training.videos)} feature files do not say how they were made;"
            " make sure that all were made alike")  # fmt: skip
    result = _train(training, settings, workspace.run(run or method + ("+mv" if mv or mv_set else "")))
    emit(result, as_json, _training_text(result))


@app.command()
def detect(
    annotations: Annotations = None,
    features: Folders = None,
    subset: Annotated[str | None, typer.Option(help="Which subset of the annotations (default: all).")] = None,
    video: Annotated[
        Path | None, typer.Option(help="A video file, instead of features; --annotations then only draw the truth.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="Name of the training run.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint file, instead of --run.")] = None,
    classifier: Annotated[str | None, typer.Option(help="kinetics: no run needed, only --video.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the detections go (default: beside the checkpoint; --video: HOME/detections)."),
    ] = None,
    scores: Annotated[Path | None, typer.Option(help="Write a CSV of class scores per video, no detections.")] = None,
    proposals: Annotated[str, typer.Option(help="attention (paper) or tcam (STPN).")] = "attention",
    thresholds: Annotated[str | None, typer.Option(help="start:stop:step or a list (attention 0:0.5:0.025).")] = None,
    gate: Annotated[float, typer.Option(help="Least video-level probability of a class.")] = 0.1,
    theta: Annotated[float, typer.Option(help="Share of RGB in Eq. 12.")] = 0.5,
    overlap: Annotated[float, typer.Option(help="tIoU above which the worse of two detections goes.")] = 0.5,
    plot: Annotated[
        Path | None, typer.Option(help="With --video: where the picture goes (default: beside --out).")
    ] = None,
    feature_fps: FeatureFps = 25.0,
    feature_stride: FeatureStride = 16,
    allow_mixed_recipes: AllowMixed = False,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Find actions: with a trained run in features or a video, or with the I3D's own Kinetics classes in a video."""
    import torch

    from wsal import detection_runs as runs
    from wsal.checkpoints import load_checkpoint
    from wsal.detect import DetectionSettings
    from wsal.feature_source import FeatureSource, summary
    from wsal.proposals import parse_steps
    from wsal.train import CHECKPOINT

    if classifier and (classifier != "kinetics" or not video or run or checkpoint):
        raise BadInput("--classifier must be kinetics, and goes with --video and neither --run nor --checkpoint")
    if video and not video.is_file():
        raise BadInput(f"there is no video file {video}")
    if video and (features or scores):
        raise BadInput("--video stands alone; leave out --features and --scores")
    truth = _truth_of(video, annotations) if video and annotations else ()
    workspace = Workspace(home)
    settings = DetectionSettings(gate, theta, proposals, parse_steps(thresholds) if thresholds else None, overlap)
    if classifier:
        _report_video(runs.detect_in_video_by_kinetics(video), truth, workspace, video, out, plot, as_json)
        return
    if not (run or checkpoint):
        raise BadInput(
            "say which trained run to use: --run NAME or --checkpoint FILE, or --video with --classifier kinetics"
        )
    torch.set_num_threads(1)  # the matrices are small: more threads only wait for each other
    path = checkpoint or workspace.run(run) / CHECKPOINT
    trained = load_checkpoint(path)
    if video:
        found = runs.detect_in_video(trained, video, settings, allow_mixed_recipes)
        _report_video(found, truth, workspace, video, out, plot, as_json)
        return
    source = _source(FeatureSource, features or [], feature_fps, feature_stride)
    videos = read_annotations(annotations, subset) if annotations else runs.every_video(source)
    readouts, left_out = runs.read_videos(
        trained, source, track(videos.values(), len(videos), "detect"), allow_mixed_recipes
    )
    for line in summary(left_out):
        say(line)
    if scores:
        rows = runs.write_scores(scores, readouts, trained.classes, theta)
        emit({"videos": len(readouts), "left_out": left_out, "rows": rows, "out": str(scores)}, as_json,
             f"{rows} scores of {len(readouts)} videos written to {scores}")  # fmt: skip
        return
    found = runs.detect_all(trained, readouts, settings)
    facts = runs.detection_facts(trained, settings) | {"videos": len(readouts), "left_out": left_out}
    result = detections_json(found, **facts)
    target = out or path.with_name("detections.json")
    write_json(target, result)
    total = sum(map(len, found.values()))
    emit(result, as_json, f"{len(videos)} videos = {len(readouts)} read + {len(left_out)} left out;"
                       f" {total} detections written to {target}")  # fmt: skip


@app.command()
def evaluate(
    ground_truth: Annotated[Path, typer.Option(help="Annotations in ActivityNet JSON.")],
    detections: Annotated[Path, typer.Option(help="Detections in ActivityNet JSON.")],
    subset: Annotated[str | None, typer.Option(help="Which subset of the annotations (default: all).")] = None,
    protocol: Annotated[str, typer.Option(help="activitynet: interpolated AP, greedy match.")] = "activitynet",
    tiou: Annotated[str, typer.Option(help="tIoU thresholds, start:stop:step or a list.")] = "0.1:0.9:0.1",
    as_json: Json = False,
) -> None:
    """Score detections against annotations: AP per class and mAP at each tIoU."""
    from wsal.evaluate import PROTOCOL
    from wsal.evaluate import evaluate as score
    from wsal.proposals import parse_steps

    if protocol != PROTOCOL:
        raise BadInput(f"there is no protocol {protocol!r}; use {PROTOCOL}")
    levels = parse_steps(tiou)
    if not all(0 < level <= 1 for level in levels):
        raise BadInput("--tiou thresholds must be above 0 and at most 1")
    result = score(read_annotations(ground_truth, subset), read_detections(detections), levels)
    title = (f"AP in %, {result['protocol']} protocol: {result['videos']} videos, {result['ground_truth']} true"
             f" instances, {result['detections']} detections")  # fmt: skip
    rows = [("mAP", *_percent(result["mAP"]))]
    rows += [(label, *_percent(precision)) for label, precision in result["per_class"].items()]
    columns = ["tIoU", *(f"{level:g}" for level in result["tiou"]), "mean"]
    emit(result, as_json, [table(title, columns, rows), *(f"note: {note}" for note in result["notes"])])


def _source(kind, folders: list[Path], fps: float, stride: int):
    if not folders:
        raise BadInput("say where the feature files are: --features DIR")
    for folder in folders:
        if not folder.is_dir():
            raise BadInput(f"there is no feature folder {folder}; extract features first, or correct --features")
    return kind(tuple(folders), fps, stride)


def _microvideos(workspace: Workspace, mv: bool, mv_set: Path | None) -> dict[str, AnnotatedVideo]:
    exported = workspace.exports / "microvideos.json"
    if mv and not mv_set and not exported.exists():
        raise BadInput(
            f"there are no exported microvideos in {exported}; run `plusmv export`, or name a file with --mv-set"
        )
    path = mv_set or (exported if mv else None)
    return read_annotations(path, MICROVIDEO_SUBSET) if path else {}


def _streams(text: str | None) -> tuple[str, ...] | None:
    """The streams named, in our order, each once; None for all there are."""
    from features.feature_files import STREAMS

    if text is None:
        return None
    named = {part.strip() for part in text.split(",")}
    if named - set(STREAMS):
        raise BadInput(f"--streams must be rgb, flow or both, not {text!r}")
    return tuple(stream for stream in STREAMS if stream in named)


def _three_weights(text: str) -> tuple[float, float, float]:
    try:
        background, guide, cluster = map(float, text.split(","))
    except ValueError as error:
        raise BadInput(f"--loss-weights {text!r} are not three numbers, such as 0.1,0.1,0.1") from error
    return background, guide, cluster


def _train(training, settings, folder: Path) -> dict:
    import torch

    from wsal import curves, train

    torch.set_num_threads(1)  # the matrices are small; and one thread makes the bits the same on every machine
    finished_before = (folder / train.CHECKPOINT).exists()
    trained = train.train(training, settings, folder, track)
    rows = curves.read_curves(folder / train.CURVES)
    if not (folder / "curves.png").exists():
        from wsal.plots import plot_curves

        plot_curves(folder / "curves.png", folder.name, rows)
    warnings = curves.collapse_warnings(rows)
    for warning in warnings:
        say(f"warning: {warning}")
    return {
        "run": folder.name,
        "checkpoint": str(folder / train.CHECKPOINT),
        "finished_before": finished_before,
        "videos": trained.videos,
        "microvideos": trained.microvideos,
        "left_out": training.left_out,
        "classes": list(trained.classes),
        "settings": settings.to_json(),
        "last": {row["stream"]: row for row in rows},
        "warnings": warnings,
    }


def _training_text(result: dict) -> list:
    settings, done = (
        result["settings"],
        "was finished before, nothing to do" if result["finished_before"] else "finished",
    )
    rows = [(stream, row["loss"], row["attention_mean"], row["attention_q10"], row["attention_q90"])
            for stream, row in result["last"].items()]  # fmt: skip
    return [
        f"run {result['run']} {done}: {settings['steps']} steps a stream on {result['videos']} videos"
        f" ({result['microvideos']} of them microvideos), {len(result['left_out'])} left out",
        table("at the end", ["stream", "loss", "mean attention", "10 %", "90 %"], rows),
        result["checkpoint"],
    ]


def _truth_of(video: Path, annotations: Path) -> tuple[Instance, ...]:
    """The true instances of the video that bears the file's name."""
    known = read_annotations(annotations)
    if video.stem not in known:
        raise BadInput(f"{annotations} has no video {video.stem!r}; leave out --annotations to draw without the truth")
    return known[video.stem].instances


def _report_video(
    found,
    truth: tuple[Instance, ...],
    workspace: Workspace,
    video: Path,
    out: Path | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    from wsal.plots import plot_video

    target = out or workspace.home / "detections" / f"{video.stem}.json"
    picture = plot or target.with_suffix(".png")
    plot_video(picture, f"{video.name}, {found.made_with}", found.seconds, found.panels, found.detections, truth)
    facts = {"made_with": found.made_with, **found.facts, "plot": str(picture)}
    result = detections_json({video.stem: found.detections}, **facts)
    write_json(target, result)
    rows = [(i.label, i.score, round(i.start, 2), round(i.end, 2)) for i in found.detections[:20]]
    made = table(f"{len(found.detections)} detections in {video.name}", ["label", "score", "start", "end"], rows)
    emit(result, as_json, [made, f"{target}  {picture}"])


def _percent(values: list[float]) -> list[str]:
    return [f"{100 * value:.1f}" for value in (*values, sum(values) / len(values))]
