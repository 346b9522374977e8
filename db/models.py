"""The catalog's tables: one model file for SQLite and PostgreSQL.

Rows of decisions are only ever added: an undo is a new row that names the row it takes back. People's ids are stored as
keyed hashes (core.workspace.Workspace.keyed_hash). Times are UTC. The tables of duplicates and leaks stand in
db.duplicate_models, those of accounts in db.account_models, and are imported from here as well, so that whoever imports
this module has all of them.
"""

import enum
from datetime import datetime

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from plusmv.db.account_models import Lease, QuotaUse
from plusmv.db.base import Base, FileState, Id, UtcDateTime, choice, now
from plusmv.db.duplicate_models import (
    BenchmarkVideo,
    DuplicateEdge,
    DuplicateRuling,
    EdgeKind,
    Fingerprint,
    Leak,
    RulingKind,
)
from plusmv.db.people import holds

__all__ = [
    "TAKEN_DOWN",
    "Action",
    "ActionTag",
    "Base",
    "BenchmarkVideo",
    "Clip",
    "ClipLease",
    "CrawlRun",
    "Decision",
    "DuplicateEdge",
    "DuplicateRuling",
    "EdgeKind",
    "Export",
    "FeatureFile",
    "FileState",
    "Fingerprint",
    "How",
    "Leak",
    "Lease",
    "Post",
    "PostState",
    "QuotaUse",
    "ReasonCode",
    "RulingKind",
    "Sighting",
    "SuspicionScore",
    "Tombstone",
    "UtcDateTime",
    "Verdict",
    "now",
]


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


class ReasonCode(enum.StrEnum):
    """Why a post was not downloaded: what programs test for, beside the words for people in Post.reason."""

    TOO_SHORT = "too-short"
    TOO_LONG = "too-long"
    TOO_LARGE = "too-large"
    NOT_VIDEO = "not-video"  # a picture, an album, a web page, a file with another suffix
    LIVE = "live"
    NO_LINK = "no-link"  # the platform gives no link to the file
    LOGIN_REQUIRED = "login-required"
    LINK_EXPIRED = "link-expired"
    NO_ANSWER = "no-answer"  # after several tries
    REFUSED = "refused"  # a private address, or another scheme than http and https
    NEEDS_PROGRAM = "needs-program"  # encrypted or live streams, RTMP: only another program could fetch them
    LEFTOVER = "leftover"  # a part or a temporary file of a download that was not finished
    OUTSIDE_FOLDER = "outside-folder"
    UNREADABLE = "unreadable"  # a file of a folder
    UNDECODABLE = "undecodable"  # no whole video that decodes
    BAD_METADATA = "bad-metadata"  # a manifest's row
    CHANGED = "changed"  # another content than the one that was found
    DELETED = "deleted"  # not there any more, or not public
    OTHER = "other"


class How(enum.StrEnum):
    """How a decision came about: what was only glanced at among others is told from what was looked at alone."""

    SINGLE = "single"
    GRID = "marked in grid"
    ACCEPTED = "accepted in grid"
    AUDIT = "audit"
    DUPLICATES = "duplicates"
    CONTRADICTIONS = "contradictions"
    FILE = "file"


class Action(Base):
    """An action class that clips are collected for."""

    __tablename__ = "actions"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True, info=holds("nothing"))
    definition: Mapped[str] = mapped_column(Text, default="", info=holds("nothing"))
    tags: Mapped[list["ActionTag"]] = relationship(back_populates="action", order_by="ActionTag.id")


