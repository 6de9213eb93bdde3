"""alembic's entry point: works on the connection that `pki.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

import pki.store.schema
import pki.store.schema_approvals
import pki.store.schema_audit
import pki.store.schema_entities
import pki.store.schema_events
import pki.store.schema_evidence
import pki.store.schema_keys
import pki.store.schema_partners
import pki.store.schema_provisioning
import pki.store.schema_roaming
import pki.store.schema_stations
import pki.store.schema_status
import pki.store.schema_tokens  # noqa: F401 - the tables register themselves
from pki.store.columns import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
context.run_migrations()
