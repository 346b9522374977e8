"""labeler: how a decision came about, requests that are recorded once, leases of clips, and indexes for its queues"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
HOW = sa.Enum(
    "single",
    "marked in grid",
    "accepted in grid",
    "audit",
    "duplicates",
    "contradictions",
    "file",
    name="how",
    native_enum=False,
    length=16,
)
REPLACED = (  # (table, the index that goes, the one that does its work and more)
    ("sightings", ("action_id",), ("action_id", "id")),
    ("suspicion_scores", ("action_id",), ("action_id", "signal", "score", "clip_id")),
)


def upgrade() -> None:
    op.add_column("decisions", sa.Column("how", HOW, nullable=True))
    op.add_column("decisions", sa.Column("request_id", sa.String(length=40), nullable=True))
    op.create_index(op.f("ix_decisions_request_id"), "decisions", ["request_id"], unique=True)
    op.create_index(op.f("ix_decisions_annotator_id"), "decisions", ["annotator", "id"])
    for table, old, new in REPLACED:
        op.create_index(_name(table, new), table, list(new))
        op.drop_index(_name(table, old), table)
    op.create_table(
        "clip_leases",
        sa.Column("clip_id", ID, nullable=False),
        sa.Column("action_id", ID, nullable=False),
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("annotator", sa.String(length=200), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("put_off", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.id"], name=op.f("fk_clip_leases_clip_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["action_id"], ["actions.id"], name=op.f("fk_clip_leases_action_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("clip_id", "action_id", "slot", name=op.f("pk_clip_leases")),
    )
    op.create_index(op.f("ix_clip_leases_annotator"), "clip_leases", ["annotator"])


def downgrade() -> None:
    op.drop_table("clip_leases")
    for table, old, new in REPLACED:
        op.create_index(_name(table, old), table, list(old))
        op.drop_index(_name(table, new), table)
    op.drop_index(op.f("ix_decisions_annotator_id"), "decisions")
    op.drop_index(op.f("ix_decisions_request_id"), "decisions")
    op.drop_column("decisions", "request_id")
    op.drop_column("decisions", "how")


def _name(table: str, columns: tuple[str, ...]) -> str:
    return op.f(f"ix_{table}_{'_'.join(columns)}")
