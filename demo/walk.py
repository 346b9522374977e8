"""The whole way on the rendered world, through the commands as a user would type them.

Every step runs `python -m plusmv COMMAND ... --json` in a process of its own; its JSON is kept in a DemoRun, of
which demo.report makes the page. All commands resume, so the walk does too: the same demo again ends the same.
"""

import csv
import io
import json
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

from plusmv.core.errors import PlusmvError, Refused
from plusmv.core.workers import available_cores
from plusmv.core.workspace import Workspace, write_bytes
from plusmv.demo.world import WorldSettings, read_truth, render_world

ANNOTATOR = "known-truth"  # stands in for the curator
ENDINGS = ("downloaded", "known", "filtered", "failed", "gone", "tombstoned")
VERDICTS = ("kept", "mistagged", "duplicate", "unusable", "undecided")
LONG = ("extract",)
WITHOUT_WORKSPACE = ("weights", "evaluate")
ARMS = {"without": (), "+MV": ("--mv",)}
CENTRE = "0.8"  # chosen on held-out training videos by benchmarks/demo_centring.py; no test video was looked at


@dataclass(frozen=True)
class WalkSettings:
    """What the demo does with its world."""

    world: WorldSettings = field(default_factory=WorldSettings)
    streams: tuple[str, ...] = ("rgb",)  # flow triples the minutes and, without flow weights, added only spread
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 500  # of one video each, the same without and with +MV
    shown: str = "rendered_test_0003"  # the test video whose attention is drawn


class DemoStep(TypedDict):
    step: str
    told: str  # summary: counts that add up


class DemoResult(TypedDict):
    """The JSON of `plusmv demo`."""

    report: str  # path of the page
    label: str  # "rendered data", and whether the weights are random
    weights: str  # where the networks come from
    steps: list[DemoStep]
    seconds: dict[str, float]  # by step
    cpu_seconds: dict[str, float]
    evaluations: dict[str, list[dict[str, Any]]]  # by arm, a result of `plusmv evaluate` for each seed


@dataclass
class DemoRun:
    """A run of the demo: what the commands returned, by step."""

    home: Path
    settings: WalkSettings
    random_weights: bool = False
    weights: str = ""  # where the networks come from, in words
    commands: list[str] = field(default_factory=list)
    steps: list[tuple[str, str]] = field(default_factory=list)  # (step, summary: counts that add up)
    seconds: dict[str, float] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)  # of all processes
    answers: dict[str, dict] = field(default_factory=dict)
    evaluations: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # arm -> a result for each seed

    @property
    def world(self) -> Path:
        return self.home / "world"

    @property
    def label(self) -> str:
        """Shown with every figure and table."""
        return "rendered data" + (", random weights" if self.random_weights else "")

    def result(self, report: Path) -> DemoResult:
        """The run as JSON; `report` is the page's path."""
        return {
            "report": str(report.resolve()),
            "label": self.label,
            "weights": self.weights,
            "steps": [{"step": step, "told": summary} for step, summary in self.steps],
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            "evaluations": self.evaluations,
        }

    def run_name(self, arm: str, seed: int) -> str:
        start = "random-" if self.random_weights else ""
        return f"{start}bm{'+mv' if ARMS[arm] else ''}-seed{seed}"


def walk(home: Path, settings: WalkSettings, report: Callable[[str], None]) -> DemoRun:
    """Go the whole way in `home`; `report` gets a line for each step. Raises PlusmvError where a command fails."""
    if (home / "catalog.db").exists() and not (home / "world" / "world.json").exists():
        raise Refused(f"{home} is the workspace of something else; give the demo a folder of its own with --home")
    demo = DemoRun(home, settings)
    steps = (_render, _weights, _crawl, _dedup, _decide, _report, _extract, _export, _train, _detect, _evaluate, _show)
    for step in steps:
        name, before = step.__name__[1:], len(demo.steps)
        began, busy = time.monotonic(), _cpu_seconds()
        step(demo)
        demo.seconds[name], demo.cpu_seconds[name] = time.monotonic() - began, _cpu_seconds() - busy
        for title, line in demo.steps[before:]:
            report(f"{title:>9}  {line}")
        report(f"{'':>9}  {demo.seconds[name]:.0f} s, {demo.cpu_seconds[name]:.0f} s of CPU")
    return demo


def plusmv(demo: DemoRun, command: str, *arguments: str) -> dict:
    """Run one command with --json in the demo's workspace and return what it answers."""
    where = () if command in WITHOUT_WORKSPACE else ("--home", str(demo.home))
    line = ["plusmv", command, *arguments, *where]
    demo.commands.append(shlex.join(line).replace(str(demo.home), demo.home.name))
    full = [sys.executable, "-m", *line, "--json"]
    environment = {name: value for name, value in os.environ.items() if name not in ("PLUSMV_DB", "PLUSMV_HOME")}
    notes = None if command in LONG else subprocess.PIPE  # the long ones show their progress
    done = subprocess.run(full, env=environment, stdout=subprocess.PIPE, stderr=notes, text=True, check=False)
    if done.returncode != 0:
        lines = (done.stderr or "").strip().splitlines()
        raise PlusmvError(f"`{shlex.join(line)}` failed: {lines[-1] if lines else f'exit {done.returncode}'}")
    return json.loads(done.stdout)


