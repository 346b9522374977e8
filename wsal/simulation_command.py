"""The command `simulate`: simulated features as files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plusmv.core.annotations import AnnotatedVideo, same_word, write_annotations
from plusmv.core.commandline import Json, emit, track
from plusmv.core.errors import BadInput
from plusmv.core.locks import one_change, one_command
from plusmv.core.reading import read_json
from plusmv.core.workspace import write_json
from plusmv.wsal.options import ANNOTATIONS

if TYPE_CHECKING:
    from plusmv.wsal.simulation import SimulatedWorld, SimulateResult, World

app = typer.Typer(rich_markup_mode=None)

Timeline = Annotated[Path | None, typer.Option("--annotations", help=f"{ANNOTATIONS} (default: a generated timeline).")]
Width = Annotated[int, typer.Option(min=1, help="Width of the simulated features.")]


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder for annotations.json and features/.")],
    annotations: Timeline = None,
    subset: Annotated[str | None, typer.Option(help="Subset to simulate features for (default: all).")] = None,
    width: Width = 256,
    world: Annotated[int, typer.Option(min=0, help="Seed of the simulated world.")] = 0,
    as_json: Json = False,
) -> None:
    """Simulate two-stream features on a real or a generated timeline. Existing files are kept."""
    from plusmv.wsal.datasets import labels_of, read_dataset
    from plusmv.wsal.simulation import Simulation, World, drawn_timeline

    known = read_dataset(annotations) if annotations else drawn_timeline(world)
    chosen = {video: entry for video, entry in known.items() if subset is None or same_word(entry.subset, subset)}
    made = World(Simulation(width, world), sorted({label for video in known.values() for label in labels_of(video)}))
    facts: SimulatedWorld = {"simulated": made.simulation.recipe, "classes": list(made.classes)}
    with one_command(out, "a simulation"):
        done = _write_simulated(out, made, facts, known, chosen)
    result: SimulateResult = {
        "videos": len(chosen), "made": done, "skipped": len(chosen) - done, "out": str(out), **facts,
    }  # fmt: skip
    emit(result, as_json, f"{len(chosen)} videos = {done} made + {len(chosen) - done} skipped; {out}")


def _write_simulated(
    out: Path,
    made: "World",
    facts: "SimulatedWorld",
    known: dict[str, AnnotatedVideo],
    chosen: dict[str, AnnotatedVideo],
) -> int:
    """The timeline and the features that are not there yet; returns how many."""
    from plusmv.features.feature_files import write_features

    marker, done = out / "features" / "simulated.json", 0
    _check_world(marker, facts)
    write_annotations(out / "annotations.json", known.values(), note="simulated features belong to this timeline")
    write_json(marker, facts)
    for video in track(chosen.values(), len(chosen), "simulate"):
        path = out / "features" / f"{video.id}.safetensors"
        if not path.exists():
            with one_change(path.parent):
                write_features(path, made.features(video))
            done += 1
    return done


def _check_world(marker: Path, facts: "SimulatedWorld") -> None:
    if marker.exists() and read_json(marker) != facts:
        raise BadInput(f"{marker.parent} holds another simulated world; choose another --out, or remove it")
