"""A second round on own pseudo-labels with a predicted uncertainty, after ASM-Loc (CVPR 2022) and FuSTAL's student.

Two teachers, the paper's method on the features and on what of them changes within a video, learn from video-level
labels. Within a scene these do not tell an action from its context, for "action minus context" and "context minus
action" predict the label equally well. One prior breaks the tie: a video begins before its action, so a video's first
snippet is background. After a share of the steps a student, two convolutions over 3 snippets, learns the teachers'
segmentation: snippets where their T-CAM against the background, smoothed and scaled within the video, is above a half
are the video's labels, all others background.

Agrees with ASM-Loc: the loss e^-u CE + beta u of each snippet with a predicted u.
Does not: one training in place of a new model a round; no attention within and between segments; the pseudo-labels are
one threshold's, not multi-scale detections; u is at least 0, so that no snippet weighs more than 1.

Shapes: N snippets of width d of B videos, C classes; class index 0 is the background.
"""

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plusmv.wsal.methods.bm import BM, BMSettings
from plusmv.wsal.methods.bm import Readout as TeacherReadout
from plusmv.wsal.methods.method import Method, Reading, check
from plusmv.wsal.methods.temporal import Convolution
from plusmv.wsal.packing import Packed


@dataclass(frozen=True)
class StudentSettings(BMSettings):
    """The teachers' settings and the student's own."""

    opening_weight: float = 1.0  # of the loss that a video's first snippet is background
    prior_weight: float = 0.01  # of the teachers' mean squared logit of the attention
    warmup: float = 0.3  # share of the steps before the student begins
    uncertainty_weight: float = 0.2  # beta
    units: int = 128  # the student's hidden width
    dropout: float = 0.5  # of the student's hidden units

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = (self.opening_weight, self.prior_weight, self.uncertainty_weight)
        check(
            (min(weights) >= 0, "loss weights must not be negative; 0 switches a term off"),
            (0 <= self.warmup < 1 and 0 <= self.dropout < 1, "warmup and dropout must be at least 0 and below 1"),
            (self.units >= 1, "the student's width must be positive"),
        )


class Readout(NamedTuple):
    """The model's outputs for N snippets."""

    attention: Tensor  # (N,), the student's probability of any action
    activation: Tensor  # (N, C+1), the student's logits
    uncertainty: Tensor  # (N,), u >= 0
    teachers: tuple[TeacherReadout, TeacherReadout]  # on features, and on their changes within the video


class Student(Method):
    """One stream's teachers and student."""

    Settings: ClassVar[type] = StudentSettings
    WEIGHTS: ClassVar[dict[str, str]] = BM.WEIGHTS | {
        "opening": "opening_weight",
        "prior": "prior_weight",
        "uncertainty": "uncertainty_weight",
    }
    DETECTION: ClassVar[dict[str, Any]] = {"proposals": "two-sided", "overlap": 0.4}
    settings: StudentSettings
    done: Tensor  # steps

    def __init__(self, width: int, classes: int, settings: StudentSettings):
        super().__init__(width, classes, settings)
        self.teachers = nn.ModuleList([BM(width, classes, settings), BM(width, classes, settings)])
        self.first, self.second = Convolution(width, settings.units), Convolution(settings.units, classes + 1)
        self.uncertainty = nn.Linear(settings.units, 1)
        self.dropout = nn.Dropout(settings.dropout)
        self.register_buffer("done", torch.zeros(()))

    def outputs(self, videos: Packed) -> Readout:
        hidden = self.dropout(self.first(videos.features, videos).relu())
        logits = self.second(hidden, videos)  # (N, C+1)
        teachers = tuple(teacher.outputs(view) for teacher, view in self.views(videos))
        return Readout(1 - logits.softmax(-1)[:, 0], logits, F.softplus(self.uncertainty(hidden)[:, 0]), teachers)

    def views(self, videos: Packed) -> list[tuple[BM, Packed]]:
        return list(zip(self.teachers, (videos, changes_within(videos)), strict=True))

    def losses(self, readout: Readout, videos: Packed) -> dict[str, Tensor]:
        """The sum of the teachers' terms, and the student's: name -> (B,)."""
        terms: dict[str, Tensor] = {}
        for (teacher, view), read in zip(self.views(videos), readout.teachers, strict=True):
            own = teacher.losses(read, view) | {
                "opening": -read.activation.log_softmax(-1)[first_snippets(videos), 0],
                "prior": videos.mean(read.attention.logit(1e-6).square()),
            }
            terms = {name: term + terms.get(name, 0) for name, term in own.items()}
        weight = (self.done >= self.settings.warmup * self.steps) * (-readout.uncertainty).exp()
        labels = pseudo_labels([read.activation for read in readout.teachers], videos)
        terms["pseudo"] = videos.mean(-weight * (labels * readout.activation.log_softmax(-1)).sum(-1))
        terms["uncertainty"] = videos.mean(readout.uncertainty)
        if self.training:
            self.done.add_(1)
        return terms

    def read(self, x: Tensor) -> Reading:
        video = Packed([x], x.new_zeros(1, self.classes + 1))
        readout = self.outputs(video)
        return Reading(readout.attention, readout.activation, self.teachers[0].read(x).probability)


def changes_within(videos: Packed) -> Packed:
    """The same videos with each one's mean taken off its features."""
    relative = copy.copy(videos)
    relative.features = videos.features - (videos.shares @ videos.features)[videos.owner]
    return relative


def first_snippets(videos: Packed) -> Tensor:
    """(B,) index of each video's first snippet."""
    return videos.counts.cumsum(0) - videos.counts


def pseudo_labels(tcams: list[Tensor], videos: Packed) -> Tensor:
    """(N, C+1) label distributions, constants, from T-CAMs (N, C+1) of any number of teachers."""
    labels = videos.targets[videos.owner]  # (N, C+1)
    over = [(labels * tcam.detach()).sum(-1) - tcam.detach()[:, 0] for tcam in tcams]  # action against background
    signal = torch.stack([scaled(videos.smooth(each, 1.0), videos) for each in over]).mean(0)  # (N,), 0 to 1
    background = torch.zeros_like(labels)
    background[:, 0] = 1
    return torch.where(signal[:, None] > 0.5, labels, background)


def scaled(signal: Tensor, videos: Packed) -> Tensor:
    """(N,) from 0 to 1 within each video; 0 throughout a constant one."""
    parts = []
    for part in signal.split(videos.lengths):
        least, most = part.amin(), part.amax()
        parts.append((part - least) / (most - least).clamp_min(1e-6))
    return torch.cat(parts)
