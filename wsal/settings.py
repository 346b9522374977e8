"""The settings of a training run: the paper's value and where it stands, kept in every checkpoint."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from plusmv.core.errors import BadInput

WIDEST_SIGMA = 1000  # snippets, over ten minutes; the kernel holds six times as many
PER_RUN_FIELDS = {  # in which the runs of one stack may differ
    "method",
    "background_weight",
    "guide_weight",
    "cluster_weight",
    "sparsity_weight",
    "pool",
    "detach",
    "seed",
    "order_seed",
}


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
    centre: float = 8.0  # features to z-scores, scaled to this length on average; 0 leaves them raw, as in the paper
    detach: bool = True  # whether L_guide's targets hold still; the paper does not say
    bias: bool = False  # of the classifier; Eq. 2 has none
    sigma: float = 1.0  # snippets, of G in Eq. 6; the paper gives none
    hidden: int = 256  # width of the attention's hidden layer
    lr: float = 1e-4  # Adam, as in the paper
    steps: int = 1000  # the last model is the result
    batch: int = 1  # videos a step, packed; the paper takes one
    mv_ratio: float | None = None  # share of the videos seen that are microvideos; None simply adds them, as the paper
    seed: int = 0  # of the initial weights
    order_seed: int | None = None  # of the order of the videos; None: seed. Runs trained as one stack share it

    def __post_init__(self):
        weights = (self.background_weight, self.guide_weight, self.cluster_weight, self.sparsity_weight)
        numbers = (*weights, self.centre, self.sigma, self.lr)
        for broken, message in (
            (not all(map(math.isfinite, numbers)), "learning rate, loss weights, centring and sigma must be finite"),
            (not self.streams, "name at least one stream, such as --streams rgb,flow"),
            (min(weights) < 0, "loss weights must not be negative; 0 switches a term off"),
            (self.method not in ("bm", "stpn"), f"there is no method {self.method!r}; use bm or stpn"),
            (self.pool not in ("mean", "norm"), f"there is no pooling {self.pool!r}; use mean or norm"),
            (
                self.lr <= 0 or min(self.steps, self.batch, self.hidden) < 1,
                "lr, steps, videos a step and hidden width must be positive",
            ),
            (min(self.seed, self.order_seed or 0) < 0, "seeds must not be negative"),
            (not 0 <= self.sigma <= WIDEST_SIGMA, f"sigma must be 0 to {WIDEST_SIGMA} snippets"),
            (self.centre < 0, "the length of centred features must not be negative"),
            (
                self.mv_ratio is not None and not 0 < self.mv_ratio < 1,
                "the microvideos' share of the steps must lie between 0 and 1",
            ),
        ):
            if broken:
                raise BadInput(message)

    @property
    def order(self) -> int:
        """The seed that decides the order of the videos."""
        return self.seed if self.order_seed is None else self.order_seed

    def shared(self) -> tuple:
        """What runs must have in common to be trained as one stack."""
        return (self.order, *(value for name, value in vars(self).items() if name not in PER_RUN_FIELDS))

    def term_weights(self) -> dict[str, float]:
        """The weights of the loss's terms (Eq. 11, or STPN's objective); terms that are switched off are left out."""
        if self.method == "stpn":
            weights = {"sparsity": self.sparsity_weight}
        else:
            weights = {"bg": self.background_weight, "guide": self.guide_weight, "cluster": self.cluster_weight}
        return {"fg": 1.0} | {name: weight for name, weight in weights.items() if weight}

    def to_json(self) -> dict:
        return dataclasses.asdict(self) | {"streams": list(self.streams)}

    @classmethod
    def from_json(cls, fields: dict) -> "Settings":
        return cls(**fields | {"streams": tuple(fields["streams"])})
