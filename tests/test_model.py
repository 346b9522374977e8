"""The model: equations against plain numpy, gradients against finite differences, packed against one by one, stacks."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from plusmv.core.errors import BadInput
from plusmv.wsal.model import StreamModel, pooled, read_snippets, terms, weighted
from plusmv.wsal.packing import Packed
from plusmv.wsal.settings import Settings
from tests.test_losses import plain_smooth, softmax

torch.manual_seed(3)
FEATURES = torch.rand(6, 8)
TARGET = torch.tensor([0, 0.5, 0, 0.5])
ALL = Settings(background_weight=0.3, guide_weight=0.7, cluster_weight=0.2, hidden=16, centre=0)
CLIPS = [torch.rand(length, 8) for length in (1, 9, 23, 40)]
CLIP_TARGETS = torch.eye(4)[[1, 2, 3, 1]]


def model(settings: Settings = ALL, seed: int = 1) -> StreamModel:
    torch.manual_seed(seed)
    return StreamModel(8, 3, settings)


def loss_of(models, video: Packed) -> torch.Tensor:
    """(M,) Eq. 11."""
    found = weighted(models, terms(models, read_snippets(models, video.features), video))
    return torch.stack(list(found.values())).sum(0)


def gradients(models, *videos: Packed) -> list[torch.Tensor]:
    """Of the losses' mean over the packs, accumulated one after the other."""
    for one in models:
        one.zero_grad()
    for video in videos:
        (loss_of(models, video).sum() / len(videos)).backward()
    return [p.grad if p.grad is not None else torch.zeros_like(p) for one in models for p in one.parameters()]


def plain_loss(one: StreamModel, features, target) -> float:
    """Eq. 1 to 11 for one video, by the book, in numpy."""
    x, each = features.numpy(), one.settings
    weight, hidden = one.weight.detach().numpy(), each.hidden
    layer = np.maximum(x @ weight[:hidden].T + one.hidden_bias.detach().numpy(), 0)
    lam = 1 / (1 + np.exp(-(layer @ one.attention_weight.detach().numpy() + one.attention_bias.item())))
    w, u = weight[hidden:-2], weight[-2:]
    by = (lambda a: len(x)) if each.pool == "mean" else np.sum
    fg, bg = (lam @ x) / by(lam), ((1 - lam) @ x) / by(1 - lam)
    p_fg, p_bg, p_t = softmax(w @ fg), softmax(w @ bg), softmax(x @ w.T)
    guide = [plain_smooth(p_t[:, target.numpy() > 0].max(1), each.sigma), plain_smooth(1 - p_t[:, 0], each.sigma)]
    loss = -(target.numpy() * np.log(p_fg)).sum() - each.background_weight * np.log(p_bg[0])
    loss += each.guide_weight * np.mean(abs(lam - guide[0]) + abs(lam - guide[1]))
    return loss - each.cluster_weight * (np.log(softmax(u @ fg)[0]) + np.log(softmax(u @ bg)[1]))


@pytest.mark.parametrize("pool", ["mean", "norm"])
def test_the_loss_is_equation_11(pool):
    one = model(replace(ALL, pool=pool))
    expected = plain_loss(one, FEATURES, TARGET)
    assert loss_of([one], Packed([FEATURES], TARGET[None])).item() == pytest.approx(expected, rel=1e-5)


def test_stpn_is_the_foreground_without_background_and_sparsity():
    one = model(Settings(method="stpn", sparsity_weight=0.4, hidden=16, centre=0))
    attention, activation, probability = one.read(FEATURES)
    pooled_logits = (attention @ activation / attention.sum()).numpy()[1:]
    expected = -(TARGET.numpy()[1:] * np.log(softmax(pooled_logits))).sum() + 0.4 * attention.mean().item()
    assert loss_of([one], Packed([FEATURES], TARGET[None])).item() == pytest.approx(expected, rel=1e-5)
    assert probability[0] == 0
    assert probability[1:].numpy() == pytest.approx(softmax(pooled_logits), rel=1e-5)


@pytest.mark.parametrize("settings", [
    replace(ALL, detach=False), replace(ALL, pool="mean", detach=False, bias=True),
    Settings(method="stpn", sparsity_weight=0.4, hidden=16, centre=0),
])  # fmt: skip
def test_gradients_equal_finite_differences(settings):
    """Of every parameter, in double precision."""
    one = model(settings).double()
    video = Packed([FEATURES.double()], TARGET.double()[None])
    parameters = list(one.parameters())
    names = [name for name, _ in one.named_parameters()]
    for name in names:
        delattr(one, name)

    def loss(*values):
        for name, value in zip(names, values, strict=True):
            setattr(one, name, value)
        return loss_of([one], video)

    values = [parameter.detach().clone().requires_grad_() for parameter in parameters]
    assert torch.autograd.gradcheck(loss, values, atol=1e-6)


