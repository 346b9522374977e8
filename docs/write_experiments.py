"""Write docs/experiments.md from experiments/*/table.json: each world's tables, in-scene first.

Run: .venv/bin/python docs/write_experiments.py [--take HOME/runs]
--take copies the results of `plusmv experiment` there (ablation-in-scene/ablation.json, ...) to experiments/ first. The
commands that made them stand on the page. README's table is between its two <!-- experiments --> lines.
"""

import argparse
import json
import re
from pathlib import Path
from typing import cast

from plusmv.wsal.experiment_tables import COLUMNS, COST_COLUMNS, ExperimentResult, cells, cost_cells, headline, markdown
from plusmv.wsal.experiments import OURS, OWN_WAY
from plusmv.wsal.supervised import SUPERVISED

ROOT = Path(__file__).parents[1]
RESULTS, PAGE, README = ROOT / "experiments", ROOT / "docs" / "experiments.md", ROOT / "README.md"
README_ROWS = ("BM", "STPN", "HideAndSeek", "WTALC", "DELU", SUPERVISED)
WORLDS = {
    "in-scene": "composed of real clips: a source's own clips end to end, borders within a scene",
    "cut": "composed of real clips: among foreign clips, with rare actions",
    "simulated": "SIMULATED features on THUMOS14's real timeline",
    "rendered": "the drawn videos of `make demo`",
}
COMMANDS = {
    "in-scene": "--world in-scene --data ../shared/real",
    "cut": "--world cut --data ../shared/real",
    "simulated": "--annotations ../shared/thumos14/thumos14.json",
    "rendered": "--world rendered --demo plusmv-demo",
}
INTRODUCTION = """# Experiments

Written by `docs/write_experiments.py` from `experiments/*/table.json`, which hold settings, hashes of the data,
versions, and every run's scores; do not edit. No number here is of THUMOS14's own videos ([how to get
those](thumos14.md)). One default, no setting changed between worlds; the method and its deviations from the paper are
in [Training and +MV](training.md). mAP in % at tIoU .1 .3 .5 .7 and its mean over .1 to .7, ± sd over seeds, which
decide weights and order; "collapsed": runs in which a stream's attention no longer separates snippets, which count in
every mean; Δ: mAP@.5 against the table's base row, with the 95 % interval and p of a paired bootstrap over test
videos and seeds. "Supervised" sees true segments.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--take", type=Path, help="folder of runs from which to copy results first")
    taken = parser.parse_args().take
    for made in taken.glob("*-*/*.json") if taken else ():
        if made.stem == made.parent.name.partition("-")[0]:
            folder = RESULTS / made.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            content = json.loads(made.read_text(encoding="utf-8"))
            (folder / "table.json").write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")
    README.write_text(readme(README.read_text(encoding="utf-8")), encoding="utf-8")


def result(name: str, world: str) -> ExperimentResult | None:
    file = RESULTS / f"{name}-{world}" / "table.json"
    return cast(ExperimentResult, json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


def page() -> str:
    parts = [INTRODUCTION]
    for world, words in WORLDS.items():
        found = {name: each for name in ("methods", "ablation") if (each := result(name, world))}
        parts += [f"## {world}: {words}\n"] if found else []
        parts += [_section(each, f"plusmv experiment {name} {COMMANDS[world]}") for name, each in found.items()]
    return "\n".join(parts)


def _section(found: ExperimentResult, command: str) -> str:
    lines = [f"### {found['experiment']}, {found['world']}", "", headline(found), "", f"`{command}`"]
    for table in found["tables"]:
        lines += ["", f"Detection: **{table['proposals']}**", "", *markdown(("row", *COLUMNS), cells(table))]
    lines += [
        "",
        "What the training of all runs of a method took:",
        "",
        *markdown(("method", *COST_COLUMNS), cost_cells(found)),
    ]
    return "\n".join(lines) + "\n"


def readme(text: str) -> str:
    """README with some methods' mAP in both composed worlds: under their papers' detection, and under two-sided."""
    found = [each for world in ("in-scene", "cut") if (each := result("methods", world))]
    rows = [[name, *(cell for each in found for cell in _means(each, name))] for name in README_ROWS]
    columns = ("", *(f"{each['world']} {cell}" for each in found for cell in ("own .5", "ours .3", ".5", ".7")))
    table = "\n".join(["<!-- experiments -->", *markdown(columns, rows), "<!-- experiments -->"])
    return re.sub(r"<!-- experiments -->.*<!-- experiments -->", lambda _: table, text, flags=re.DOTALL)


def _means(found: ExperimentResult, name: str) -> list[str]:
    """A row's mAP at .5 under its own paper's detection, and at .3 .5 .7 under two-sided detection."""
    tables = {table["proposals"]: table["rows"] for table in found["tables"]}
    own, ours = (
        next((row["mAP"]["mean"] for row in tables[way] if row["row"] == name), None) for way in (OWN_WAY, OURS)
    )
    picked = [own and own[4], *(ours[level] if ours else None for level in (2, 4, 6))]
    return ["" if value is None else f"{100 * value:.0f}" for value in picked]


if __name__ == "__main__":
    main()
