"""why a post was not downloaded, as a code beside the words, and the limit that a filtered clip exceeded"""

import re

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BATCH = 1000  # rows updated in one statement
CODES = {  # the sentences that were stored until now
    r"^lasts .* under the limit of": "too-short",
    r"^lasts .* over the limit of": "too-long",
    r"^has .* MB, over the limit of": "too-large",
    r"is live$": "live",
    r"gives no link to its file": "no-link",
    r"is a picture|is an album|no single video$|is no video but|no video's suffix|shows no video": "not-video",
    r"^needs a login": "login-required",
    r"link has expired|^the link to the media answers (401|403|404|410)": "link-expired",
    r"does not answer|answers (429|5\d\d)|was cut off after|slower than|cannot find the host": "no-answer",
    r"is refused: |is no URL": "refused",
    r"climbs out of the folder|leads out of the folder": "outside-folder",
    r"^cannot be read|^it is no plain file": "unreadable",
    r"^taken_at ": "bad-metadata",
    r"another content now|changed while it was read|another post answers": "changed",
}
LIMIT = re.compile(r"(?:under|over) the limit of (\S+) (s|MB)$")


def upgrade() -> None:
    with op.batch_alter_table("posts") as batch_op:
        batch_op.add_column(sa.Column("reason_code", sa.String(16), nullable=True))
        batch_op.add_column(sa.Column("reason_limit", sa.Float(), nullable=True))
    _name_the_reasons(op.get_bind())


def _name_the_reasons(connection: sa.Connection) -> None:
    posts = sa.table("posts", *map(sa.column, ("id", "state", "reason", "reason_code", "reason_limit")))
    with_reason = sa.select(posts.c.id, posts.c.state, posts.c.reason).where(posts.c.reason.is_not(None))
    rows = [
        {"post": row.id, "code": _code(row.state, row.reason), "limit": _limit(row.reason)}
        for row in connection.execute(with_reason)
    ]
    named = sa.update(posts).where(posts.c.id == sa.bindparam("post"))
    for start in range(0, len(rows), BATCH):
        connection.execute(
            named.values(reason_code=sa.bindparam("code"), reason_limit=sa.bindparam("limit")),
            rows[start : start + BATCH],
        )


def _code(state: str, reason: str) -> str:
    """The code of a stored sentence; of any other, the usual one of its state."""
    known = (code for pattern, code in CODES.items() if re.search(pattern, reason))
    return next(known, "deleted" if state == "gone" else "other")


def _limit(reason: str) -> float | None:
    """Seconds or bytes."""
    match = LIMIT.search(reason)
    try:
        return float(match[1]) * (1e6 if match[2] == "MB" else 1.0) if match else None
    except ValueError:
        return None


def downgrade() -> None:
    with op.batch_alter_table("posts") as batch_op:
        batch_op.drop_column("reason_limit")
        batch_op.drop_column("reason_code")
