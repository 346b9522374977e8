"""Stacks: each run ends where it ends alone; stopped between any two steps and resumed, in the same bits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from plusmv.core.errors import BadInput, Refused
from plusmv.wsal.settings import Settings
from plusmv.wsal.stack import StreamVideos, initial_model, snippet_statistics, train_stack, video_order
from tests.simulated import ACTIONS, simulated_videos

QUICK = Settings(steps=40, lr=1e-3, order_seed=0)
RUNS = [QUICK, QUICK.replaced(seed=1, background_weight=0.0), QUICK.replaced(guide_weight=0.5), QUICK.replaced(seed=2)]
STPN = [QUICK.replaced(method="stpn", seed=seed) for seed in range(2)]
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def videos() -> StreamVideos:
    _, found = simulated_videos(12, "validation", 1, snippets=37)
    targets = np.eye(len(ACTIONS) + 1, dtype=np.float32)[1 + np.arange(12) % len(ACTIONS)]
    return StreamVideos("rgb", [video.streams["rgb"] for video in found.values()], targets, np.zeros(12, bool))


def bits(stack, index: int) -> tuple:
    return [tensor.tolist() for tensor in stack.models()[index].state_dict().values()], stack.rows[index]


def assert_close(stack, index: int, other, other_index: int) -> None:
    """Weights equal to 1e-5 of their size."""
    ours, theirs = stack.models()[index].state_dict(), other.models()[other_index].state_dict()
    for name, tensor in ours.items():
        assert (tensor - theirs[name]).norm() <= 1e-5 * tensor.norm() + 1e-12, name


@pytest.mark.parametrize(("runs", "batch"), [(RUNS, 1), (RUNS, 3), (STPN, 1)])
def test_each_run_of_a_stack_ends_near_where_it_ends_alone(videos, runs, batch, tmp_path):
    runs = [settings.replaced(batch=batch, steps=100, lr=1e-4) for settings in runs]
    together = train_stack(videos, runs, NAMES[: len(runs)], tmp_path / "together")
    for index, (name, settings) in enumerate(zip(NAMES, runs, strict=False)):
        alone = train_stack(videos, [settings], [name], tmp_path / name)
        assert_close(alone, 0, together, index)
        last, same = alone.rows[0][-1], together.rows[index][-1]
        assert last.pop("stream") == same.pop("stream")
        assert last == pytest.approx(same, rel=1e-3, abs=1e-4)


def test_a_stack_that_was_stopped_anywhere_goes_on_to_the_same_bits(videos, tmp_path):
    straight = train_stack(videos, RUNS, NAMES, tmp_path / "straight")
    for stop in (7, 8, 31):
        assert train_stack(videos, RUNS, NAMES, tmp_path / "p", on_step=lambda done, stop=stop: done == stop) is None
    progress = (tmp_path / "p").read_bytes()
    resumed = train_stack(videos, RUNS, NAMES, tmp_path / "p")
    assert [bits(resumed, index) for index in range(4)] == [bits(straight, index) for index in range(4)]
    (tmp_path / "p").write_bytes(progress)
    some = [2, 0]  # the others were finished meanwhile
    fewer = train_stack(videos, [RUNS[i] for i in some], [NAMES[i] for i in some], tmp_path / "p")
    for place, index in enumerate(some):
        assert_close(fewer, place, straight, index)


def test_what_was_kept_of_other_runs_is_refused(videos, tmp_path):
    assert train_stack(videos, RUNS[:1], NAMES[:1], tmp_path / "p", on_step=lambda done: done == 3) is None
    with pytest.raises(Refused, match=r"an unfinished run with other settings \(sigma was 1\.0, now 2\.0\)"):
        train_stack(videos, [QUICK.replaced(sigma=2.0)], ["other"], tmp_path / "p")
    with pytest.raises(Refused, match="an unfinished training of other runs, 1 and not 2; finish it first"):
        train_stack(videos, RUNS[:2], NAMES[:2], tmp_path / "p")


def test_terms_of_weight_0_leave_the_curves_and_the_others_are_weighted(videos, tmp_path):
    runs = [QUICK, QUICK.replaced(background_weight=0.05, guide_weight=0.0, cluster_weight=0.0)]
    full, fewer = train_stack(videos, [run.replaced(steps=1) for run in runs], NAMES[:2], tmp_path / "p").rows
    assert {"fg", "bg", "guide", "cluster"} <= set(full[0])
    assert not {"guide", "cluster"} & set(fewer[0])
    assert fewer[0]["bg"] == pytest.approx(full[0]["bg"] / 2)
    assert fewer[0]["loss"] == pytest.approx(fewer[0]["fg"] + fewer[0]["bg"] + fewer[0]["prior"])


def test_a_run_that_diverges_ends_in_words(videos, tmp_path):
    with pytest.raises(BadInput, match="smaller --lr"):
        train_stack(videos, [replace(QUICK, lr=1e30)], ["a"], tmp_path / "p")


def test_a_full_disk_leaves_what_was_kept_before(videos, tmp_path, monkeypatch):
    """A file-size limit is what a full disk is to the writer."""
    import resource

    progress = tmp_path / "p"
    assert train_stack(videos, RUNS[:1], NAMES[:1], progress, on_step=lambda done: done == 3) is None
    before = progress.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            train_stack(videos, RUNS[:1], NAMES[:1], progress)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert progress.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_initial_weights_follow_from_seed_and_stream_and_leave_the_global_state(videos):
    before = torch.get_rng_state()
    first, again = initial_model(videos, QUICK), initial_model(videos, QUICK)
    other, flow = initial_model(videos, QUICK.replaced(seed=1)), initial_model(replace(videos, stream="flow"), QUICK)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.equal(first.method.hidden.weight, again.method.hidden.weight)
    assert not torch.equal(first.method.hidden.weight, other.method.hidden.weight)
    assert not torch.equal(first.method.hidden.weight, flow.method.hidden.weight)


def test_statistics_are_those_of_all_snippets_together(videos):
    mean, deviation = snippet_statistics(videos.features)
    assert mean == pytest.approx(np.concatenate(videos.features).mean(0), rel=1e-5)
    assert deviation == pytest.approx(np.concatenate(videos.features).std(0), rel=1e-4)


def test_each_pass_sees_every_video_once():
    order = video_order(np.zeros(12, bool), Settings(steps=15, batch=2)).ravel()
    assert sorted(order[:12]) == sorted(order[12:24]) == list(range(12))
    assert order[:12].tolist() != order[12:24].tolist()
    assert video_order(np.zeros(12, bool), Settings(steps=30, seed=5, order_seed=0)).ravel().tolist() == order.tolist()


def test_the_ratio_is_the_share_of_the_videos_seen_that_are_microvideos():
    micro = np.arange(12) > 1
    assert micro[video_order(micro, Settings(steps=2000, mv_ratio=0.3))].mean() == pytest.approx(0.3, abs=0.04)
    assert micro[video_order(micro, Settings(steps=2000))].mean() == pytest.approx(10 / 12, abs=0.01)


def test_progress_is_one_hidden_part_or_the_file(videos, tmp_path):
    kept: list[list[Path]] = []
    train_stack(
        videos, RUNS[:1], NAMES[:1], tmp_path / "p", 0.0, lambda done: bool(kept.append(list(tmp_path.iterdir())))
    )
    assert kept[5] == [tmp_path / "p"]
