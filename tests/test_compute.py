"""From chunks to the networks' inputs and back: windows, the ends of videos, views, devices and the flow cache."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from plusmv.features.compute import Computer
from plusmv.features.flow import fields_of, quantised, scaled
from plusmv.features.flow_cache import FlowCache
from plusmv.features.recipe import Recipe
from plusmv.features.snippets import snippet_count
from plusmv.features.windows import chunks
from tests.test_farneback import moving

SMALL = Recipe(crop=32)


class Recording:
    """Stands where a network does, remembers what it was given, and answers each input's mean."""

    def __init__(self):
        self.given: list[np.ndarray] = []

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        self.given += list(batch.numpy())
        return batch.float().mean(dim=(1, 2, 3))[:, None]  # (B, 1, C)


def run(frames: np.ndarray, recipe: Recipe, **options) -> tuple[dict[str, Recording], dict[str, np.ndarray]]:
    networks = {stream: Recording() for stream in ("rgb", "flow")}
    computer = Computer(networks, recipe, **options)
    parts = [part for chunk in chunks(iter(frames), recipe) for part in computer.features([chunk])]
    return networks, {stream: np.concatenate([part[stream] for part in parts]) for stream in networks}


def crop(pictures: np.ndarray) -> np.ndarray:
    top, left = (pictures.shape[1] - 32) // 2, (pictures.shape[2] - 32) // 2
    return pictures[:, top : top + 32, left : left + 32]


@pytest.mark.parametrize("count", [16, 17, 66, 97])
@pytest.mark.parametrize("stride", [16, 4])
def test_windows_are_slices_of_the_whole(count, stride):
    """The definition: field t goes from frame t to t + 1, and the last repeats the one before."""
    frames = moving(count, 40, 48)
    fields = quantised(fields_of(frames, SMALL.flow), 20)
    fields = np.concatenate([fields, fields[-1:]])
    networks, features = run(frames, replace(SMALL, stride=stride))
    assert len(networks["rgb"].given) == len(features["flow"]) == snippet_count(count, stride=stride)
    for index, (rgb, flow) in enumerate(zip(networks["rgb"].given, networks["flow"].given, strict=True)):
        window = slice(index * stride, index * stride + 16)
        np.testing.assert_array_equal(rgb, crop(frames[window]))
        np.testing.assert_array_equal(flow, crop(fields[window]))


def test_a_short_video_is_filled_with_its_last_frame_and_field():
    frames = moving(3, 40, 48)
    networks, _ = run(frames, SMALL)
    np.testing.assert_array_equal(networks["rgb"].given[0][2:], np.stack([crop(frames)[-1]] * 14))
    last = crop(quantised(fields_of(frames, SMALL.flow), 20))[-1]
    np.testing.assert_array_equal(networks["flow"].given[0][1:], np.stack([last] * 15))


def test_one_frame_has_no_motion():
    for quantise, still in (("round128", 128), ("none", 0)):
        networks, _ = run(moving(1, 40, 48), replace(SMALL, flow_quantise=quantise))
        np.testing.assert_array_equal(networks["flow"].given, np.full((1, 16, 32, 32, 2), still))


def test_unquantised_flow_is_scaled():
    frames = moving(16, 40, 48)
    networks, _ = run(frames, replace(SMALL, flow_quantise="none"))
    np.testing.assert_array_equal(networks["flow"].given[0][:15], crop(scaled(fields_of(frames, SMALL.flow), 20)))


def test_ten_crops_are_four_corners_and_the_centre_and_their_mirror_images():
    frames = moving(16, 40, 48)
    networks, features = run(frames, replace(SMALL, crops="ten"))
    given = networks["rgb"].given
    corners = [frames[:, :32, :32], frames[:, :32, -32:], frames[:, -32:, :32], frames[:, -32:, -32:], crop(frames)]
    for index, expected in enumerate(corners):
        np.testing.assert_array_equal(given[index], expected)
        np.testing.assert_array_equal(given[index + 5], expected[:, :, ::-1])
        flow, mirrored = networks["flow"].given[index], networks["flow"].given[index + 5]
        np.testing.assert_array_equal(mirrored[..., 1], flow[:, :, ::-1, 1])
        np.testing.assert_array_equal(mirrored[..., 0], np.minimum(256 - flow[:, :, ::-1, 0].astype(int), 255))
    np.testing.assert_allclose(features["rgb"][0], np.mean([part.mean(axis=(0, 1, 2)) for part in given], axis=0), 1e-5)


def test_torchs_flow_feeds_the_same_levels():
    """The GPU's path, on CPU tensors: what the networks are given differs in next to no level."""
    frames = moving(40, 64, 96)
    opencv, torchs = (run(frames, SMALL, flow_on=where)[0]["flow"].given for where in ("cpu", "device"))
    assert np.mean(np.array(opencv) == np.array(torchs)) >= 0.999


def test_chunks_of_several_videos_share_batches():
    videos = [moving(count, 40, 48) for count in (20, 50)]
    together = [chunk for video in videos for chunk in chunks(iter(video), SMALL)]
    network = Recording()
    computer = Computer({"rgb": network}, SMALL)
    computer.batch = 3
    parts = computer.features(together)
    for chunk, part in zip(together, parts, strict=True):
        (alone,) = computer.features([chunk])
        np.testing.assert_array_equal(part["rgb"], alone["rgb"])


def test_cached_flow_is_the_same_and_is_not_made_again(tmp_path, monkeypatch):
    frames = moving(20, 40, 48)
    plain = run(frames, SMALL)[0]["flow"].given
    cache = FlowCache(tmp_path, "settings")
    np.testing.assert_array_equal(run(frames, SMALL, cache=cache)[0]["flow"].given, plain)
    monkeypatch.setattr("plusmv.features.compute.fields_of", None)  # what is there needs no flow
    np.testing.assert_array_equal(run(frames, SMALL, cache=cache)[0]["flow"].given, plain)
    (kept,) = tmp_path.rglob("*.png")
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(TypeError):  # a damaged picture is made again
        run(frames, SMALL, cache=cache)
    with pytest.raises(TypeError):  # and other settings never share one
        run(frames, SMALL, cache=FlowCache(tmp_path, "others"))
