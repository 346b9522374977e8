"""The command `experiment`: tables with mean and sd over seeds, on one of several worlds."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from plusmv.core.commandline import HOME, FeatureLayout, Home, Json, conclude, emit, say, table, track
from plusmv.core.errors import BadInput
from plusmv.core.locks import one_command
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
)

if TYPE_CHECKING:
    from plusmv.wsal.experiment_tables import ExperimentResult
    from plusmv.wsal.experiments import Plan, Training
    from plusmv.wsal.settings import Settings

app = typer.Typer(rich_markup_mode=None)


@app.command()
def experiment(
    name: Annotated[
        str, typer.Argument(help="ablation: the eight choices of the paper's losses (Table 1); methods: all methods.")
    ],
    world: Annotated[
        str | None,
        typer.Option(help="in-scene or cut (with --data), simulated (default), rendered (with --demo), or own."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of short clips: real.csv, features/ and, where known, segments.json.")
    ] = None,
    train_sources: Annotated[
        str | None, typer.Option(help="Of the clips, such as 1-11 (default: the world's).")
    ] = None,
    test_sources: Annotated[str | None, typer.Option(help="Of the clips, such as 12-16.")] = None,
    actions: Annotated[str | None, typer.Option(help="Compose of these alone, such as Surfing,Archery.")] = None,
    judged: Annotated[str | None, typer.Option(help="Classes whose mean AP is the mAP (default: the world's).")] = None,
    most: Annotated[
        list[str] | None, typer.Option(help="Action=N: at most N training sources of it; repeatable.")
    ] = None,
    demo: Annotated[Path | None, typer.Option(help="The --home of a `plusmv demo`.")] = None,
    annotations: Annotated[
        Path | None, typer.Option(help=f"{ANNOTATIONS} (default: a generated timeline, simulated).")
    ] = None,
    features: Annotated[
        list[Path] | None, typer.Option("--features", help="Real feature files; without them, features are simulated.")
    ] = None,
    train_subset: Annotated[str, typer.Option(help="Subset to train on.")] = "validation",
    test_subset: Annotated[str, typer.Option(help="Subset to evaluate on, once, after the last step.")] = "test",
    width: Annotated[int, typer.Option(min=1, help="Width of the simulated features.")] = 256,
    world_seed: Annotated[int, typer.Option(min=0, help="Seed of the simulated world.")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds, each of initial weights and order of videos.")] = 5,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes (default: 25, and 3,000 videos or more).")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps, instead of --epochs.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate of Adam (default: each method's).")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Videos a step, packed (default: each method's).")] = None,
    loss_weights: Annotated[str | None, typer.Option(help="Weights of L_bg, L_guide, L_cluster where on.")] = None,
    pool: Annotated[str | None, typer.Option(help="norm or mean (paper), of bm.")] = None,
    centre: Annotated[float | None, typer.Option(help="Length of the centred features; 0: raw (paper).")] = None,
    detach: Annotated[bool | None, typer.Option(help="Take L_guide's targets as constants.")] = None,
    bias: Annotated[bool | None, typer.Option(help="Give bm's classifier a bias (paper: none).")] = None,
    sigma: Annotated[float | None, typer.Option(help="Of the Gaussian over L_guide's targets, snippets.")] = None,
    relative: Annotated[
        bool | None, typer.Option("--relative/--no-relative", help="A second model of each stream (default: of bm).")
    ] = None,
    prior: Annotated[float | None, typer.Option(help="Weight of the attention's mean squared logit, of bm.")] = None,
    paper: Annotated[bool, typer.Option("--paper", help="Every setting of training to the paper's letter.")] = False,
    stpn: Annotated[bool, typer.Option(help="Add STPN's row to the ablation.")] = False,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="ablation: add a row of this method; methods: these alone, beside bm. Or package.module:Class."
        ),
    ] = None,
    set_: SetOwn = None,
    streams: Annotated[str | None, typer.Option(help="rgb,flow or one of them (default: all there are).")] = None,
    run: Annotated[
        str | None, typer.Option(help="Name of the experiment's folder of runs (default: its name and world).")
    ] = None,
    workers: Processes = None,
    device: Device = "auto",
    feature_fps: FeatureFps = "25",
    feature_stride: FeatureStride = 16,
    layout: FeatureLayout = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Train every row with every seed, evaluate each once, print mean and sd. Run it again to resume."""
    from plusmv.features.device import resolve_device
    from plusmv.wsal import experiment_tables, experiments, worlds
    from plusmv.wsal.feature_source import summary
    from plusmv.wsal.settings import paper_settings
    from plusmv.wsal.training_set import load_training_set

    if name not in experiments.EXPERIMENTS:
        raise BadInput(f"unknown experiment {name!r}; use {' or '.join(experiments.EXPERIMENTS)}")
    kind = world or ("own" if features else "simulated")
    if kind in worlds.COMPOSED:
        made = worlds.composed_world(
            kind, _needed(data, "--data DIR, a folder of clips' features"), train_sources, test_sources,
            _words(actions), _words(judged), most or [], layout,
        )  # fmt: skip
    elif kind == "rendered":
        made = worlds.rendered_world(_needed(demo, "--demo DIR, the --home of a `plusmv demo`"))
    else:
        source = open_source(features, feature_fps, feature_stride, layout) if features or kind == "own" else None
        made = worlds.annotated_world(kind, annotations, source, (train_subset, test_subset), width, world_seed)
    features_held = worlds.held(made)
    training = load_training_set(made.training, features_held, parse_streams(streams))
    asked = (paper_settings("bm") if paper else {}) | _given(
        centre=centre, relative=relative, pool=pool, prior_weight=prior, detach=detach, bias=bias, sigma=sigma,
        **(parse_loss_weights(loss_weights) if loss_weights else {}),
    )  # fmt: skip
    shared = {each: asked.pop(each) for each in ("centre", "relative") if each in asked} | _given(lr=lr, batch=batch)
    common = experiments.Training(training.streams, len(training.videos), shared, epochs, steps)
    base = common.settings("bm", asked)
    plan = _plan(name, common, base, [*(["stpn"] if stpn else []), *(method or [])], set_ or [], seeds)
    folder, count = Workspace(home).run(run or f"{name}-{kind}"), workers or available_cores()
    with one_command(folder, "an experiment"):
        runs = experiments.seeded(plan.rows, seeds)
        stacks = experiments.stacks_of(runs)
        trained = experiments.train_all(training, runs, folder, count, resolve_device(device))
        for _ in track(trained, len(stacks), f"train {len(runs)} runs"):
            pass
        judging = experiments.judge_all(plan, made, features_held, training.classes, folder, count)
        scored = [each for several in track(judging, len(runs) + seeds + 1, "evaluate") for each in several]
        result = experiment_tables.result_of(name, plan, made, features_held, training, scored)
        result["training"] = experiments.costs(folder, runs)
        write_json(folder / f"{name}.json", result)
        write_bytes(folder / f"{name}.md", experiment_tables.as_markdown(result).encode())
    for line in summary(result["left_out"]):
        say(line)
    emit(result, as_json, [*_tables(result), str(folder / f"{name}.md")])
    conclude(result, "videos")