@pytest.mark.parametrize("settings", [ALL, replace(ALL, detach=False, pool="mean"), replace(ALL, sigma=3.0)])
def test_packed_gradients_equal_those_accumulated_one_by_one(settings):
    one = model(settings)
    together = gradients([one], Packed(CLIPS, CLIP_TARGETS))
    apart = gradients([one], *[Packed([clip], CLIP_TARGETS[[i]]) for i, clip in enumerate(CLIPS)])
    for a, b in zip(together, apart, strict=True):
        assert torch.allclose(a, b, atol=1e-5, rtol=1e-5)
        assert b.abs().max() > 0


def test_a_model_has_exactly_its_own_numbers_in_any_stack():
    rows = [replace(ALL, background_weight=b, guide_weight=g, pool=p, detach=d, method=m)
            for b, g, p, d, m in ((0, 0, "norm", True, "bm"), (0.1, 0.7, "mean", False, "bm"),
                                  (0.1, 0, "norm", True, "stpn"), (0.3, 0.7, "norm", True, "bm"))]  # fmt: skip
    models = [model(settings, seed) for seed, settings in enumerate(rows * 3)]
    for video in (Packed([CLIPS[3]], CLIP_TARGETS[[3]]), Packed(CLIPS, CLIP_TARGETS)):
        stacked = gradients(models, video)
        alone = [gradient for one in models for gradient in gradients([one], video)]
        assert all(torch.equal(a, b) for a, b in zip(stacked, alone, strict=True))


def test_with_pooling_by_time_foreground_and_background_add_up_to_the_mean():
    paper, video = [model(replace(ALL, pool="mean"))], Packed([FEATURES], TARGET[None])
    readout = read_snippets(paper, video.features)
    both = [pooled(paper, readout, video, weights)[0] for weights in (readout.attention, 1 - readout.attention)]
    assert torch.allclose(both[0] + both[1], readout.activation[:, :6].mean(1, keepdim=True), atol=1e-6)


def test_an_attention_of_0_divides_by_nothing():
    one = model()
    with torch.no_grad():
        one.attention_bias.fill_(-1e4)
    assert all(gradient.isfinite().all() for gradient in gradients([one], Packed([FEATURES], TARGET[None])))


def test_centring_is_a_z_score_of_given_length_and_constant_features_become_zero():
    features = torch.cat([FEATURES, torch.full((6, 1), 2.0)], dim=1)
    one = StreamModel(9, 3, replace(ALL, centre=6.0))
    one.centre(features.mean(0), features.std(0, correction=0))
    expected = 2 * (FEATURES - FEATURES.mean(0)) / FEATURES.std(0, correction=0)
    assert one.centred(features)[:, :8].numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert (one.centred(features)[:, 8] == 0).all()
    raw = model()
    raw.centre(FEATURES.mean(0), FEATURES.std(0))
    assert torch.equal(raw.centred(FEATURES), FEATURES)


def test_terms_of_weight_0_are_left_out_and_the_others_are_weighted():
    def found(settings):
        models, video = [model(settings)], Packed([FEATURES], TARGET[None])
        return weighted(models, terms(models, read_snippets(models, video.features), video))

    full = found(ALL)
    assert set(full) == {"fg", "bg", "guide", "cluster"}
    fewer = found(replace(ALL, background_weight=0.15, guide_weight=0.0, cluster_weight=0.0))
    assert set(fewer) == {"fg", "bg"}
    assert fewer["bg"].item() == pytest.approx(full["bg"].item() / 2)


@pytest.mark.parametrize("detach", [True, False])
def test_detached_targets_give_the_classifier_no_gradient_from_the_guide(detach):
    one = model(replace(ALL, detach=detach))
    video = Packed([FEATURES], TARGET[None])
    terms([one], read_snippets([one], video.features), video)["guide"].sum().backward()
    assert (one.weight.grad[16:-2].abs().max() == 0) == detach


@pytest.mark.parametrize("snippets", [1, 30_000])
def test_one_snippet_and_thirty_thousand_train(snippets):
    found = gradients([model()], Packed([torch.rand(snippets, 8)], TARGET[None]))
    assert all(gradient.isfinite().all() for gradient in found)


@pytest.mark.parametrize(
    "wrong", [{"pool": "max"}, {"method": "x"}, {"lr": 0}, {"steps": 0}, {"streams": ()}, {"mv_ratio": 1.0},
              {"guide_weight": -1.0}, {"sigma": -1.0}, {"batch": 0}, {"order_seed": -1},
              {"lr": math.nan}, {"centre": math.inf}, {"cluster_weight": math.nan}, {"sigma": 1e9}]
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(BadInput):
        Settings(**wrong)
