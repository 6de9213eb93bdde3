"""alembic's entry point: works on the connection that `pki.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from pki.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
context.run_migrations()