def _plan(
    name: str, common: "Training", base: "Settings", added: list[str], assignments: list[str], seeds: int
) -> "Plan":
    """The rows: the ablation's and those added, or the methods; assignments: --set, of the methods named."""
    from plusmv.wsal import experiments
    from plusmv.wsal.methods.find import METHODS, parse_settings

    if assignments and not added:
        raise BadInput("--set needs the method that it is for: --method NAME")
    named = {method: common.settings(method, parse_settings(method, assignments)) for method in added}
    if name == "ablation":
        return experiments.ablation(base, list(named.values()), seeds)
    peers = named or {method: common.settings(method, {}) for method in METHODS}
    return experiments.methods([*({"bm": base} | peers).values()], seeds)


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _needed(path: Path | None, what: str) -> Path:
    if path is None:
        raise BadInput(f"this world needs {what}")
    return path


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in text.split(",")] if text else []


def _tables(result: "ExperimentResult") -> list[str | Table]:
    from plusmv.wsal import experiment_tables as tables

    made: list[str | Table] = [tables.headline(result)]
    for each in result["tables"]:
        title = f"mAP in % ± sd over {result['seeds']} seeds, detection: {each['proposals']}"
        made.append(table(title, ["row", *tables.COLUMNS], tables.cells(each)))
    costs = table("training, all runs of a method", ["method", *tables.COST_COLUMNS], tables.cost_cells(result))
    return [*made, costs, *(f"warning: {text}" for text in result["warnings"])]
