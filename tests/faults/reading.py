"""The calls by which the toolkit reads what others wrote, each of one file in a folder of its own.

What a parser needs beside its input the call puts there.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults import hostile_sites, seeds

# W-TALC's other arrays, by what stands in their names
LABELS = np.empty(2, dtype=object)
LABELS[:] = [[b"a"], [b"a", b"b"]]
BESIDE = {"labels": LABELS, "duration": np.array([[1.0], [2.0]])}


def consume(found: Any) -> None:
    """Read to the end what comes bit by bit."""
    for _ in found:
        pass


def annotations(path: Path) -> None:
    from plusmv.core.annotations import read_annotations

    read_annotations(path)


def detections(path: Path) -> None:
    from plusmv.core.annotations import read_annotations
    from plusmv.wsal.datasets import load_detections
    from plusmv.wsal.evaluate import evaluate

    found = load_detections(path)
    beside = path.with_name("gt.json")
    beside.write_bytes(seeds.compact(seeds.GT))
    evaluate(read_annotations(beside), found)


def text_folder(path: Path) -> None:
    from plusmv.wsal.datasets import read_ambiguous, read_dataset

    read_ambiguous(path)
    read_dataset(path.parent)


def wtalc(path: Path) -> None:
    from plusmv.wsal.datasets import WTALC_FILES, read_dataset

    for name in WTALC_FILES:
        if (beside := path.with_name(f"{name}.npy")) != path:
            np.save(beside, BESIDE.get(name, np.array([b"v", b"w"])))
    read_dataset(path.parent)


def actions(path: Path) -> None:
    from plusmv.core.actions import read_actions

    read_actions(path)


def folder(path: Path) -> None:
    from plusmv.curate.sources.folder import FolderSource

    clips = path.parent / "golf" if path.parent.name != "golf" else path.parent
    clips.mkdir(exist_ok=True)
    (clips / "a.mp4").write_bytes(b"a film")
    source = FolderSource(clips.parent, path if path.stem == "manifest" else None)
    for tag in source.tags():
        source.query(tag)
        consume(source.search(tag))


def sidecar(path: Path) -> None:
    clips = path.parent / "golf"
    clips.mkdir()
    folder(path.rename(clips / path.name))


def decisions(path: Path) -> None:
    from plusmv.curate.review.decisions import decide_from_csv

    decide_from_csv(hostile_sites.catalog(), path)


def scores(path: Path) -> None:
    from plusmv.curate.ranking.scores import save_trainer_scores

    save_trainer_scores(hostile_sites.catalog(), path, {"BaseballPitch": 1})


def features(path: Path) -> None:
    from plusmv.features.feature_files import list_features, read_features

    for video_id in list_features([path.parent]):
        read_features([path.parent], video_id).seconds()


def shard(path: Path) -> None:
    shards = path.parent / "shards"
    shards.mkdir()
    for name, content in (("000001.safetensors", seeds.shard_seed()[0]), ("000001.json", seeds.shard_seed()[1])):
        (shards / name).write_bytes(path.read_bytes() if name == path.name else content)
    path.unlink()
    features(path)


def checkpoint(path: Path) -> None:
    from plusmv.features.checkpoint import read_checkpoint

    read_checkpoint(path)


def bundle(path: Path) -> None:
    path.with_name("model.data-00000-of-00001").write_bytes(bytes(4096))
    checkpoint(path)


def weights(path: Path) -> None:
    from plusmv.features.weights import read_kept

    read_kept(path)


def run(path: Path) -> None:
    from plusmv.wsal.checkpoints import load_checkpoint

    load_checkpoint(path)


def video(path: Path) -> None:
    from plusmv.features.decode import probe, sample_frames

    probe(path)
    for number, _ in enumerate(sample_frames(path, 25.0)):
        if number > 50:
            break


def cookies(path: Path) -> None:
    from plusmv.curate.sources.credentials import cookies_of_file

    cookies_of_file(path, "instagram.com")


def links(path: Path) -> None:
    from plusmv.curate.sources.base import SourceOptions
    from plusmv.curate.sources.urls import UrlsSource

    os.environ |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}  # nothing looks names up
    source = UrlsSource(path, ytdlp(SourceOptions(path=path)))
    for tag in source.tags() or ("golf",):
        source.query(tag)
        consume(source.search(tag))


def ytdlp(options: Any) -> Any:
    from plusmv.core.workspace import Workspace
    from plusmv.curate.sources.base import SourceContext
    from plusmv.curate.sources.rate_limit import RateLimiter
    from plusmv.curate.sources.ytdlp_client import YtDlp

    return YtDlp.open(
        options, SourceContext(RateLimiter(0), hostile_sites.catalog(), Workspace(options.path.parent / "home"))
    )


def people(path: Path) -> None:
    from plusmv.curate.review.passwords import is_password, people

    for name in [*people(path)][:3]:
        is_password(path, name, "x")


def hashes(path: Path) -> None:
    from plusmv.curate.duplicates.benchmark_videos import read_hash_file

    read_hash_file(hostile_sites.catalog(), path)


def curves(path: Path) -> None:
    from plusmv.wsal.curves import read_curves

    read_curves(path)


def options(path: Path) -> None:
    from plusmv.core.errors import PlusmvError
    from plusmv.core.text import bounded_line
    from plusmv.wsal.methods.find import parse_settings
    from plusmv.wsal.options import parse_loss_weights, parse_streams, parse_tious
    from plusmv.wsal.proposals import parse_steps

    text = bounded_line(path.read_bytes()[:5000].decode("utf-8", "replace"), 5000)
    for parse in (
        parse_steps,
        parse_tious,
        parse_streams,
        parse_loss_weights,
        lambda text: parse_settings("bm", [text]),
    ):
        try:
            parse(text)
        except PlusmvError:
            continue
