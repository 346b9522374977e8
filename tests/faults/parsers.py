"""Every parser of the toolkit that reads what others wrote: small valid seeds, and the call that reads a file.

A call may succeed or raise one of core.errors; anything else is a fault. Each call works in a folder of its own, which
holds the input under the parser's file name and nothing else but what the call puts beside it.
"""

import functools
import gzip
import io
import json
import lzma
import os
import pickle
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults import hostile_sites
from tests.small_videos import make_video

GT = {"version": "1", "database": {"v": {"subset": "test", "duration": 9.5, "fps": 25, "url": None, "annotations": [
    {"label": "Run", "segment": [1.0, 3.5]}, {"label": "Jump", "segment": ["4", "5.5"]}]}}}  # fmt: skip
DETECTIONS = {
    "version": "1",
    "results": {"v": [{"label": "Run", "score": 0.5, "segment": [1, 2.5]}]},
    "external_data": {},
}
INFO = {"id": "dQw4", "extractor_key": "Youtube", "title": "swing", "channel_id": "U", "timestamp": 1572166800,
        "webpage_url": "https://www.youtube.com/watch?v=dQw4", "duration": 7, "license": None, "tags": ["a"]}  # fmt: skip
NODE = {"node": {"shortcode": "CxYz", "id": "31", "is_video": True, "taken_at_timestamp": 1572166800, "location": None,
                 "owner": {"id": "42", "username": "x"}, "video_duration": 6.5,
                 "edge_media_to_caption": {"edges": [{"node": {"text": "swing"}}]}}, "instaloader": {"node_type": "Post"}}  # fmt: skip
MANIFEST = {"file": "a.mp4", "tag": "golf", "platform": "instagram", "platform_id": "C1", "uploader": "42",
            "caption": "x", "taken_at": "2019-10-27T09:00:00Z", "url": None, "licence": "CC BY"}  # fmt: skip
ENTRY = {"entries": [{"id": "6d3f3e0c-7a53-4c4e-9c11-8a5dd4a4a001", "clip": 1, "action": 1, "verdict": "keep",
                      "seconds": 2.0, "reason": "x", "how": "single", "revises": None}]}  # fmt: skip
WORK = {"mode": "new", "count": 5, "place": {"second_id": None}, "action": 1, "search": "x", "least": False}


def _compact(value: object) -> bytes:
    return json.dumps(value).encode()


@dataclass(frozen=True)
class Parser:
    """kind: how inputs are made hostile (tests.faults.mutate). private: the file must be one of mode 0600."""

    name: str
    file: str
    kind: str
    seeds: Callable[[], list[bytes]]
    read: Callable[[Path], Any]
    private: bool = False


def _consume(found: Any) -> None:
    """Read to the end what comes bit by bit."""
    for _ in found:
        pass


def _annotations(path: Path) -> None:
    from plusmv.core.annotations import read_annotations

    read_annotations(path)


def _detections(path: Path) -> None:
    from plusmv.core.annotations import read_annotations
    from plusmv.wsal.datasets import load_detections
    from plusmv.wsal.evaluate import evaluate

    found = load_detections(path)
    beside = path.with_name("gt.json")
    beside.write_bytes(_compact(GT))
    evaluate(read_annotations(beside), found)


def _text_folder(path: Path) -> None:
    from plusmv.wsal.datasets import read_ambiguous, read_dataset

    read_ambiguous(path)
    read_dataset(path.parent)


def _wtalc(path: Path) -> None:
    from plusmv.wsal.datasets import WTALC_FILES, read_dataset

    for name in WTALC_FILES:
        if (beside := path.with_name(f"{name}.npy")) != path:
            np.save(beside, np.array([[b"a"], [b"a"]] if name == "labels" else [b"v", b"w"]))
    read_dataset(path.parent)


def _wtalc_seeds() -> list[bytes]:
    made = io.BytesIO()
    np.save(made, np.array([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], dtype=object), allow_pickle=True)
    return [made.getvalue()]


def _actions(path: Path) -> None:
    from plusmv.core.actions import read_actions

    read_actions(path)


def _folder(path: Path) -> None:
    from plusmv.curate.sources.folder import FolderSource

    clips = path.parent / "golf" if path.parent.name != "golf" else path.parent
    clips.mkdir(exist_ok=True)
    (clips / "a.mp4").write_bytes(b"a film")
    source = FolderSource(clips.parent, path if path.stem == "manifest" else None)
    for tag in source.tags():
        source.query(tag)
        _consume(source.search(tag))


