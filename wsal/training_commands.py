"""The command `train`: from annotations and features to a trained run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from plusmv.core.annotations import MICROVIDEO_SUBSET, AnnotatedVideo
from plusmv.core.commandline import HOME, FeatureLayout, Home, Json, conclude, emit, say, table
from plusmv.core.errors import BadInput
from plusmv.core.workers import available_cores
from plusmv.core.workspace import Workspace
from plusmv.wsal.options import (
    ANNOTATIONS,
    AllowMixed,
    Device,
    FeatureFps,
    FeatureStride,
    Folders,
    Processes,
    SetOwn,
    open_source,
    parse_loss_weights,
    parse_streams,
    steps_bar,
)

if TYPE_CHECKING:
    import torch

    from plusmv.wsal.settings import Settings
    from plusmv.wsal.train import TrainResult
    from plusmv.wsal.training_set import TrainingSet

app = typer.Typer(rich_markup_mode=None)
HIDDEN = 256  # width of a hidden layer, to estimate the work
SMALL_TRAINING = 1e12  # multiply-adds that a core does in about the time another process takes to start


@app.command()
def train(
    annotations: Annotated[Path, typer.Option(help=f"{ANNOTATIONS}; only the labels are used.")],
    features: Folders = None,
    subset: Annotated[str, typer.Option(help="Which subset of the annotations to train on.")] = "validation",
    mv: Annotated[
        bool, typer.Option("--mv", help="Add the workspace's exported microvideos and their features.")
    ] = False,
    mv_set: Annotated[Path | None, typer.Option(help="Add the microvideos of this ActivityNet JSON.")] = None,
    mv_ratio: Annotated[float | None, typer.Option(help="Share of microvideos among the videos seen.")] = None,
    method: Annotated[
        str,
        typer.Option(
            help="bm (the paper), stpn (its baseline), one of its peers (docs/training), or package.module:Class."
        ),
    ] = "bm",
    run: Annotated[str | None, typer.Option(help="Name of the run (default: the method, with +mv).")] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over all videos (default: 25, and 3,000 videos or more).")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, instead of --epochs.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Videos per step, packed (default: what the method needs; paper: 1).")
    ] = None,
    lr: Annotated[float, typer.Option(help="Learning rate of Adam.")] = 1e-4,
    seed: Annotated[int, typer.Option(min=0, help="Of the initial weights and the order of videos.")] = 0,
    set_: SetOwn = None,
    loss_weights: Annotated[
        str | None, typer.Option(help="Weights of L_bg, L_guide, L_cluster; 0: off (default 0.1,0.1,0.1).")
    ] = None,
    sparsity: Annotated[float | None, typer.Option(help="Weight of STPN's sparsity loss (default 1e-4).")] = None,
    pool: Annotated[
        str | None, typer.Option(help="norm: divide by the attention's mass (default); mean: by T (paper).")
    ] = None,
    centre: Annotated[
        float | None, typer.Option(help="Length of the centred features (default 8); 0: raw (paper).")
    ] = None,
    relative: Annotated[
        bool | None,
        typer.Option(
            "--relative/--no-relative", help="A second model of each stream, on changes in a video (default)."
        ),
    ] = None,
    prior: Annotated[
        float | None, typer.Option(help="Weight of the attention's mean squared logit (default 0.01; paper: 0).")
    ] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Every setting to the paper's letter.")] = False,
    detach: Annotated[
        bool | None, typer.Option("--detach/--no-detach", help="Take L_guide's targets as constants (default).")
    ] = None,
    bias: Annotated[
        bool | None, typer.Option("--bias/--no-bias", help="Give the classifier a bias (default and paper: none).")
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(help="Of the Gaussian over L_guide's targets, snippets (default 1).")
    ] = None,
    streams: Annotated[str | None, typer.Option(help="rgb,flow or one of them (default: all there are).")] = None,
    workers: Processes = None,
    device: Device = "auto",
    feature_fps: FeatureFps = "25",
    feature_stride: FeatureStride = 16,
    layout: FeatureLayout = None,
    allow_mixed_recipes: AllowMixed = False,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Train on video-level labels, without or with microvideos (+MV). Run it again to resume."""
    from plusmv.features.device import resolve_device
    from plusmv.wsal.class_names import offered
    from plusmv.wsal.datasets import labels_of, read_dataset
    from plusmv.wsal.feature_source import summary
    from plusmv.wsal.methods.find import parse_settings
    from plusmv.wsal.settings import Settings, paper_settings, steps_of
    from plusmv.wsal.training_set import load_training_set

    if mv_ratio is not None and not (mv or mv_set):
        raise BadInput("--mv-ratio needs microvideos; add them with --mv or --mv-set")
    workspace = Workspace(home)
    annotated, microvideos = read_dataset(annotations, subset), _microvideos(workspace, mv, mv_set)
    training = load_training_set(
        annotated,
        open_source([*(features or []), *([workspace.features] if mv else [])], feature_fps, feature_stride, layout),
        parse_streams(streams),
        microvideos,
        allow_mixed_recipes,
    )
    options = {"sparsity_weight": sparsity, "pool": pool, "detach": detach, "bias": bias, "sigma": sigma,
             "centre": centre, "relative": relative, "prior_weight": prior, "batch": batch}  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    settings = Settings.of(
        streams=training.streams,
        method=method,
        lr=lr,
        mv_ratio=mv_ratio,
        seed=seed,
        **(paper_settings(method) if paper else {})
        | (parse_loss_weights(loss_weights) if loss_weights else {})
        | given
        | parse_settings(method, set_ or []),
    )
    settings = settings.replaced(steps=steps_of(len(training.videos), settings.batch, epochs, steps))
    for line in summary(training.left_out):
        say(line)
    lacking = training.left_out.keys() & microvideos
    if lacking:
        say(f"{len(lacking)} of {len(microvideos)} microvideos are left out")
    ignored = {label for video in microvideos.values() for label in labels_of(video)} - {*training.classes}
    if ignored:
        say(f"labels of microvideos that are no class: {', '.join(offered(sorted(ignored), training.classes))}")
    if training.unknown_recipes:
        say(f"{training.unknown_recipes} of {len(training.videos)} feature files do not record their recipe;"
            " make sure that all have the same")  # fmt: skip
    folder = workspace.run(run or method.rpartition(":")[2] + ("+mv" if mv or mv_set else ""))
    result = _train(training, settings, folder, workers or _default_workers(training, settings), resolve_device(device))
    emit(result, as_json, _training_text(result))
    for what, asked in (("videos of the annotations", annotated), ("microvideos", microvideos)):
        failed = len(training.left_out.keys() & asked)
        if asked:
            conclude({"done": len(asked) - failed, "skipped": 0, "failed": failed}, what)


