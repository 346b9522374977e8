"""Run by Alembic: migrates over the connection that db.migrate hands in, inside its transaction."""

from alembic import context

from plusmv.db.models import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
context.run_migrations()
