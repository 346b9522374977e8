"""Settings of a training run, stored in its checkpoint: those shared by all methods, and the method's own.

Where the defaults differ from the paper, and why, see PAPER, the comments, and LOG.md. `plusmv train --paper` sets them
to the paper's letter: mean pooling over time (Eq. 1 as printed), raw features, one model a stream, no prior. The paper
leaves open: passes, the Gaussian's sigma, whether L_guide's targets are constants.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from plusmv.wsal.methods.find import find_method, method_settings
from plusmv.wsal.methods.method import check
from plusmv.wsal.views import views_of

PAPER = {"pool": "mean", "centre": 0.0, "relative": False, "prior_weight": 0.0}  # the letter where defaults differ
LEAST_VIDEOS, PASSES = 3000, 25  # seen in a training whose length is not given: whichever is more
PER_RUN_FIELDS = {"seed", "order_seed", "own"}  # may differ between the runs of a stack; of `own` only loss weights


@dataclass(frozen=True)
class Settings:
    """How the streams of one run are trained. Comments mark defaults that are not the paper's; see LOG.md."""

    streams: tuple[str, ...] = ("rgb", "flow")  # trained separately
    method: str = "bm"  # a name of methods.find.METHODS, or package.module:Class
    own: Any = None  # an instance of the method's Settings; None: its defaults
    centre: float = 8.0  # z-scores, scaled to this length on average; 0: raw features, as in the paper
    relative: bool = False  # a second model of each stream, on what changes within a video (wsal.views)
    lr: float = 1e-4  # Adam, as in the paper
    steps: int = 1000  # the model after the last step is the result
    batch: int = 1  # videos per step, packed; 1 in the paper
    mv_ratio: float | None = None  # share of the videos seen that are microvideos; None: in proportion, as in the paper
    seed: int = 0  # of the initial weights
    order_seed: int | None = None  # of the order of the videos; None: seed. Runs trained as one stack share it

    def __post_init__(self) -> None:
        if self.own is None:
            object.__setattr__(self, "own", method_settings(self.method, {}))
        check(
            (math.isfinite(self.centre) and math.isfinite(self.lr), "learning rate and centring must be finite"),
            (bool(self.streams), "name at least one stream, such as --streams rgb,flow"),
            (
                self.lr > 0 and min(self.steps, self.batch) >= 1,
                "lr, steps and videos per step must be positive",
            ),
            (min(self.seed, self.order_seed or 0) >= 0, "seeds must not be negative"),
            (self.centre >= 0, "the length of centred features must not be negative"),
            (
                self.mv_ratio is None or 0 < self.mv_ratio < 1,
                "the microvideos' share of the steps must lie between 0 and 1",
            ),
        )

    @classmethod
    def of(cls, **fields: Any) -> "Settings":
        """Settings from shared and own fields together, over what the method needs (Method.TRAINING).

        Raises BadInput for an unknown field.
        """
        method = fields.get("method", "bm")
        shared = {name: value for name, value in fields.items() if name in _SHARED}
        own = {name: value for name, value in fields.items() if name not in _SHARED}
        return cls(**{**find_method(method).TRAINING, **shared}, own=method_settings(method, own))

    def replaced(self, **fields: Any) -> "Settings":
        """These settings with some fields, shared or own, changed; another method starts from its defaults."""
        method = fields.get("method", self.method)
        own = vars(self.own) if method == self.method else {}
        kept = {name: getattr(self, name) for name in _SHARED}
        return Settings.of(**kept | own | fields)

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the models: each stream, and with `relative` each stream's changes."""
        return views_of(self.streams, self.relative)

    @property
    def order(self) -> int:
        """The seed of the order of the videos."""
        return self.seed if self.order_seed is None else self.order_seed

    def shared(self) -> tuple:
        """The part of the settings that runs of one stack have in common."""
        weights = set(find_method(self.method).WEIGHTS.values())
        own = tuple((name, value) for name, value in vars(self.own).items() if name not in weights)
        return (self.order, own, *(value for name, value in vars(self).items() if name not in PER_RUN_FIELDS))

    def term_weight(self, term: str) -> float:
        """The weight of a loss term; 1 if no setting weights it."""
        setting = find_method(self.method).WEIGHTS.get(term)
        return getattr(self.own, setting) if setting else 1.0

    def to_json(self) -> dict[str, Any]:
        shared = {name: getattr(self, name) for name in _SHARED}
        return shared | {"streams": list(self.streams)} | dataclasses.asdict(self.own)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Settings":
        """The inverse of to_json. Ignores fields of other methods, which earlier versions wrote too.

        Settings that earlier versions did not know take the value at which they change nothing.
        """
        own = {field.name for field in dataclasses.fields(find_method(fields["method"]).Settings)}
        fields = {"relative": False, "prior_weight": 0.0} | fields
        known = {name: value for name, value in fields.items() if name in own or name in _SHARED}
        return cls.of(**known | {"streams": tuple(fields["streams"])})


def paper_settings(method: str) -> dict[str, Any]:
    """The paper's values of the settings that a method has and whose defaults are not the paper's."""
    own = {field.name for field in dataclasses.fields(find_method(method).Settings)}
    return {name: value for name, value in PAPER.items() if name in own or name in _SHARED}


def steps_of(videos: int, batch: int, epochs: int | None = None, steps: int | None = None) -> int:
    """Steps of a training: as given, as so many passes over the videos, or by one rule for all data."""
    a_pass = -(-videos // batch)
    return steps or (epochs * a_pass if epochs else max(-(-LEAST_VIDEOS // batch), PASSES * a_pass))


_SHARED = [field.name for field in dataclasses.fields(Settings) if field.name != "own"]
