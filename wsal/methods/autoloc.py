"""AutoLoc (Shou et al., ECCV 2018): boundaries predicted from the features, taught by contrast in the activation.

Agrees with the paper and its published code: three convolutions (width 3, 128 channels, normalised over the video,
leaky ReLU .1) and one of width 1 give each snippet a shift and a scale of each of six anchors of 1 to 32 snippets; the
outer-inner-contrastive (OIC) loss of a segment is the mean activation in the margin around it (a quarter of its length
on either side, at least one snippet) minus the mean inside, mapped to 0..1; each snippet of activation above .1 keeps
its best anchor, those of a loss above .7 are left out, non-maximum suppression at .4, and the mean of what is left is
the loss. Activation is the class's softmax, masked by the attention, from UntrimmedNets; no gradient enters it.
Does not: both parts train at once and by Adam; the mask is an attention weight above a tenth of the video's mean, not a
logit above 7; boundaries are not rounded, so that the integral is exact and the gradient autograd's; anchors are not
chosen with the help of true lengths, and nothing is trained on test videos, as in the published run.

Shapes: T snippets of width d, C classes, A anchors; class index 0, the background, is unused.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from plusmv.wsal.methods.method import Reading, check
from plusmv.wsal.methods.untrimmednets import Readout, UntrimmedNets, UntrimmedNetsSettings
from plusmv.wsal.packing import Packed
from plusmv.wsal.proposals import non_maximum_suppression

ANCHORS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # snippets
CHANNELS = 128
MIN_AREA = 1e-3  # snippets, of a segment that was clipped to nothing


@dataclass(frozen=True)
class AutoLocSettings(UntrimmedNetsSettings):
    """AutoLoc's own settings, as in its published configuration for THUMOS14."""

    inflate: float = 0.25  # length of the margin on either side, as a share of the segment's
    mask: float = 0.1  # not in the paper: attention weight, over the video's mean weight, above which a snippet counts
    foreground: float = 0.1  # activation above which a snippet predicts a segment
    worst: float = 0.7  # loss above which a segment is left out
    overlap: float = 0.4  # tIoU of non-maximum suppression in training

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = (self.foreground, self.worst, self.overlap)
        check(
            (self.inflate > 0 and self.mask >= 0, "inflate must be positive, and the mask's share not negative"),
            (0 <= min(shares) <= max(shares) <= 1, "foreground, worst and overlap must be 0 to 1"),
        )


class Segments(NamedTuple):
    """Segments of one video and one class."""

    boundaries: Tensor  # (K, 2), snippets, end exclusive
    loss: Tensor  # (K,), OIC from 0 to 1


