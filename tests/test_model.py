"""The methods: equations against plain numpy, gradients against finite differences, packed against one by one."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from plusmv.core.errors import BadInput
from plusmv.wsal.methods.find import find_method
from plusmv.wsal.methods.method import Method
from plusmv.wsal.model import StreamModel
from plusmv.wsal.packing import Packed
from plusmv.wsal.settings import Settings
from tests.test_losses import plain_smooth, softmax

torch.manual_seed(3)
FEATURES = torch.rand(6, 8)
TARGET = torch.tensor([0, 0.5, 0, 0.5])
ALL = Settings.of(background_weight=0.3, guide_weight=0.7, cluster_weight=0.2, hidden=16, centre=0)
CLIPS = [torch.rand(length, 8) for length in (1, 9, 23, 40)]
CLIP_TARGETS = torch.eye(4)[[1, 2, 3, 1]]


def model(settings: Settings = ALL, seed: int = 1) -> Method:
    torch.manual_seed(seed)
    return find_method(settings.method)(8, 3, settings.own)


def loss_of(one: Method, settings: Settings, video: Packed) -> torch.Tensor:
    """Eq. 11."""
    terms = one.losses(one(video.features), video)
    return torch.stack([settings.term_weight(name) * term.mean() for name, term in terms.items()]).sum()


def gradients(one: Method, settings: Settings, *videos: Packed) -> list[torch.Tensor]:
    """Of the loss's mean over the packs, accumulated one after the other."""
    one.zero_grad()
    for video in videos:
        (loss_of(one, settings, video) / len(videos)).backward()
    return [parameter.grad for parameter in one.parameters()]


class _Objective(torch.nn.Module):
    def __init__(self, one: Method, settings: Settings):
        super().__init__()
        self.one, self.settings = one, settings

    def forward(self, video: Packed) -> torch.Tensor:
        return loss_of(self.one, self.settings, video)


def plain_loss(one: Method, features, target) -> float:
    """Eq. 1 to 11 and the prior for one video, by the book, in numpy."""
    x, each = features.numpy(), one.settings
    state = {name: tensor.numpy() for name, tensor in one.state_dict().items()}
    layer = np.maximum(x @ state["hidden.weight"].T + state["hidden.bias"], 0)
    z = layer @ state["attention.weight"][0] + state["attention.bias"]
    lam = 1 / (1 + np.exp(-z))
    w, u = state["classifier.weight"], state["clusters.weight"]
    by = (lambda a: len(x)) if each.pool == "mean" else np.sum
    fg, bg = (lam @ x) / by(lam), ((1 - lam) @ x) / by(1 - lam)
    p_fg, p_bg, p_t = softmax(w @ fg), softmax(w @ bg), softmax(x @ w.T)
    of_labels = [plain_smooth(p_t[:, label], each.sigma) for label in np.flatnonzero(target.numpy())]
    guide = [np.max(of_labels, axis=0), plain_smooth(1 - p_t[:, 0], each.sigma)]
    loss = -(target.numpy() * np.log(p_fg)).sum() - each.background_weight * np.log(p_bg[0])
    loss += each.prior_weight * np.mean(z**2)
    loss += each.guide_weight * np.mean(abs(lam - guide[0]) + abs(lam - guide[1]))
    return loss - each.cluster_weight * (np.log(softmax(u @ fg)[0]) + np.log(softmax(u @ bg)[1]))


@pytest.mark.parametrize("pool", ["mean", "norm"])
def test_the_loss_is_equation_11(pool):
    settings = ALL.replaced(pool=pool)
    one = model(settings)
    expected = plain_loss(one, FEATURES, TARGET)
    assert loss_of(one, settings, Packed([FEATURES], TARGET[None])).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pool", ["mean", "norm"])
def test_stpn_is_the_foreground_without_background_and_sparsity(pool):
    settings = Settings.of(method="stpn", sparsity_weight=0.4, hidden=16, pool=pool)
    one = model(settings)
    with torch.no_grad():
        attention, activation, probability = one.read(FEATURES)[:3]
    by = attention.sum() if pool == "norm" else len(FEATURES)
    pooled_logits = (attention @ activation / by).numpy()[1:]
    expected = -(TARGET.numpy()[1:] * np.log(softmax(pooled_logits))).sum() + 0.4 * attention.mean().item()
    assert loss_of(one, settings, Packed([FEATURES], TARGET[None])).item() == pytest.approx(expected, rel=1e-5)
    assert probability[0] == 0
    assert probability[1:].numpy() == pytest.approx(softmax(pooled_logits), rel=1e-5)


