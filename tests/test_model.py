"""The model of one stream: pooling and probabilities as in the equations, centring, and which terms are counted."""

import math

import numpy as np
import pytest
import torch

from core.errors import BadInput
from wsal.model import StreamModel, terms
from wsal.settings import Settings

torch.manual_seed(3)
FEATURES = torch.rand(6, 8)
TARGET = torch.tensor([0, 0.5, 0, 0.5])


def model(**settings) -> StreamModel:
    torch.manual_seed(1)
    return StreamModel(8, 3, Settings(**settings))


def test_pooling_by_time_and_by_attention_mass():
    weights = torch.rand(6)
    by_time = model(pool="mean").pool(weights, FEATURES).numpy()
    assert by_time == pytest.approx((weights[:, None] * FEATURES).mean(0).numpy(), rel=1e-5)
    by_mass = model(pool="norm").pool(weights, FEATURES).numpy()
    assert by_mass == pytest.approx(np.average(FEATURES, axis=0, weights=weights), rel=1e-5)
    assert model(pool="norm").pool(torch.zeros(6), FEATURES).isfinite().all()


def test_with_pooling_by_time_foreground_and_background_add_up_to_the_mean():
    paper = model(pool="mean", centre=0.0)
    attention = paper(FEATURES).attention
    both = paper.pool(attention, FEATURES) + paper.pool(1 - attention, FEATURES)
    assert both.detach().numpy() == pytest.approx(FEATURES.mean(0).numpy(), rel=1e-5)


def test_centring_is_a_scaled_z_score_and_constant_features_become_zero():
    features = torch.cat([FEATURES, torch.full((6, 1), 2.0)], dim=1)
    centred = StreamModel(9, 3, Settings(centre=0.05))
    centred.centre([features[:2], features[2:]])
    read = centred(features).features.numpy()
    expected = 0.05 * (features[:, :8] - features[:, :8].mean(0)) / features[:, :8].std(0, correction=0)
    assert read[:, :8] == pytest.approx(expected.numpy(), abs=1e-6)
    assert (read[:, 8] == 0).all()
    raw = model(centre=0.0)
    raw.centre([FEATURES])
    assert torch.equal(raw(FEATURES).features, FEATURES)


def test_probability_is_equation_2_and_stpn_has_no_background():
    paper, baseline = model(bias=True), model(method="stpn")
    readout = paper(FEATURES)
    pooled = paper.pool(readout.attention, readout.features)
    logits = paper.classifier.weight @ pooled + paper.classifier.bias
    assert paper.class_probability(readout).numpy() == pytest.approx(logits.softmax(0).detach().numpy(), rel=1e-5)
    probability = baseline.class_probability(baseline(FEATURES))
    assert probability[0] == 0
    assert probability.sum().item() == pytest.approx(1)


def test_terms_of_weight_0_are_left_out_and_the_others_are_weighted():
    full = model()
    found = terms(full, full(FEATURES), TARGET)
    assert list(found) == ["fg", "bg", "guide", "cluster"]
    half = model(background_weight=0.05, guide_weight=0.0, cluster_weight=0.0)
    fewer = terms(half, half(FEATURES), TARGET)
    assert list(fewer) == ["fg", "bg"]
    assert fewer["bg"].item() == pytest.approx(found["bg"].item() / 2)
    baseline = model(method="stpn")
    assert list(terms(baseline, baseline(FEATURES), TARGET)) == ["fg", "sparsity"]


@pytest.mark.parametrize("detach", [True, False])
def test_detached_targets_give_the_classifier_no_gradient_from_the_guide(detach):
    guided = model(detach=detach)
    terms(guided, guided(FEATURES), TARGET)["guide"].backward()
    gradient = guided.classifier.weight.grad
    assert (gradient is None) == detach


def test_one_snippet_trains():
    single = model()
    loss = sum(terms(single, single(FEATURES[:1]), TARGET).values())
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in single.parameters())


@pytest.mark.parametrize(
    "wrong", [{"pool": "max"}, {"method": "x"}, {"lr": 0}, {"steps": 0}, {"streams": ()}, {"mv_ratio": 1.0},
              {"guide_weight": -1.0}, {"sigma": -1.0},
              {"lr": math.nan}, {"centre": math.inf}, {"cluster_weight": math.nan}, {"sigma": 1e9}]
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(BadInput):
        Settings(**wrong)
