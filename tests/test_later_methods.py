"""BaS-Net, CO2-Net, DELU, Student: their losses are those of numpy video by video, they stack, and they learn."""

import itertools

import numpy as np
import pytest
import torch

from plusmv.wsal.detect import DetectionSettings
from plusmv.wsal.methods import basnet, bm, co2net, student
from plusmv.wsal.methods.find import find_method
from plusmv.wsal.methods.temporal import with_neighbours
from plusmv.wsal.packing import Packed
from plusmv.wsal.settings import Settings
from plusmv.wsal.stack import BatchFeed, Stack, StreamVideos, initial_model
from tests.simulated import ACTIONS, simulated_videos

METHODS = ("basnet", "co2net", "delu", "student")
LENGTHS, CLASSES = (9, 1, 23, 14), 3
TARGETS = np.array([[0, 1, 0, 0], [0, 0, 1, 0], [0, 0.5, 0, 0.5], [0, 1, 0, 0]], np.float32)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def drawn() -> tuple[Packed, dict[str, np.ndarray]]:
    """Four packed videos, one of a single snippet and one of two labels, and outputs of a model drawn at random."""
    draws, count = np.random.default_rng(0), sum(LENGTHS)
    arrays = {"features": draws.normal(size=(count, 5)), "tcam": draws.normal(size=(count, CLASSES + 1)),
              "base": draws.normal(size=(count, CLASSES + 1)), "both": draws.uniform(size=(2, count))}  # fmt: skip
    features = torch.from_numpy(arrays["features"])
    return Packed(features.split(LENGTHS), torch.from_numpy(TARGETS).double()), arrays


def parts(signal: np.ndarray) -> list[np.ndarray]:
    return np.split(signal, np.cumsum(LENGTHS)[:-1])


def softmax(x: np.ndarray, axis: int = -1) -> np.ndarray:
    weight = np.exp(x - x.max(axis, keepdims=True))
    return weight / weight.sum(axis, keepdims=True)


