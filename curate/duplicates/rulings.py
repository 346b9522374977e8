"""Rulings of people on two clips (copies, or none) or on one (it stands for its group). Rows are only ever added."""

from collections.abc import Sequence

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, aliased

from plusmv.core.errors import BadInput, Missing
from plusmv.core.text import bounded_line
from plusmv.db.models import Clip, DuplicateRuling, RulingKind
from plusmv.db.queries import clips_by_name

ClipPair = tuple[int, int]  # ids of clips, the lesser first
Ruled = tuple[int, int | None]  # None beside the one clip of a KEEP_THIS


def ordered(a_id: int, b_id: int) -> ClipPair:
    """The key of a pair in `rulings`."""
    return (a_id, b_id) if a_id < b_id else (b_id, a_id)


def live_rulings() -> Select[DuplicateRuling]:
    """Rulings that stand, in order: neither withdrawn nor a withdrawal."""
    later = aliased(DuplicateRuling)
    undone = select(later.id).where(later.undoes_id == DuplicateRuling.id).exists()
    own = DuplicateRuling.undoes_id.is_(None)
    return select(DuplicateRuling).where(own, ~undone).order_by(DuplicateRuling.id)


def rulings(session: Session) -> dict[ClipPair, RulingKind]:
    """{(lesser clip id, greater): the newest ruling that stands}."""
    of_two = live_rulings().where(DuplicateRuling.b_id.is_not(None))
    rows = session.execute(of_two.with_only_columns(DuplicateRuling.a_id, DuplicateRuling.b_id, DuplicateRuling.kind))
    newest = {ordered(a_id, b_id): kind for a_id, b_id, kind in rows if b_id is not None}
    return {pair: kind for pair, kind in newest.items() if kind != RulingKind.WITHDRAWN}


def kept_by_hand(session: Session) -> dict[int, int]:
    """{clip: number of the newest ruling that it stands for its group}."""
    newest = {row.a_id: row for row in session.scalars(live_rulings().where(DuplicateRuling.b_id.is_(None)))}
    return {clip_id: row.id for clip_id, row in newest.items() if row.kind == RulingKind.KEEP_THIS}


def rule_on(session: Session, kind: RulingKind, of: Ruled, annotator: str, **more: object) -> DuplicateRuling:
    """Add a ruling; of those on the same clips the newest counts. more: request_id and undoes, as of db.models."""
    row = DuplicateRuling(kind=kind, a_id=of[0], b_id=of[1], annotator=bounded_line(annotator, 200), **more)
    session.add(row)
    session.flush()
    return row


def withdraw(session: Session, row: DuplicateRuling, annotator: str, request_id: str | None = None) -> None:
    """What stood before a ruling stands again."""
    rule_on(session, RulingKind.WITHDRAWN, (row.a_id, row.b_id), annotator, undoes=row, request_id=request_id)


def rule(session: Session, kind: RulingKind, names: Sequence[str], annotator: str) -> DuplicateRuling:
    """Record a ruling of two clips, or KEEP_THIS of one, named by sha256 or post id.

    Raises Missing for a name of no clip, BadInput for one of several clips or the same clip twice.
    """
    found = sorted((_named(session, name) for name in names), key=lambda clip: clip.id)
    if len({clip.id for clip in found}) != (1 if kind == RulingKind.KEEP_THIS else 2):
        raise BadInput(f"{' and '.join(names)} are one clip: posts of the same content are not a pair")
    of = (found[0].id, found[1].id if len(found) > 1 else None)
    return rule_on(session, kind, of, annotator)


def _named(session: Session, name: str) -> Clip:
    found = clips_by_name(session, name)
    if not found:
        raise Missing(f"the catalog has no clip {name!r}; name it by its sha256 or a post's id")
    if len(found) > 1:
        raise BadInput(f"{name!r} may be {len(found)} clips; name it by its sha256")
    return found[0]