def sums_up(whole: str, counts: Mapping[str, int], names: tuple[str, ...]) -> str:
    """ "42 found = 41 downloaded + 1 failed", zeros left out. Raises PlusmvError where the counts do not add up."""
    if counts[whole] != sum(counts[name] for name in names):
        raise PlusmvError(f"the counts do not add up: {counts}; this is a mistake of the program, please report it")
    parts = [f"{counts[name]} {name}" for name in names if counts[name]] or [f"0 {names[0]}"]
    return f"{counts[whole]} {whole} = {' + '.join(parts)}"


def found_copies(dedup: Mapping, truth: list[dict[str, str]]) -> dict[str, tuple[int, int]]:
    """{kind of copy: (found, known)}, and under "wrong pairs" how many pairs are of clips with different origins."""
    origin = {row["file"]: row["of"] or row["file"] for row in truth}
    together, wrong = set(), 0
    for pair in dedup["pairs"]:
        posts = [*pair["a"]["posts"], *pair["b"]["posts"]]
        together |= {(a, b) for a in posts for b in posts}
        wrong += len({origin[post] for post in posts}) > 1
    known = [row for row in truth if row["verdict"] == "duplicate"]
    kinds = {kind: [row for row in known if row["how"] == kind] for kind in dict.fromkeys(row["how"] for row in known)}
    found = {
        kind: (sum((row["file"], row["of"]) in together for row in rows), len(rows))
        for kind, rows in sorted(kinds.items())
    }
    return found | {"wrong pairs": (wrong, len(dedup["pairs"]))}


def _cpu_seconds() -> float:
    """Of this process and of those it has waited for."""
    return sum(os.times()[:4])


def _render(demo: DemoRun) -> None:
    states = Counter(render_world(demo.world, demo.settings.world))
    counts = {"files": states.total(), "rendered": states["rendered"], "there before": states["there"]}
    demo.steps.append(("world", sums_up("files", counts, ("rendered", "there before"))))


def _weights(demo: DemoRun) -> None:
    try:
        answer = plusmv(demo, "weights", "rgb")["weights"][0]
        demo.weights = f"{answer['origin']}, {answer['licence']}"
    except PlusmvError as error:
        demo.random_weights = True
        demo.weights = f"random networks, because the Kinetics-400 weights cannot be had here ({error})"
    if "flow" in demo.settings.streams and not demo.random_weights:
        demo.weights += "; the flow network is made of the RGB one's (cross-modality), no flow weights are at hand"
    demo.steps.append(("weights", demo.weights))


def _crawl(demo: DemoRun) -> None:
    answer = plusmv(demo, "crawl", "--source", "folder", "--path", str(demo.world / "clips"), "--actions", "thumos14")
    demo.answers["crawl"] = answer
    summary = sums_up("found", answer["totals"], ENDINGS)
    summary += "".join(f"; {failure['post']}: {failure['reason']}" for failure in answer["failures"])
    demo.steps.append(("crawl", summary))


def _dedup(demo: DemoRun) -> None:
    answer = demo.answers["dedup"] = plusmv(demo, "dedup")
    copies = found_copies(answer, read_truth(demo.world))
    demo.answers["copies"] = copies
    summary = ", ".join(f"{kind} {found} of {known}" for kind, (found, known) in copies.items())
    demo.steps.append(("dedup", f"{answer['clips']} clips, {len(answer['pairs'])} pairs: {summary}"))


def _decide(demo: DemoRun) -> None:
    """Every readable clip gets the verdict of the known truth; a byte-identical repost is its original's clip."""
    truth = read_truth(demo.world)
    decided = [row for row in truth if row["how"] not in ("exact", "broken")]
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("clip", "action", "verdict", "annotator", "seconds", "reason"))
    writer.writerows((row["file"], row["action"], row["verdict"], ANNOTATOR, "", row["how"]) for row in decided)
    write_bytes(demo.home / "decisions.csv", table.getvalue().encode())
    answer = plusmv(demo, "decide", "--from", str(demo.home / "decisions.csv"))
    kinds = Counter(row["how"] for row in truth)
    files = {
        "files": len(truth),
        "decided": len(decided),
        "repost of the same bytes": kinds["exact"],
        "broken": kinds["broken"],
    }
    line = sums_up("files", files, ("decided", "repost of the same bytes", "broken"))
    line += f"; {sums_up('rows', answer, ('recorded', 'skipped'))} (the known truth, standing in for the curator)"
    demo.steps.append(("decide", line))


