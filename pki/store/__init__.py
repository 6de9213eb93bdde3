"""SQLAlchemy Core over SQLite and PostgreSQL; functions take and return values of `pki.model`."""
