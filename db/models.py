"""The catalog's tables: one model file for SQLite and PostgreSQL.

Rows of decisions are only ever added: an undo is a new row that names the row it takes back. People's ids are stored as
keyed hashes (core.workspace.Workspace.keyed_hash). Times are UTC.
"""

import enum
from datetime import UTC, datetime
from typing import ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Enum,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC datetimes on both sides; SQLite itself would give naive ones back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value, dialect):
        if value is None or value.tzinfo is UTC:
            return value
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime reached the catalog: {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value, dialect):
        return value and (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC))


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


class Verdict(enum.StrEnum):
    """keep and mistagged belong to a clip under one action, duplicate and unusable to the clip."""

    KEEP = "keep"
    MISTAGGED = "mistagged"
    DUPLICATE = "duplicate"
    UNUSABLE = "unusable"
    UNDO = "undo"


class PostState(enum.StrEnum):
    """How a found post ended. FOUND is the state between being listed and being settled."""

    FOUND = "found"
    DOWNLOADED = "downloaded"
    FILTERED = "filtered"
    FAILED = "failed"
    GONE = "gone"
    TOMBSTONED = "tombstoned"


class FileState(enum.StrEnum):
    """Whether a clip decodes, or a feature file was made; FAILED comes with a reason."""

    DONE = "done"
    FAILED = "failed"


class EdgeKind(enum.StrEnum):
    """What one clip is to another: the same bytes, an edited copy, a part of it, another moment of its scene."""

    EXACT = "exact"
    COPY = "copy"
    PART = "part"
    SAME_SCENE = "same-scene"


class RulingKind(enum.StrEnum):
    """What a person says of two clips, or of the clip that stands for its group. The newest of a pair counts.

    WITHDRAWN: what was said is taken back, and the pair (or the clip) is as if nobody had said anything.
    """

    NOT_DUPLICATE = "not-duplicate"
    DUPLICATE = "duplicate"
    KEEP_THIS = "keep-this"
    WITHDRAWN = "withdrawn"


class How(enum.StrEnum):
    """How a decision came about: what was only glanced at among others is told from what was looked at alone."""

    SINGLE = "single"
    GRID = "marked in grid"
    ACCEPTED = "accepted in grid"
    AUDIT = "audit"
    DUPLICATES = "duplicates"
    CONTRADICTIONS = "contradictions"
    FILE = "file"


def _choice(kind: type[enum.StrEnum]) -> Enum:
    return Enum(kind, native_enum=False, length=16, values_callable=lambda members: [m.value for m in members])


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar = {datetime: UtcDateTime}


Id = BigInteger().with_variant(Integer, "sqlite")


class Action(Base):
    """An action class that clips are collected for."""

    __tablename__ = "actions"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    definition: Mapped[str] = mapped_column(Text, default="")
    tags: Mapped[list["ActionTag"]] = relationship(back_populates="action", order_by="ActionTag.id")


