"""The command `compose`: untrimmed videos of real clips, as annotations and feature files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plusmv.core.annotations import write_annotations
from plusmv.core.commandline import FeatureLayout, Json, conclude, emit, say, track
from plusmv.core.errors import BadInput

if TYPE_CHECKING:
    from plusmv.wsal.composed import ComposeResult

app = typer.Typer(rich_markup_mode=None)


@app.command()
def compose(
    clips: Annotated[Path, typer.Option(help="CSV of the clips: id, class, source, role (action or other).")],
    features: Annotated[Path, typer.Option(help="Folder of the clips' feature files.")],
    out: Annotated[Path, typer.Option(help="Folder for annotations.json and features/.")],
    segments: Annotated[
        Path | None, typer.Option(help="ActivityNet JSON of true segments; other clips count as action throughout.")
    ] = None,
    world: Annotated[str, typer.Option(help="cut (among foreign clips) or in-scene (a source's own clips).")] = "cut",
    actions: Annotated[str | None, typer.Option(help="Of these actions only, such as Surfing,Archery.")] = None,
    train: Annotated[str, typer.Option(help="Sources to train on, such as 1-5 or 1,2,7.")] = "1-5",
    test: Annotated[str, typer.Option(help="Sources to test on.")] = "12-16",
    most: Annotated[
        list[str] | None, typer.Option(help="Action=N: at most N training sources of it, to make it rare; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the foreign pieces.")] = 0,
    layout: FeatureLayout = None,
    as_json: Json = False,
) -> None:
    """Compose untrimmed videos of real clips, at feature level. An --out that holds a world already is refused."""
    from plusmv.features.feature_files import write_features
    from plusmv.features.published import parse_layout
    from plusmv.wsal.composed import compose, of_actions, parse_most, parse_sources, read_clips, read_material

    if world not in ("cut", "in-scene"):
        raise BadInput(f"unknown world {world!r}; use cut or in-scene")
    if (out / "annotations.json").exists():
        raise BadInput(f"{out} holds a world already; choose another --out, or remove it")
    chosen = of_actions(read_clips(clips), actions and [name.strip() for name in actions.split(",")])
    material, lacking = read_material(track(chosen, len(chosen), "read"), features, segments, parse_layout(layout))
    for name, reason in lacking.items():
        say(f"left out {name}: {reason}")
    usable = [clip for clip in chosen if clip.id in material.features]
    sources = {"training": parse_sources(train), "test": parse_sources(test)}
    made = list(
        compose("cut" if world == "cut" else "in-scene", usable, material, sources, parse_most(most or []), seed)
    )
    if not made:
        raise BadInput("no clip of an action comes from these sources")
    for video, composed in track(made, len(made), "compose"):
        write_features(out / "features" / f"{video.id}.safetensors", composed, "float32")
    videos = [video for video, _ in made]
    write_annotations(out / "annotations.json", videos, note=f"composed of real clips, {world}, seed {seed}")
    tested = [video for video in videos if video.subset == "test"]
    action = sum(each.end - each.start for video in tested for each in video.instances)
    result: ComposeResult = {
        "world": world, "videos": len(videos), "training": len(videos) - len(tested), "test": len(tested),
        "instances": sum(len(video.instances) for video in videos),
        "action_share": action / max(1e-9, sum(video.duration for video in tested)), "out": str(out),
        "done": len(usable), "skipped": 0, "failed": len(lacking),
    }  # fmt: skip
    emit(result, as_json, f"{len(videos)} videos composed of real clips ({world}): {result['training']} to train, "
         f"{len(tested)} to test, of which {100 * result['action_share']:.0f} % is action; {out}")  # fmt: skip
    conclude(result, "clips")
