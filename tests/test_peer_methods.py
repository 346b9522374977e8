"""UntrimmedNets, Hide-and-Seek, W-TALC and AutoLoc: their losses against loops, stacks, and what they learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from plusmv.core.errors import BadInput
from plusmv.wsal.checkpoints import Checkpoint
from plusmv.wsal.detect import DetectionSettings, VideoReadout, detect_video, read_video
from plusmv.wsal.evaluate import evaluate
from plusmv.wsal.methods.autoloc import AutoLoc, oic_loss
from plusmv.wsal.methods.find import find_method, method_settings
from plusmv.wsal.methods.hideandseek import HideAndSeek
from plusmv.wsal.methods.segments import segments_above
from plusmv.wsal.methods.untrimmednets import UntrimmedNets
from plusmv.wsal.methods.wtalc import WTALC
from plusmv.wsal.packing import Packed
from plusmv.wsal.settings import Settings
from plusmv.wsal.stack import StreamVideos, initial_model, train_stack
from tests.simulated import ACTIONS, simulated_videos
from tests.test_losses import softmax

PEERS = ("autoloc", "hideandseek", "untrimmednets", "wtalc")
LENGTHS, WIDTH, CLASSES = (9, 16, 1, 24, 5, 12), 10, 3
draws = np.random.default_rng(7)
FEATURES = [draws.normal(size=(length, WIDTH)) for length in LENGTHS]
LABELS = np.eye(CLASSES + 1)[[1, 1, 2, 2, 3, 3]]  # pairs of one class, as W-TALC's code draws them


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


def made(method: type, **fields):
    """A model of float64 whose outputs differ between snippets and classes."""
    torch.manual_seed(3)
    model = method(WIDTH, CLASSES, replace(method.Settings(), **fields)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5 * torch.randn_like(parameter))
    return model.eval()


def packed(features=FEATURES, labels=LABELS) -> Packed:
    return Packed([torch.from_numpy(each) for each in features], torch.from_numpy(labels))


def losses(model, videos: Packed) -> dict[str, np.ndarray]:
    return {name: term.detach().numpy() for name, term in model.losses(model(videos.features), videos).items()}


def arrays(model) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


def test_untrimmednets_loss_is_the_cross_entropy_of_attended_probabilities():
    model, several = made(UntrimmedNets), np.array([[0, 0.5, 0, 0.5], *LABELS[1:]])
    w, expected = arrays(model), []
    for x, y in zip(FEATURES, several, strict=True):
        attention = softmax(x @ w["selection.weight"][0])
        p = attention @ softmax(x @ w["classifier.weight"].T + w["classifier.bias"])
        expected.append(-(y[1:] * np.log(p)).sum())
    assert losses(model, packed(labels=several))["fg"] == pytest.approx(np.array(expected))


def plain_hide_and_seek(w, x, y):
    for layer in ("convolutions.0", "convolutions.2"):
        x = np.maximum(x @ w[f"{layer}.weight"].T + w[f"{layer}.bias"], 0)
    logits = w["classifier.weight"] @ x.max(0) + w["classifier.bias"]
    return -(y[1:] * np.log(softmax(logits))).sum()


def test_hide_and_seek_loss_in_training_is_that_of_features_whose_hidden_parts_are_the_mean():
    model, videos = made(HideAndSeek, hidden=8), packed()
    w = arrays(model)
    shown = [plain_hide_and_seek(w, x, y) for x, y in zip(FEATURES, LABELS, strict=True)]
    assert losses(model, videos)["fg"] == pytest.approx(np.array(shown))
    torch.manual_seed(0)
    hidden = np.split(model.draw_hidden(videos).numpy(), np.cumsum(LENGTHS)[:-1])
    torch.manual_seed(0)
    each = [np.where(h[:, None], 0, x) for h, x in zip(hidden, FEATURES, strict=True)]
    assert losses(model.train(), videos)["fg"] == pytest.approx(
        np.array([plain_hide_and_seek(w, x, y) for x, y in zip(each, LABELS, strict=True)])
    )


def test_parts_are_hidden_whole_at_the_papers_rate():
    model = made(HideAndSeek)
    videos = packed([np.zeros((60, WIDTH))] * 200, np.repeat(LABELS[:1], 200, 0))
    hidden = model.draw_hidden(videos).reshape(200, 20, 3)
    assert (hidden.all(-1) | ~hidden.any(-1)).all()
    assert hidden.float().mean() == pytest.approx(0.5, abs=0.03)


def published_wtalc(model, w, features, labels):
    """MILL and CASL of the authors' train.py, as loops over videos and pairs; without dropout."""
    embedded = [np.maximum(x @ w["embedding.weight"].T + w["embedding.bias"], 0) for x in features]
    logits = [x @ w["classifier.weight"].T + w["classifier.bias"] for x in embedded]
    top = [np.sort(each, 0)[-int(np.ceil(len(each) / 8)) :].mean(0) for each in logits]
    mil = [-(y[1:] * np.log(softmax(each))).sum() for each, y in zip(top, labels, strict=True)]

    def distance(a, b):
        return 1 - (a * b).sum(0) / (np.linalg.norm(a, axis=0) * np.linalg.norm(b, axis=0))

    total, count = 0.0, 0.0
    for i in range(0, len(features), 2):
        high, low = [], []
        for j in (i, i + 1):
            attention = softmax(logits[j].T).T
            high.append(embedded[j].T @ attention)
            low.append(embedded[j].T @ ((1 - attention) / max(len(attention) - 1, 1)))
        shared = labels[i, 1:] * labels[i + 1, 1:]
        for other in (distance(high[0], low[1]), distance(high[1], low[0])):
            total += 0.5 * (np.maximum(distance(*high) - other + 0.5, 0) * shared).sum()
        count += shared.sum()
    return np.array(mil), total / count


