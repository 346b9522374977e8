"""Which clips have near I3D features: further candidates for duplicates, only where asked for (plusmv dedup --i3d).

A clip is the mean over time of its RGB features, of length 1; two are near or not by these two alone, never by rank.
Means and edges stand under a version of their own, with the recipe in it: what dedup finds by fingerprints never
depends on which features were computed.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from plusmv.core.errors import BadInput, Missing, PlusmvError
from plusmv.curate.duplicates.fingerprint import VERSION
from plusmv.db.models import Clip, FeatureFile, FileState, Fingerprint
from plusmv.features.feature_files import read_features

NEAR = 0.9  # cosine


def i3d_version(session: Session) -> str:
    """The algorithm's version with these features. Raises Missing without any, BadInput where they have two recipes."""
    made = select(FeatureFile.recipe, FeatureFile.stride).where(
        FeatureFile.state == FileState.DONE, FeatureFile.streams.contains("rgb")
    )
    recipes = session.execute(made.distinct()).all()
    if not recipes:
        raise Missing("no clip has I3D features of the RGB stream; make some with plusmv extract")
    if len(recipes) > 1:
        raise BadInput(f"the clips' features are of {len(recipes)} recipes; extract all by one before --i3d")
    basis = f"{recipes[0].recipe} {recipes[0].stride} {NEAR}"
    return f"{VERSION}+i3d-{hashlib.sha256(basis.encode()).hexdigest()[:8]}"


def new_means(session: Session, folder: Path, version: str) -> Iterator[tuple[int, str, np.ndarray | None]]:
    """(clip id, sha256, (d,) float32) of every fingerprinted clip without a mean yet; None where it has no features."""
    known = select(Fingerprint.clip_id).where(Fingerprint.version == version)
    usable = (Fingerprint.version == VERSION) & (Fingerprint.state == FileState.DONE)
    rows = select(Clip.id, Clip.sha256).join(Fingerprint, Fingerprint.clip_id == Clip.id)
    for clip_id, sha256 in session.execute(rows.where(usable, Clip.id.not_in(known)).order_by(Clip.id)).all():
        try:
            mean = read_features([folder], sha256).streams["rgb"].mean(axis=0, dtype=np.float32)
        except (PlusmvError, KeyError):
            yield clip_id, sha256, None
        else:
            yield clip_id, sha256, mean / max(float(np.linalg.norm(mean)), 1e-9)


def near(means: np.ndarray, row: int) -> np.ndarray:
    """The other rows of means (N, d), each of length 1, that are near one: int."""
    rows = np.flatnonzero(means @ means[row] >= NEAR)
    return rows[rows != row]
