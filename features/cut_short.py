"""What is missing of a video file that was cut short: its index still names the whole length."""

from dataclasses import dataclass
from typing import TypedDict

LEAST_SECONDS, LEAST_SHARE = 0.5, 0.1  # missing of a video that is called cut short: both more than these


class CutShort(TypedDict):
    """In JSON: how many seconds of pictures are there, of how many that the file promises."""

    seconds: float
    promised: float


@dataclass(frozen=True)
class Lengths:
    """Seconds of a video stream: what it promises (0: nothing), and what there is of it."""

    promised: float
    there: float

    @property
    def cut_short(self) -> CutShort | None:
        missing = self.promised - self.there
        if self.there <= 0 or missing <= max(LEAST_SECONDS, LEAST_SHARE * self.promised):
            return None
        return {"seconds": self.there, "promised": self.promised}


def in_words(cut: CutShort) -> str:
    """As every command says it."""
    return f"cut short: {cut['seconds']:.1f} of {cut['promised']:.1f} s are there"
