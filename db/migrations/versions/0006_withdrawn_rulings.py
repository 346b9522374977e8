"""a ruling that is withdrawn is named by the row that does it, so that the ones before it stand again in their order"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("duplicate_rulings") as batch_op:
        batch_op.add_column(sa.Column("undoes_id", ID, nullable=True))
        batch_op.create_foreign_key(
            op.f("fk_duplicate_rulings_undoes_id"), "duplicate_rulings", ["undoes_id"], ["id"], ondelete="CASCADE"
        )
        batch_op.create_unique_constraint(op.f("uq_duplicate_rulings_undoes_id"), ["undoes_id"])
    _name_what_was_withdrawn(op.get_bind())


def _name_what_was_withdrawn(connection: sa.Connection) -> None:
    """A withdrawal had stood for all rulings on its clips before it; where that is one, it is named."""
    rulings = sa.table("duplicate_rulings", *map(sa.column, ("id", "kind", "a_id", "b_id", "undoes_id")))
    before: dict[tuple, list[int]] = {}
    rows = connection.execute(
        sa.select(rulings.c.id, rulings.c.kind, rulings.c.a_id, rulings.c.b_id).order_by(rulings.c.id)
    )
    for id_, kind, *clips in rows.all():
        standing = before.setdefault(tuple(clips), [])
        if kind != "withdrawn":
            standing.append(id_)
        elif len(standing) == 1:
            connection.execute(sa.update(rulings).where(rulings.c.id == id_).values(undoes_id=standing.pop()))


def downgrade() -> None:
    with op.batch_alter_table("duplicate_rulings") as batch_op:
        batch_op.drop_constraint(op.f("uq_duplicate_rulings_undoes_id"), type_="unique")
        batch_op.drop_constraint(op.f("fk_duplicate_rulings_undoes_id"), type_="foreignkey")
        batch_op.drop_column("undoes_id")
