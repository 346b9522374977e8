"""report.html: what the demo found, in one self-contained file. Plain facts: means, sds, and no ordering claimed."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from plusmv.core.annotations import read_annotations
from plusmv.core.workspace import Workspace, write_bytes
from plusmv.demo import pictures
from plusmv.demo.page import figure, page, paragraph, section, table
from plusmv.demo.walk import ARMS, CENTRE, VERDICTS, DemoRun
from plusmv.demo.world import ACTIONS, read_truth

SHOWN_MOMENT = 2.6  # seconds into a clip: where its frame in the report is taken


def write_report(demo: DemoRun) -> Path:
    """Write report.html into the demo's workspace and return its path."""
    path = demo.home / "report.html"
    sections = (_intro, _world, _numbers, _video, _curation, _training, _steps, _made_with)
    body = "\n".join(make(demo) for make in sections)
    write_bytes(path, page(f"plusmv demo: {demo.label}", body).encode())
    return path


def mean_and_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (0 for one value)."""
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def verdict_on_difference(without: Sequence[float], with_mv: Sequence[float]) -> str:
    """What may be said of two sets of seeds (in per cent): the difference, and whether it exceeds their noise.

    Noise is twice the standard error of the difference of the two means.
    """
    (first, sd_first), (second, sd_second) = mean_and_sd(without), mean_and_sd(with_mv)
    noise = 2 * np.sqrt(sd_first**2 / len(without) + sd_second**2 / len(with_mv))
    difference = second - first
    where = "lies within" if abs(difference) <= noise else "exceeds"
    return f"{difference:+.1f} points, which {where} the noise of the seeds (± {noise:.1f})"


def _intro(demo: DemoRun) -> str:
    random = "The networks are random, because no weights could be had: the numbers say nothing."
    return "\n".join((
        "<header>" + paragraph(demo.label, "badge"),
        "<h1>plusmv demo</h1>",
        paragraph("Weakly-supervised temporal action localization, without and with curated social microvideos (+MV):"
                  " the whole way, through the commands, on a small rendered world. No platform was contacted, and the"
                  " known truth stood in for the curator. The pictures are drawn, so the numbers show that the parts"
                  " fit together, not how well the method does on real video."),
        paragraph(random, "warn") if demo.random_weights else "",
        "</header>",
    ))  # fmt: skip


def _world(demo: DemoRun) -> str:
    videos, world = read_annotations(demo.world / "annotations.json"), demo.settings.world
    strips = []
    for action in ACTIONS:
        video = next(v for v in videos.values() if v.subset == "validation" and action in v.labels)
        strip = pictures.instance_strip(demo.world / "videos" / f"{video.id}.mp4", video)
        strips.append(figure(pictures.jpeg(strip), f"{action}, one instance; the pale frame lies before it"))
    many = sum(len(video.instances) for video in videos.values())
    return section(
        "The world",
        paragraph(f"{world.training_videos} untrimmed videos to train on and {world.test_videos} to test on, with"
                  f" {many} instances in all; in between, people wait and walk in the same scenery."),
        *strips,
    )  # fmt: skip


def _numbers(demo: DemoRun) -> str:
    without, with_mv = (demo.evaluations[arm] for arm in ARMS)
    first, seeds = without[0], len(demo.settings.seeds)
    at_half = first["tiou"].index(0.5)
    halves = [[100 * answer["mAP"][at_half] for answer in answers] for answers in (without, with_mv)]
    heads = ("tIoU", *(f"{level:g}" for level in first["tiou"]), "mean")
    rows = [[arm, *_mean_cells(answers)] for arm, answers in demo.evaluations.items()]
    per_class = [
        [label, *(_cell([100 * answer["per_class"][label][at_half] for answer in answers])
                  for answers in (without, with_mv))]
        for label in first["per_class"]
    ]  # fmt: skip
    return section(
        f"mAP in %, {demo.label}",
        paragraph(f"{first['protocol']} protocol, {first['videos']} test videos with {first['ground_truth']} instances."
                  f" Mean and sd (below) over {seeds} seeds, {demo.settings.steps} steps each, last checkpoint."
                  f" The length of the centred features, {CENTRE}, was chosen on held-out training videos of the world"
                  " of seed 0 by benchmarks/demo_centring.py; no test video took part in that."),
        table(heads, rows),
        paragraph(f"At tIoU 0.5 +MV differs by {verdict_on_difference(*halves)}. With {seeds} seeds and"
                  f" {first['videos']} test videos no ordering is claimed."),
        figure(pictures.map_figure(demo.evaluations, demo.label), "Dots are single seeds."),
        "<h3>AP in % per class at tIoU 0.5</h3>",
        table(("class", *ARMS), per_class),
    )  # fmt: skip


def _video(demo: DemoRun) -> str:
    picture = Path(demo.answers["shown"]["external_data"]["plot"])
    caption = f"Test video {demo.settings.shown}, {demo.label}, with microvideos, first seed."
    return section("One test video against the truth", figure(pictures.png(picture), caption))


def _curation(demo: DemoRun) -> str:
    report = demo.answers["report"]
    rows = [
        [name, row["clips"], *(row[verdict] for verdict in VERDICTS), _share(row["retention"])]
        for name, row in (*report["actions"].items(), ("all", report["totals"]))
    ]
    copies = [[kind, f"{found} of {known}"] for kind, (found, known) in demo.answers["copies"].items()]
    return section(
        "Curation",
        paragraph(
            "Tagged microvideos as they are found: some show the action, some are copies, some only bear the tag."
        ),
        f"<div class=grid>{''.join(_clips(demo))}</div>",
        "<h3>Clips per action</h3>",
        table(("action", "clips", *VERDICTS, "retention"), rows),
        paragraph(
            "Retention is kept / decided. The verdicts are the known truth's, standing in for the curator.", "note"
        ),
        "<h3>Copies that plusmv dedup found by itself</h3>",
        table(("kind of copy", "found"), copies),
    )


def _clips(demo: DemoRun) -> list[str]:
    """A frame of one clip of each kind, with what it is."""
    shown: dict[str, Mapping[str, str]] = {}
    for row in read_truth(demo.world):
        if row["how"] not in ("exact", "broken"):
            shown.setdefault(row["how"], row)
    folder = demo.world / "clips"
    return [
        figure(_frame(folder / row["file"]), f"#{row['tag']}, {how}:", row["verdict"]) for how, row in shown.items()
    ]


def _frame(clip: Path) -> str:
    return pictures.jpeg(pictures.frames_at(clip, [SHOWN_MOMENT])[0])


def _training(demo: DemoRun) -> str:
    seed = demo.settings.seeds[0]
    runs = {arm: Workspace(demo.home).run(demo.run_name(arm, seed)) / "curves.csv" for arm in ARMS}
    answers = [answer for arm in ARMS for answer in demo.answers[f"train {arm}"]["runs"]]
    warnings = sorted({warning for answer in answers for warning in answer["warnings"]})
    curves = figure(pictures.curves_figure(runs, demo.label), f"Seed {seed}.")
    return section("Training", curves, *(paragraph(warning, "warn") for warning in warnings))


def _steps(demo: DemoRun) -> str:
    rows = [[title, html.escape(line)] for title, line in demo.steps]
    total = f"{sum(demo.seconds.values()):.0f} s in all this time, {sum(demo.cpu_seconds.values()):.0f} s of CPU;"
    total += " what was finished before is only checked."
    return section("Step by step", table(("step", "counts"), rows, words=True), paragraph(total, "note"))


def _made_with(demo: DemoRun) -> str:
    others = [f"seed{seed}" for seed in demo.settings.seeds[1:]]
    lines = [line for line in demo.commands if not any(other in line for other in others)]
    return section(
        "How it was made",
        paragraph(f"Features: I3D, {' and '.join(demo.settings.streams)}. Weights: {demo.weights}."),
        paragraph("The commands, those of the first seed:"),
        f"<pre>{html.escape(chr(10).join(lines))}</pre>",
    )


def _mean_cells(answers: Sequence[Mapping]) -> list[str]:
    columns = zip(*(answer["mAP"] + [answer["average_mAP"]] for answer in answers), strict=True)
    return [_cell([100 * value for value in column]) for column in columns]


def _cell(values: Sequence[float]) -> str:
    mean, sd = mean_and_sd(values)
    return f"{mean:.1f} <small>± {sd:.1f}</small>"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
