"""Migrations, run by alembic through `pki.store.migrate`."""
