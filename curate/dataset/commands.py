"""`plusmv extract`, features of clips or videos, and `plusmv export`, the kept clips as a data set."""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from plusmv.core.commandline import (
    HOME,
    Database,
    Home,
    Json,
    RetryFailed,
    Workers,
    bar,
    conclude,
    emit,
    fall_short,
    say,
    say_failures,
    table,
)
from plusmv.core.errors import BadInput
from plusmv.core.workspace import Workspace

if TYPE_CHECKING:
    from plusmv.core.workers import Outcome
    from plusmv.curate.dataset.extract import Extracted, Output
    from plusmv.features.feature_files import VideoFeatures
    from plusmv.features.pipeline import Extractor

app = typer.Typer(rich_markup_mode=None)


@app.command()
def extract(
    video: Annotated[Path | None, typer.Option(help="One video, instead of the catalog's clips.")] = None,
    videos: Annotated[
        Path | None, typer.Option(help="Every video of a folder, instead of the catalog's clips.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="--video: the feature file to write; --videos: the folder for <stem>.safetensors."),
    ] = None,
    streams: Annotated[str, typer.Option(help="rgb, flow or both, separated by a comma.")] = "rgb,flow",
    stride: Annotated[int, typer.Option(min=1, help="Frames between snippets of 16: 4, 8 or 16, say.")] = 16,
    fps: Annotated[float, typer.Option(help="Frames a second, taken by timestamp.")] = 25.0,
    crops: Annotated[
        Literal["centre", "ten"],
        typer.Option(help="ten: corners and centre, mirrored too, averaged; ten times the work."),
    ] = "centre",
    logits: Annotated[
        int, typer.Option(min=0, max=400, help="Also write so many Kinetics-400 classes a snippet, <id>.kinetics.csv.")
    ] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, ... or auto: a GPU where there is one.")] = "auto",
    rgb_weights: Annotated[str, typer.Option(help="Which weights (plusmv weights lists them).")] = "rgb",
    flow_weights: Annotated[str, typer.Option(help="Which weights (plusmv weights lists them).")] = "flow",
    flow_init: Annotated[
        Literal["cross-modality"] | None, typer.Option(help="Make the flow network of the RGB one's weights.")
    ] = None,
    flow_cache: Annotated[
        Path | None, typer.Option(help="Keep flow in this folder, for other strides, crops and networks.")
    ] = None,
    flow_quantise: Annotated[
        Literal["round128", "none"], typer.Option(help="Flow in 256 levels, as networks were trained on, or not.")
    ] = "round128",
    number_format: Annotated[
        Literal["float16", "float32"], typer.Option(help="Number format of the feature files.")
    ] = "float16",
    precision: Annotated[
        Literal["fastest", "float32"],
        typer.Option(help="Precision of the networks: bfloat16 where the hardware has it, or float32."),
    ] = "fastest",
    random_weights: Annotated[
        bool,
        typer.Option("--random-weights", help="Untrained networks, for trials; recorded in every feature file."),
    ] = False,
    max_seconds: Annotated[float, typer.Option(min=1, help="Longest video, in seconds.")] = 4 * 3600.0,
    max_megapixels: Annotated[float, typer.Option(min=0.01, help="Largest frame, in megapixels.")] = 35.4,
    max_wait: Annotated[
        float, typer.Option(min=1, help="Seconds without a decoded frame after which a video fails.")
    ] = 600.0,
    retry_failed: RetryFailed = False,
    workers: Workers = None,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Extract I3D features of every kept or undecided clip of the catalog, or of --video, or of --videos.

    What has its features already, by the same recipe and weights, is skipped; failed clips stay failed until
    --retry-failed.
    """
    from plusmv.curate.dataset.extract import Output, ended, extract_clips, summary
    from plusmv.db.session import open_catalog
    from plusmv.features.decode import DecodeLimits
    from plusmv.features.device import resolve_device
    from plusmv.features.pipeline import Extractor
    from plusmv.features.recipe import Recipe

    extractor = Extractor(
        Recipe(fps=fps, stride=stride, crops=crops, flow_quantise=flow_quantise),
        tuple(part.strip() for part in streams.split(",") if part.strip()),
        str(resolve_device(device)),
        flow_init,
        random_weights,
        DecodeLimits(int(max_megapixels * 1e6), max_seconds, max_wait),
        rgb_weights,
        flow_weights,
        flow_cache,
        precision,
    )
    output = Output(number_format, logits)
    if video is not None or videos is not None:
        outcomes = _of_files(extractor, video, videos, out, workers, output)
    else:
        workspace = Workspace(home)
        catalog = open_catalog(workspace, db)
        outcomes = extract_clips(catalog, workspace, extractor, retry_failed, workers, _watched, output)
    result = summary(outcomes)
    if video is not None and result["failed"]:
        raise BadInput(result["clips"][0]["reason"])
    rows = [[clip["id"], clip["state"], clip["snippets"]] for clip in result["clips"]]
    counted = f"{len(rows)} clips = {result['done']} done + {result['skipped']} skipped + {result['failed']} failed"
    emit(result, as_json, [table("features", ("id", "state", "snippets"), rows), counted])
    again = "the same command" if video or videos else "--retry-failed"
    say_failures([(clip["id"], clip["reason"] or "") for clip in result["clips"] if clip["state"] == "failed"], again)
    if not result["clips"]:
        fall_short("the catalog has no kept or undecided clip: take some in with plusmv crawl")
    conclude(ended(result), "clips")


@app.command()
def export(
    allow_leaks: Annotated[
        bool, typer.Option("--allow-leaks", help="Export clips too that stand in a benchmark's test videos.")
    ] = False,
    home: Home = HOME,
    db: Database = None,
    as_json: Json = False,
) -> None:
    """Write the kept clips as a weakly labelled data set: exports/microvideos.json, for `plusmv train --mv`.

    Refused where a clip stands in a test video that plusmv leaks knows; the card beside it says what was checked.
    """
    from plusmv.curate.dataset.export import export_microvideos
    from plusmv.db.session import open_catalog

    workspace = Workspace(home)
    result = export_microvideos(open_catalog(workspace, db), workspace, allow_leaks)
    left_out = " + ".join(f"{count} {why}" for why, count in result["left_out"].items())
    written = f"{result['clips']} clips with {result['labels']} labels in {result['path']}; left out: {left_out}"
    rows = list(result["per_action"].items())
    leaks = result["leaks"]
    check = f"leaks: {leaks['clips']} of {leaks['of']} clips checked against {leaks['videos']} benchmark videos"
    changed = result["changes"]
    since = f"since the last export: {len(changed['added'])} added, {len(changed['left'])} left"
    since += f", {changed['taken_down']} taken down" * bool(changed["taken_down"])
    emit(result, as_json, [table("exported", ("action", "clips"), rows), written, check, since])
    if not result["clips"]:
        hint = "no clip is kept yet: judge some with plusmv label or plusmv decide"
        (fall_short if any(result["left_out"].values()) else say)(hint)  # of an empty catalog nothing was asked


def _of_files(
    extractor: "Extractor",
    video: Path | None,
    videos: Path | None,
    out: Path | None,
    workers: int | None,
    output: "Output",
) -> "Iterator[Extracted]":
    from plusmv.curate.dataset.extract import Video, extract_videos, folder_videos

    if video is not None and videos is not None:
        raise BadInput("give one of --video and --videos")
    if out is None:
        raise BadInput("give the output: --out")
    (out.parent if video else out).mkdir(parents=True, exist_ok=True)
    if video is not None and out.suffix != ".safetensors":
        raise BadInput(f"a feature file ends in .safetensors, not {out.name}")
    wanted = [Video(out.stem, video, out)] if video is not None else []
    if videos is not None:
        wanted = folder_videos(videos, out)
    return extract_videos(extractor, wanted, workers, _watched, output)


def _watched(
    outcomes: "Iterable[Outcome[Any, VideoFeatures]]", total: int, description: str
) -> "Iterator[Outcome[Any, VideoFeatures]]":
    """Progress in clips, seconds of video and times real time; in the end a line with all of it."""
    started, seconds, clips = time.monotonic(), 0.0, 0
    with bar(total, description) as advance:
        for outcome in outcomes:
            yield outcome
            clips, seconds = clips + 1, seconds + ((outcome.value.duration or 0.0) if outcome.value else 0.0)
            speed = seconds / (time.monotonic() - started)
            progress = f"{seconds:.0f} s of video, {speed:.2f} times real time"
            advance(1, progress)
    if total:
        say(f"{clips} of {total} clips, {progress}, {time.monotonic() - started:.0f} s in all")
