"""The export: kept clips as a weakly labelled data set in the field's format, exports/microvideos.json.

ActivityNet JSON, subset "microvideo": a video's id is its sha256, and each action it was kept for has one segment from
0 to its duration, marked weak: the action is somewhere in there. The same decisions give the same bytes. Clips that
stand in a benchmark's test videos (duplicates.leaks) are refused unless asked for; microvideos.card.md says what was
checked.
"""

from collections import Counter
from pathlib import Path
from typing import TypedDict

from sqlalchemy import select
from sqlalchemy.orm import Session

from plusmv.core.annotations import MICROVIDEO_SUBSET, AnnotatedVideo, Instance, write_annotations
from plusmv.core.errors import Refused
from plusmv.core.locks import one_change
from plusmv.core.workspace import Workspace, remove_stale_parts, sha256_of, write_bytes
from plusmv.curate.duplicates.leaks import Checked, CheckedCounts, LeakRow, blocking, checked
from plusmv.db.models import TAKEN_DOWN, Action, Clip, Export, Verdict
from plusmv.db.queries import COUNTS, verdicts
from plusmv.db.session import Catalog
from plusmv.db.taken_down import still_there

NAME = "microvideos.json"
FORMAT = "activitynet"
SHOWN = 5  # leaks that a refusal names


class AllowedLeak(TypedDict):
    clip: str
    video: str


class ExportedLeaks(CheckedCounts):
    """How many clips were checked against how many benchmark videos, and the test leaks that were allowed."""

    allowed: list[AllowedLeak]


class Changes(TypedDict):
    """Since the last export of that path."""

    added: list[str]  # sha256
    left: list[str]
    taken_down: int


class ExportResult(TypedDict):
    """The JSON of `plusmv export`; labels and left_out count clips under actions: their sum is `plusmv report`'s clips.

    The file at `path` is ActivityNet JSON (core.annotations).
    """

    path: str
    sha256: str
    card: str  # path of the card
    clips: int
    labels: int
    per_action: dict[str, int]  # labels
    left_out: dict[str, int]  # {mistagged, duplicate, unusable, undecided: count}
    leaks: ExportedLeaks
    changes: Changes


def export_microvideos(catalog: Catalog, workspace: Workspace, allow_leaks: bool = False) -> ExportResult:
    """Write the export and its row in the catalog (none where the last export of that path is the same).

    Raises Refused where a clip stands in a test video, unless allow_leaks.
    """
    remove_stale_parts(workspace.exports)
    path = workspace.exports / NAME
    with one_change(workspace.exports):
        with catalog.reading() as session:
            videos, left_out = _kept_videos(session)
            names = [video.id for video in videos]
            leaks, check = blocking(session, names), checked(session, names)
        if leaks and not allow_leaks:
            raise Refused(_refusal(leaks, len(videos)))
        with catalog.writing() as session:
            there = still_there(session, workspace, names)
            if len(there) < len(videos):  # taken down meanwhile
                videos = [video for video in videos if video.id in there]
                leaks, check = [leak for leak in leaks if leak["clip"] in there], checked(session, list(there))
            write_annotations(path, videos, version="plusmv microvideos 1")
            sha256 = sha256_of(path)
            changes = _save_row(session, path.relative_to(workspace.home), sha256, [video.id for video in videos])
            labels = Counter(instance.label for video in videos for instance in video.instances)
            card = path.with_suffix(".card.md")
            write_bytes(card, _card(labels, left_out, leaks, check).encode())
    return {
        "path": str(path),
        "sha256": sha256,
        "card": str(card),
        "clips": len(videos),
        "labels": labels.total(),
        "per_action": dict(sorted(labels.items())),
        "left_out": left_out,
        "leaks": {**check.counts(), "allowed": [{"clip": leak["clip"], "video": leak["video"]} for leak in leaks]},
        "changes": changes,
    }


def _refusal(leaks: list[LeakRow], clips: int) -> str:
    leaking = sorted({leak["clip"] for leak in leaks})
    named = ", ".join(f"{leak['clip'][:12]} in {leak['video']}" for leak in leaks[:SHOWN])
    more = ", ..." if len(leaks) > SHOWN else ""
    return (
        f"{len(leaking)} of the {clips} clips stand in test videos ({named}{more}): call them unusable with "
        "plusmv decide, or export them all the same with --allow-leaks"
    )


def _card(labels: Counter[str], left_out: dict[str, int], leaks: list[LeakRow], check: Checked) -> str:
    """What the data set is, in words."""
    rows = [f"- {name}: {count}" for name, count in sorted(labels.items())]
    gone = ", ".join(f"{count} {why}" for why, count in left_out.items())
    allowed = [f"- {leak['clip']} in {leak['video']} ({leak['kind']})" for leak in leaks]
    lines = ["# Microvideos", "", "Weak labels: the action is somewhere in the clip.", "", "## Clips per action", "",
             *rows, "", f"Left out: {gone}.", "", "## Leaks", "", f"{check.sentence()}."]  # fmt: skip
    if leaks:
        lines += ["", "These stand in test videos and were exported all the same (--allow-leaks):", "", *allowed]
    return "\n".join(lines) + "\n"


def _kept_videos(session: Session) -> tuple[list[AnnotatedVideo], dict[str, int]]:
    judged = verdicts().subquery("judged")
    rows = (
        select(Clip.sha256, Clip.duration, Clip.fps, Action.name, judged.c.verdict)
        .select_from(judged)
        .join(Clip, Clip.id == judged.c.clip_id)
        .join(Action, Action.id == judged.c.action_id)
        .order_by(Clip.sha256, Action.name)
    )
    left_out = {name: 0 for verdict, name in COUNTS.items() if verdict != Verdict.KEEP}
    videos: dict[str, AnnotatedVideo] = {}
    for sha256, duration, fps, label, verdict in session.execute(rows):
        if verdict != Verdict.KEEP:
            left_out[COUNTS[verdict]] += 1
            continue
        others = videos[sha256].instances if sha256 in videos else ()
        weak = Instance(label, 0.0, duration, weak=True)
        videos[sha256] = AnnotatedVideo(sha256, MICROVIDEO_SUBSET, duration, fps or 0.0, (*others, weak))
    return list(videos.values()), left_out


def _save_row(session: Session, path: Path, sha256: str, clips: list[str]) -> Changes:
    """The export's row, where it is another than the last; what has changed since that."""
    of_path = select(Export).where(Export.path == path.as_posix()).order_by(Export.id.desc())
    last = session.scalar(of_path.limit(1))
    if last is None or last.sha256 != sha256:
        session.add(Export(path=path.as_posix(), format=FORMAT, sha256=sha256, clips=clips))
    return changes(last.clips if last else [], clips)


def changes(before: list[str], clips: list[str]) -> Changes:
    """What came and what left between two exports; of what was taken down (curate.takedown.remove) only how many."""
    gone = [clip for clip in before if clip not in set(clips)]
    left = [clip for clip in gone if not clip.startswith(TAKEN_DOWN)]
    return {
        "added": [clip for clip in clips if clip not in set(before)],
        "left": left,
        "taken_down": len(gone) - len(left),
    }
