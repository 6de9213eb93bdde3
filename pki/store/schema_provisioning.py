"""The tables of provisioning: root notes, provisioning chains, CPS signers, bundles, events."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Index, Table, UniqueConstraint

from pki.ids import Edition
from pki.model import Domain
from pki.pkix.suites import Suite
from pki.store.columns import key, line, metadata, octets, one_of, points_to, time

root_notes: Final = Table(
    "root_notes",
    metadata,
    line("fingerprint"),
    line("domain"),
    line("trust_lists"),  # a JSON list
    key("fingerprint", "domain"),
    one_of("domain", Domain),
)

cross_certificates: Final = Table(
    "cross_certificates",
    metadata,
    line("fingerprint"),
    line("certified"),
    octets("der"),
    time("added_at"),
    line("added_by"),
    key("fingerprint"),
)

provisioning_chains: Final = Table(
    "provisioning_chains",
    metadata,
    line("pcid"),
    line("suite"),
    line("wmi"),
    line("fingerprint"),
    octets("certificate"),
    octets("sub_cas"),  # DER one after the other
    line("root"),
    octets("spki_sha256"),
    line("v2g_root_key_ids"),  # a JSON list
    time("not_after"),
    time("deposited_at"),
    line("deposited_by"),
    key("pcid", "suite"),
    one_of("suite", Suite),
    Index(None, "wmi", "pcid"),
)

cps_signers: Final = Table(
    "cps_signers",
    metadata,
    line("fingerprint"),
    line("key_label"),
    line("suite"),
    octets("chain"),  # DER one after the other
    line("root"),
    octets("root_der"),
    time("not_before"),
    time("not_after"),
    time("created_at"),
    key("fingerprint"),
    UniqueConstraint("key_label"),
    one_of("suite", Suite),
)

bundles: Final = Table(
    "bundles",
    metadata,
    line("bundle_id"),
    line("pcid"),
    line("contract_id"),
    line("account"),
    line("edition"),
    line("emaid"),  # as the bundle presents it
    line("suite"),
    line("root"),
    octets("message"),
    octets("vehicle_key"),
    line("certificate"),
    line("cps"),
    time("not_before"),
    time("not_after"),
    time("created_at"),
    line("created_by"),
    line("metadata"),
    octets("update_message"),  # empty where there is none
    octets("replaced_key"),
    time("delivered_at", nullable=True),
    line("delivered_session", nullable=True),
    key("bundle_id"),
    UniqueConstraint("pcid", "contract_id", "suite", "root"),
    points_to("contract_id", "contracts.contract_id"),
    one_of("edition", Edition),
    one_of("suite", Suite),
    Index(None, "contract_id"),
    Index(None, "account", "bundle_id"),
    Index(None, "cps", "bundle_id"),
)

default_contracts: Final = Table(
    "default_contracts",
    metadata,
    line("pcid"),
    line("contract_id"),
    key("pcid"),
    points_to("contract_id", "contracts.contract_id"),
)

events: Final = Table(
    "events",
    metadata,
    line("event_id"),
    line("type"),
    line("party"),
    line("payload"),
    time("created_at"),
    key("event_id"),
    Index(None, "created_at", "event_id"),
)