@pytest.mark.parametrize("settings", [
    ALL.replaced(detach=False), ALL.replaced(pool="mean", detach=False, bias=True),
    Settings.of(method="stpn", sparsity_weight=0.4, hidden=16, bias=True),
])  # fmt: skip
def test_gradients_equal_finite_differences(settings):
    """Of every parameter, in double precision."""
    one = model(settings).double()
    video = Packed([FEATURES.double()], TARGET.double()[None])
    parameters = list(one.parameters())
    names = [name for name, _ in one.named_parameters()]
    objective = _Objective(one, settings)

    def loss(*values):
        state = {f"one.{name}": value for name, value in zip(names, values, strict=True)}
        return torch.func.functional_call(objective, state, (video,))

    values = [parameter.detach().clone().requires_grad_() for parameter in parameters]
    assert torch.autograd.gradcheck(loss, values, atol=1e-6)


@pytest.mark.parametrize("settings", [ALL, ALL.replaced(detach=False, pool="mean"), ALL.replaced(sigma=3.0)])
def test_packed_gradients_equal_those_accumulated_one_by_one(settings):
    one = model(settings)
    together = gradients(one, settings, Packed(CLIPS, CLIP_TARGETS))
    apart = gradients(one, settings, *[Packed([clip], CLIP_TARGETS[[i]]) for i, clip in enumerate(CLIPS)])
    for a, b in zip(together, apart, strict=True):
        assert torch.allclose(a, b, atol=1e-5, rtol=1e-5)
        assert b.abs().max() > 0


def test_with_pooling_by_time_foreground_and_background_add_up_to_the_mean():
    paper, video = model(ALL.replaced(pool="mean")), Packed([FEATURES], TARGET[None])
    lam = paper(video.features).attention
    assert torch.allclose(paper.pooled(lam, video) + paper.pooled(1 - lam, video), FEATURES.mean(0), atol=1e-6)


def test_an_attention_of_0_divides_by_nothing():
    one = model()
    with torch.no_grad():
        one.attention.bias.fill_(-1e4)
    assert all(gradient.isfinite().all() for gradient in gradients(one, ALL, Packed([FEATURES], TARGET[None])))


def test_centring_is_a_z_score_of_given_length_and_constant_features_become_zero():
    features = torch.cat([FEATURES, torch.full((6, 1), 2.0)], dim=1)
    one = StreamModel(9, 3, replace(ALL, centre=6.0))
    one.centre(features.mean(0), features.std(0, correction=0))
    expected = 2 * (FEATURES - FEATURES.mean(0)) / FEATURES.std(0, correction=0)
    assert one.centred(features)[:, :8].numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert (one.centred(features)[:, 8] == 0).all()
    raw = StreamModel(8, 3, ALL)
    raw.centre(FEATURES.mean(0), FEATURES.std(0))
    assert torch.equal(raw.centred(FEATURES), FEATURES)


def test_a_seed_draws_the_weights_of_the_published_figures():
    """Summed layer by layer: of the code whose runs are in docs/experiments.md (Settings() of 32 wide features)."""
    torch.manual_seed(5)
    bm = StreamModel(32, 7, Settings()).method
    drawn = (bm.classifier.weight[0], bm.clusters.weight[1], bm.hidden.bias, bm.attention.weight, bm.attention.bias)
    sums = [round(tensor.sum().item(), 5) for tensor in drawn]
    assert sums == [1.15937, 0.39435, -2.02392, 0.19489, -0.00364]


@pytest.mark.parametrize("detach", [True, False])
def test_detached_targets_give_the_classifier_no_gradient_from_the_guide(detach):
    one = model(ALL.replaced(detach=detach))
    video = Packed([FEATURES], TARGET[None])
    one.losses(one(video.features), video)["guide"].sum().backward()
    assert (one.classifier.weight.grad is None) == detach


@pytest.mark.parametrize("snippets", [1, 30_000])
def test_one_snippet_and_thirty_thousand_train(snippets):
    found = gradients(model(), ALL, Packed([torch.rand(snippets, 8)], TARGET[None]))
    assert all(gradient.isfinite().all() for gradient in found)


@pytest.mark.parametrize(
    "wrong", [{"pool": "max"}, {"method": "x"}, {"lr": 0}, {"steps": 0}, {"streams": ()}, {"mv_ratio": 1.0},
              {"guide_weight": -1.0}, {"sigma": -1.0}, {"batch": 0}, {"order_seed": -1},
              {"lr": math.nan}, {"centre": math.inf}, {"cluster_weight": math.nan}, {"sigma": 1e9}]
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(BadInput):
        Settings.of(**wrong)
