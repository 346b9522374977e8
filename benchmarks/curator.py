"""A simulated curator for benchmarks/curation.py: what looking costs and how often it errs. Assumptions, with reasons.

Seconds: 3.6 for a clip alone is the paper's own pace (2,000 clips in under two hours), 0.6 for a glance at a clip among
others was set with the task. Marking a tile is pointing and clicking, 1.1 + 2 x 0.1 s, and Enter a key, 0.28 s (the
keystroke-level model, Card, Moran & Newell 1980); a Shift-click range is two clicks, whatever its length. The next page
plays after 1 s.

Errors follow signal detection theory (Green & Swets 1966): a clip gives evidence of being wrong, normal with spread 1
around +-d'/2, and is called wrong above a criterion. Unhurried 2 % of either kind go wrong where both kinds are equally
frequent: so many easy targets are missed in visual search without hurry (Rich et al. 2008; 2.5 % in a hurry). For a
glance at one of 24 moving tiles twice their hurried rate, 5 %, is assumed. Rare things are missed more often: at 2 %
prevalence 5 % unhurried and 14 % in a hurry (same source), which is .45 and .9 of the shift of criterion that would be
best; the same shift calls fewer frequent things rare. What is hard at a glance is hard alone too (evidence correlates
by .5), and what the model takes for wrong looks somewhat wrong to a person (.3). A person hesitates where the evidence
lies within half a spread of the criterion, at a glance at about one tile in nine. No fatigue is assumed for anybody; it
would weigh most on the longest session, which is the paper's way.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

NORMAL = NormalDist()


@dataclass(frozen=True)
class Person:
    """Seconds and error rates; see above."""

    single_s: float = 3.6
    glance_s: float = 0.6
    click_s: float = 1.3
    mark_s: float = 1.3  # of a single tile
    key_s: float = 0.28
    page_s: float = 1.0
    single_error: float = 0.02
    glance_error: float = 0.05
    single_shift: float = 0.45
    glance_shift: float = 0.9
    doubt: float = 0.5
    same_clip: float = 0.5
    as_model: float = 0.3


class Curator:
    """One person in front of the same clips: decisions and the seconds they take."""

    def __init__(self, person: Person, wrong: np.ndarray, model: np.ndarray, seed: int):
        """wrong (N,) bool, the truth; model (N,): what makes a model take a clip for wrong, mean 0 and spread 1."""
        draws = np.random.default_rng([seed, 11])
        self.person, self.seconds = person, 0.0
        hard = person.as_model * model + np.sqrt(person.same_clip - person.as_model**2) * draws.normal(size=len(wrong))
        own = np.sqrt(1 - person.same_clip) * draws.normal(size=(2, len(wrong)))
        side = np.where(wrong, 0.5, -0.5)
        self._sharpness = [-2 * NORMAL.inv_cdf(error) for error in (person.single_error, person.glance_error)]
        self._evidence = [side * sharp + hard + noise for sharp, noise in zip(self._sharpness, own, strict=True)]
        self._wrong = wrong

    def look_alone(self, clips: np.ndarray, share_wrong: float) -> np.ndarray:
        """(n,) bool, called wrong, each looked at alone. share_wrong: what the person is used to."""
        self.seconds += self.person.single_s * len(clips)
        return self._margin(0, clips, share_wrong, self.person.single_shift) > 0

    def glance(self, clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n,) bool, called wrong, and (n,) bool, in doubt, of one page of a grid; nothing is marked yet."""
        self.seconds += self.person.glance_s * len(clips) + self.person.page_s
        share = (self._wrong[clips].sum() + 1) / (len(clips) + 2)
        margin = self._margin(1, clips, share, self.person.glance_shift)
        return margin > 0, np.abs(margin) < self.person.doubt

    def mark(self, marked: np.ndarray) -> None:
        """Mark tiles one by one, or a run of them by its two ends and mend what is wrong then; and Enter."""
        before = np.concatenate([[0], np.cumsum(np.where(marked, 1, -1))])  # a run spares a mark a marked tile in it
        spared = (before - np.minimum.accumulate(before)).max() * self.person.mark_s - 2 * self.person.click_s
        self.seconds += marked.sum() * self.person.mark_s - max(0.0, spared) + self.person.key_s

    def _margin(self, look: int, clips: np.ndarray, share_wrong: float, shift: float) -> np.ndarray:
        """(n,) how far the evidence lies above the criterion."""
        criterion = shift * np.log((1 - share_wrong) / share_wrong) / self._sharpness[look]
        return self._evidence[look][clips] - criterion