class ActionTag(Base):
    """A hashtag (normalised, without '#') that an action is crawled by."""

    __tablename__ = "action_tags"
    __table_args__ = (UniqueConstraint("action_id", "tag"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    action_id: Mapped[int] = mapped_column(ForeignKey("actions.id"))
    tag: Mapped[str] = mapped_column(String(200), index=True)
    action: Mapped[Action] = relationship(back_populates="tags")


class CrawlRun(Base):
    """One crawl of one tag at one source: where it stands (cursor) and how its posts ended."""

    __tablename__ = "crawl_runs"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    source: Mapped[str] = mapped_column(String(40))
    query: Mapped[str] = mapped_column(Text, default="")
    tag: Mapped[str] = mapped_column(String(200))
    action_id: Mapped[int] = mapped_column(ForeignKey("actions.id"))
    cursor: Mapped[dict | None] = mapped_column(JSON)
    started_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]
    tool_version: Mapped[str] = mapped_column(String(40), default="")
    found: Mapped[int] = mapped_column(default=0)
    downloaded: Mapped[int] = mapped_column(default=0)
    known: Mapped[int] = mapped_column(default=0)
    filtered: Mapped[int] = mapped_column(default=0)
    failed: Mapped[int] = mapped_column(default=0)
    gone: Mapped[int] = mapped_column(default=0)
    tombstoned: Mapped[int] = mapped_column(default=0)
    counted: Mapped[int] = mapped_column(default=0)  # different videos met: what a limit of posts counts


class Clip(Base):
    """One content, addressed by its sha256; several posts may show it."""

    __tablename__ = "clips"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    suffix: Mapped[str] = mapped_column(String(9))
    bytes: Mapped[int] = mapped_column(BigInteger)
    duration: Mapped[float | None] = mapped_column(Float)
    fps: Mapped[float | None] = mapped_column(Float)
    frames: Mapped[int | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    codec: Mapped[str | None] = mapped_column(String(40))
    state: Mapped[FileState] = mapped_column(_choice(FileState), index=True)
    error: Mapped[str | None] = mapped_column(Text)
    added_at: Mapped[datetime] = mapped_column(default=now)
    posts: Mapped[list["Post"]] = relationship(back_populates="clip", order_by="Post.id")


class Post(Base):
    """Something somebody published on a platform."""

    __tablename__ = "posts"
    __table_args__ = (UniqueConstraint("platform", "platform_id", "identity"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    platform: Mapped[str] = mapped_column(String(80))
    platform_id: Mapped[str] = mapped_column(String(500), index=True)  # a folder's post: its path in the folder
    identity: Mapped[str] = mapped_column(String(64), default="")  # a folder's post: hash of folder, path and content
    origin: Mapped[str | None] = mapped_column(String(500), index=True)  # where a manifest says: "instagram:CxYz"
    url: Mapped[str | None] = mapped_column(Text)
    uploader_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    caption: Mapped[str] = mapped_column(Text, default="")
    taken_at: Mapped[datetime | None]
    licence: Mapped[str] = mapped_column(String(200), default="unknown")
    found_at: Mapped[datetime] = mapped_column(default=now)
    state: Mapped[PostState] = mapped_column(_choice(PostState), default=PostState.FOUND, index=True)
    reason: Mapped[str | None] = mapped_column(Text)
    retryable: Mapped[bool] = mapped_column(default=False)
    raw: Mapped[dict | None] = mapped_column(JSON(none_as_null=True))  # as the platform said, without names
    checked_at: Mapped[datetime | None]  # when `plusmv recheck` last looked
    clip_id: Mapped[int | None] = mapped_column(ForeignKey("clips.id"), index=True)
    clip: Mapped[Clip | None] = relationship(back_populates="posts")


class Sighting(Base):
    """Which tag found which post, for which action, in which run."""

    __tablename__ = "sightings"
    __table_args__ = (UniqueConstraint("post_id", "action_id", "tag"), Index(None, "action_id", "id"))
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id"))
    action_id: Mapped[int] = mapped_column(ForeignKey("actions.id"))
    tag: Mapped[str] = mapped_column(String(200))
    run_id: Mapped[int] = mapped_column(ForeignKey("crawl_runs.id"))
    last_run_id: Mapped[int | None] = mapped_column(ForeignKey("crawl_runs.id"))  # the latest run that met it
    found_at: Mapped[datetime] = mapped_column(default=now)


class Lease(Base):
    """One process at a time uses an account. `name` is a keyed hash: no account's name enters the catalog."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))  # host, process id and when that process started
    until: Mapped[datetime]


class QuotaUse(Base):
    """A call to an official API that its quota counts: of which account (a keyed hash), for what, at what cost."""

    __tablename__ = "quota_uses"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account: Mapped[str] = mapped_column(String(64), index=True)
    what: Mapped[str] = mapped_column(String(200))
    cost: Mapped[int]
    used_at: Mapped[datetime] = mapped_column(default=now)


class Fingerprint(Base):
    """What duplicates are found by, per clip and version of the algorithm; arrays as little-endian bytes."""

    __tablename__ = "fingerprints"
    __table_args__ = (UniqueConstraint("clip_id", "version"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id"))
    version: Mapped[str] = mapped_column(String(40), index=True)
    state: Mapped[FileState] = mapped_column(_choice(FileState))
    error: Mapped[str | None] = mapped_column(Text)
    compared: Mapped[bool] = mapped_column(default=False)  # with every fingerprint of this version that was there then
    arrays: Mapped[bytes | None] = mapped_column(LargeBinary)


class DuplicateEdge(Base):
    """What clip a is to clip b (a has the lesser sha256, but for a PART a lies in b). t_b = speed * t_a + offset_s."""

    __tablename__ = "duplicate_edges"
    __table_args__ = (UniqueConstraint("a_id", "b_id", "version"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    a_id: Mapped[int] = mapped_column(ForeignKey("clips.id"))
    b_id: Mapped[int] = mapped_column(ForeignKey("clips.id"), index=True)
    version: Mapped[str] = mapped_column(String(40), index=True)
    kind: Mapped[EdgeKind] = mapped_column(_choice(EdgeKind))
    offset_s: Mapped[float] = mapped_column(Float, default=0.0)
    speed: Mapped[float] = mapped_column(Float, default=1.0)
    mirror: Mapped[bool] = mapped_column(default=False)
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
    kind: Mapped[RulingKind] = mapped_column(_choice(RulingKind))
    a_id: Mapped[int] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"), index=True)
    b_id: Mapped[int | None] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"), index=True)
    annotator: Mapped[str] = mapped_column(String(200))
    request_id: Mapped[str | None] = mapped_column(String(40), unique=True, index=True)  # sent twice, recorded once
    ruled_at: Mapped[datetime] = mapped_column(default=now)
    undoes_id: Mapped[int | None] = mapped_column(ForeignKey("duplicate_rulings.id", ondelete="CASCADE"), unique=True)
    undone_by: Mapped["DuplicateRuling | None"] = relationship(back_populates="undoes", uselist=False)
    undoes: Mapped["DuplicateRuling | None"] = relationship(back_populates="undone_by", remote_side=[id])


class BenchmarkVideo(Base):
    """A video of a benchmark that clips may be cut from: its fingerprint, and up to which clip's it was compared."""

    __tablename__ = "benchmark_videos"
    __table_args__ = (UniqueConstraint("name", "version"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(500))
    subset: Mapped[str] = mapped_column(String(80))
    test: Mapped[bool]  # whether results are reported on it
    sha256: Mapped[str] = mapped_column(String(64))  # of the file
    version: Mapped[str] = mapped_column(String(40))
    state: Mapped[FileState] = mapped_column(_choice(FileState))
    error: Mapped[str | None] = mapped_column(Text)
    arrays: Mapped[bytes | None] = mapped_column(LargeBinary)
    checked_to: Mapped[int] = mapped_column(BigInteger, default=0)  # the id of a row of fingerprints


class Leak(Base):
    """What a clip is to a benchmark's video: t_video = speed * t_clip + offset_s."""

    __tablename__ = "leaks"
    __table_args__ = (UniqueConstraint("clip_id", "video_id"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"))
    video_id: Mapped[int] = mapped_column(ForeignKey("benchmark_videos.id", ondelete="CASCADE"), index=True)
    kind: Mapped[EdgeKind] = mapped_column(_choice(EdgeKind))
    offset_s: Mapped[float] = mapped_column(Float)
    speed: Mapped[float] = mapped_column(Float)
    mirror: Mapped[bool]
    score: Mapped[float] = mapped_column(Float)
    overlap_s: Mapped[float] = mapped_column(Float)
    correlation: Mapped[float] = mapped_column(Float)
    inliers: Mapped[int]


class Decision(Base):
    """One verdict of one annotator; never changed. An UNDO names the decision it takes back."""

    __tablename__ = "decisions"
    __table_args__ = (Index(None, "annotator", "id"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id"), index=True)
    action_id: Mapped[int | None] = mapped_column(ForeignKey("actions.id"), index=True)
    verdict: Mapped[Verdict] = mapped_column(_choice(Verdict))
    reason: Mapped[str] = mapped_column(Text, default="")
    annotator: Mapped[str] = mapped_column(String(200))
    seconds: Mapped[float | None] = mapped_column(Float)
    how: Mapped[How | None] = mapped_column(_choice(How))
    request_id: Mapped[str | None] = mapped_column(String(40), unique=True, index=True)  # sent twice, recorded once
    decided_at: Mapped[datetime] = mapped_column(default=now)
    undoes_id: Mapped[int | None] = mapped_column(ForeignKey("decisions.id"), unique=True)
    undone_by: Mapped["Decision | None"] = relationship(back_populates="undoes", uselist=False)
    undoes: Mapped["Decision | None"] = relationship(back_populates="undone_by", remote_side=[id])
    clip: Mapped[Clip] = relationship()
    action: Mapped[Action | None] = relationship()


class ClipLease(Base):
    """A clip under an action that one annotator has been given, until then.

    Slot 0 is the first look, 1 the second, 2 that at its copies.
    """

    __tablename__ = "clip_leases"
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"), primary_key=True)
    action_id: Mapped[int] = mapped_column(ForeignKey("actions.id", ondelete="CASCADE"), primary_key=True)
    slot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    annotator: Mapped[str] = mapped_column(String(200), index=True)
    until: Mapped[datetime]
    put_off: Mapped[bool] = mapped_column(default=False)  # to the end of this annotator's queue


class SuspicionScore(Base):
    """How likely a clip is mis-tagged under an action, by one named signal (higher is worse)."""

    __tablename__ = "suspicion_scores"
    __table_args__ = (
        UniqueConstraint("clip_id", "action_id", "signal"),
        Index(None, "action_id", "signal", "score", "clip_id"),
    )
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id"))
    action_id: Mapped[int] = mapped_column(ForeignKey("actions.id"))
    signal: Mapped[str] = mapped_column(String(80))
    score: Mapped[float] = mapped_column(Float)
    scored_at: Mapped[datetime] = mapped_column(default=now)


class FeatureFile(Base):
    """The feature file of a clip under one recipe and stride, or the reason why there is none."""

    __tablename__ = "feature_files"
    __table_args__ = (UniqueConstraint("clip_id", "recipe", "stride"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id"))
    recipe: Mapped[str] = mapped_column(String(64), index=True)
    stride: Mapped[int]
    streams: Mapped[str] = mapped_column(String(40))
    state: Mapped[FileState] = mapped_column(_choice(FileState))
    error: Mapped[str | None] = mapped_column(Text)
    snippets: Mapped[int | None]
    path: Mapped[str | None] = mapped_column(String(500))  # relative to the workspace
    written_at: Mapped[datetime] = mapped_column(default=now)


TAKEN_DOWN = "tombstone:"  # in the list of an export's clips: stands in the place of a content that was taken down


class Export(Base):
    """One export: its file, its format and which contents stand in it."""

    __tablename__ = "exports"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    path: Mapped[str] = mapped_column(String(1000))
    format: Mapped[str] = mapped_column(String(40))
    sha256: Mapped[str] = mapped_column(String(64))
    clips: Mapped[list[str]] = mapped_column(JSON)  # content ids, sorted
    exported_at: Mapped[datetime] = mapped_column(default=now)


class Tombstone(Base):
    """What was taken down and must not come back: a keyed hash of the url, post, uploader or content."""

    __tablename__ = "tombstones"
    __table_args__ = (UniqueConstraint("kind", "keyed_hash"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    keyed_hash: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text, default="")
    buried_at: Mapped[datetime] = mapped_column(default=now)
