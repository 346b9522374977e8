"""The commands `experiment` and `simulate`: tables with mean and sd over seeds, and simulated features for them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from plusmv.core.annotations import AnnotatedVideo, same_word, write_annotations
from plusmv.core.commandline import HOME, FeatureLayout, Home, Json, conclude, emit, say, table, track
from plusmv.core.errors import BadInput
from plusmv.core.reading import read_json
from plusmv.core.workers import available_cores
from plusmv.core.workspace import Workspace, write_bytes, write_json
from plusmv.wsal.options import (
    ANNOTATIONS,
    Device,
    FeatureFps,
    FeatureStride,
    Processes,
    SetOwn,
    open_source,
    parse_loss_weights,
    parse_streams,
    percent,
    steps_bar,
)

if TYPE_CHECKING:
    import torch

    from plusmv.wsal.experiments import ExperimentResult, MeanAndSd
    from plusmv.wsal.settings import Settings
    from plusmv.wsal.simulation import SimulatedFeatures, SimulatedWorld, SimulateResult
    from plusmv.wsal.training_set import TrainingSet

app = typer.Typer(rich_markup_mode=None)

Timeline = Annotated[Path | None, typer.Option("--annotations", help=f"{ANNOTATIONS} (default: a generated timeline).")]
Width = Annotated[int, typer.Option(min=1, help="Width of the simulated features.")]
WorldSeed = Annotated[int, typer.Option(min=0, help="Seed of the simulated world.")]


@app.command()
def experiment(
    name: Annotated[str, typer.Argument(help="ablation: the eight choices of the paper's losses (Table 1).")],
    annotations: Timeline = None,
    features: Annotated[
        list[Path] | None, typer.Option("--features", help="Real feature files; without them, features are simulated.")
    ] = None,
    train_subset: Annotated[str, typer.Option(help="Subset to train on.")] = "validation",
    test_subset: Annotated[str, typer.Option(help="Subset to evaluate on, once, after the last step.")] = "test",
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of the initial weights; all share the order of videos.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training videos.")] = 60,
    lr: Annotated[float, typer.Option(help="Learning rate of Adam (paper: 1e-4).")] = 3e-4,
    width: Width = 256,
    world: WorldSeed = 0,
    batch: Annotated[int, typer.Option(min=1, help="Videos a step, packed (paper: 1).")] = 1,
    loss_weights: Annotated[str, typer.Option(help="Weights of L_bg, L_guide, L_cluster where on.")] = "0.1,0.1,0.1",
    pool: Annotated[str, typer.Option(help="norm or mean (paper).")] = "norm",
    centre: Annotated[float, typer.Option(help="Length of the centred features; 0: raw (paper).")] = 8.0,
    detach: Annotated[bool, typer.Option(help="Take L_guide's targets as constants.")] = True,
    bias: Annotated[bool, typer.Option(help="Give the classifier a bias (paper: none).")] = False,
    sigma: Annotated[float, typer.Option(help="Of the Gaussian over L_guide's targets, snippets.")] = 1.0,
    stpn: Annotated[bool, typer.Option(help="Add STPN's row.")] = False,
    method: Annotated[
        list[str] | None, typer.Option(help="Add a row of this method: stpn, or your own package.module:Class.")
    ] = None,
    set_: SetOwn = None,
    streams: Annotated[str | None, typer.Option(help="rgb,flow or one of them (default: all there are).")] = None,
    run: Annotated[
        str | None, typer.Option(help="Name of the experiment's folder of runs (default: its name).")
    ] = None,
    workers: Processes = None,
    device: Device = "auto",
    feature_fps: FeatureFps = "25",
    feature_stride: FeatureStride = 16,
    layout: FeatureLayout = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Train every row with every seed in one pass, evaluate each once, print mean and sd. Run it again to resume."""
    from plusmv.features.device import resolve_device
    from plusmv.wsal import experiments
    from plusmv.wsal.datasets import read_dataset
    from plusmv.wsal.feature_source import summary
    from plusmv.wsal.settings import Settings
    from plusmv.wsal.training_set import load_training_set

    if name != "ablation":
        raise BadInput(f"unknown experiment {name!r}; use ablation")
    known = read_dataset(annotations) if annotations else _generated_timeline(world)
    source = open_source(features, feature_fps, feature_stride, layout) if features else _simulated(known, width, world)
    training = load_training_set(_subset(known, train_subset), source, parse_streams(streams))
    test = _subset(known, test_subset)
    base = Settings.of(
        streams=training.streams, **parse_loss_weights(loss_weights), pool=pool, centre=centre, detach=detach,
        bias=bias, sigma=sigma, lr=lr, batch=batch, steps=epochs * -(-len(training.videos) // batch),
    )  # fmt: skip
    names = dict.fromkeys([*(["stpn"] if stpn else []), *(method or [])])
    rows = experiments.ablation_rows(base, [_comparison_settings(base, name, set_ or []) for name in names])
    folder = Workspace(home).run(run or name)
    _train(training, experiments.seeded(rows, seeds), folder, workers or available_cores(), resolve_device(device))
    usable, left_out = source.read_all(test.values())
    for line in summary(training.left_out | left_out):
        say(line)
    tasks = [(row, seed) for row in rows for seed in range(seeds)]
    scored = experiments.score_all(folder, tasks, test, usable, workers or available_cores())
    scores = [score for run_scores in track(scored, len(tasks), "detect and evaluate") for score in run_scores]
    result: ExperimentResult = {
        "experiment": name,
        "features": str([str(f) for f in features]) if features else f"SIMULATED, width {width}, seed {world}",
        "timeline": str(annotations or "drawn"),
        "settings": base.to_json(),
        "epochs": epochs,
        "seeds": seeds,
        "training_videos": len(training.videos),
        "test_videos": len(test),
        "done": len(training.videos) + len(usable),
        "skipped": 0,
        "failed": len(training.left_out) + len(left_out),
        "left_out": training.left_out | left_out,
        "protocol": "activitynet, tIoU .1 to .9",
        "note": experiments.ORDER_NOTE,
        "tables": experiments.summarised(scores, list(rows)),
        "warnings": experiments.collapsed(folder, tasks),
        "scores": scores,
    }
    write_json(folder / f"{name}.json", result)
    write_bytes(folder / f"{name}.md", experiments.as_markdown(result).encode())
    emit(result, as_json, [*_tables(result), str(folder / f"{name}.md")])
    conclude(result, "videos")


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder for annotations.json and features/.")],
    annotations: Timeline = None,
    subset: Annotated[str | None, typer.Option(help="Subset to simulate features for (default: all).")] = None,
    width: Width = 256,
    world: WorldSeed = 0,
    as_json: Json = False,
) -> None:
    """Simulate two-stream features on a real or a generated timeline. Existing files are kept."""
    from plusmv.features.feature_files import write_features
    from plusmv.wsal.datasets import read_dataset
    from plusmv.wsal.simulation import Simulation, World

    known = read_dataset(annotations) if annotations else _generated_timeline(world)
    chosen = {video: entry for video, entry in known.items() if subset is None or same_word(entry.subset, subset)}
    made = World(Simulation(width, world), _classes(known))
    write_annotations(out / "annotations.json", known.values(), note="simulated features belong to this timeline")
    marker = out / "features" / "simulated.json"
    facts: SimulatedWorld = {"simulated": made.simulation.recipe, "classes": list(made.classes)}
    _check_world(marker, facts)
    write_json(marker, facts)
    done = 0
    for video in track(chosen.values(), len(chosen), "simulate"):
        path = out / "features" / f"{video.id}.safetensors"
        if not path.exists():
            write_features(path, made.features(video))
            done += 1
    result: SimulateResult = {
        "videos": len(chosen), "made": done, "skipped": len(chosen) - done, "out": str(out), **facts,
    }  # fmt: skip
    emit(result, as_json, f"{len(chosen)} videos = {done} made + {len(chosen) - done} skipped; {out}")


