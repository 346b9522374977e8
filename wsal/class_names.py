"""Labels that are no class of the annotations: why a microvideo adds nothing, and which class was probably meant.

Labels are compared as they stand; only what is offered as the nearest class ignores letter case and spacing.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from plusmv.core.annotations import AnnotatedVideo
from plusmv.wsal.datasets import labels_of

ALIKE = 0.6  # difflib's ratio: soccerjuggling and Juggling .73, GolfSwing and TennisSwing .6, Diving and Juggling .43
SHOWN = 8  # names that a message lists


def nearest_class(label: str, classes: Iterable[str]) -> str | None:
    """The class whose name is nearest in spelling; None where none is near."""
    plain = {_plain(name): name for name in classes}
    found = difflib.get_close_matches(_plain(label), plain, 1, ALIKE)
    return plain[found[0]] if found else None


def unknown_labels(labels: Sequence[str], classes: Sequence[str]) -> str:
    """Why a video none of whose labels is a class is left out."""
    if not labels:
        return "it has no label"
    return f"none of its labels is a class of the annotations: {', '.join(offered(labels, classes))}"


def no_microvideo(
    microvideos: Mapping[str, AnnotatedVideo], classes: Sequence[str], left_out: Mapping[str, str]
) -> str:
    """The message that no microvideo can be trained on: for its label, or for the first reason."""
    labels = sorted({label for video in microvideos.values() for label in labels_of(video)})
    if set(labels) & set(classes):
        reason = next(left_out[video] for video in microvideos if video in left_out)
        return f"none of the {len(microvideos)} microvideos can be trained on: {reason}"
    return (
        f"none of the {len(microvideos)} microvideos has a label of the annotations: they are labelled"
        f" {_listed(offered(labels, classes))}, and the classes are {_listed(classes)}; rename one or the other"
    )


def offered(labels: Iterable[str], classes: Sequence[str]) -> list[str]:
    """The labels, each with the class that was probably meant."""
    nearest = {label: nearest_class(label, classes) for label in labels}
    return [f"{label} (did you mean {name}?)" if name else label for label, name in nearest.items()]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
