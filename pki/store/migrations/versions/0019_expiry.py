"""What expires when."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Index certificates by their end."""
    name = op.f("ix_certificates_not_after_fingerprint")
    op.create_index(name, "certificates", ["not_after", "fingerprint"])
