"""Small valid inputs of the parsers: what fuzzing starts from."""

import functools
import io
import json
import pickle
import tempfile
from pathlib import Path

import numpy as np

from tests.faults import hostile_sites
from tests.small_videos import make_video

GT = {
    "version": "1",
    "database": {
        "v": {
            "subset": "test",
            "duration": 9.5,
            "fps": 25,
            "url": None,
            "annotations": [{"label": "Run", "segment": [1.0, 3.5]}, {"label": "Jump", "segment": ["4", "5.5"]}],
        }
    },
}
DETECTIONS = {
    "version": "1",
    "results": {"v": [{"label": "Run", "score": 0.5, "segment": [1, 2.5]}]},
    "external_data": {},
}
INFO = {
    "id": "dQw4",
    "extractor_key": "Youtube",
    "title": "swing",
    "channel_id": "U",
    "timestamp": 1572166800,
    "webpage_url": "https://www.youtube.com/watch?v=dQw4",
    "duration": 7,
    "license": None,
    "tags": ["a"],
}
NODE = {
    "node": {
        "shortcode": "CxYz",
        "id": "31",
        "is_video": True,
        "taken_at_timestamp": 1572166800,
        "location": None,
        "owner": {"id": "42", "username": "x"},
        "video_duration": 6.5,
        "edge_media_to_caption": {"edges": [{"node": {"text": "swing"}}]},
    },
    "instaloader": {"node_type": "Post"},
}
MANIFEST = {
    "file": "a.mp4",
    "tag": "golf",
    "platform": "instagram",
    "platform_id": "C1",
    "uploader": "42",
    "caption": "x",
    "taken_at": "2019-10-27T09:00:00Z",
    "url": None,
    "licence": "CC BY",
}
ENTRY = {
    "entries": [
        {
            "id": "6d3f3e0c-7a53-4c4e-9c11-8a5dd4a4a001",
            "clip": 1,
            "action": 1,
            "verdict": "keep",
            "seconds": 2.0,
            "reason": "x",
            "how": "single",
            "revises": None,
        }
    ]
}
WORK = {"mode": "new", "count": 5, "place": {"second_id": None}, "action": 1, "search": "x", "least": False}


def compact(value: object) -> bytes:
    return json.dumps(value).encode()


def wtalc_seeds() -> list[bytes]:
    made = io.BytesIO()
    np.save(made, np.array([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], dtype=object), allow_pickle=True)
    return [made.getvalue()]


@functools.cache
def shard_seed() -> tuple[bytes, bytes]:
    """A shard of two videos, and its index."""
    from plusmv.features.conversion import compact
    from plusmv.features.feature_files import VideoFeatures, write_features

    with tempfile.TemporaryDirectory(prefix="plusmv-fuzz-") as name:
        folder = Path(name)
        for video in "vw":
            features = VideoFeatures(video, {"rgb": np.ones((2, 8), np.float32)}, 25.0)
            write_features(folder / f"{video}.safetensors", features)
        list(compact(folder))
        shard, index = ((folder / "shards" / f"000001{suffix}").read_bytes() for suffix in (".safetensors", ".json"))
    return shard, index


@functools.cache
def feature_seeds() -> list[bytes]:
    from plusmv.features.feature_files import VideoFeatures, write_features

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "v.safetensors"
        write_features(path, VideoFeatures("v", {"rgb": np.ones((2, 8), np.float32)}, 25.0, notes={"a": "b"}))
        return [path.read_bytes()]


def npy_seeds() -> list[bytes]:
    made = io.BytesIO()
    np.save(made, np.ones((3, 2048), np.float32))
    return [made.getvalue()]


def npz_seeds() -> list[bytes]:
    made = io.BytesIO()
    np.savez(made, rgb=np.ones((3, 16), np.float32), flow=np.ones((3, 16), np.float32))
    return [made.getvalue()]


def checkpoint_seeds() -> list[bytes]:
    import torch

    tensors = {"Conv3d_1a_7x7.conv3d.weight": torch.ones(64, 3, 7, 7, 7), "logits.conv3d.bias": torch.ones(400)}
    made = []
    for zipped in (True, False):
        content = io.BytesIO()
        torch.save({"state_dict": tensors}, content, _use_new_zipfile_serialization=zipped)
        made.append(content.getvalue())
    arrays = {"params": {"Conv3d_1a_7x7": {"Conv_0": {"kernel": np.ones((7, 7, 7, 3, 2), np.float32)}}}}
    return [*made, pickle.dumps(arrays)]


def bundle_seeds() -> list[bytes]:
    from tests.published_checkpoints import tensorflow_files

    with tempfile.TemporaryDirectory() as folder:
        return [tensorflow_files(Path(folder) / "model", "rgb", {"a/bias": np.ones((2, 2), np.float32)}).read_bytes()]


def weights_seeds() -> list[bytes]:
    from safetensors.numpy import save

    from plusmv.features.weights import tensors_sha256

    tensors = {"a": np.ones((2, 2), np.float32)}
    return [save(tensors, {"origin": "x", "licence": "y", "tensors_sha256": tensors_sha256(tensors)})]


@functools.cache
def run_seeds() -> list[bytes]:
    from plusmv.core.annotations import AnnotatedVideo, Instance
    from plusmv.wsal.feature_source import FeatureSource
    from plusmv.wsal.settings import Settings
    from plusmv.wsal.train import CHECKPOINT, train
    from plusmv.wsal.training_set import load_training_set

    with tempfile.TemporaryDirectory() as made:
        folder, videos = Path(made), {}
        for number, label in enumerate(("Run", "Jump")):
            (folder / "v0.safetensors").with_stem(f"v{number}").write_bytes(npz_like(number))
            videos[f"v{number}"] = AnnotatedVideo(f"v{number}", "validation", 2.0, 25.0, (Instance(label, 0.0, 1.0),))
        training = load_training_set(videos, FeatureSource((folder,), 25.0, 16), ("rgb",), {})
        train(training, Settings.of(streams=("rgb",), steps=1), folder / "run", 1)
        return [(folder / "run" / CHECKPOINT).read_bytes()]


def npz_like(number: int) -> bytes:
    from plusmv.features.feature_files import VideoFeatures, write_features

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"v{number}.safetensors"
        write_features(path, VideoFeatures(f"v{number}", {"rgb": np.full((3, 4), number + 0.5, np.float32)}, 25.0))
        return path.read_bytes()


@functools.cache
def film(suffix: str, codec: str) -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        return [make_video(Path(folder) / f"a{suffix}", seconds=0.5, codec=codec).read_bytes()]


@functools.cache
def hash_seeds() -> list[bytes]:
    from plusmv.curate.duplicates.benchmark_videos import save_video, write_hash_file
    from plusmv.curate.duplicates.fingerprint import fingerprint_video

    with tempfile.TemporaryDirectory() as folder:
        film = make_video(Path(folder) / "a.mp4", seconds=1.0)
        with hostile_sites.catalog().writing() as session:
            save_video(session, "v", "test", True, "0" * 64, fingerprint_video(film).to_bytes())
        write_hash_file(hostile_sites.catalog(), Path(folder) / "hashes")
        return [(Path(folder) / "hashes").read_bytes()]
