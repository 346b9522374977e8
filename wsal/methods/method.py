"""The interface of a method. To write your own, copy bm.py or stpn.py and pass `--method my_module:MyClass`.

A method is written as ONE model of one stream, in plain autograd: `forward` maps snippets to the tensors that losses
and detection need, `losses` computes the terms of the objective, `read` the outputs that detection uses. Several models
train at once by torch.func.vmap over their parameters; a method that vmap cannot handle (`.item()`, boolean indexing by
computed values) sets `stackable = False` and trains model by model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from torch import Tensor, nn

from plusmv.core.errors import BadInput
from plusmv.wsal.packing import Packed

Symptom = Literal["high", "low", "flat"]  # of an attention that does not separate the snippets


class HasAttention(Protocol):
    """What `forward` returns: anything with the attention, which the training curves show."""

    @property
    def attention(self) -> Tensor: ...  # (N,) in [0, 1]


class Reading(NamedTuple):
    """The outputs that detection uses, for one video of T snippets. Class index 0 is the background."""

    attention: Tensor  # (T,) in [0, 1]; thresholded to proposals
    activation: Tensor  # (T, C+1), the temporal class activation map (T-CAM)
    probability: Tensor  # (C+1,), of the video's classes
    score: Tensor | None = None  # (T, C+1), whose mean scores a proposal (Eq. 12); None: attention x activation
    segments: Tensor | None = None  # (N, 4) class index, start, end (snippets, end exclusive), score: boundaries of
    # the method's own, for `--proposals own`


@dataclass(frozen=True)
class NoSettings:
    """Settings of a method without settings."""


class Method(nn.Module):
    """Base class of all methods. Subclasses implement `forward`, `losses` and `read`."""

    Settings: ClassVar[type] = NoSettings  # a frozen dataclass; each field is set by --set name=value
    WEIGHTS: ClassVar[Mapping[str, str]] = {}  # loss term -> the setting that is its weight; other terms have weight 1
    stackable: ClassVar[bool] = True  # whether several models can train in one vmap
    DETECTION: ClassVar[Mapping[str, Any]] = {}  # fields of DetectionSettings that its paper uses
    TRAINING: ClassVar[Mapping[str, Any]] = {}  # fields of Settings that it needs, such as a batch of several videos
    steps: int = 1  # of the whole training, for a method that changes along it

    def __init__(self, width: int, classes: int, settings: Any):
        """A model of features of `width` for `classes` classes plus background; settings: an instance of Settings."""
        super().__init__()
        self.width, self.classes, self.settings = width, classes, settings

    def forward(self, x: Tensor) -> HasAttention:
        """The outputs for snippets x (N, d), which may belong to several concatenated videos."""
        raise NotImplementedError

    def outputs(self, videos: Packed) -> HasAttention:
        """`forward` for packed videos. A method that looks along time implements this one in its place."""
        return self(videos.features)

    def losses(self, readout: Any, videos: Packed) -> dict[str, Tensor]:
        """Loss term -> (B,), one unweighted value per video. readout: outputs(videos).

        The loss is the weighted sum of all terms, averaged over the videos. Compute terms of weight 0 too: runs with
        other weights may train in the same stack.
        """
        raise NotImplementedError

    def read(self, x: Tensor) -> Reading:
        """The outputs for one video's snippets (T, d)."""
        raise NotImplementedError

    @classmethod
    def advice(cls, settings: Any, symptom: Symptom) -> str:
        """Which of the method's options to change when the attention collapses; "" for no advice."""
        return ""


def check(*conditions: tuple[bool, str]) -> None:
    """Raises BadInput with the message of the first condition that does not hold."""
    for holds, message in conditions:
        if not holds:
            raise BadInput(message)