def test_wtalc_losses_are_those_of_its_published_code():
    model = made(WTALC)
    features = [x if len(x) > 1 else np.concatenate([x, 2 * x]) for x in FEATURES]
    mil, similarity = published_wtalc(model, arrays(model), features, LABELS)
    found = losses(model, packed(features))
    assert found["mil"] == pytest.approx(mil)
    assert found["similarity"] == pytest.approx(np.full(len(LENGTHS), similarity))
    assert losses(model, packed(FEATURES[::2], LABELS[::2]))["similarity"].tolist() == [0, 0, 0]  # no pair


def plain_sum(signal, start, end):
    """Over [start, end) of a signal that is constant in each snippet and 0 outside."""
    return sum(each * max(0, min(end, t + 1) - max(start, t)) for t, each in enumerate(signal))


def plain_oic(signal, inner, outer):
    inside, length = plain_sum(signal, *inner), inner[1] - inner[0]
    beside = (plain_sum(signal, *outer) - inside) / (outer[1] - outer[0] - length)
    return (beside - inside / length + 1) / 2


def test_autoloc_loss_is_the_mean_over_each_snippets_best_segment_after_suppression():
    model, x, y = made(AutoLoc), FEATURES[3], np.array([[0, 0.5, 0.5, 0]])
    with torch.no_grad():
        model.boundaries.weight.mul_(0.02)
        model.boundaries.bias.mul_(0.02)
        inner, outer = (each.numpy() for each in model.predicted(torch.from_numpy(x)))
        readout = model(torch.from_numpy(x))
    mask = softmax(readout.selection.numpy()) > 0.1 / len(x)
    kept = []
    for index in (0, 1):
        signal = softmax(readout.activation.numpy())[:, index] * mask
        candidates = []
        for t in np.flatnonzero(signal > 0.1):
            each = [plain_oic(signal, inner[t, a], outer[t, a]) for a in range(6)]
            if min(each) <= 0.7:
                candidates.append((min(each), *inner[t, int(np.argmin(each))]))
        chosen: list[tuple] = []
        for loss, start, end in sorted(candidates):
            common = [max(0, min(end, e) - max(start, s)) for _, s, e in chosen]
            if all(c / (end - start + e - s - c) <= 0.4 for c, (_, s, e) in zip(common, chosen, strict=True)):
                chosen.append((loss, start, end))
        kept += [loss for loss, _, _ in chosen]
    assert len(kept) > 2
    assert losses(model, packed([x], y))["oic"] == pytest.approx([np.mean(kept)])


def test_oic_of_whole_snippets_and_its_published_gradient():
    signal = torch.tensor([0.0, 0.2, 0.9, 0.8, 0.1, 0.0, 0.3], dtype=torch.float64)
    inner = torch.tensor([2.0, 4.0], dtype=torch.float64, requires_grad=True)
    outer = torch.tensor([1.0, 5.0], dtype=torch.float64, requires_grad=True)
    loss = oic_loss(signal, inner, outer)
    assert loss.item() == pytest.approx((np.mean([0.2, 0.1]) - np.mean([0.9, 0.8]) + 1) / 2)
    loss.backward()
    beside, inside = 0.15, 0.85
    at = signal.numpy()  # the snippet that starts at each boundary
    expected = [
        0.5 * ((at[2] - beside) / 2 - (inside - at[2]) / 2),
        0.5 * ((beside - at[4]) / 2 - (at[4] - inside) / 2),
    ]
    assert inner.grad.numpy() == pytest.approx(expected)
    assert outer.grad.numpy() == pytest.approx([0.5 * (beside - at[1]) / 2, 0.5 * (at[5] - beside) / 2])


