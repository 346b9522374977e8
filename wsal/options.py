"""Options shared by the commands of wsal, and their parsing. Imports nothing heavy."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plusmv.core.commandline import bar, parse_rate
from plusmv.core.errors import BadInput

if TYPE_CHECKING:
    from plusmv.wsal.feature_source import FeatureSource
    from plusmv.wsal.train import StopSignal

ANNOTATIONS = "ActivityNet JSON, or a folder of THUMOS14's text files or of W-TALC's npy arrays"
DEFAULT_PROPOSALS = "two-sided"  # not the paper's, see wsal.two_sided
Annotations = Annotated[Path | None, typer.Option(help=f"Annotations: {ANNOTATIONS}.")]
Folders = Annotated[list[Path] | None, typer.Option("--features", help="Folder of feature files; may be repeated.")]
FeatureFps = Annotated[
    str,
    typer.Option(help="Frames per second, if feature files do not record it; native: those the annotations state."),
]
FeatureStride = Annotated[int, typer.Option(min=1, help="Frames between snippets, if feature files do not record it.")]
AllowMixed = Annotated[bool, typer.Option("--allow-mixed-recipes", help="Mix features of different recipes.")]
Subset = Annotated[str | None, typer.Option(help="Subset of the annotations (default: all).")]
Run = Annotated[str | None, typer.Option(help="Name of the training run.")]
CheckpointFile = Annotated[Path | None, typer.Option("--checkpoint", help="A checkpoint file, instead of --run.")]
Processes = Annotated[int | None, typer.Option(min=1, help="Worker processes (default: one per stream and core).")]
SetOwn = Annotated[
    list[str] | None, typer.Option("--set", help="name=value, a setting of the method; may be repeated.")
]
Device = Annotated[str, typer.Option(help="auto (a GPU where there is one), cpu, cuda, cuda:1, mps.")]
Proposals = Annotated[
    str | None,
    typer.Option(
        help="two-sided (default), attention (paper), tcam (STPN), softmax (of the T-CAM), or own (the method's)."
    ),
]
Paper = Annotated[bool, typer.Option("--paper", help="Detection to the paper's letter: attention and Eq. 12.")]
Thresholds = Annotated[str | None, typer.Option(help="start:stop:step or a list (attention 0:0.5:0.025).")]


def open_source(folders: list[Path] | None, fps: str, stride: int, layout: str | None) -> "FeatureSource":
    """A source of the feature folders. Raises BadInput for none, or for a missing one."""
    from plusmv.features.published import parse_layout
    from plusmv.wsal.feature_source import FeatureSource

    if not folders:
        raise BadInput("specify the feature files: --features DIR")
    for folder in folders:
        if not folder.is_dir():
            raise BadInput(f"there is no feature folder {folder}; extract features first, or correct --features")
    return FeatureSource(tuple(folders), parse_rate(fps), stride, parse_layout(layout))


def parse_streams(text: str | None) -> tuple[str, ...] | None:
    """The streams in "rgb,flow", each once, in the order of STREAMS; None (all) for None."""
    from plusmv.features.feature_files import STREAMS

    if text is None:
        return None
    names = {part.strip() for part in text.split(",")}
    if names - set(STREAMS):
        raise BadInput(f"--streams must be rgb, flow or both, not {text!r}")
    return tuple(stream for stream in STREAMS if stream in names)


def parse_loss_weights(text: str) -> dict[str, float]:
    """ "0.1,0.1,0.1" as the settings' weights of L_bg, L_guide and L_cluster."""
    try:
        background, guide, cluster = map(float, text.split(","))
    except ValueError as error:
        raise BadInput(f"--loss-weights {text!r} are not three numbers, such as 0.1,0.1,0.1") from error
    return {"background_weight": background, "guide_weight": guide, "cluster_weight": cluster}


def parse_tious(text: str) -> tuple[float, ...]:
    """tIoU thresholds from the name of a set, start:stop:step, or a list."""
    from plusmv.wsal.datasets import TIOUS
    from plusmv.wsal.proposals import parse_steps

    levels = parse_steps(TIOUS.get(text, text))
    if not all(0 < level <= 1 for level in levels):
        raise BadInput("--tiou thresholds must be above 0 and at most 1")
    return levels


def proposals_of(proposals: str | None, paper: bool) -> str:
    """The way of proposals that --proposals and --paper ask for."""
    return proposals or ("attention" if paper else DEFAULT_PROPOSALS)


def percent(values: list[float]) -> list[str]:
    """The values and their mean, formatted in %."""
    return [f"{100 * value:.1f}" for value in (*values, sum(values) / len(values))]


@contextlib.contextmanager
def steps_bar(watch: "StopSignal", total: int, description: str) -> Iterator[None]:
    """A progress bar of the steps done by the training processes."""
    finished = threading.Event()

    def follow(advance) -> None:
        seen = 0
        while not finished.wait(0.3):
            advance(watch.done - seen)
            seen = watch.done

    with bar(total, description) as advance:
        thread = threading.Thread(target=follow, args=(advance,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            finished.set()
            thread.join()