def top(x: np.ndarray, divisor: int) -> np.ndarray:
    return np.sort(x, axis=0)[::-1][: max(1, len(x) // divisor)].mean(0)


def distribution(target: np.ndarray, background: float) -> np.ndarray:
    labels = np.concatenate([[background], target[1:] > 0])
    return labels / labels.sum()


def assert_terms(found: dict[str, torch.Tensor], expected: dict[str, list[float]]) -> None:
    for name, values in expected.items():
        assert found[name].tolist() == pytest.approx(values, rel=1e-5, abs=1e-9), name


def model(name: str, width: int = 5, **fields):
    settings = find_method(name).Settings(**{"hidden": 8} | fields)
    return find_method(name)(width, CLASSES, settings).double()


def test_a_convolution_sees_the_neighbours_of_its_own_video_only(drawn):
    videos, arrays = drawn
    rows = with_neighbours(videos.features, videos)
    expected = [np.concatenate([part[:-2], part[1:-1], part[2:]], 1)
                for part in (np.pad(each, ((1, 1), (0, 0))) for each in parts(arrays["features"]))]  # fmt: skip
    assert np.array_equal(rows.numpy(), np.concatenate(expected))


def test_basnet_losses(drawn):
    videos, arrays = drawn
    lam = arrays["both"][0]
    readout = basnet.Readout(*map(torch.from_numpy, (lam, arrays["base"], arrays["tcam"])))

    def branch(signal: np.ndarray, background: float) -> list[float]:
        losses = []
        for part, target in zip(parts(signal), TARGETS, strict=True):
            p, y = softmax(top(part, 8)), distribution(target, background)
            losses.append(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())
        return losses

    assert_terms(model("basnet").losses(readout, videos), {
        "base": branch(arrays["base"], 1), "suppression": branch(arrays["tcam"], 0),
        "norm": [750 * part.mean() for part in parts(lam)],
    })  # fmt: skip


def co2net_terms(arrays: dict[str, np.ndarray]) -> dict[str, list[float]]:
    tcam, both = arrays["tcam"], arrays["both"]
    lam = both.mean(0)
    least = tcam.min(1, keepdims=True)
    suppressed = lam[:, None] * (tcam - least) + least
    videos = list(zip(parts(tcam), parts(suppressed), TARGETS, strict=True))
    background = softmax(tcam)[:, 0]
    distance = np.mean([np.abs(1 - each - background) for each in (lam, *both)], axis=0)
    pairs, count = 0.0, 0.0
    for i, j in itertools.combinations(range(len(LENGTHS)), 2):  # the authors' loop over pairs
        x, weight = ([parts(signal)[v] for v in (i, j)] for signal in (arrays["features"], suppressed))
        weight = [softmax(each, 0) for each in weight]
        high = [each.T @ w for each, w in zip(x, weight, strict=True)]
        low = [each.T @ (1 - w) / max(len(w) - 1, 1) for each, w in zip(x, weight, strict=True)]

        def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
            sizes = np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0)
            return 1 - np.divide((a * b).sum(0), sizes, out=np.zeros_like(sizes), where=sizes > 0)

        shared = (TARGETS[i] > 0) & (TARGETS[j] > 0)
        for other in (apart(high[0], low[1]), apart(high[1], low[0])):
            pairs += 0.5 * (np.maximum(apart(high[0], high[1]) - other + 0.5, 0) * shared).sum()
        count += shared.sum()
    return {
        "video": [-(distribution(y, 1) * np.log(softmax(top(x, 7)))).sum() for x, _, y in videos],
        "suppressed": [-(distribution(y, 0) * np.log(softmax(top(s, 7)))).sum() for _, s, y in videos],
        "norm": [part.mean() for part in parts(lam)],
        "guide": [part.mean() for part in parts(distance)],
        "coactivity": [pairs / count] * len(LENGTHS),
        "mutual": [part.mean() for part in parts((both[0] - both[1]) ** 2)],
    }


def co2net_readout(arrays: dict[str, np.ndarray]) -> co2net.Readout:
    both = torch.from_numpy(arrays["both"])
    features, tcam = torch.from_numpy(arrays["features"]), torch.from_numpy(arrays["tcam"])
    return co2net.Readout(both.mean(0), both, features, tcam)


def test_co2net_losses(drawn):
    videos, arrays = drawn
    assert_terms(model("co2net").losses(co2net_readout(arrays), videos), co2net_terms(arrays))


@pytest.mark.parametrize("done", [0, 30])
def test_delu_losses(drawn, done):
    videos, arrays = drawn
    method = model("delu")
    method.steps, method.done = 40, torch.tensor(float(done))
    both, tcam = arrays["both"], arrays["tcam"]
    lam, least = both.mean(0), tcam.min(1, keepdims=True)
    suppressed = lam[:, None] * (tcam - least) + least
    distance = np.mean([np.abs(1 - each - softmax(tcam)[:, 0]) for each in (lam, *both)], axis=0)
    evidence, ranked = [], []
    for s, attention, far, target in zip(*map(parts, (suppressed, lam, distance)), TARGETS, strict=True):
        chosen = np.argsort(-attention)[: max(1, len(s) // 9)]
        alpha, labels = np.exp(s[chosen, 1:].mean(0)) + 1, target[1:] > 0
        share = labels / alpha / (labels / alpha).sum()
        strength = alpha.sum()
        g = (1 - CLASSES / strength) * labels.sum() * share
        evidence.append((g * (np.log(strength) - np.log(alpha))).sum())
        uncertainty = CLASSES / (np.exp(s) + 1).sum(1)
        rank = np.array([(uncertainty < each).sum() for each in uncertainty])
        curve = 0.7 * np.tanh((2 * (rank + 0.5) / len(s) - 1) * (1 - 2 * done / 40)) + 1
        ranked.append((curve * far).mean())
    expected = co2net_terms(arrays) | {"evidence": evidence, "ranked_guide": ranked}
    assert_terms(method.losses(co2net_readout(arrays), videos), expected)
    assert float(method.done) == done + 1


@pytest.fixture(scope="module")
def videos() -> StreamVideos:
    _, found = simulated_videos(12, "validation", 1, snippets=20)
    targets = np.eye(len(ACTIONS) + 1, dtype=np.float32)[1 + np.arange(12) % len(ACTIONS)]
    return StreamVideos("rgb", [video.streams["rgb"] for video in found.values()], targets, np.zeros(12, bool))


def trained(videos: StreamVideos, settings: list[Settings]) -> Stack:
    stack = Stack(videos, settings)
    feed = BatchFeed(videos, stack.template, settings[0])
    for step in range(settings[0].steps):
        torch.manual_seed(step)
        stack.step(feed.at(step))
    return stack


@pytest.mark.parametrize("name", METHODS)
def test_each_of_a_stack_ends_where_it_ends_alone(videos, name):
    runs = [Settings.of(method=name, steps=5, batch=4, seed=seed, order_seed=0, hidden=16) for seed in range(2)]
    together = trained(videos, runs).models()
    for settings, one in zip(runs, together, strict=True):
        state = trained(videos, [settings]).models()[0].state_dict()
        for tensor_name, tensor in one.state_dict().items():
            assert torch.isfinite(tensor).all()
            assert (tensor - state[tensor_name]).norm() <= 1e-4 * tensor.norm() + 1e-7, tensor_name


@pytest.mark.parametrize("name", METHODS)
def test_it_learns_the_videos_class(videos, name):
    settings = Settings.of(method=name, steps=100, lr=2e-3, batch=3, hidden=32, dropout=0.2)
    truth, found = simulated_videos(12, "test", 3, snippets=20)
    labels = [1 + ACTIONS.index(next(iter(video.labels))) for video in truth.values()]

    def right(one) -> int:
        readings = [one.eval().read(torch.from_numpy(video.streams["rgb"])) for video in found.values()]
        assert all(((each.attention >= 0) & (each.attention <= 1)).all() for each in readings)
        return sum(
            int(each.probability[1:].argmax()) + 1 == label for each, label in zip(readings, labels, strict=True)
        )

    after = right(trained(videos, [settings]).models()[0])
    assert after >= 9
    assert after > right(initial_model(videos, settings))


@pytest.mark.parametrize("name", METHODS)
def test_what_its_paper_needs_are_fields_of_the_settings(name):
    method = find_method(name)
    DetectionSettings(**method.DETECTION)
    assert Settings.of(method=name, **method.TRAINING).own == method.Settings()


def test_student_learns_its_teachers_segmentation_after_the_warmup(drawn):
    videos, arrays = drawn
    method = model("student", warmup=0.5)
    method.steps, count = 10, sum(LENGTHS)
    u = np.abs(arrays["features"][:, 0])
    teachers = tuple(bm.Readout(torch.from_numpy(lam), torch.from_numpy(arrays[name]), torch.from_numpy(lam).logit())
                     for lam, name in zip(arrays["both"], ("base", "tcam"), strict=True))  # fmt: skip
    logits = np.random.default_rng(1).normal(size=(count, CLASSES + 1))
    readout = student.Readout(*map(torch.from_numpy, (arrays["both"][0], logits, u)), teachers)
    kernel = np.exp(-(np.arange(-3, 4) ** 2) / 2)

    def standard(signal: np.ndarray) -> np.ndarray:
        return (signal - signal.mean()) / max(signal.std(), 1e-6)

    def smooth(signal: np.ndarray) -> np.ndarray:
        return np.convolve(np.pad(signal, 3, mode="edge"), kernel / kernel.sum(), mode="valid")

    agreement, opening = np.array([0, 0.3, -0.3, -0.2]), np.array([0, 0.2, -0.5, 0.4])  # far from turning
    method.agreement, method.opening = torch.tensor(agreement), torch.tensor(opening)
    expected = []
    for own, unsure, target, one, other in zip(*map(parts, (logits, u)), TARGETS,
                                               *map(parts, (arrays["base"], arrays["tcam"])), strict=True):  # fmt: skip
        label = np.zeros((len(own), CLASSES + 1))
        for c in np.flatnonzero(target):
            both = standard(standard(smooth(one[:, c])) + np.sign(agreement[c]) * standard(smooth(other[:, c])))
            label[:, c] = target[c] / (1 + np.exp(1.5 * np.sign(opening[c]) * both))
        label[:, 0] = 1 - label.sum(1)
        divergence = (label * (np.log(np.maximum(label, 1e-9)) - np.log(softmax(own)))).sum(1)
        expected.append((np.exp(-unsure) * divergence).mean())
    method.done = torch.tensor(4.0)
    method.eval()
    assert not method.losses(readout, videos)["pseudo"].any()
    method.done = torch.tensor(5.0)
    expected_terms = {"pseudo": expected, "uncertainty": [part.mean() for part in parts(u)]}
    assert_terms(method.losses(readout, videos), expected_terms)
    method.train().losses(readout, videos)
    assert float(method.done) == 6
    assert (method.agreement.numpy() != agreement).tolist() == [False, True, True, True]
