"""The model of one stream: attention, classifier over C+1 classes, two clusters (Eq. 1 to 11), and stacks of models.

A stack is a list of models that read the same snippets. Products are made model by model, as alone; what is elementwise
or within a row is done for the whole stack at once. So a model's numbers are exactly those it has alone, while the many
small operations are paid once. x_fg and x_bg are never formed: w_c . x_fg is the pooled w_c . x_t.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from plusmv.wsal import losses
from plusmv.wsal.packing import Packed
from plusmv.wsal.settings import Settings

LEAST_MASS = 1e-8  # of the mean attention, below which a division says nothing


class Readout(NamedTuple):
    """What M models say of N snippets."""

    attention: Tensor  # (M, N), lambda in [0, 1]
    activation: Tensor  # (M, N, C+1), w_c . x_t: the temporal class activation map, without bias
    clusters: Tensor  # (M, N, 2), u_fg . x_t and u_bg . x_t


class StreamModel(nn.Module):
    """Attention, classifier and clusters on features of width d. Class index 0 is the background."""

    def __init__(self, width: int, classes: int, settings: Settings):
        super().__init__()
        self.settings = settings
        hidden, bound = settings.hidden, 1 / math.sqrt(width)
        rows = hidden + classes + 1 + 2  # the attention's hidden layer, w_c, u_fg and u_bg: one product for all
        self.weight = nn.Parameter(torch.empty(rows, width).uniform_(-bound, bound))
        self.hidden_bias = nn.Parameter(torch.empty(hidden).uniform_(-bound, bound))
        bound = 1 / math.sqrt(hidden)
        self.attention_weight = nn.Parameter(torch.empty(hidden).uniform_(-bound, bound))
        self.attention_bias = nn.Parameter(torch.empty(1).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(classes + 1)) if settings.bias else None
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    @property
    def classes(self) -> int:
        """C, without the background."""
        return len(self.weight) - self.settings.hidden - 3

    @torch.no_grad()
    def centre(self, mean: Tensor, deviation: Tensor) -> None:
        """Set shift and scale from the training set's mean and deviation (d,): z-scores of `centre`'s length."""
        if self.settings.centre:
            share = self.settings.centre / math.sqrt(len(mean))
            self.mean.copy_(mean)
            self.scale.copy_(torch.where(deviation > 1e-6, share / deviation, 0))

    def centred(self, features: Tensor) -> Tensor:
        """(T, d) features as the model reads them."""
        return (features - self.mean) * self.scale

    @torch.no_grad()
    def read(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One video's (T, d) features to attention (T,), T-CAM (T, C+1) and p_fg (C+1,) (Eq. 2)."""
        video = Packed([self.centred(features)], features.new_zeros(1, self.classes + 1))
        readout = read_snippets([self], video.features)
        logits, _ = pooled([self], readout, video, readout.attention)
        if self.settings.method == "stpn":  # it has no background
            logits = torch.cat([torch.full_like(logits[..., :1], -math.inf), logits[..., 1:]], dim=-1)
        return (
            readout.attention[0, : len(features)],
            readout.activation[0, : len(features)],
            logits[0, 0].softmax(-1),
        )


class _Snippets(torch.autograd.Function):
    """FC, ReLU, FC of the attention, and every linear map, for each model: (M, N) and (M, N, C+3)."""

    @staticmethod
    def forward(ctx, features, hidden, *parameters):
        models = list(zip(*[iter(parameters)] * 4, strict=True))
        width = len(models[0][0]) - hidden
        attention = features.new_empty(len(models), len(features))
        linear = features.new_empty(len(models), len(features), width)
        kept = []
        for index, (weight, hidden_bias, attention_weight, attention_bias) in enumerate(models):
            product = features @ weight.T
            layer = product[:, :hidden].add_(hidden_bias).relu_()
            torch.mv(layer, attention_weight, out=attention[index])
            attention[index].add_(attention_bias)
            linear[index] = product[:, hidden:]
            kept += [product, attention_weight]
        ctx.save_for_backward(features, *kept)
        ctx.hidden = hidden
        return attention, linear

    @staticmethod
    def backward(ctx, attention_gradient, linear_gradient):
        features, *kept = ctx.saved_tensors
        hidden, gradients = ctx.hidden, []
        attention_gradient = attention_gradient.contiguous()
        upstream = torch.empty_like(kept[0])
        for index, (product, attention_weight) in enumerate(zip(kept[::2], kept[1::2], strict=True)):
            layer, from_attention = product[:, :hidden], attention_gradient[index]
            torch.mul(from_attention[:, None], attention_weight, out=upstream[:, :hidden])
            torch.ops.aten.threshold_backward.grad_input(
                upstream[:, :hidden], layer, 0, grad_input=upstream[:, :hidden]
            )  # of ReLU
            upstream[:, hidden:] = linear_gradient[index]
            of_bias = upstream[:, :hidden].sum(0)
            of_attention = torch.mv(layer.T, from_attention)
            gradients += [upstream.T @ features, of_bias, of_attention, from_attention.sum().reshape(1)]
        return None, None, *gradients