def _sidecar(path: Path) -> None:
    clips = path.parent / "golf"
    clips.mkdir()
    _folder(path.rename(clips / path.name))


def _decisions(path: Path) -> None:
    from plusmv.curate.review.decisions import decide_from_csv

    decide_from_csv(hostile_sites.catalog(), path)


def _scores(path: Path) -> None:
    from plusmv.curate.ranking.scores import save_trainer_scores

    save_trainer_scores(hostile_sites.catalog(), path, {"BaseballPitch": 1})


def _features(path: Path) -> None:
    from plusmv.features.feature_files import list_features, read_features

    for video_id in list_features([path.parent]):
        read_features([path.parent], video_id).seconds()


def _shard(path: Path) -> None:
    shards = path.parent / "shards"
    shards.mkdir()
    for name, content in (("000001.safetensors", _shard_seed()[0]), ("000001.json", _shard_seed()[1])):
        (shards / name).write_bytes(path.read_bytes() if name == path.name else content)
    path.unlink()
    _features(path)


@functools.cache
def _shard_seed() -> tuple[bytes, bytes]:
    from plusmv.features.shards import pack

    folder = Path(tempfile.mkdtemp(prefix="plusmv-fuzz-"))
    entry = ({"rgb": np.ones((2, 8), np.float16)}, _metadata())
    _consume(pack(folder, [("v", entry), ("w", entry)], 2))
    made = tuple((folder / "shards" / f"000001{suffix}").read_bytes() for suffix in (".safetensors", ".json"))
    shutil.rmtree(folder)
    return made  # type: ignore[return-value]


def _metadata() -> dict[str, str]:
    from safetensors import safe_open

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "v.safetensors").write_bytes(_feature_seeds()[0])
        with safe_open(Path(folder) / "v.safetensors", "numpy") as file:
            return file.metadata()


@functools.cache
def _feature_seeds() -> list[bytes]:
    from plusmv.features.feature_files import VideoFeatures, write_features

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "v.safetensors"
        write_features(path, VideoFeatures("v", {"rgb": np.ones((2, 8), np.float32)}, 25.0, notes={"a": "b"}))
        return [path.read_bytes()]


def _npy_seeds() -> list[bytes]:
    made = io.BytesIO()
    np.save(made, np.ones((3, 2048), np.float32))
    return [made.getvalue()]


def _npz_seeds() -> list[bytes]:
    made = io.BytesIO()
    np.savez(made, rgb=np.ones((3, 16), np.float32), flow=np.ones((3, 16), np.float32))
    return [made.getvalue()]


def _checkpoint(path: Path) -> None:
    from plusmv.features.checkpoint import read_checkpoint

    read_checkpoint(path)


def _bundle(path: Path) -> None:
    path.with_name("model.data-00000-of-00001").write_bytes(bytes(4096))
    _checkpoint(path)


def _checkpoint_seeds() -> list[bytes]:
    import torch

    tensors = {"Conv3d_1a_7x7.conv3d.weight": torch.ones(64, 3, 7, 7, 7), "logits.conv3d.bias": torch.ones(400)}
    made = []
    for zipped in (True, False):
        content = io.BytesIO()
        torch.save({"state_dict": tensors}, content, _use_new_zipfile_serialization=zipped)
        made.append(content.getvalue())
    arrays = {"params": {"Conv3d_1a_7x7": {"Conv_0": {"kernel": np.ones((7, 7, 7, 3, 2), np.float32)}}}}
    return [*made, pickle.dumps(arrays)]


def _bundle_seeds() -> list[bytes]:
    from tests.published_checkpoints import tensorflow_files

    with tempfile.TemporaryDirectory() as folder:
        return [tensorflow_files(Path(folder) / "model", "rgb", {"a/bias": np.ones((2, 2), np.float32)}).read_bytes()]


def _weights(path: Path) -> None:
    from plusmv.features.weights import read_kept

    read_kept(path)


def _weights_seeds() -> list[bytes]:
    from safetensors.numpy import save

    from plusmv.features.weights import tensors_sha256

    tensors = {"a": np.ones((2, 2), np.float32)}
    return [save(tensors, {"origin": "x", "licence": "y", "tensors_sha256": tensors_sha256(tensors)})]


def _run(path: Path) -> None:
    from plusmv.wsal.checkpoints import load_checkpoint

    load_checkpoint(path)


