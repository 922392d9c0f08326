"""Run by alembic: migrates on the connection that service.store.migrations.migrate hands over, in its transaction."""

from alembic import context

from service.store.tables.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