class AutoLoc(UntrimmedNets):
    """One stream's model."""

    Settings: ClassVar[type] = AutoLocSettings
    DETECTION: ClassVar[Mapping[str, Any]] = {"proposals": "own", "overlap": 0.4}
    stackable: ClassVar[bool] = False  # non-maximum suppression within the loss
    settings: AutoLocSettings

    def __init__(self, width: int, classes: int, settings: AutoLocSettings):
        super().__init__(width, classes, settings)
        widths = (width, CHANNELS, CHANNELS)
        self.convolutions = nn.ModuleList(nn.Conv1d(each, CHANNELS, 3, padding=1, bias=False) for each in widths)
        self.gain, self.shift = nn.Parameter(torch.ones(3, CHANNELS, 1)), nn.Parameter(torch.zeros(3, CHANNELS, 1))
        self.boundaries = nn.Conv1d(CHANNELS, 2 * len(ANCHORS), 1)
        for convolution in self.convolutions:
            nn.init.kaiming_normal_(convolution.get_parameter("weight"))
        nn.init.normal_(self.boundaries.weight, std=0.01)
        nn.init.zeros_(self.boundaries.get_parameter("bias"))

    def predicted(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Inner and outer boundaries of each snippet's anchors from features (T, d): (T, A, 2) each."""
        hidden = x.T  # (d, T)
        for convolution, gain, shift in zip(self.convolutions, self.gain, self.shift, strict=True):
            hidden = convolution(hidden[None])[0]
            spread = (hidden.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
            hidden = F.leaky_relu(gain * (hidden - hidden.mean(1, keepdim=True)) / spread + shift, 0.1)
        moved, scaled = self.boundaries(hidden[None])[0].T.split(len(ANCHORS), 1)  # (T, A) each
        anchors = x.new_tensor(ANCHORS)
        centre = torch.arange(len(x), device=x.device)[:, None] + 0.5 + moved * anchors
        length = scaled.exp() * anchors
        margin = (self.settings.inflate * length).clamp_min(1)
        inner = torch.stack([centre - length / 2, centre + length / 2], -1)
        outer = torch.stack([inner[..., 0] - margin, inner[..., 1] + margin], -1)
        return clipped(inner, -1, len(x) + 1), clipped(outer, -2, len(x) + 2)

    def segments(self, x: Tensor, classes: Iterable[int]) -> Iterator[Segments]:
        """The segments of one video (T, d) for each of these classes, counted from 0."""
        _, selection, activation = self.heads(x)
        selected = selection.softmax(0) > self.settings.mask / len(x)
        signals = (activation.softmax(-1) * selected[:, None]).detach()  # (T, C)
        inner, outer = self.predicted(x)
        for signal in (signals[:, index] for index in classes):
            loss, anchor = oic_loss(signal, inner, outer).min(1)  # (T,) each
            stands = (signal > self.settings.foreground) & (loss <= self.settings.worst)
            best = inner.take_along_dim(anchor[:, None, None], 1)[:, 0]  # (T, 2)
            yield Segments(best[stands], loss[stands])

    def losses(self, readout: Readout, videos: Packed) -> dict[str, Tensor]:
        """The classification loss of UntrimmedNets, and the OIC loss: (B,) each; OIC 1 where no segment stands."""
        oic = []
        for x, target in zip(videos.features.split(videos.lengths), videos.targets, strict=True):
            kept = [self.kept(found) for found in self.segments(x, target[1:].nonzero()[:, 0].tolist())]
            loss = torch.cat([x.new_zeros(0), *kept])
            oic.append(loss.mean() if len(loss) else x.new_ones(()))
        return super().losses(readout, videos) | {"oic": torch.stack(oic)}

    def kept(self, segments: Segments) -> Tensor:
        """(K,): the losses of the segments that non-maximum suppression keeps."""
        boundaries, loss = (each.detach().cpu().numpy() for each in segments)
        places = non_maximum_suppression(boundaries, -loss, self.settings.overlap)
        return segments.loss[torch.from_numpy(places).to(segments.loss.device)]

    def read(self, x: Tensor) -> Reading:
        rows = []
        for index, (boundaries, loss) in enumerate(self.segments(x, range(self.classes)), 1):
            rows.append(torch.cat([torch.full_like(loss, index)[:, None], boundaries, 1 - loss[:, None]], 1))
        return super().read(x)._replace(segments=torch.cat(rows))


def clipped(boundaries: Tensor, low: float, high: float) -> Tensor:
    """Boundaries within low and high, whose gradient passes unchanged."""
    return boundaries + (boundaries.clamp(low, high) - boundaries).detach()


def integral(signal: Tensor, at: Tensor) -> Tensor:
    """Of a signal (T,) that is constant in each snippet and 0 outside, from 0 to `at` (...): (...)."""
    total = F.pad(signal.cumsum(0), (1, 0))  # (T+1,)
    at = at.clamp(0, len(signal))
    snippet = at.detach().long().clamp(max=len(signal) - 1)
    return total[snippet] + (at - snippet) * signal[snippet]


def oic_loss(signal: Tensor, inner: Tensor, outer: Tensor) -> Tensor:
    """(mean beside - mean inside + 1) / 2 of a signal (T,) for inner and outer boundaries (..., 2): (...)."""
    ends = [integral(signal, each) for each in (inner, outer)]  # (..., 2) each
    sums = [each[..., 1] - each[..., 0] for each in ends]
    lengths = [each[..., 1] - each[..., 0] for each in (inner, outer)]
    inside = sums[0] / lengths[0].clamp_min(MIN_AREA)
    beside = (sums[1] - sums[0]) / (lengths[1] - lengths[0]).clamp_min(MIN_AREA)
    return (beside - inside + 1) / 2
