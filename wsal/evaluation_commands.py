"""The commands `evaluate` and `diagnose`: detections against annotations, scores and an error analysis."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from plusmv.core.annotations import AnnotatedVideo, Instance
from plusmv.core.commandline import HOME, FeatureLayout, Home, Json, conclude, emit, say, table
from plusmv.core.errors import BadInput
from plusmv.core.workspace import Workspace, write_json
from plusmv.wsal.options import (
    ANNOTATIONS,
    FeatureFps,
    FeatureStride,
    Folders,
    Subset,
    open_source,
    parse_tious,
    percent,
)

if TYPE_CHECKING:
    from plusmv.wsal.diagnose import DiagnoseResult, Diagnosis
    from plusmv.wsal.feature_source import FeatureSource

app = typer.Typer(rich_markup_mode=None)

GroundTruth = Annotated[Path, typer.Option(help=f"Annotations: {ANNOTATIONS}.")]
Detections = Annotated[Path, typer.Option(help="Detections: ActivityNet JSON, or THUMOS text where it ends in .txt.")]
Tious = Annotated[
    str,
    typer.Option(
        help="tIoU thresholds: thumos (.1:.9), activitynet (.5:.95), activitynet5, start:stop:step or a list."
    ),
]
Videos = Annotated[
    str, typer.Option(help="all, or 210: THUMOS14 without the two test videos annotated beyond their end (212: all).")
]
Ambiguous = Annotated[Path | None, typer.Option(help="THUMOS14's Ambiguous_test.txt, added to the ground truth.")]


@app.command()
def evaluate(
    ground_truth: GroundTruth,
    detections: Detections,
    subset: Subset = None,
    protocol: Annotated[
        str,
        typer.Option(
            help="activitynet: interpolated AP, greedy match; thumos: ignores what overlaps ambiguous segments too."
        ),
    ] = "activitynet",
    tiou: Tious = "thumos",
    videos: Videos = "all",
    ambiguous: Ambiguous = None,
    as_json: Json = False,
) -> None:
    """Score detections against annotations: AP per class and mAP at each tIoU."""
    from plusmv.wsal.datasets import NOT_IN_210, load_detections
    from plusmv.wsal.evaluate import PROTOCOLS
    from plusmv.wsal.evaluate import evaluate as score_detections

    if protocol not in PROTOCOLS:
        raise BadInput(f"unknown protocol {protocol!r}; use {' or '.join(PROTOCOLS)}")
    without, levels = _excluded_videos(videos, NOT_IN_210), parse_tious(tiou)
    truth = _truth(ground_truth, subset, ambiguous)
    result = score_detections(truth, load_detections(detections), levels, protocol, without)
    title = (f"AP in %, {result['protocol']} protocol: {result['videos']} videos, {result['ground_truth']} true"
             f" instances, {result['detections']} detections")  # fmt: skip
    rows = [("mAP", *percent(result["mAP"]))]
    rows += [(label, *percent(precision)) for label, precision in result["per_class"].items()]
    columns = ["tIoU", *(f"{level:g}" for level in result["tiou"]), "mean"]
    emit(result, as_json, [table(title, columns, rows), *(f"note: {note}" for note in result["notes"])])
    conclude(result, "annotated videos")


@app.command()
def diagnose(
    ground_truth: GroundTruth,
    detections: Detections,
    subset: Subset = None,
    tiou: Tious = "0.5",
    bins: Annotated[str, typer.Option(help="Groups of lengths and coverage: thumos or activitynet.")] = "thumos",
    videos: Videos = "all",
    out: Annotated[Path | None, typer.Option(help="Folder for diagnosis.json and diagnosis.png.")] = None,
    html: Annotated[Path | None, typer.Option(help="The whole diagnosis, with pictures, as one HTML file.")] = None,
    run: Annotated[
        str | None, typer.Option(help="With --html: also draw videos as this training run sees them.")
    ] = None,
    features: Folders = None,
    show: Annotated[int, typer.Option(min=0, help="With --run: how many videos to draw.")] = 4,
    feature_fps: FeatureFps = "25",
    feature_stride: FeatureStride = 16,
    layout: FeatureLayout = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Analyse errors after DETAD: false positives by type, the impact of each type on mAP, and missed instances."""
    from plusmv.wsal.datasets import NOT_IN_210, load_detections
    from plusmv.wsal.diagnose import BINS
    from plusmv.wsal.diagnose import diagnose as analyse_errors
    from plusmv.wsal.diagnosis_page import diagnosis_page, plot_diagnosis
    from plusmv.wsal.evaluate import THUMOS_TIOUS, named
    from plusmv.wsal.evaluate import evaluate as score_detections

    if bins not in BINS:
        raise BadInput(f"unknown bins {bins!r}; use {' or '.join(BINS)}")
    if run and not (features and html):
        raise BadInput("--run draws videos into the page: pass --features and --html too")
    without = _excluded_videos(videos, NOT_IN_210)
    truth = {name: v for name, v in _truth(ground_truth, subset, None).items() if name not in without}
    predicted = {name: instances for name, instances in load_detections(detections).items() if name not in without}
    result = analyse_errors(truth, predicted, parse_tious(tiou), BINS[bins])
    if out:
        write_json(out / "diagnosis.json", result)
        plot_diagnosis(out / "diagnosis.png", result)
    if html:
        with tempfile.TemporaryDirectory() as folder:
            pictures = []
            if run:
                source = open_source(features, feature_fps, feature_stride, layout)
                pictures = _draw_videos(Path(folder), Workspace(home), run, source, truth, show)
            levels = THUMOS_TIOUS if bins == "thumos" else parse_tious("activitynet")
            scores = score_detections(truth, predicted, levels)
            diagnosis_page(html, detections.name, result, scores, pictures)
    written = [str(path) for path in (out and out / "diagnosis.png", html) if path]
    counted = named(truth, predicted)
    printed: DiagnoseResult = {**result, "written": written, **counted}
    emit(printed, as_json, [*_tables(result), *(f"note: {n}" for n in result["notes"]), *written])
    conclude(counted, "annotated videos")


