"""Tables of roaming, hubs, the validity of contracts, and a credential for every EMAID."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_ROLES: Final = "role IN ('cpo', 'emsp', 'oem', 'cps', 'admin', 'auditor')"
_ROLES_NOW: Final = "role IN ('cpo', 'emsp', 'oem', 'cps', 'hub', 'admin', 'auditor')"
_CHANGES: Final = "kind IN ('revoked', 'released', 'issuers')"
_CHANGES_NOW: Final = "kind IN ('revoked', 'released', 'issuers', 'roaming')"
_WHITELIST: Final = "whitelist IN ('ALWAYS', 'ALLOWED', 'ALLOWED_OFFLINE', 'NEVER')"
_KINDS: Final = (
    "kind IN ('emaid', 'rfid', 'app_user', 'ad_hoc_user', 'other', 'key_code', 'central', 'local')"
)


def upgrade() -> None:
    """Create the tables, allow hubs, and register what cars show already."""
    for table in ("parties", "clients"):
        _check_instead(table, "role", _ROLES, _ROLES_NOW)
    _check_instead("changes", "kind", _CHANGES, _CHANGES_NOW)
    op.add_column("parties", _line("hub", nullable=True))
    op.add_column("contracts", _number("valid_from", nullable=True))
    op.add_column("contracts", _number("valid_until", nullable=True))
    op.add_column("contracts", _line("whitelist", nullable=True))
    op.add_column("contract_identifiers", _number("blocked_at", nullable=True))
    _ranges()
    _agreements()
    _emsps()
    _credentials()
    _sessions()
    _keys()
    _register_identifiers()


def _line(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _check_instead(table: str, column: str, before: str, after: str) -> None:
    """Replace a check; SQLite wants the whole table built anew, with what came to it since."""
    connection = op.get_bind()
    name = f"ck_{table}_{column}"
    if connection.dialect.name != "sqlite":
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK ({after})")
        return
    master = sa.text(
        "SELECT sql FROM sqlite_master WHERE tbl_name = :table AND type = :kind AND sql > ''"
    )
    (built,) = connection.execute(master, {"table": table, "kind": "table"}).scalars()
    indexes = connection.execute(master, {"table": table, "kind": "index"}).scalars().all()
    if before not in built:
        raise sa.exc.InvalidRequestError(f"the table {table} is not as it was made")
    op.rename_table(table, f"{table}_before")
    op.execute(built.replace(before, after))
    op.execute(f"INSERT INTO {table} SELECT * FROM {table}_before")  # noqa: S608 - our own name
    op.drop_table(f"{table}_before")
    for index in indexes:
        op.execute(index)


def _ranges() -> None:
    op.create_table(
        "number_ranges",
        _line("kind"),
        _line("prefix"),
        _number("valid_from"),
        _number("valid_until", nullable=True),
        _line("role"),
        _line("party_id"),
        _line("ported_from", nullable=True),
        sa.PrimaryKeyConstraint("kind", "prefix", "valid_from", name=op.f("pk_number_ranges")),
        sa.CheckConstraint("kind IN ('emaid', 'rfid', 'evse')", name=op.f("ck_number_ranges_kind")),
        sa.CheckConstraint(_ROLES_NOW, name=op.f("ck_number_ranges_role")),
    )


def _agreements() -> None:
    op.create_table(
        "agreements",
        _line("agreement_id"),
        sa.Column("version", sa.Integer, nullable=False),
        _line("state"),
        _line("cpo"),
        _line("emsp"),
        _number("valid_from"),
        _number("valid_until", nullable=True),
        _line("terms"),
        _number("created_at"),
        _line("created_by"),
        sa.PrimaryKeyConstraint("agreement_id", "version", name=op.f("pk_agreements")),
        sa.CheckConstraint("state IN ('active', 'withdrawn')", name=op.f("ck_agreements_state")),
    )


def _emsps() -> None:
    op.create_table(
        "emsps",
        _line("provider_id"),
        _line("party_id", nullable=True),
        _line("realtime_url", nullable=True),
        _line("whitelist", nullable=True),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("pk_emsps")),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["accounts.provider_id"], name=op.f("fk_emsps_provider_id")
        ),
        sa.CheckConstraint(_WHITELIST, name=op.f("ck_emsps_whitelist")),
    )


def _credentials() -> None:
    op.create_table(
        "credentials",
        *(_line(name) for name in ("credential_id", "emsp", "kind", "uid", "presented")),
        _line("contract_id", nullable=True),
        _line("contract"),
        _line("state"),
        *(
            _line(name, nullable=True)
            for name in ("whitelist", "visual_number", "issuer", "group_id", "language")
        ),
        sa.Column("partner", sa.Boolean, nullable=False),
        _line("more"),
        _number("created_at"),
        _number("updated_at"),
        sa.PrimaryKeyConstraint("credential_id", name=op.f("pk_credentials")),
        sa.UniqueConstraint("kind", "uid", "emsp", name=op.f("uq_credentials_kind_uid_emsp")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.contract_id"], name=op.f("fk_credentials_contract_id")
        ),
        sa.CheckConstraint(_KINDS, name=op.f("ck_credentials_kind")),
        sa.CheckConstraint("state IN ('active', 'blocked')", name=op.f("ck_credentials_state")),
        sa.CheckConstraint(_WHITELIST, name=op.f("ck_credentials_whitelist")),
    )
    op.create_index(op.f("ix_credentials_contract_id"), "credentials", ["contract_id"])
    op.create_index(
        op.f("ix_credentials_emsp_updated_at_credential_id"),
        "credentials",
        ["emsp", "updated_at", "credential_id"],
    )


def _sessions() -> None:
    op.create_table(
        "sessions",
        _line("session_id"),
        _line("reference", nullable=True),
        *(_line(name) for name in ("protocol", "cpo", "station_id", "external_id")),
        *(_line(name, nullable=True) for name in ("emsp", "contract_id", "contract", "evse_id")),
        _number("started_at"),
        _number("stopped_at", nullable=True),
        sa.Column("energy_wh", sa.Integer, nullable=True),
        _line("stop_reason", nullable=True),
        sa.Column("others", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_sessions")),
        sa.UniqueConstraint(
            "cpo",
            "station_id",
            "external_id",
            "protocol",
            name=op.f("uq_sessions_cpo_station_id_external_id_protocol"),
        ),
        sa.CheckConstraint("protocol IN ('ocpp', 'ocpi')", name=op.f("ck_sessions_protocol")),
    )
    op.create_index(op.f("ix_sessions_reference"), "sessions", ["reference"])
    op.create_index(
        "ix_sessions_running",
        "sessions",
        ["contract_id"],
        sqlite_where=sa.text("stopped_at IS NULL"),
        postgresql_where=sa.text("stopped_at IS NULL"),
    )


def _keys() -> None:
    op.create_table(
        "idempotency_keys",
        _line("client"),
        _line("key"),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        _line("answer"),
        _number("created_at"),
        sa.PrimaryKeyConstraint("client", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])


def _register_identifiers() -> None:
    """Give every contract the credential that its EMAID is; once where two editions share it."""
    op.execute(
        "INSERT INTO credentials (credential_id, emsp, kind, uid, presented, contract_id, contract,"
        " state, partner, more, created_at, updated_at)"
        " SELECT 'e' || i.edition || i.key, c.account, 'emaid', i.key, i.presented, c.contract_id,"
        " i.key, 'active', false, '{}', c.created_at, c.created_at"
        " FROM contract_identifiers i JOIN contracts c ON c.contract_id = i.contract_id"
        " WHERE i.edition = '2' OR NOT EXISTS (SELECT 1 FROM contract_identifiers o"
        " WHERE o.contract_id = i.contract_id AND o.edition = '2')"
    )
