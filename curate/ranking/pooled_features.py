"""One vector a clip for suspicion: its snippets' mean and spread, as an action comes and goes, and their classes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from plusmv.core.errors import Missing
from plusmv.core.workspace import Workspace
from plusmv.features.classify import kinetics_logits
from plusmv.features.feature_files import read_features
from plusmv.features.weights import load

Kind = tuple[str | None, tuple[tuple[str, int], ...]]


@dataclass(frozen=True)
class Pooled:
    """Over a clip's snippets. Vectors of one kind (recipe, streams, widths) can be compared."""

    kind: Kind
    vector: np.ndarray  # (d,) means and standard deviations of all streams
    rgb: np.ndarray | None  # (1024,)
    rgb_weights: str | None  # the label of the network that made it
    sha256: str  # of the clip


def read_pooled(workspace: Workspace, sha256: str) -> Pooled:
    """Pool a clip's features. Raises NoFeatures where there are none, BadInput for a damaged file."""
    features = read_features([workspace.features], sha256)
    means = {name: features.streams[name].mean(axis=0) for name in sorted(features.streams)}
    spreads = [features.streams[name].std(axis=0) for name in means]
    kind = (features.recipe, tuple((name, len(mean)) for name, mean in means.items()))
    vector = np.concatenate([*means.values(), *spreads])
    return Pooled(kind, vector, means.get("rgb"), features.weights.get("rgb"), sha256)


def commonest_kind(pooled: Iterable[Pooled]) -> Kind | None:
    """The kind that most of these are of."""
    counts = Counter(each.kind for each in pooled)
    return max(counts, key=lambda kind: (counts[kind], str(kind))) if counts else None


def vectors(pooled: Mapping[int, Pooled], kind: Kind | None) -> tuple[np.ndarray, np.ndarray]:
    """Ids (N,) and vectors (N, d) of the clips whose features are of this kind."""
    fitting = {clip_id: each.vector for clip_id, each in pooled.items() if each.kind == kind}
    stacked = np.stack(list(fitting.values())) if fitting else np.zeros((0, 1), np.float32)
    return np.array(list(fitting), dtype=np.int64), stacked


class Classifier:
    """Kinetics-400 logits of clips whose RGB features the Kinetics weights made; none without those weights."""

    def __init__(self) -> None:
        try:
            self.label: str | None = load("rgb").label
            self.why_not = ""
        except Missing as error:
            self.label, self.why_not = None, str(error)

    def logits(self, pooled: Mapping[int, Pooled]) -> tuple[np.ndarray, np.ndarray]:
        """Ids (N,) and logits (N, 400)."""
        ours = {key: p.rgb for key, p in pooled.items() if p.rgb is not None and p.rgb_weights == self.label}
        if self.label is None or not ours:
            return np.zeros(0, dtype=np.int64), np.zeros((0, 400))
        return np.array(list(ours), dtype=np.int64), kinetics_logits(np.stack(list(ours.values())))
