"""The catalog's tables of duplicates and leaks: fingerprints, what they are to each other, and what people ruled.

`db.models` names these too: import from there.
"""

import enum
from datetime import datetime

from sqlalchemy import BigInteger, Float, ForeignKey, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from plusmv.db.base import Base, FileState, Id, choice, now
from plusmv.db.people import holds


class EdgeKind(enum.StrEnum):
    """What one clip is to another: the same bytes, an edited copy, a part of it, or another moment of its scene.

    SHARED: the two have something in common, such as an intro or an end card, and neither lies in the other.
    """

    EXACT = "exact"
    COPY = "copy"
    PART = "part"
    SHARED = "shared"
    SAME_SCENE = "same-scene"


class RulingKind(enum.StrEnum):
    """What a person says of two clips, or of the clip that stands for its group. The newest of a pair counts.

    WITHDRAWN: what was said is taken back, and the pair (or the clip) is as if nobody had said anything.
    """

    NOT_DUPLICATE = "not-duplicate"
    DUPLICATE = "duplicate"
    KEEP_THIS = "keep-this"
    WITHDRAWN = "withdrawn"


class Fingerprint(Base):
    """What duplicates are found by, per clip and version of the algorithm; arrays as little-endian bytes."""

    __tablename__ = "fingerprints"
    __table_args__ = (UniqueConstraint("clip_id", "version"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id"))
    version: Mapped[str] = mapped_column(String(40), index=True, info=holds("nothing"))
    state: Mapped[FileState] = mapped_column(choice(FileState))
    error: Mapped[str | None] = mapped_column(Text, info=holds("words"))
    compared: Mapped[bool] = mapped_column(default=False)  # with every fingerprint of this version that was there then
    arrays: Mapped[bytes | None] = mapped_column(LargeBinary, info=holds("content"))


class DuplicateEdge(Base):
    """What clip a is to clip b (a has the lesser sha256, but for a PART a lies in b). t_b = speed * t_a + offset_s."""

    __tablename__ = "duplicate_edges"
    __table_args__ = (UniqueConstraint("a_id", "b_id", "version"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    a_id: Mapped[int] = mapped_column(ForeignKey("clips.id"))
    b_id: Mapped[int] = mapped_column(ForeignKey("clips.id"), index=True)
    version: Mapped[str] = mapped_column(String(40), index=True, info=holds("nothing"))
    kind: Mapped[EdgeKind] = mapped_column(choice(EdgeKind))
    offset_s: Mapped[float] = mapped_column(Float, default=0.0)
    speed: Mapped[float] = mapped_column(Float, default=1.0)
    mirror: Mapped[bool] = mapped_column(default=False)
    turn: Mapped[int] = mapped_column(default=0)  # degrees clockwise that lead from a's pictures to b's, once mirrored
    score: Mapped[float] = mapped_column(Float)
    overlap_s: Mapped[float] = mapped_column(Float, default=0.0)  # of b
    correlation: Mapped[float] = mapped_column(Float, default=0.0)
    inliers: Mapped[int] = mapped_column(default=0)  # keypoints


class DuplicateRuling(Base):
    """What a person ruled of two clips (a has the lesser id), or KEEP_THIS of one; never changed, the newest counts.

    WITHDRAWN names the ruling that it takes back.
    """

    __tablename__ = "duplicate_rulings"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[RulingKind] = mapped_column(choice(RulingKind))
    a_id: Mapped[int] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"), index=True)
    b_id: Mapped[int | None] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"), index=True)
    annotator: Mapped[str] = mapped_column(String(200), info=holds("nothing"))
    request_id: Mapped[str | None] = mapped_column(
        String(40), unique=True, index=True, info=holds("nothing")
    )  # once, however often sent
    ruled_at: Mapped[datetime] = mapped_column(default=now)
    undoes_id: Mapped[int | None] = mapped_column(ForeignKey("duplicate_rulings.id", ondelete="CASCADE"), unique=True)
    undone_by: Mapped["DuplicateRuling | None"] = relationship(back_populates="undoes", uselist=False)
    undoes: Mapped["DuplicateRuling | None"] = relationship(back_populates="undone_by", remote_side=[id])


class BenchmarkVideo(Base):
    """A video of a benchmark that clips may be cut from: its fingerprint, and up to which clip's it was compared."""

    __tablename__ = "benchmark_videos"
    __table_args__ = (UniqueConstraint("name", "version"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(500), info=holds("nothing"))
    subset: Mapped[str] = mapped_column(String(80), info=holds("nothing"))
    test: Mapped[bool]  # whether results are reported on it
    sha256: Mapped[str] = mapped_column(String(64), info=holds("nothing"))  # of the file
    version: Mapped[str] = mapped_column(String(40), info=holds("nothing"))
    state: Mapped[FileState] = mapped_column(choice(FileState))
    error: Mapped[str | None] = mapped_column(Text, info=holds("nothing"))
    arrays: Mapped[bytes | None] = mapped_column(LargeBinary, info=holds("nothing"))
    checked_to: Mapped[int] = mapped_column(BigInteger, default=0)  # the id of a row of fingerprints


class Leak(Base):
    """What a clip is to a benchmark's video: t_video = speed * t_clip + offset_s."""

    __tablename__ = "leaks"
    __table_args__ = (UniqueConstraint("clip_id", "video_id"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"))
    video_id: Mapped[int] = mapped_column(ForeignKey("benchmark_videos.id", ondelete="CASCADE"), index=True)
    kind: Mapped[EdgeKind] = mapped_column(choice(EdgeKind))
    offset_s: Mapped[float] = mapped_column(Float)
    speed: Mapped[float] = mapped_column(Float)
    mirror: Mapped[bool]
    turn: Mapped[int] = mapped_column(default=0)  # degrees clockwise, as of a DuplicateEdge
    score: Mapped[float] = mapped_column(Float)
    overlap_s: Mapped[float] = mapped_column(Float)
    correlation: Mapped[float] = mapped_column(Float)
    inliers: Mapped[int]
