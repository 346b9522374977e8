"""rulings on duplicates come from the labeler too: sent twice, recorded once"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("duplicate_rulings", sa.Column("request_id", sa.String(length=40), nullable=True))
    op.create_index(op.f("ix_duplicate_rulings_request_id"), "duplicate_rulings", ["request_id"], unique=True)


def downgrade() -> None:
    op.drop_index(op.f("ix_duplicate_rulings_request_id"), "duplicate_rulings")
    op.drop_column("duplicate_rulings", "request_id")
