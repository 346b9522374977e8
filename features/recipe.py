"""The recipe: every setting that decides what a feature means.

Two feature files may be mixed in training when their recipe hashes are equal.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from core.errors import BadInput
from features.snippets import SNIPPET_LENGTH


@dataclass(frozen=True)
class Recipe:
    """How a video becomes snippets. The defaults are the paper's where it says, else the field's."""

    fps: float = 25.0  # by timestamp, never by re-encoding (paper; DeepMind's kinetics-i3d)
    short_side: int = 256  # pixels, bilinear, before cropping and before flow (kinetics-i3d)
    crop: int = 224  # pixels, centre
    length: int = SNIPPET_LENGTH  # frames a snippet (paper)
    stride: int = SNIPPET_LENGTH  # frames between snippets (paper: not overlapping); 4 and 8 overlap
    # Farneback: the paper names OpenCV's and gives no parameters; these are OpenCV's tutorial's and mmaction2's.
    flow_pyramid_scale: float = 0.5
    flow_levels: int = 3
    flow_window: int = 15
    flow_iterations: int = 3
    flow_poly_n: int = 5
    flow_poly_sigma: float = 1.2
    flow_bound: float = 20.0  # pixels a frame: clipped to +-bound, then scaled to +-1 (kinetics-i3d)
    flow_quantise: Literal["round128", "none"] = "round128"  # 256 levels, as flow stored in JPEGs had (video_features)

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.length:
            raise BadInput(f"the stride must be 1 to {self.length} frames, not {self.stride}")

    def hash(self, weights: Mapping[str, str]) -> str:
        """16 hex digits that are equal when features are comparable.

        weights: stream -> name and hash of its network's weights, including how a flow network was made from an RGB
        one. The stride is left out: it decides how densely a video is sampled, not what a snippet's feature is.
        """
        settings = {name: value for name, value in asdict(self).items() if name != "stride"}
        text = json.dumps({"recipe": settings, "weights": dict(weights)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
