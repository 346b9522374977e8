"""crawl: leases of accounts, quotas of official APIs, raw metadata, and which run met a post last"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
    op.create_table(
        "quota_uses",
        sa.Column("id", ID, nullable=False),
        sa.Column("account", sa.String(length=64), nullable=False),
        sa.Column("what", sa.String(length=200), nullable=False),
        sa.Column("cost", sa.Integer(), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quota_uses")),
    )
    with op.batch_alter_table("quota_uses", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quota_uses_account"), ["account"], unique=False)
    op.add_column("crawl_runs", sa.Column("counted", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("posts", sa.Column("raw", sa.JSON(), nullable=True))
    op.add_column("posts", sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("sightings", schema=None) as batch_op:
        batch_op.add_column(sa.Column("last_run_id", ID, nullable=True))
        batch_op.create_foreign_key(batch_op.f("fk_sightings_last_run_id"), "crawl_runs", ["last_run_id"], ["id"])


def downgrade() -> None:
    with op.batch_alter_table("sightings", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_sightings_last_run_id"), type_="foreignkey")
        batch_op.drop_column("last_run_id")
    op.drop_column("posts", "checked_at")  # in place: a table that others refer to is not made anew
    op.drop_column("posts", "raw")
    op.drop_column("crawl_runs", "counted")
    op.drop_table("quota_uses")
    op.drop_table("leases")
