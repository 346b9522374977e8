"""Write docs/schemas: a JSON Schema for each command's --json result and for each file format, from their types.

Run: .venv/bin/python docs/write_schemas.py
A type's docstring becomes the schema's description. To add a schema, add a row to RESULTS or FILES.
"""

import functools
import importlib
import json
import operator
import types
import typing
from pathlib import Path
from typing import Any

import pydantic
import typing_extensions

FOLDER = Path(__file__).parent / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
RESULTS = {  # command -> the type of its --json result
    "demo": "plusmv.demo.walk:DemoResult",
    "crawl": "plusmv.curate.crawl.results:CrawlResult",
    "recheck": "plusmv.curate.crawl.recheck:RecheckResult",
    "takedown": "plusmv.curate.takedown.remove:TakedownResult",
    "dedup": "plusmv.curate.duplicates.detect:DedupResult",
    "leaks": "plusmv.curate.duplicates.leaks:LeaksResult",
    "weights": "plusmv.features.fetch:WeightsResult",
    "extract": "plusmv.curate.dataset.extract:ExtractResult",
    "classify": "plusmv.features.classify:ClassifyResult",
    "features compact": "plusmv.features.conversion:FeaturesResult",
    "features verify": "plusmv.features.conversion:VerifyResult",
    "features import": "plusmv.features.conversion:FeaturesResult",
    "features export": "plusmv.features.conversion:FeaturesResult",
    "rank": "plusmv.curate.ranking.result:RankResult",
    "previews": "plusmv.curate.review.previews:PreviewsResult",
    "decide": "plusmv.curate.review.decisions:DecideResult",
    "report": "plusmv.curate.report.summary:ReportResult",
    "export": "plusmv.curate.dataset.export:ExportResult",
    "train": "plusmv.wsal.train:TrainResult",
    "detect": "plusmv.wsal.detection_runs:DetectResult",
    "detect --scores": "plusmv.wsal.detection_runs:ScoresResult",
    "plot": "plusmv.wsal.detection_commands:PlotResult",
    "evaluate": "plusmv.wsal.evaluate:EvaluateResult",
    "diagnose": "plusmv.wsal.diagnose:DiagnoseResult",
    "experiment": "plusmv.wsal.experiment_tables:ExperimentResult",
    "simulate": "plusmv.wsal.simulation:SimulateResult",
    "compose": "plusmv.wsal.composed:ComposeResult",
}
FILES = {  # file format -> the type of its content, or of one row, or of its metadata
    "annotations": "plusmv.core.annotations:AnnotationFile",
    "detections": "plusmv.core.annotations:DetectionFile",
    "actions row": "plusmv.core.actions:ActionRow",
    "manifest row": "plusmv.curate.sources.manifest:ManifestRow",
    "decisions row": "plusmv.curate.review.decisions:DecisionRow",
    "feature metadata": "plusmv.features.feature_files:FeatureMetadata",
    "shard index": "plusmv.features.shards:ShardIndex",
    "curves row": "plusmv.wsal.curves:CurveRow",
    "scores row": "plusmv.wsal.detection_runs:ScoreRow",
    "checkpoint metadata": "plusmv.wsal.checkpoints:CheckpointMetadata",
    "progress metadata": "plusmv.wsal.stack:ProgressMetadata",
    "diagnosis": "plusmv.wsal.diagnose:Diagnosis",
    "simulated world": "plusmv.wsal.simulation:SimulatedWorld",
}


def schemas() -> dict[str, dict[str, Any]]:
    """{file name: schema} of everything in the tables."""
    titles = {f"plusmv {command}": path for command, path in RESULTS.items()} | FILES
    return {file_name(title): schema(title, path) for title, path in titles.items()}


def file_name(title: str) -> str:
    """ "plusmv detect --scores" -> "detect-scores.json"."""
    return "-".join(title.removeprefix("plusmv ").replace("--", "").split()) + ".json"


def schema(title: str, path: str) -> dict[str, Any]:
    """The JSON Schema of the type at "module:Name"."""
    module, _, name = path.partition(":")
    made = pydantic.TypeAdapter(_for_pydantic(getattr(importlib.import_module(module), name))).json_schema()
    return {"$schema": DRAFT} | made | {"title": title}


def as_text(made: dict[str, Any]) -> str:
    return json.dumps(made, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


@functools.cache
def _for_pydantic(kind: Any) -> Any:
    """The type with every TypedDict made anew by typing_extensions: before Python 3.12 pydantic takes no others."""
    origin, arguments = typing.get_origin(kind), tuple(map(_for_pydantic, typing.get_args(kind)))
    if typing.is_typeddict(origin or kind):
        return _typed_dict(origin or kind, arguments)
    if origin in (None, typing.Literal):
        return kind
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, arguments)
    return origin[arguments]


def _typed_dict(kind: Any, arguments: tuple[Any, ...]) -> Any:
    """`arguments` take the places of a generic TypedDict's type variables."""
    variables = dict(zip(getattr(kind, "__parameters__", ()), arguments, strict=True))
    fields = {}
    for name, hint in typing.get_type_hints(kind).items():
        inner = tuple(variables[variable] for variable in getattr(hint, "__parameters__", ()))
        filled = variables.get(hint) or (hint[inner] if inner else hint)
        need = typing.Required if name in kind.__required_keys__ else typing.NotRequired
        fields[name] = need[_for_pydantic(filled)]
    made = typing_extensions.TypedDict(kind.__name__, fields)  # type: ignore[operator]  # a name known at run time
    made.__doc__, made.__module__ = kind.__doc__, kind.__module__
    return made


def main() -> None:
    """Write what is new or different, and remove what no table names any more."""
    FOLDER.mkdir(exist_ok=True)
    texts = {name: as_text(made) for name, made in schemas().items()}
    for path in FOLDER.glob("*.json"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    print(f"{len(texts)} schemas in {FOLDER}")


if __name__ == "__main__":
    main()
