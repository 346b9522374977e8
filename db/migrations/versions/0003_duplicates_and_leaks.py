"""how well two clips fit, what people rule about them, and benchmark videos that clips may be cut from"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KIND = sa.Enum("exact", "copy", "part", "same-scene", name="edgekind", native_enum=False, length=16)
STATE = sa.Enum("done", "failed", name="filestate", native_enum=False, length=16)
RULING = sa.Enum("not-duplicate", "duplicate", "keep-this", name="rulingkind", native_enum=False, length=16)


def upgrade() -> None:
    with op.batch_alter_table("duplicate_edges") as batch_op:
        batch_op.add_column(sa.Column("overlap_s", sa.Float(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("correlation", sa.Float(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("inliers", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "duplicate_rulings",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", RULING, nullable=False),
        sa.Column("a_id", ID, nullable=False),
        sa.Column("b_id", ID, nullable=True),
        sa.Column("annotator", sa.String(length=200), nullable=False),
        sa.Column("ruled_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["a_id"], ["clips.id"], name=op.f("fk_duplicate_rulings_a_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["b_id"], ["clips.id"], name=op.f("fk_duplicate_rulings_b_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duplicate_rulings")),
    )
    with op.batch_alter_table("duplicate_rulings") as batch_op:
        batch_op.create_index(batch_op.f("ix_duplicate_rulings_a_id"), ["a_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_duplicate_rulings_b_id"), ["b_id"], unique=False)
    op.create_table(
        "benchmark_videos",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=500), nullable=False),
        sa.Column("subset", sa.String(length=80), nullable=False),
        sa.Column("test", sa.Boolean(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("version", sa.String(length=40), nullable=False),
        sa.Column("state", STATE, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("arrays", sa.LargeBinary(), nullable=True),
        sa.Column("checked_to", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_benchmark_videos")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_benchmark_videos_name_version")),
    )
    op.create_table(
        "leaks",
        sa.Column("id", ID, nullable=False),
        sa.Column("clip_id", ID, nullable=False),
        sa.Column("video_id", ID, nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("offset_s", sa.Float(), nullable=False),
        sa.Column("speed", sa.Float(), nullable=False),
        sa.Column("mirror", sa.Boolean(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("overlap_s", sa.Float(), nullable=False),
        sa.Column("correlation", sa.Float(), nullable=False),
        sa.Column("inliers", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["clip_id"], ["clips.id"], name=op.f("fk_leaks_clip_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["video_id"], ["benchmark_videos.id"], name=op.f("fk_leaks_video_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_leaks")),
        sa.UniqueConstraint("clip_id", "video_id", name=op.f("uq_leaks_clip_id_video_id")),
    )
    with op.batch_alter_table("leaks") as batch_op:
        batch_op.create_index(batch_op.f("ix_leaks_video_id"), ["video_id"], unique=False)


def downgrade() -> None:
    for table in ("leaks", "benchmark_videos", "duplicate_rulings"):
        op.drop_table(table)
    with op.batch_alter_table("duplicate_edges") as batch_op:
        for column in ("overlap_s", "correlation", "inliers"):
            batch_op.drop_column(column)