def _truth(path: Path, subset: str | None, ambiguous: Path | None) -> dict[str, AnnotatedVideo]:
    from dataclasses import replace

    from plusmv.wsal.datasets import read_ambiguous, read_dataset

    truth = read_dataset(path, subset)
    added = read_ambiguous(ambiguous) if ambiguous else {}
    if added and not added.keys() & truth.keys():
        raise BadInput(f"{ambiguous} names no video of {path}, only others such as {next(iter(added))}")
    for video in added.keys() & truth.keys():
        instances = truth[video].instances
        more = (instance for instance in added[video] if instance not in instances)  # a text folder may hold it already
        truth[video] = replace(truth[video], instances=(*instances, *more))
    return truth


def _excluded_videos(videos: str, two: tuple[str, ...]) -> tuple[str, ...]:
    if videos not in ("all", "210", "212"):
        raise BadInput(f"--videos must be all, 210 or 212, not {videos!r}")
    return two if videos == "210" else ()


def _draw_videos(
    folder: Path, workspace: Workspace, run: str, source: "FeatureSource", truth: dict[str, AnnotatedVideo], show: int
) -> list[Path]:
    """Draw the first video of each class that has features, at most `show`; returns the pictures."""
    from plusmv.core.errors import PlusmvError
    from plusmv.wsal.checkpoints import load_checkpoint
    from plusmv.wsal.datasets import labels_of
    from plusmv.wsal.detect import DetectionSettings
    from plusmv.wsal.pictures import plot_features

    trained = {run: load_checkpoint(workspace.run(run) / "checkpoint.safetensors")}
    first: dict[tuple[str, ...], AnnotatedVideo] = {}
    for video in truth.values():
        first.setdefault(labels_of(video)[:1], video)
    drawn: list[Path] = []
    for video in first.values():
        if len(drawn) == show:
            break
        try:
            path, instances = folder / f"{len(drawn)}.png", _without_ambiguous(video.instances)
            plot_features(path, source.read(video), trained, DetectionSettings(), instances)
            drawn.append(path)
        except PlusmvError as error:
            say(f"not drawn: {video.id}: {error}")
    return drawn


def _without_ambiguous(instances: tuple[Instance, ...]) -> tuple[Instance, ...]:
    from plusmv.wsal.datasets import AMBIGUOUS

    return tuple(instance for instance in instances if instance.label != AMBIGUOUS)


def _tables(result: "Diagnosis") -> list[str | Table]:
    from plusmv.wsal.diagnose import VERDICTS

    at = ", ".join(f"{level:g}" for level in result["tiou"])
    kinds = VERDICTS
    profile = [(f"{row['top']} G", row["detections"], *(f"{100 * row[kind]:.1f}" for kind in kinds))
               for row in result["profile"]]  # fmt: skip
    impact = [(kind, f"{100 * gain:+.1f}") for kind, gain in result["impact"].items()]
    tables: list[str | Table] = [
        table(f"false positives in % of each G of detections, tIoU {at}", ["", "detections", *kinds], profile),
        table(f"mAP {100 * result['mAP']:.1f} %; gain without all errors of a type", ["type", "mAP"], impact),
    ]
    missed = f"missed: {100 * result['missed']:.1f} % of {result['true_instances']} true instances"
    for name, groups in result["false_negatives"].items():
        rows = [(g["group"], g["true"], f"{100 * g['rate']:.1f}") for g in groups]
        tables.append(table(f"{missed}, by {name}", [name, "true", "missed %"], rows))
    return tables