@functools.cache
def _run_seeds() -> list[bytes]:
    from plusmv.core.annotations import AnnotatedVideo, Instance
    from plusmv.wsal.feature_source import FeatureSource
    from plusmv.wsal.settings import Settings
    from plusmv.wsal.train import CHECKPOINT, train
    from plusmv.wsal.training_set import load_training_set

    with tempfile.TemporaryDirectory() as made:
        folder, videos = Path(made), {}
        for number, label in enumerate(("Run", "Jump")):
            (folder / "v0.safetensors").with_stem(f"v{number}").write_bytes(_npz_like(number))
            videos[f"v{number}"] = AnnotatedVideo(f"v{number}", "validation", 2.0, 25.0, (Instance(label, 0.0, 1.0),))
        training = load_training_set(videos, FeatureSource((folder,), 25.0, 16), ("rgb",), {})
        train(training, Settings.of(streams=("rgb",), steps=1), folder / "run", 1)
        return [(folder / "run" / CHECKPOINT).read_bytes()]


def _npz_like(number: int) -> bytes:
    from plusmv.features.feature_files import VideoFeatures, write_features

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"v{number}.safetensors"
        write_features(path, VideoFeatures(f"v{number}", {"rgb": np.full((3, 4), number + 0.5, np.float32)}, 25.0))
        return path.read_bytes()


def _video(path: Path) -> None:
    from plusmv.features.decode import probe, sample_frames

    probe(path)
    for number, _ in enumerate(sample_frames(path, 25.0)):
        if number > 50:
            break


@functools.cache
def _film(suffix: str, codec: str) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return [make_video(Path(folder) / f"a{suffix}", seconds=0.5, codec=codec).read_bytes()]


def _cookies(path: Path) -> None:
    from plusmv.curate.sources.credentials import cookies_of_file

    cookies_of_file(path, "instagram.com")


def _links(path: Path) -> None:
    from plusmv.curate.sources.base import SourceOptions
    from plusmv.curate.sources.urls import UrlsSource

    os.environ |= {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}  # nothing looks names up
    source = UrlsSource(path, _ytdlp(SourceOptions(path=path)))
    for tag in source.tags() or ("golf",):
        source.query(tag)
        _consume(source.search(tag))


def _ytdlp(options: Any) -> Any:
    from plusmv.core.workspace import Workspace
    from plusmv.curate.sources.base import SourceContext
    from plusmv.curate.sources.rate_limit import RateLimiter
    from plusmv.curate.sources.ytdlp_client import YtDlp

    return YtDlp.open(
        options, SourceContext(RateLimiter(0), hostile_sites.catalog(), Workspace(options.path.parent / "home"))
    )


def _people(path: Path) -> None:
    from plusmv.curate.review.passwords import is_password, people

    for name in [*people(path)][:3]:
        is_password(path, name, "x")


def _hashes(path: Path) -> None:
    from plusmv.curate.duplicates.benchmark_videos import read_hash_file

    read_hash_file(hostile_sites.catalog(), path)


@functools.cache
def _hash_seeds() -> list[bytes]:
    from plusmv.curate.duplicates.benchmark_videos import save_video, write_hash_file
    from plusmv.curate.duplicates.fingerprint import fingerprint_video

    with tempfile.TemporaryDirectory() as folder:
        film = make_video(Path(folder) / "a.mp4", seconds=1.0)
        with hostile_sites.catalog().writing() as session:
            save_video(session, "v", "test", True, "0" * 64, fingerprint_video(film).to_bytes())
        write_hash_file(hostile_sites.catalog(), Path(folder) / "hashes")
        return [(Path(folder) / "hashes").read_bytes()]


def _curves(path: Path) -> None:
    from plusmv.wsal.curves import read_curves

    read_curves(path)


def _options(path: Path) -> None:
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


