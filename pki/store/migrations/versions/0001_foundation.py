"""The first tables."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_UNFINISHED: Final = sa.text("state IN ('open', 'signing')")


def upgrade() -> None:
    """Create every table."""
    _accounts()
    _anchors()
    _audit()
    _audit_heads()
    _blocked_keys()
    _clients()
    _contracts()
    _decisions()
    _domain_rules()
    _issuers()
    _parties()
    _settings()
    _trust_version()
    _contract_identifiers()
    _intents()
    _revocations()
    _certificates()


def _line(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _octets(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _accounts() -> None:
    op.create_table(
        "accounts",
        _line("provider_id"),
        _line("name"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("pk_accounts")),
    )


def _anchors() -> None:
    op.create_table(
        "anchors",
        _line("fingerprint"),
        _line("domain"),
        _octets("der"),
        _time("added_at"),
        _line("added_by"),
        _time("removed_at", nullable=True),
        sa.PrimaryKeyConstraint("fingerprint", "domain", name=op.f("pk_anchors")),
        sa.CheckConstraint("domain IN ('v2g', 'mo', 'oem', 'pe')", name=op.f("ck_anchors_domain")),
    )


def _audit() -> None:
    op.create_table(
        "audit",
        _line("chain"),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        _time("at"),
        _line("actor"),
        _line("action"),
        _line("subject"),
        _line("details"),
        _octets("previous_hash"),
        _octets("entry_hash"),
        sa.PrimaryKeyConstraint("chain", "sequence", name=op.f("pk_audit")),
    )


def _audit_heads() -> None:
    op.create_table(
        "audit_heads",
        _line("chain"),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        _octets("hash"),
        sa.PrimaryKeyConstraint("chain", name=op.f("pk_audit_heads")),
    )


def _blocked_keys() -> None:
    op.create_table(
        "blocked_keys",
        _octets("spki_sha256"),
        _time("blocked_at"),
        _line("why"),
        sa.PrimaryKeyConstraint("spki_sha256", name=op.f("pk_blocked_keys")),
    )


def _clients() -> None:
    op.create_table(
        "clients",
        _line("client_id"),
        _line("role"),
        _line("parties"),
        _octets("token_hash"),
        _line("pki", nullable=True),
        _time("created_at"),
        _time("disabled_at", nullable=True),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_clients")),
        sa.CheckConstraint("pki IN ('own', 'hosted')", name=op.f("ck_clients_pki")),
        sa.CheckConstraint(
            "role IN ('cpo', 'emsp', 'oem', 'cps', 'admin', 'auditor')",
            name=op.f("ck_clients_role"),
        ),
        sa.UniqueConstraint("token_hash", name=op.f("uq_clients_token_hash")),
    )


def _contracts() -> None:
    op.create_table(
        "contracts",
        _line("contract_id"),
        _line("account"),
        _line("state"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("contract_id", name=op.f("pk_contracts")),
        sa.CheckConstraint(
            "state IN ('active', 'blocked', 'suspended', 'ended')",
            name=op.f("ck_contracts_state"),
        ),
    )
    op.create_index(
        op.f("ix_contracts_account_contract_id"), "contracts", ["account", "contract_id"]
    )


def _decisions() -> None:
    op.create_table(
        "decisions",
        _line("decision_id"),
        _time("decided_at"),
        sa.Column("accepted", sa.Boolean, nullable=False),
        _line("fault", nullable=True),
        _line("emaid", nullable=True),
        _line("asked_by"),
        _line("record"),
        sa.PrimaryKeyConstraint("decision_id", name=op.f("pk_decisions")),
    )
    op.create_index(op.f("ix_decisions_decided_at"), "decisions", ["decided_at"])


def _domain_rules() -> None:
    op.create_table(
        "domain_rules",
        _line("domain"),
        _line("rule"),
        sa.PrimaryKeyConstraint("domain", name=op.f("pk_domain_rules")),
        sa.CheckConstraint(
            "domain IN ('v2g', 'mo', 'oem', 'pe')",
            name=op.f("ck_domain_rules_domain"),
        ),
        sa.CheckConstraint(
            "rule IN ('required', 'not-required', 'not-asked')",
            name=op.f("ck_domain_rules_rule"),
        ),
    )


def _issuers() -> None:
    op.create_table(
        "issuers",
        _line("issuer_id"),
        _line("name"),
        sa.Column("generation", sa.SmallInteger, nullable=False),
        _line("kind"),
        _line("edition"),
        _line("suite"),
        _line("state"),
        _octets("certificate"),
        _line("parent_id", nullable=True),
        _line("key_label"),
        _line("owner"),
        sa.Column("demo", sa.Boolean, nullable=False),
        _time("created_at"),
        sa.Column("crl_url", sa.Boolean, nullable=False),
        sa.Column("crl_shards", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("issuer_id", name=op.f("pk_issuers")),
        sa.CheckConstraint("edition IN ('2', '20')", name=op.f("ck_issuers_edition")),
        sa.CheckConstraint(
            "state IN ('pending', 'active', 'status_only', 'retired')",
            name=op.f("ck_issuers_state"),
        ),
        sa.CheckConstraint("suite IN ('p256', 'p521', 'ed448')", name=op.f("ck_issuers_suite")),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["issuers.issuer_id"], name=op.f("fk_issuers_parent_id")
        ),
        sa.UniqueConstraint("name", "generation", name=op.f("uq_issuers_name_generation")),
    )


def _parties() -> None:
    op.create_table(
        "parties",
        _line("role"),
        _line("party_id"),
        _line("name"),
        _time("created_at"),
        sa.PrimaryKeyConstraint("role", "party_id", name=op.f("pk_parties")),
        sa.CheckConstraint(
            "role IN ('cpo', 'emsp', 'oem', 'cps', 'admin', 'auditor')",
            name=op.f("ck_parties_role"),
        ),
    )


def _settings() -> None:
    op.create_table(
        "settings",
        _line("name"),
        _line("value"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )


def _trust_version() -> None:
    op.create_table(
        "trust_version",
        sa.Column("id", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trust_version")),
        sa.CheckConstraint("id = 1", name=op.f("ck_trust_version_one_row")),
    )


def _contract_identifiers() -> None:
    op.create_table(
        "contract_identifiers",
        _line("edition"),
        _line("key"),
        _line("contract_id"),
        _line("presented"),
        _line("check_digit"),
        sa.PrimaryKeyConstraint("edition", "key", name=op.f("pk_contract_identifiers")),
        sa.CheckConstraint(
            "check_digit IN ('absent', 'good', 'wrong', 'not_judged')",
            name="check_digit",
        ),
        sa.CheckConstraint(
            "edition IN ('2', '20')",
            name="edition",
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"],
            ["contracts.contract_id"],
            name=op.f("fk_contract_identifiers_contract_id"),
        ),
    )
    op.create_index(
        op.f("ix_contract_identifiers_contract_id"), "contract_identifiers", ["contract_id"]
    )


def _intents() -> None:
    op.create_table(
        "intents",
        _line("intent_id"),
        _line("issuer_id"),
        _line("serial"),
        _line("profile"),
        _line("kind"),
        _line("edition"),
        _line("suite"),
        _octets("tbs"),
        _line("owner"),
        _line("requested_by"),
        _line("state"),
        _time("created_at"),
        _line("contract_id", nullable=True),
        sa.PrimaryKeyConstraint("intent_id", name=op.f("pk_intents")),
        sa.CheckConstraint("edition IN ('2', '20')", name=op.f("ck_intents_edition")),
        sa.CheckConstraint(
            "state IN ('open', 'signing', 'completed', 'abandoned')",
            name=op.f("ck_intents_state"),
        ),
        sa.CheckConstraint("suite IN ('p256', 'p521', 'ed448')", name=op.f("ck_intents_suite")),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.contract_id"], name=op.f("fk_intents_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["issuers.issuer_id"], name=op.f("fk_intents_issuer_id")
        ),
        sa.UniqueConstraint("issuer_id", "serial", name=op.f("uq_intents_issuer_id_serial")),
    )
    op.create_index(op.f("ix_intents_serial"), "intents", ["serial"])
    op.create_index(
        op.f("ix_intents_unfinished"),
        "intents",
        ["created_at"],
        sqlite_where=_UNFINISHED,
        postgresql_where=_UNFINISHED,
    )


def _revocations() -> None:
    op.create_table(
        "revocations",
        _line("issuer_id"),
        _line("serial"),
        _line("reason"),
        _time("revoked_at"),
        _line("revoked_by"),
        sa.PrimaryKeyConstraint("issuer_id", "serial", name=op.f("pk_revocations")),
        sa.CheckConstraint(
            "reason IN ('unspecified', 'keyCompromise', 'cACompromise', 'affiliationChanged', "
            "'superseded', 'cessationOfOperation', 'certificateHold', "
            "'privilegeWithdrawn', 'aACompromise')",
            name=op.f("ck_revocations_reason"),
        ),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["issuers.issuer_id"], name=op.f("fk_revocations_issuer_id")
        ),
    )


def _certificates() -> None:
    op.create_table(
        "certificates",
        _line("fingerprint"),
        _line("issuer_id"),
        _line("serial"),
        _octets("der"),
        _line("kind"),
        _line("edition"),
        _line("suite"),
        _line("subject"),
        _line("common_name"),
        _time("not_before"),
        _time("not_after"),
        _line("owner"),
        _octets("spki_sha256"),
        _line("intent_id"),
        _time("issued_at"),
        _line("contract_id", nullable=True),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_certificates")),
        sa.CheckConstraint("edition IN ('2', '20')", name=op.f("ck_certificates_edition")),
        sa.CheckConstraint(
            "suite IN ('p256', 'p521', 'ed448')", name=op.f("ck_certificates_suite")
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.contract_id"], name=op.f("fk_certificates_contract_id")
        ),
        sa.ForeignKeyConstraint(
            ["intent_id"], ["intents.intent_id"], name=op.f("fk_certificates_intent_id")
        ),
        sa.ForeignKeyConstraint(
            ["issuer_id"], ["issuers.issuer_id"], name=op.f("fk_certificates_issuer_id")
        ),
        sa.UniqueConstraint("intent_id", name=op.f("uq_certificates_intent_id")),
        sa.UniqueConstraint("issuer_id", "serial", name=op.f("uq_certificates_issuer_id_serial")),
    )
    op.create_index(
        op.f("ix_certificates_common_name_fingerprint"),
        "certificates",
        ["common_name", "fingerprint"],
    )
    op.create_index(op.f("ix_certificates_contract_id"), "certificates", ["contract_id"])
    op.create_index(
        op.f("ix_certificates_kind_fingerprint"), "certificates", ["kind", "fingerprint"]
    )
    op.create_index(
        op.f("ix_certificates_owner_fingerprint"), "certificates", ["owner", "fingerprint"]
    )
    op.create_index(op.f("ix_certificates_serial"), "certificates", ["serial"])
    op.create_index(op.f("ix_certificates_spki_sha256"), "certificates", ["spki_sha256"])
