"""Tables of provisioning: root notes, provisioning chains, CPS signers, bundles, events."""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_SUITES: Final = "suite IN ('p256', 'p521', 'ed448')"


def upgrade() -> None:
    """Create the tables."""
    _roots()
    _chains()
    _signers()
    _bundles()
    _defaults()
    _events()


def _line(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, _TEXT, nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _octets(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _roots() -> None:
    op.create_table(
        "root_notes",
        _line("fingerprint"),
        _line("domain"),
        _line("trust_lists"),
        sa.PrimaryKeyConstraint("fingerprint", "domain", name=op.f("pk_root_notes")),
        sa.CheckConstraint(
            "domain IN ('v2g', 'mo', 'oem', 'pe')", name=op.f("ck_root_notes_domain")
        ),
    )
    op.create_table(
        "cross_certificates",
        _line("fingerprint"),
        _line("certified"),
        _octets("der"),
        _number("added_at"),
        _line("added_by"),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_cross_certificates")),
    )


def _chains() -> None:
    op.create_table(
        "provisioning_chains",
        _line("pcid"),
        _line("suite"),
        _line("wmi"),
        _line("fingerprint"),
        _octets("certificate"),
        _octets("sub_cas"),
        _line("root"),
        _octets("spki_sha256"),
        _line("v2g_root_key_ids"),
        _number("not_after"),
        _number("deposited_at"),
        _line("deposited_by"),
        sa.PrimaryKeyConstraint("pcid", "suite", name=op.f("pk_provisioning_chains")),
        sa.CheckConstraint(_SUITES, name=op.f("ck_provisioning_chains_suite")),
    )
    op.create_index(op.f("ix_provisioning_chains_wmi_pcid"), "provisioning_chains", ["wmi", "pcid"])


def _signers() -> None:
    op.create_table(
        "cps_signers",
        _line("fingerprint"),
        _line("key_label"),
        _line("suite"),
        _octets("chain"),
        _line("root"),
        _octets("root_der"),
        _number("not_before"),
        _number("not_after"),
        _number("created_at"),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_cps_signers")),
        sa.UniqueConstraint("key_label", name=op.f("uq_cps_signers_key_label")),
        sa.CheckConstraint(_SUITES, name=op.f("ck_cps_signers_suite")),
    )


def _bundles() -> None:
    op.create_table(
        "bundles",
        _line("bundle_id"),
        _line("pcid"),
        _line("contract_id"),
        _line("account"),
        _line("edition"),
        _line("emaid"),
        _line("suite"),
        _line("root"),
        _octets("message"),
        _octets("vehicle_key"),
        _line("certificate"),
        _line("cps"),
        _number("not_before"),
        _number("not_after"),
        _number("created_at"),
        _line("created_by"),
        _line("metadata"),
        _octets("update_message"),
        _octets("replaced_key"),
        _number("delivered_at", nullable=True),
        _line("delivered_session", nullable=True),
        sa.PrimaryKeyConstraint("bundle_id", name=op.f("pk_bundles")),
        sa.UniqueConstraint(
            "pcid",
            "contract_id",
            "suite",
            "root",
            name=op.f("uq_bundles_pcid_contract_id_suite_root"),
        ),
        sa.ForeignKeyConstraint(
            ["contract_id"], ["contracts.contract_id"], name=op.f("fk_bundles_contract_id")
        ),
        sa.CheckConstraint("edition IN ('2', '20')", name=op.f("ck_bundles_edition")),
        sa.CheckConstraint(_SUITES, name=op.f("ck_bundles_suite")),
    )
    op.create_index(op.f("ix_bundles_contract_id"), "bundles", ["contract_id"])
    op.create_index(op.f("ix_bundles_account_bundle_id"), "bundles", ["account", "bundle_id"])


def _defaults() -> None:
    op.create_table(
        "default_contracts",
        _line("pcid"),
        _line("contract_id"),
        sa.PrimaryKeyConstraint("pcid", name=op.f("pk_default_contracts")),
        sa.ForeignKeyConstraint(
            ["contract_id"],
            ["contracts.contract_id"],
            name=op.f("fk_default_contracts_contract_id"),
        ),
    )


def _events() -> None:
    op.create_table(
        "events",
        _line("event_id"),
        _line("type"),
        _line("party"),
        _line("payload"),
        _number("created_at"),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_events")),
    )
    op.create_index(op.f("ix_events_created_at_event_id"), "events", ["created_at", "event_id"])