class _Products(torch.autograd.Function):
    """(M, A, N) @ (M, N, B), model by model: a batched product may sum otherwise, depending on how many there are.

    Small operands are copied out of the stack first: what a product rounds to can depend on where it lies in memory.
    """

    @staticmethod
    def forward(ctx, first, second):
        ctx.save_for_backward(first, second)
        return torch.stack([f @ s for f, s in zip(first, second, strict=True)])

    @staticmethod
    def backward(ctx, gradient):
        first, second = ctx.saved_tensors
        gradients = [each.clone() for each in gradient]
        return (
            torch.stack([g @ s.T for g, s in zip(gradients, second, strict=True)]) if ctx.needs_input_grad[0] else None,
            torch.stack([f.T @ g for f, g in zip(first, gradients, strict=True)]) if ctx.needs_input_grad[1] else None,
        )


def read_snippets(models: Sequence[StreamModel], features: Tensor) -> Readout:
    """Every model on the same centred snippets (N, d)."""
    parameters = [p for m in models for p in (m.weight, m.hidden_bias, m.attention_weight, m.attention_bias)]
    attention, linear = _Snippets.apply(features, models[0].settings.hidden, *parameters)
    return Readout(attention.sigmoid(), linear[..., :-2], linear[..., -2:])


def video_means(signal: Tensor, video: Packed) -> Tensor:
    """Mean over each video's time: (M, B) from (M, N)."""
    shares = video.shares.T.expand(len(signal), -1, -1)
    return _Products.apply(signal[:, None], shares)[:, 0]


def pooled(models: Sequence[StreamModel], readout: Readout, video: Packed, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Class logits (M, B, C+1) and cluster logits (M, B, 2) of Eq. 1's (or 4's) x, pooled with weights (M, N).

    Divided by T ("mean", the paper), or by the weights' mass ("norm").
    """
    linear = torch.cat([readout.activation, readout.clusters], dim=-1)
    sums = _Products.apply(weights[:, None] * video.shares, linear)
    by_mass = torch.tensor([model.settings.pool == "norm" for model in models])[:, None, None]
    mass = video_means(weights, video)[..., None].clamp_min(LEAST_MASS)
    means = sums / torch.where(by_mass, mass, 1.0)
    return with_bias(models, means[..., :-2]), means[..., -2:]


def with_bias(models: Sequence[StreamModel], logits: Tensor) -> Tensor:
    """(M, K, C+1) logits, and the classifiers' bias where they have one."""
    if models[0].bias is None:
        return logits
    return logits + torch.stack([model.bias for model in models])[:, None]


def terms(models: Sequence[StreamModel], readout: Readout, video: Packed) -> dict[str, Tensor]:
    """The terms of Eq. 11 (and of STPN's objective), not weighted: name -> (M, B). What no model wants is absent.

    Models of one stack share sigma and bias; each has its own method, loss weights, pooling and detachment.
    """
    settings = [model.settings for model in models]
    wanted = {name for each in settings for name in each.term_weights()}
    attention = readout.attention
    logits, clusters = pooled(models, readout, video, attention)
    no_background = torch.tensor([each.method == "stpn" for each in settings])[:, None, None]
    first = torch.arange(logits.shape[-1]) == 0
    found = {"fg": losses.foreground_loss(logits.masked_fill(no_background & first, losses.ABSENT), video.targets)}
    if wanted & {"bg", "cluster"}:
        background, background_clusters = pooled(models, readout, video, 1 - attention)
        found["bg"] = losses.background_loss(background)
        found["cluster"] = losses.cluster_loss(clusters, background_clusters)
    if "guide" in wanted:
        found["guide"] = _guide(models, readout, video)
    if "sparsity" in wanted:
        found["sparsity"] = video_means(attention.abs(), video)
    return {name: term for name, term in found.items() if name in wanted}


def _guide(models: Sequence[StreamModel], readout: Readout, video: Packed) -> Tensor:
    """Eq. 7 for each model and video: (M, B)."""
    held = [model.settings.detach for model in models]
    sigma = models[0].settings.sigma
    activation = readout.activation.detach() if all(held) else readout.activation
    frames = with_bias(models, activation)
    targets = losses.guide_targets(frames, video.present, lambda signal: video.smooth(signal, sigma))
    targets = torch.where(torch.tensor(held)[:, None, None], targets.detach(), targets)
    return video_means(losses.guide_distance(readout.attention, targets), video)


def weighted(models: Sequence[StreamModel], found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each term times the model's weight of it, averaged over the videos: name -> (M,); their sum is Eq. 11."""
    weights = [model.settings.term_weights() for model in models]
    return {
        name: term.mean(-1) * torch.tensor([each.get(name, 0.0) for each in weights], dtype=term.dtype)
        for name, term in found.items()
    }
