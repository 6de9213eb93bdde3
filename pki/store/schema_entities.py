"""The tables of registered end entities, of enrolments that wait, and of names being issued."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Index, Table, text

from pki.model import EnrolmentState
from pki.store.columns import key, line, metadata, octets, one_of, time

OPEN: Final = "state IN ('waiting', 'accepted')"
"""Literal in index and query alike: with parameters no planner would find the partial index."""

end_entities: Final = Table(
    "end_entities",
    metadata,
    line("secc_key"),
    line("operator"),
    line("presented"),
    line("details"),
    time("registered_at"),
    line("registered_by"),
    key("secc_key"),
    Index(None, "operator", "secc_key"),
)

enrolments: Final = Table(
    "enrolments",
    metadata,
    line("enrolment_id"),
    line("kind"),
    line("owner"),
    line("common_name"),
    line("digest"),
    octets("request"),
    line("requested_by"),
    line("state"),
    time("created_at"),
    time("expires_at"),
    line("station", nullable=True),
    time("decided_at", nullable=True),
    line("decided_by", nullable=True),
    line("reason", nullable=True),
    line("certificate", nullable=True),
    key("enrolment_id"),
    one_of("state", EnrolmentState),
    Index(None, "owner", "enrolment_id"),
    Index(None, "digest", "enrolment_id"),
    Index(
        "ix_enrolments_open",
        "digest",
        unique=True,
        sqlite_where=text(OPEN),
        postgresql_where=text(OPEN),
    ),
)

claims: Final = Table(
    "claims",
    metadata,
    line("name"),
    line("intent_id"),
    time("claimed_at"),
    key("name"),
)
