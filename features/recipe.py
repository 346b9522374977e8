"""The recipe: every setting that decides what a feature means.

Two feature files may be mixed in training when their recipe hashes are equal.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from plusmv.core.errors import BadInput
from plusmv.features.flow import FarnebackSettings
from plusmv.features.snippets import SNIPPET_LENGTH


@dataclass(frozen=True)
class Recipe:
    """How a video becomes snippets. The defaults are the paper's where it says, else the field's."""

    fps: float = 25.0  # by timestamp, never by re-encoding (paper; DeepMind's kinetics-i3d)
    short_side: int = 256  # pixels, bilinear, before cropping and before flow (kinetics-i3d)
    crop: int = 224  # pixels, centre
    length: int = SNIPPET_LENGTH  # frames a snippet (paper)
    stride: int = SNIPPET_LENGTH  # frames between snippets (paper: not overlapping); 4 and 8 overlap
    crops: Literal["centre", "ten"] = "centre"  # ten: corners and centre, each mirrored too, features averaged
    flow: FarnebackSettings = field(default_factory=FarnebackSettings)
    flow_bound: float = 20.0  # pixels a frame: clipped to +-bound, then scaled to +-1 (kinetics-i3d)
    flow_quantise: Literal["round128", "none"] = "round128"  # 256 levels, as flow stored in JPEGs had (video_features)

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.length:
            raise BadInput(f"the stride must be 1 to {self.length} frames, not {self.stride}")
        if not 1 <= self.fps <= 240:
            raise BadInput(f"the rate must be 1 to 240 frames a second, not {self.fps:g}")

    def settings(self) -> dict[str, Any]:
        """Every setting by name, for the feature file."""
        return asdict(self) | {"flow_algorithm": "Farneback (OpenCV)"}

    def hash(self, weights: Mapping[str, str]) -> str:
        """16 hex digits that are equal when features are comparable.

        weights: stream -> name and hash of its network's weights, including how a flow network was made from an RGB
        one. The stride is left out: it decides how densely a video is sampled, not what a snippet's feature is.
        """
        settings = {name: value for name, value in self.settings().items() if name != "stride"}
        text = json.dumps({"recipe": settings, "weights": dict(weights)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