class ActionTag(Base):
    """A hashtag (normalised, without '#') that an action is crawled by."""

    __tablename__ = "action_tags"
    __table_args__ = (UniqueConstraint("action_id", "tag"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    action_id: Mapped[int] = mapped_column(ForeignKey("actions.id"))
    tag: Mapped[str] = mapped_column(String(200), index=True, info=holds("nothing"))
    action: Mapped[Action] = relationship(back_populates="tags")


class CrawlRun(Base):
    """One crawl of one tag at one source: where it stands (cursor) and how its posts ended."""

    __tablename__ = "crawl_runs"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    source: Mapped[str] = mapped_column(String(40), info=holds("nothing"))
    query: Mapped[str] = mapped_column(Text, default="", info=holds("search"))
    tag: Mapped[str] = mapped_column(String(200), info=holds("nothing"))
    action_id: Mapped[int] = mapped_column(ForeignKey("actions.id"))
    cursor: Mapped[dict | None] = mapped_column(JSON, info=holds("search"))
    started_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]
    tool_version: Mapped[str] = mapped_column(String(40), default="", info=holds("nothing"))
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
    sha256: Mapped[str] = mapped_column(String(64), unique=True, info=holds("content id"))
    suffix: Mapped[str] = mapped_column(String(9), info=holds("nothing"))
    bytes: Mapped[int] = mapped_column(BigInteger)
    duration: Mapped[float | None] = mapped_column(Float)
    fps: Mapped[float | None] = mapped_column(Float)
    frames: Mapped[int | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    codec: Mapped[str | None] = mapped_column(String(40), info=holds("nothing"))
    state: Mapped[FileState] = mapped_column(choice(FileState), index=True)
    error: Mapped[str | None] = mapped_column(Text, info=holds("words"))
    added_at: Mapped[datetime] = mapped_column(default=now)
    posts: Mapped[list["Post"]] = relationship(back_populates="clip", order_by="Post.id")


class Post(Base):
    """Something somebody published on a platform."""

    __tablename__ = "posts"
    __table_args__ = (UniqueConstraint("platform", "platform_id", "identity"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    platform: Mapped[str] = mapped_column(String(80), info=holds("nothing"))
    platform_id: Mapped[str] = mapped_column(String(500), index=True, info=holds("post id"))  # a folder's: a path
    identity: Mapped[str] = mapped_column(
        String(64), default="", info=holds("post id")
    )  # a folder's: of path and content
    origin: Mapped[str | None] = mapped_column(String(500), index=True, info=holds("post id"))  # "instagram:CxYz"
    url: Mapped[str | None] = mapped_column(Text, info=holds("link"))
    uploader_hash: Mapped[str | None] = mapped_column(String(64), index=True, info=holds("uploader id"))
    caption: Mapped[str] = mapped_column(Text, default="", info=holds("words"))
    taken_at: Mapped[datetime | None]
    licence: Mapped[str] = mapped_column(String(200), default="unknown", info=holds("words"))
    found_at: Mapped[datetime] = mapped_column(default=now)
    state: Mapped[PostState] = mapped_column(choice(PostState), default=PostState.FOUND, index=True)
    reason: Mapped[str | None] = mapped_column(Text, info=holds("words"))
    reason_code: Mapped[ReasonCode | None] = mapped_column(choice(ReasonCode))
    reason_limit: Mapped[float | None] = mapped_column(Float)  # seconds or bytes: what a too long or large clip exceeds
    retryable: Mapped[bool] = mapped_column(default=False)
    raw: Mapped[dict | None] = mapped_column(JSON(none_as_null=True), info=holds("metadata"))  # without names
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
    tag: Mapped[str] = mapped_column(String(200), info=holds("nothing"))
    run_id: Mapped[int] = mapped_column(ForeignKey("crawl_runs.id"))
    last_run_id: Mapped[int | None] = mapped_column(ForeignKey("crawl_runs.id"))  # the latest run that met it
    found_at: Mapped[datetime] = mapped_column(default=now)


class Decision(Base):
    """One verdict of one annotator; never changed. An UNDO names the decision it takes back."""

    __tablename__ = "decisions"
    __table_args__ = (Index(None, "annotator", "id"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id"), index=True)
    action_id: Mapped[int | None] = mapped_column(ForeignKey("actions.id"), index=True)
    verdict: Mapped[Verdict] = mapped_column(choice(Verdict))
    reason: Mapped[str] = mapped_column(Text, default="", info=holds("words"))
    annotator: Mapped[str] = mapped_column(String(200), info=holds("nothing"))
    seconds: Mapped[float | None] = mapped_column(Float)
    how: Mapped[How | None] = mapped_column(choice(How))
    request_id: Mapped[str | None] = mapped_column(
        String(40), unique=True, index=True, info=holds("nothing")
    )  # once, however often sent
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
    annotator: Mapped[str] = mapped_column(String(200), index=True, info=holds("nothing"))
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
    signal: Mapped[str] = mapped_column(String(80), info=holds("nothing"))
    score: Mapped[float] = mapped_column(Float)
    scored_at: Mapped[datetime] = mapped_column(default=now)


class FeatureFile(Base):
    """The feature file of a clip under one recipe and stride, or the reason why there is none."""

    __tablename__ = "feature_files"
    __table_args__ = (UniqueConstraint("clip_id", "recipe", "stride"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id"))
    recipe: Mapped[str] = mapped_column(String(64), index=True, info=holds("nothing"))
    stride: Mapped[int]
    streams: Mapped[str] = mapped_column(String(40), info=holds("nothing"))
    state: Mapped[FileState] = mapped_column(choice(FileState))
    error: Mapped[str | None] = mapped_column(Text, info=holds("words"))
    snippets: Mapped[int | None]
    path: Mapped[str | None] = mapped_column(String(500), info=holds("content id"))  # relative to the workspace
    written_at: Mapped[datetime] = mapped_column(default=now)


TAKEN_DOWN = "tombstone:"  # in the list of an export's clips: stands in the place of a content that was taken down


class Export(Base):
    """One export: its file, its format and which contents stand in it."""

    __tablename__ = "exports"
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    path: Mapped[str] = mapped_column(String(1000), info=holds("nothing"))
    format: Mapped[str] = mapped_column(String(40), info=holds("nothing"))
    sha256: Mapped[str] = mapped_column(String(64), info=holds("nothing"))
    clips: Mapped[list[str]] = mapped_column(JSON, info=holds("content id"))  # content ids, sorted
    exported_at: Mapped[datetime] = mapped_column(default=now)


class Tombstone(Base):
    """What was taken down and must not come back: a keyed hash of the url, post, uploader or content."""

    __tablename__ = "tombstones"
    __table_args__ = (UniqueConstraint("kind", "keyed_hash"),)
    id: Mapped[int] = mapped_column(Id, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20), info=holds("nothing"))
    keyed_hash: Mapped[str] = mapped_column(String(64), info=holds("nothing"))
    reason: Mapped[str] = mapped_column(Text, default="", info=holds("words"))
    buried_at: Mapped[datetime] = mapped_column(default=now)