def test_runs_above_each_classs_level_are_scored_segments():
    signal = torch.tensor([[9, 0.1, 3], [9, 0.6, 2], [9, 0.8, 0], [9, 0.1, 2]])
    rows = segments_above(signal, torch.tensor([0, 0.5, 1]), torch.mean, torch.tensor([0, 0, 10]))
    assert rows.numpy() == pytest.approx(np.array([[1, 1, 3, 0.7], [2, 0, 2, 12.5], [2, 3, 4, 12]]))
    assert segments_above(signal, torch.tensor([0, 0.5, 1]), torch.mean, shortest=3).shape == (0, 4)


def test_own_segments_of_present_classes_are_detections_by_their_own_score():
    seconds = np.stack([np.arange(4), np.arange(4) + 1.0], axis=1)
    rows = np.array([[1, 0.5, 2.25, 0.4], [1, 0.5, 2, 0.3], [1, 3, 5, 0.9], [2, 0, 1, 0.8], [1, 4, 5, 0.9]])
    blank = {"rgb": np.zeros(4)}
    video = VideoReadout(seconds, np.array([0, 0.95, 0.05]), blank, {"rgb": np.zeros((4, 3))}, segments={"rgb": rows})
    found = detect_video(video, ("Dive", "Jump"), DetectionSettings(proposals="own"))
    assert [(i.label, i.start, i.end, i.score) for i in found] == [("Dive", 3, 4, 0.9), ("Dive", 0.5, 2.25, 0.4)]
    with pytest.raises(BadInput):
        detect_video(replace(video, segments={}), ("Dive", "Jump"), DetectionSettings(proposals="own"))
    with pytest.raises(BadInput):
        DetectionSettings(proposals="own", thresholds=(0.5,))


@pytest.fixture(scope="module")
def simulated() -> StreamVideos:
    _, found = simulated_videos(24, "validation", 1, width=32)
    targets = np.eye(len(ACTIONS) + 1, dtype=np.float32)[1 + np.arange(24) % len(ACTIONS)]
    return StreamVideos("rgb", [video.streams["rgb"] for video in found.values()], targets, np.zeros(24, bool))


def settings(method: str, steps: int, **fields) -> Settings:
    needed = {"batch": 2} | {name: min(4, value) for name, value in find_method(method).TRAINING.items()}
    return Settings(method=method, streams=("rgb",), steps=steps, order_seed=0, **{"lr": 1e-3} | needed | fields)


@pytest.mark.parametrize("method", PEERS)
def test_runs_of_a_stack_end_near_where_each_ends_alone(simulated, method, tmp_path):
    runs = [settings(method, 10, seed=seed) for seed in range(2)]
    together = train_stack(simulated, runs, ["a", "b"], tmp_path / "together").models()
    for index, run in enumerate(runs):
        alone = train_stack(simulated, [run], ["a"], tmp_path / f"{index}").models()[0].state_dict()
        for name, tensor in together[index].state_dict().items():
            assert (tensor - alone[name]).norm() <= 1e-4 * tensor.norm() + 1e-7, name


@pytest.mark.parametrize("method", PEERS)
def test_all_weights_have_finite_gradients_also_of_videos_of_one_snippet(method):
    model, videos = made(find_method(method)).train(), packed()
    torch.manual_seed(1)
    sum(term.mean() for term in model.losses(model(videos.features), videos).values()).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients.values())
    assert all(gradient.any() for gradient in gradients.values())


@pytest.mark.parametrize("method", PEERS)
def test_it_learns_to_detect_in_its_papers_way(simulated, method, tmp_path):
    run = settings(method, 150, lr=2e-3)
    truth, features = simulated_videos(16, "test", 2, width=32)
    found = {}
    trained = train_stack(simulated, [run], ["a"], tmp_path / "progress").models()[0]
    for state, model in (("untrained", initial_model(simulated, run)), ("trained", trained)):
        checkpoint = Checkpoint(run, ACTIONS, {"rgb": model.eval()}, "", "", "", (), {}, 16, 24, 0)
        way = DetectionSettings(**model.method.DETECTION)
        detections = {
            name: detect_video(read_video(checkpoint, video), ACTIONS, way) for name, video in features.items()
        }
        found[state] = evaluate(truth, detections, (0.3,))["average_mAP"]
    assert found["trained"] > found["untrained"] + 0.05, found


def test_settings_out_of_range_are_refused():
    for method, field, value in [
        ("untrimmednets", "dropout", 1.0), ("untrimmednets", "level", 1.5), ("hideandseek", "hide", -0.1),
        ("hideandseek", "parts", 0), ("wtalc", "mil_weight", float("nan")), ("wtalc", "one_in", 0),
        ("autoloc", "inflate", 0.0), ("autoloc", "temperature", 0.0), ("autoloc", "worst", 2.0),
    ]:  # fmt: skip
        with pytest.raises(BadInput):
            method_settings(method, {field: value})