CSV_DECISIONS = (
    b"clip,action,verdict,annotator,seconds,reason\na.mp4,BaseballPitch,keep,me,2.5,x\na.mp4,,unusable,me,,\n"
)
COOKIES = b"# Netscape HTTP Cookie File\n.instagram.com\tTRUE\t/\tTRUE\t2000000000\tsessionid\ts\n"
CURVES = b"stream,step,loss,fg,bg,attention_mean,attention_q10,attention_q90\nrgb,1,0.5,0.2,0.3,0.5,0.1,0.9\n"
PARSERS = (
    Parser("annotations", "a.json", "json", lambda: [_compact(GT)], _annotations),
    Parser("detections", "d.json", "json", lambda: [_compact(DETECTIONS)], _detections),
    Parser("thumos text", "Run_val.txt", "text", lambda: [b"video_1 1.5 2.5\nvideo_2  3 4\n"], _text_folder),
    Parser("wtalc arrays", "segments.npy", "npy", _wtalc_seeds, _wtalc),
    Parser("actions csv", "actions.csv", "csv",
           lambda: [b"action,tags,definition,kinetics\nRun,run running,To run.,jogging\nJump,jump,,\n"], _actions),
    Parser("manifest csv", "manifest.csv", "csv",
           lambda: [",".join(MANIFEST).encode() + b"\n" + ",".join(str(v or "") for v in MANIFEST.values()).encode()],
           _folder),
    Parser("manifest jsonl", "manifest.jsonl", "lines", lambda: [_compact(MANIFEST) + b"\n" + _compact(MANIFEST)], _folder),
    Parser("info.json", "a.info.json", "json", lambda: [_compact(INFO)], _sidecar),
    Parser("instaloader xz", "a.json.xz", "packed", lambda: [lzma.compress(_compact(NODE))], _sidecar),
    Parser("instaloader json", "a.json", "json", lambda: [_compact(NODE)], _sidecar),
    Parser("gallery-dl json", "a.mp4.json", "json",
           lambda: [_compact({"category": "instagram", "post_shortcode": "Cx", "owner_id": "42", "description": None,
                              "post_date": "2019-10-27 09:00:00"})], _sidecar),
    Parser("decisions csv", "d.csv", "csv", lambda: [CSV_DECISIONS], _decisions),
    Parser("scores csv", "s.csv", "csv", lambda: [b"id,label,score\n" + b"a" * 64 + b",BaseballPitch,0.5\n"], _scores),
    Parser("npy", "v.npy", "npy", _npy_seeds, _features),
    Parser("npz", "v.npz", "npz", _npz_seeds, _features),
    Parser("feature file", "v.safetensors", "safetensors", _feature_seeds, _features),
    Parser("shard", "000001.safetensors", "safetensors", lambda: [_shard_seed()[0]], _shard),
    Parser("shard index", "000001.json", "json", lambda: [_shard_seed()[1]], _shard),
    Parser("torch and flax checkpoints", "m.pt", "binary", _checkpoint_seeds, _checkpoint),
    Parser("tensorflow bundle", "model.index", "binary", _bundle_seeds, _bundle),
    Parser("weights", "i3d_rgb.safetensors", "safetensors", _weights_seeds, _weights),
    Parser("run", "checkpoint.safetensors", "safetensors", _run_seeds, _run),
    Parser("mp4", "a.mp4", "binary", lambda: _film(".mp4", "libx264"), _video),
    Parser("mkv", "a.mkv", "binary", lambda: _film(".mkv", "libx264"), _video),
    Parser("avi", "a.avi", "binary", lambda: _film(".avi", "mpeg4"), _video),
    Parser("cookies", "cookies.txt", "text", lambda: [COOKIES, b'{"sessionid": "s"}', pickle.dumps({"sessionid": "s"})],
           _cookies, private=True),
    Parser("links", "links.txt", "text", lambda: [b"# a list\nhttps://clips.example/v/1 golf\nhttps://x.example/2\n"], _links),
    Parser("passwords", "people", "text", lambda: [b"ann:00ff:" + b"0" * 128 + b"\n"], _people, private=True),
    Parser("hash file", "hashes", "safetensors", _hash_seeds, _hashes),
    Parser("curves", "curves.csv", "csv", lambda: [CURVES], _curves),
    Parser("options", "options", "text",
           lambda: [b"0:0.5:0.025", b"0.1,0.3", b"rgb,flow", b"0.1,0.1,0.1", b"sigma=1", b"pool=norm"], _options),
    *(Parser(f"{name} answers", "answer", "json", seeds, functools.partial(hostile_sites.read, name))
      for name, seeds in hostile_sites.SEEDS.items()),
    Parser("labeler entries", "entries", "json", lambda: [_compact(ENTRY)], functools.partial(hostile_sites.post, "decisions")),
    Parser("labeler work", "work", "json", lambda: [_compact(WORK)], functools.partial(hostile_sites.post, "work")),
    Parser("labeler paths", "path", "text", lambda: [b"/clips/" + b"a" * 64, b"/references/GolfSwing/0"], hostile_sites.get),
    Parser("gzip page", "page.gz", "packed", lambda: [gzip.compress(_compact({"data": []}))],
           functools.partial(hostile_sites.read, "gzip")),
)  # fmt: skip
