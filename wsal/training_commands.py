"""The command `train`: annotations and features in, a run out; all arithmetic is in the other modules."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from plusmv.core.annotations import MICROVIDEO_SUBSET, AnnotatedVideo
from plusmv.core.commandline import HOME, Home, Json, emit, say, table
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
    steps_bar,
    streams_named,
    three_weights,
)

if TYPE_CHECKING:
    import torch

    from plusmv.wsal.settings import Settings
    from plusmv.wsal.train import TrainResult
    from plusmv.wsal.training_set import TrainingSet

app = typer.Typer(rich_markup_mode=None)
HIDDEN = 256  # width of a hidden layer, for the estimate
LITTLE = 1e12  # multiplications and additions: what a core does in about the time in which another process starts


@app.command()
def train(
    annotations: Annotated[Path, typer.Option(help=f"{ANNOTATIONS}; only the labels are used.")],
    features: Folders = None,
    subset: Annotated[str, typer.Option(help="Which subset of the annotations to train on.")] = "validation",
    mv: Annotated[
        bool, typer.Option("--mv", help="Add the workspace's exported microvideos and their features.")
    ] = False,
    mv_set: Annotated[Path | None, typer.Option(help="Add the microvideos of this ActivityNet JSON.")] = None,
    mv_ratio: Annotated[float | None, typer.Option(help="Share of the videos seen that are microvideos.")] = None,
    method: Annotated[
        str, typer.Option(help="bm (the paper), stpn (its baseline), or your own package.module:Class.")
    ] = "bm",
    run: Annotated[str | None, typer.Option(help="Name of the run (default: the method, with +mv).")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over all videos (default 25).")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, instead of --epochs.")] = None,
    batch: Annotated[int, typer.Option(min=1, help="Videos a step, packed (paper: 1).")] = 1,
    lr: Annotated[float, typer.Option(help="Learning rate of Adam.")] = 1e-4,
    seed: Annotated[int, typer.Option(min=0, help="Decides initial weights and the order of videos.")] = 0,
    set_: SetOwn = None,
    loss_weights: Annotated[
        str | None, typer.Option(help="Of L_bg, L_guide, L_cluster; 0 switches off (default 0.1,0.1,0.1).")
    ] = None,
    sparsity: Annotated[float | None, typer.Option(help="Weight of STPN's sparsity loss (default 1e-4).")] = None,
    pool: Annotated[
        str | None, typer.Option(help="norm: divide by the attention's mass (default); mean: by T (paper).")
    ] = None,
    centre: Annotated[float, typer.Option(help="Length of the centred features; 0: raw (paper).")] = 8.0,
    detach: Annotated[
        bool | None, typer.Option("--detach/--no-detach", help="Take L_guide's targets as constants (default).")
    ] = None,
    bias: Annotated[
        bool | None, typer.Option("--bias/--no-bias", help="Give the classifier a bias (default and paper: none).")
    ] = None,
    sigma: Annotated[
        float | None, typer.Option(help="Snippets, of the Gaussian over L_guide's targets (default 1).")
    ] = None,
    streams: Annotated[str | None, typer.Option(help="rgb,flow or one of them (default: all there are).")] = None,
    workers: Processes = None,
    device: Device = "auto",
    feature_fps: FeatureFps = 25.0,
    feature_stride: FeatureStride = 16,
    allow_mixed_recipes: AllowMixed = False,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Train on video-level labels, without or with microvideos (+MV). The same command again resumes."""
    from plusmv.features.device import resolve_device
    from plusmv.wsal.datasets import read_dataset
    from plusmv.wsal.feature_source import summary
    from plusmv.wsal.methods.find import parse_settings
    from plusmv.wsal.settings import Settings
    from plusmv.wsal.training_set import load_training_set

    if mv_ratio is not None and not (mv or mv_set):
        raise BadInput("--mv-ratio shares the steps with microvideos; add them with --mv or --mv-set")
    workspace = Workspace(home)
    microvideos = _microvideos(workspace, mv, mv_set)
    training = load_training_set(
        read_dataset(annotations, subset),
        open_source([*(features or []), *([workspace.features] if mv else [])], feature_fps, feature_stride),
        streams_named(streams),
        microvideos,
        allow_mixed_recipes,
    )
    own = {"sparsity_weight": sparsity, "pool": pool, "detach": detach, "bias": bias, "sigma": sigma}
    given = {name: value for name, value in own.items() if value is not None}
    settings = Settings.of(
        streams=training.streams,
        method=method,
        centre=centre,
        lr=lr,
        steps=steps or (epochs or 25) * -(-len(training.videos) // batch),
        batch=batch,
        mv_ratio=mv_ratio,
        seed=seed,
        **(three_weights(loss_weights) if loss_weights else {}) | given | parse_settings(method, set_ or []),
    )
    for line in summary(training.left_out):
        say(line)
    if training.unknown_recipes:
        say(f"{training.unknown_recipes} of {len(training.videos)} feature files do not say how they were made;"
            " make sure that all were made alike")  # fmt: skip
    folder = workspace.run(run or method.rpartition(":")[2] + ("+mv" if mv or mv_set else ""))
    result = _train(training, settings, folder, workers or _enough(training, settings), resolve_device(device))
    emit(result, as_json, _training_text(result))


def _enough(training: "TrainingSet", settings: "Settings") -> int:
    """Processes for a training: one a stream and core, but none of its own where starting it takes longer."""
    snippets = sum(len(array) for video in training.videos for array in video.streams.values()) / len(training.videos)
    width = next(iter(training.videos[0].streams.values())).shape[1]
    products = 4 * settings.steps * settings.batch * snippets * width * HIDDEN
    return min(len(settings.streams), available_cores()) if products > LITTLE else 1


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
    with steps_bar(watch, settings.steps * len(settings.streams), "train"):
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
        f"run {result['run']} {done}: {settings['steps']} steps a stream on {result['videos']} videos"
        f" ({result['microvideos']} of them microvideos), {len(result['left_out'])} left out",
        table("at the end", ["stream", "loss", "mean attention", "10 %", "90 %"], rows),
        result["checkpoint"],
    ]
