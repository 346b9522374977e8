"""The model of one stream, as stored in a checkpoint: feature centring and a method's model."""

import math

import torch
from torch import Tensor, nn

from plusmv.wsal.methods.find import find_method
from plusmv.wsal.methods.method import Reading
from plusmv.wsal.settings import Settings


class StreamModel(nn.Module):
    """A method's model on centred features of width d."""

    mean: Tensor  # (d,)
    scale: Tensor  # (d,)

    def __init__(self, width: int, classes: int, settings: Settings):
        super().__init__()
        self.settings = settings
        self.method = find_method(settings.method)(width, classes, settings.own)
        self.method.steps = settings.steps
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))

    @torch.no_grad()
    def centre(self, mean: Tensor, deviation: Tensor) -> None:
        """Set shift and scale from the training set's mean and deviation (d,): z-scores of `centre`'s length."""
        if self.settings.centre:
            share = self.settings.centre / math.sqrt(len(mean))
            self.mean.copy_(mean)
            self.scale.copy_(torch.where(deviation > 1e-6, share / deviation, 0))

    def centred(self, features: Tensor) -> Tensor:
        """(T, d) features as the method receives them."""
        return (features - self.mean) * self.scale

    @torch.no_grad()
    def read(self, features: Tensor) -> Reading:
        """The method's outputs for one video's features (T, d)."""
        return self.method.read(self.centred(features))
