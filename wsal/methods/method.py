"""What a method is. To write your own, copy bm.py or stpn.py and name it `--method my_module:MyClass`.

A method is written as ONE model of one stream, in plain autograd: `forward` turns snippets into what the losses and the
detection read, `losses` gives the terms of the objective, `read` what detection uses of a video. Training runs several
models at once by torch.func.vmap over their parameters; what cannot go through vmap (`.item()`, boolean indexing by
what the model computes) still trains with `stackable = False`, model by model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from torch import Tensor, nn

from plusmv.core.errors import BadInput
from plusmv.wsal.packing import Packed

Symptom = Literal["high", "low", "flat"]  # of an attention that does not separate the snippets


class HasAttention(Protocol):
    """What `forward` returns: anything with the attention, which the curves of the training show."""

    @property
    def attention(self) -> Tensor: ...  # (N,) in [0, 1]


class Reading(NamedTuple):
    """What detection uses of one video of T snippets. Class index 0 is the background."""

    attention: Tensor  # (T,) in [0, 1]; its thresholds make the proposals
    activation: Tensor  # (T, C+1), the temporal class activation map (T-CAM)
    probability: Tensor  # (C+1,), of the video's classes
    score: Tensor | None = None  # (T, C+1), whose mean scores a proposal (Eq. 12); None: attention x activation


@dataclass(frozen=True)
class NoSettings:
    """Settings of a method that has none."""


class Method(nn.Module):
    """Base of all methods. Only `forward`, `losses` and `read` have to be written."""

    Settings: ClassVar[type] = NoSettings  # a frozen dataclass; each field is set by --set name=value
    WEIGHTS: ClassVar[Mapping[str, str]] = {}  # loss term -> the setting that weighs it; other terms weigh 1
    stackable: ClassVar[bool] = True  # whether several models train in one vmap

    def __init__(self, width: int, classes: int, settings: Any):
        """A model of features of `width` for `classes` classes beside the background; settings: of type Settings."""
        super().__init__()
        self.width, self.classes, self.settings = width, classes, settings

    def forward(self, x: Tensor) -> HasAttention:
        """What the model makes of snippets x (N, d), which may be those of several videos, one after the other."""
        raise NotImplementedError

    def losses(self, readout: Any, videos: Packed) -> dict[str, Tensor]:
        """Loss term -> (B,), one value a video, not yet weighted. readout: what `forward` made of videos.features.

        The loss is the sum of all terms, each times its weight, averaged over the videos. Whether a weight is 0 is not
        to be asked here: runs with other weights may train in the same stack.
        """
        raise NotImplementedError

    def read(self, x: Tensor) -> Reading:
        """One video's snippets (T, d) as detection sees them."""
        raise NotImplementedError

    @classmethod
    def advice(cls, settings: Any, symptom: Symptom) -> str:
        """Which of the method's own options to change when the attention collapses; "" for none."""
        return ""


def check(*conditions: tuple[bool, str]) -> None:
    """Raises BadInput with the message of the first condition that does not hold."""
    for holds, message in conditions:
        if not holds:
            raise BadInput(message)