def _default_workers(training: "TrainingSet", settings: "Settings") -> int:
    """Worker processes: one per stream and core, or none beside this one for a small training."""
    snippets = sum(len(array) for video in training.videos for array in video.streams.values()) / len(training.videos)
    width = next(iter(training.videos[0].streams.values())).shape[1]
    operations = 4 * settings.steps * settings.batch * snippets * width * HIDDEN
    return min(len(settings.views), available_cores()) if operations > SMALL_TRAINING else 1


def _microvideos(workspace: Workspace, mv: bool, mv_set: Path | None) -> dict[str, AnnotatedVideo]:
    from plusmv.core.annotations import read_annotations

    exported = workspace.exports / "microvideos.json"
    if mv and not mv_set and not exported.exists():
        raise BadInput(
            f"there are no exported microvideos in {exported}; run `plusmv export`, or name a file with --mv-set"
        )
    path = mv_set or (exported if mv else None)
    return read_annotations(path, MICROVIDEO_SUBSET) if path else {}


def _train(
    training: "TrainingSet", settings: "Settings", folder: Path, workers: int, device: "torch.device"
) -> "TrainResult":
    from plusmv.wsal import train

    finished_before, watch = (folder / train.CHECKPOINT).exists(), train.StopSignal()
    with steps_bar(watch, settings.steps * len(settings.views), "train"):
        trained = train.train(training, settings, folder, workers, watch, device=device)
    result = train.train_result(folder, training, trained, finished_before)
    if not (folder / "curves.png").exists():
        from plusmv.wsal.curves import read_curves
        from plusmv.wsal.plots import plot_curves

        plot_curves(folder / "curves.png", folder.name, read_curves(folder / train.CURVES))
    for warning in result["warnings"]:
        say(f"warning: {warning}")
    return result


def _training_text(result: "TrainResult") -> list[str | Table]:
    settings, done = (
        result["settings"],
        "was finished before, nothing to do" if result["finished_before"] else "finished",
    )
    rows = [(stream, row["loss"], row["attention_mean"], row["attention_q10"], row["attention_q90"])
            for stream, row in result["last"].items()]  # fmt: skip
    return [
        f"run {result['run']} {done}: {settings['steps']} steps per stream on {result['videos']} videos"
        f" ({result['microvideos']} of them microvideos), {len(result['left_out'])} left out",
        table("after the last step", ["stream", "loss", "mean attention", "10 %", "90 %"], rows),
        result["checkpoint"],
    ]
