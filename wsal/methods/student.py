"""A second round on own pseudo-labels with a predicted uncertainty, after ASM-Loc (CVPR 2022) and FuSTAL's student.

Two teachers, the paper's method on the features and on what of them changes within a video, learn from video-level
labels. Within a scene these do not tell an action from its context: the teachers find the axis between the two, its
sign is a coin (LOG.md, 2026-11-29). Two running means over the training videos choose it for each class: whether the
teachers agree within a video (else the second one's sign is turned), and whether the videos' first snippets lie on
the action's side (if so, both are turned: a video begins before its action, though a microvideo need not). After a
share of the steps a student, two convolutions over 3 snippets, learns the teachers' segmentation as soft labels. Its
T-CAM is the method's; the video's label is the first teacher's.

Agrees with ASM-Loc: each snippet's loss is e^-u L + beta u with a predicted u.
Does not: one training in place of a new model a round; no attention within and between segments; the labels are soft,
not multi-scale detections, and L their Kullback-Leibler divergence; u >= 0, so that no snippet weighs more than 1.

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

SIGMA = 1.0  # snippets, of the Gaussian over the teachers' T-CAM
SHARPNESS = 1.5  # of the sigmoid that makes soft labels of standard scores
RATE = 0.1  # of the running means


@dataclass(frozen=True)
class StudentSettings(BMSettings):
    """The teachers' settings and the student's own."""

    warmup: float = 0.3  # share of the steps before the student begins
    uncertainty_weight: float = 0.2  # beta
    units: int = 128  # the student's hidden width
    dropout: float = 0.5  # of the student's hidden units

    def __post_init__(self) -> None:
        super().__post_init__()
        check(
            (self.uncertainty_weight >= 0, "loss weights must not be negative"),
            (0 <= self.warmup < 1 and 0 <= self.dropout < 1, "warmup and dropout must be at least 0 and below 1"),
            (self.units >= 1, "the student's width must be positive"),
        )


class Readout(NamedTuple):
    """The model's outputs for N snippets."""

    attention: Tensor  # (N,), the student's probability of any action
    activation: Tensor  # (N, C+1), the student's logits
    uncertainty: Tensor  # (N,), u >= 0
    teachers: tuple[TeacherReadout, ...]  # on the features, and on their changes within the video


class Student(Method):
    """One stream's teachers and student."""

    Settings: ClassVar[type] = StudentSettings
    WEIGHTS: ClassVar[dict[str, str]] = BM.WEIGHTS | {"uncertainty": "uncertainty_weight"}
    DETECTION: ClassVar[dict[str, Any]] = {"proposals": "two-sided", "overlap": 0.4}
    settings: StudentSettings
    teachers: Any  # two models of BM
    done: Tensor  # steps
    agreement: Tensor  # (C+1,), running mean of the teachers' correlation within a video
    opening: Tensor  # (C+1,), running mean of their standard score at a video's first snippet

    def __init__(self, width: int, classes: int, settings: StudentSettings):
        super().__init__(width, classes, settings)
        self.teachers = nn.ModuleList([BM(width, classes, settings), BM(width, classes, settings)])
        self.first, self.second = Convolution(width, settings.units), Convolution(settings.units, classes + 1)
        self.uncertainty = nn.Linear(settings.units, 1)
        self.dropout = nn.Dropout(settings.dropout)
        self.register_buffer("done", torch.zeros(()))
        self.register_buffer("agreement", torch.zeros(classes + 1))
        self.register_buffer("opening", torch.zeros(classes + 1))

    def outputs(self, videos: Packed) -> Readout:
        hidden = self.dropout(self.first(videos.features, videos).relu())
        logits = self.second(hidden, videos)  # (N, C+1)
        teachers = tuple(teacher.outputs(view) for teacher, view in self.views(videos))
        return Readout(1 - logits.softmax(-1)[:, 0], logits, F.softplus(self.uncertainty(hidden)[:, 0]), teachers)

    def views(self, videos: Packed) -> list[tuple[Any, Packed]]:
        return list(zip(self.teachers, (videos, changes_within(videos)), strict=True))

    def losses(self, readout: Readout, videos: Packed) -> dict[str, Tensor]:
        """The sum of the teachers' terms, and the student's: name -> (B,)."""
        terms: dict[str, Tensor] = {}
        for (teacher, view), read in zip(self.views(videos), readout.teachers, strict=True):
            terms = {name: term + terms.get(name, 0) for name, term in teacher.losses(read, view).items()}
        labels = self.soft_labels(readout, videos)
        divergence = (labels * (labels.clamp_min(1e-9).log() - readout.activation.log_softmax(-1))).sum(-1)
        weight = (self.done >= self.settings.warmup * self.steps) * (-readout.uncertainty).exp()
        if self.training:
            self.done.add_(1)
        return terms | {"pseudo": videos.mean(weight * divergence), "uncertainty": videos.mean(readout.uncertainty)}

    @torch.no_grad()
    def soft_labels(self, readout: Readout, videos: Packed) -> Tensor:
        """(N, C+1) label distributions: the video's labels times how far a snippet lies on the action's side."""
        one, other = (standard_scores(teacher.activation, videos, SIGMA) for teacher in readout.teachers)
        labels = (videos.targets > 0).to(one.dtype)
        self.follow(self.agreement, videos.shares @ (one * other), labels)
        both = standard_scores(one + torch.where(self.agreement < 0, -other, other), videos)
        self.follow(self.opening, both[videos.counts.cumsum(0) - videos.counts], labels)
        action = videos.targets[videos.owner] * (SHARPNESS * torch.where(self.opening > 0, -both, both)).sigmoid()
        return torch.cat([1 - action[:, 1:].sum(-1, keepdim=True), action[:, 1:]], dim=-1)

    def follow(self, running: Tensor, values: Tensor, labels: Tensor) -> None:
        """Move a running mean (C+1,) towards the values (B, C+1) of the videos with the class."""
        if self.training:
            running.add_(RATE * (labels * (values - running)).sum(0) / labels.sum(0).clamp_min(1))

    def read(self, x: Tensor) -> Reading:
        video = Packed([x], x.new_zeros(1, self.classes + 1))
        readout = self.outputs(video)
        probability = self.teachers[0].read(x).probability
        margin = readout.activation - readout.activation[:, :1]  # over the background; the same softmax
        return Reading(readout.attention, margin, probability)


def changes_within(videos: Packed) -> Packed:
    """The same videos with each one's mean taken off its features."""
    relative = copy.copy(videos)
    relative.features = videos.features - (videos.shares @ videos.features)[videos.owner]
    return relative


def standard_scores(signals: Tensor, videos: Packed, sigma: float = 0.0) -> Tensor:
    """(N, K) signals, smoothed by sigma, with mean 0 and deviation 1 within each video; 0 for a constant one."""
    smooth = videos.smooth(signals.T, sigma).T
    centred = smooth - (videos.shares @ smooth)[videos.owner]
    return centred / (videos.shares @ centred.square()).sqrt().clamp_min(1e-6)[videos.owner]
