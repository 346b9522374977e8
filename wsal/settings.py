"""The settings of a training run: the paper's value and where it stands, kept in every checkpoint."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from core.errors import BadInput

WIDEST_SIGMA = 1000  # snippets, over ten minutes; the kernel holds six times as many


@dataclass(frozen=True)
class Settings:
    """How the streams of one run are trained. Where a default is not the paper's, the comment says so, LOG.md why."""

    streams: tuple[str, ...] = ("rgb", "flow")  # trained apart from each other
    method: Literal["bm", "stpn"] = "bm"  # background modeling, or Table 1's baseline: L_fg + sparsity, no background
    background_weight: float = 0.1  # alpha of Eq. 11; 0 switches a term off
    guide_weight: float = 0.1  # beta of Eq. 11
    cluster_weight: float = 0.1  # gamma of Eq. 11
    sparsity_weight: float = 1e-4  # stpn only; not in the paper, from STPN's public reimplementation
    pool: Literal["mean", "norm"] = "norm"  # Eq. 1 divides by T ("mean"); "norm" divides by the attention's mass
    centre: float = 0.05  # features to z-scores times this; 0 leaves them raw, as in the paper
    detach: bool = True  # whether L_guide's targets hold still; the paper does not say
    bias: bool = False  # of the classifier; Eq. 2 has none
    sigma: float = 1.0  # snippets, of G in Eq. 6; the paper gives none
    hidden: int = 256  # width of the attention's hidden layer
    lr: float = 1e-4  # Adam, as in the paper
    steps: int = 1000  # one video each, as in the paper; the last model is the result
    mv_ratio: float | None = None  # share of the steps that see a microvideo; None simply adds them, as in the paper
    seed: int = 0

    def __post_init__(self):
        weights = (self.background_weight, self.guide_weight, self.cluster_weight, self.sparsity_weight)
        numbers = (*weights, self.centre, self.sigma, self.lr)
        for broken, message in (
            (not all(map(math.isfinite, numbers)), "learning rate, loss weights, centring and sigma must be finite"),
            (not self.streams, "name at least one stream, such as --streams rgb,flow"),
            (min(weights) < 0, "loss weights must not be negative; 0 switches a term off"),
            (self.method not in ("bm", "stpn"), f"there is no method {self.method!r}; use bm or stpn"),
            (self.pool not in ("mean", "norm"), f"there is no pooling {self.pool!r}; use mean or norm"),
            (self.lr <= 0 or self.steps < 1 or self.hidden < 1, "lr, steps and hidden width must be positive"),
            (not 0 <= self.sigma <= WIDEST_SIGMA, f"sigma must be 0 to {WIDEST_SIGMA} snippets"),
            (self.centre < 0, "the centring scale must not be negative"),
            (
                self.mv_ratio is not None and not 0 < self.mv_ratio < 1,
                "the microvideos' share of the steps must lie between 0 and 1",
            ),
        ):
            if broken:
                raise BadInput(message)

    def to_json(self) -> dict:
        return dataclasses.asdict(self) | {"streams": list(self.streams)}

    @classmethod
    def from_json(cls, fields: dict) -> "Settings":
        return cls(**fields | {"streams": tuple(fields["streams"])})
