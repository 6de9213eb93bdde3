"""An index of bundles by the CPS leaf that signed them, to sign them anew."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the index."""
    op.create_index(op.f("ix_bundles_cps_bundle_id"), "bundles", ["cps", "bundle_id"])