def _report(demo: DemoRun) -> None:
    answer = demo.answers["report"] = plusmv(demo, "report")
    demo.steps.append(("report", sums_up("clips", answer["totals"], VERDICTS)))


def _extract(demo: DemoRun) -> None:
    how = ["--streams", ",".join(demo.settings.streams)]
    how += ["--random-weights"] if demo.random_weights else []
    if "flow" in demo.settings.streams and not demo.random_weights:
        how += ["--flow-init", "cross-modality"]
    of_videos = ("--videos", str(demo.world / "videos"), "--out", str(demo.home / "video-features"))
    for name, where in (("videos", of_videos), ("kept clips", ())):
        answer = demo.answers[f"extract {name}"] = plusmv(demo, "extract", *where, *how)
        counts = {name: len(answer["clips"])} | {state: answer[state] for state in ("done", "skipped", "failed")}
        snippets = sum(clip["snippets"] or 0 for clip in answer["clips"])
        demo.steps.append(("extract", f"{sums_up(name, counts, ('done', 'skipped', 'failed'))}; {snippets} snippets"))


def _export(demo: DemoRun) -> None:
    answer = demo.answers["export"] = plusmv(demo, "export")
    demo.steps.append(("export", f"{answer['clips']} kept clips, {answer['labels']} labels"))


def _benchmark(demo: DemoRun) -> tuple[str, ...]:
    """The untrimmed videos' annotations and features, as train and detect want them."""
    return ("--annotations", str(demo.world / "annotations.json"), "--features", str(demo.home / "video-features"))


def _train(demo: DemoRun) -> None:
    def train(arm: str, seed: int) -> dict:
        how = (
            "--steps",
            str(demo.settings.steps),
            "--centre",
            CENTRE,
            "--seed",
            str(seed),
            "--run",
            demo.run_name(arm, seed),
        )
        return plusmv(demo, "train", *_benchmark(demo), "--subset", "validation", *how, *ARMS[arm])

    for arm, answers in _every_run(demo, train).items():
        demo.answers[f"train {arm}"] = {"runs": answers}
        last, before = answers[-1], sum(answer["finished_before"] for answer in answers)
        counts = {"runs": len(answers), "trained": len(answers) - before, "finished before": before}
        summary = f"{sums_up('runs', counts, ('trained', 'finished before'))}, {demo.settings.steps} steps a stream"
        summary += (
            f", {last['videos']} videos, {last['microvideos']} of them microvideos, {len(last['left_out'])} left out"
        )
        demo.steps.append(("train", f"{arm}: {summary}"))


def _detect(demo: DemoRun) -> None:
    def detect(arm: str, seed: int) -> dict:
        return plusmv(demo, "detect", *_benchmark(demo), "--subset", "test", "--run", demo.run_name(arm, seed))

    for arm, answers in _every_run(demo, detect).items():
        numbers = "/".join(str(sum(map(len, answer["results"].values()))) for answer in answers)
        demo.steps.append(("detect", f"{arm}: {numbers} detections in {len(answers[0]['results'])} test videos"))


def _evaluate(demo: DemoRun) -> None:
    def evaluate(arm: str, seed: int) -> dict:
        detections = Workspace(demo.home).run(demo.run_name(arm, seed)) / "detections.json"
        truth = ("--ground-truth", str(demo.world / "annotations.json"), "--subset", "test")
        return plusmv(demo, "evaluate", *truth, "--detections", str(detections))

    demo.evaluations = _every_run(demo, evaluate)
    for arm, answers in demo.evaluations.items():
        at_half = ", ".join(f"{100 * answer['mAP'][4]:.1f}" for answer in answers)
        demo.steps.append(("evaluate", f"{arm}: mAP@.5 of seeds {at_half} % ({demo.label})"))


def _show(demo: DemoRun) -> None:
    """One test video's attention, activation and detections, drawn against the truth by `plusmv detect --video`."""
    video, out = demo.world / "videos" / f"{demo.settings.shown}.mp4", demo.home / "shown.json"
    run = demo.run_name("+MV", demo.settings.seeds[0])
    truth = ("--annotations", str(demo.world / "annotations.json"))
    demo.answers["shown"] = plusmv(demo, "detect", "--video", str(video), "--run", run, "--out", str(out), *truth)
    found = sum(map(len, demo.answers["shown"]["results"].values()))
    demo.steps.append(("show", f"{video.name}: {found} detections, drawn against the truth"))


def _every_run(demo: DemoRun, work: Callable[[str, int], dict]) -> dict[str, list[dict]]:
    """{arm: work's answer for each seed}, a process for each core at a time."""
    pairs = [(arm, seed) for arm in ARMS for seed in demo.settings.seeds]
    with ThreadPoolExecutor(min(available_cores(), len(pairs))) as pool:
        answers = list(pool.map(lambda pair: work(*pair), pairs))
    return {arm: [answer for (name, _), answer in zip(pairs, answers, strict=True) if name == arm] for arm in ARMS}