def _comparison_settings(base: "Settings", method: str, assignments: list[str]) -> "Settings":
    """Another method's settings, trained like the ablation's rows, with --set where given."""
    from plusmv.wsal.methods.find import parse_settings

    shared = {name: base.to_json()[name] for name in ("centre", "lr", "steps", "batch")}
    return type(base).of(streams=base.streams, method=method, **shared, **parse_settings(method, assignments))


def _check_world(marker: Path, facts: "SimulatedWorld") -> None:
    if marker.exists() and read_json(marker) != facts:
        raise BadInput(f"{marker.parent} holds another simulated world; choose another --out, or remove it")


def _generated_timeline(world: int) -> dict[str, AnnotatedVideo]:
    from plusmv.wsal.simulation import drawn_timeline

    return drawn_timeline(world)


def _classes(known: dict[str, AnnotatedVideo]) -> list[str]:
    from plusmv.wsal.datasets import labels_of

    return sorted({label for video in known.values() for label in labels_of(video)})


def _simulated(known: dict[str, AnnotatedVideo], width: int, world: int) -> "SimulatedFeatures":
    from plusmv.wsal.simulation import SimulatedFeatures, Simulation, World

    return SimulatedFeatures(World(Simulation(width, world), _classes(known)))


def _subset(known: dict[str, AnnotatedVideo], subset: str) -> dict[str, AnnotatedVideo]:
    chosen = {name: video for name, video in known.items() if same_word(video.subset, subset)}
    if not chosen:
        raise BadInput(f"the annotations have no video of subset {subset!r}")
    return chosen


def _train(
    training: "TrainingSet", runs: "dict[str, Settings]", folder: Path, workers: int, device: "torch.device"
) -> None:
    from plusmv.wsal.train import StopSignal, train_together

    watch, one = StopSignal(), next(iter(runs.values()))
    stacks = len({settings.shared() for settings in runs.values()})
    with steps_bar(watch, stacks * one.steps * len(one.streams), f"train {len(runs)} runs"):
        train_together(training, runs, folder, min(workers, stacks * len(one.streams)), watch, device=device)


def _tables(result: "ExperimentResult") -> list[str | Table]:
    from plusmv.wsal import experiments

    made: list[str | Table] = [f"{result['features']}; timeline {result['timeline']}; {result['note']}"]
    for entry in result["tables"]:
        rows = [(row["row"], *_with_sd(row["mAP"]), f"{100 * row['top1']['mean']:.1f}") for row in entry["rows"]]
        columns = ["losses", *experiments.COLUMNS, "mean", "top-1"]
        made.append(
            table(f"mAP in % ± sd over {result['seeds']} seeds, proposals: {entry['proposals']}", columns, rows)
        )
    return made + [f"warning: {text}" for text in result["warnings"]]


def _with_sd(values: "MeanAndSd[list[float]]") -> list[str]:
    means = percent(values["mean"])
    if values["sd"] is None:
        return means
    return [f"{mean}±{100 * sd:.1f}" for mean, sd in zip(means[:-1], values["sd"], strict=True)] + means[-1:]
