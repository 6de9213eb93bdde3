"""Events of provisioning, written into the outbox with the change that they tell of."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Mapping
from typing import Final

from pki.clock import sortable_id
from pki.errors import JsonValue
from pki.ids import Edition
from pki.model import Bundle, CpsSigner, Event
from pki.pkix.certificate import load
from pki.pkix.suites import Suite
from pki.ports import Transaction

NAMESPACES: Final = {
    Edition.ISO2: "urn:iso:15118:2:2013:MsgDef",
    Edition.ISO20: "urn:iso:15118:20:2022:MsgDef",
}
"""Labels of a protocol version, as the pools write them; not the namespaces of the schemas."""

CURVES: Final = {Suite.P256: "secp256r1", Suite.P521: "secp521r1", Suite.ED448: "ed448"}

CAR_DELETED: Final = "mo.prov.cert.deleted"
CAR_RESET: Final = "mo.prov.cert.factory.reset"
CAR_UPDATED: Final = "mo.prov.cert.updated"
DELIVERED_TO_OEM: Final = "mo.contract.delivered.to.oem"
CREATED: Final = "oem.contract.created"
UPDATED: Final = "oem.contract.updated"
DELETED: Final = "oem.contract.deleted"
ROOT_ADDED: Final = "root.cert.added"
ROOT_REVOKED: Final = "root.cert.revoked"


def emit(
    tx: Transaction, kind: str, party: str, payload: Mapping[str, JsonValue], at: dt.datetime
) -> None:
    """Append an event inside the caller's transaction; `party` is "" for everybody."""
    tx.outbox.add(
        Event(
            event_id=sortable_id(),
            type=kind,
            party=party,
            payload=json.dumps(dict(payload), sort_keys=True),
            created_at=at,
        )
    )


def contract(tx: Transaction, kind: str, bundle: Bundle, at: dt.datetime) -> None:
    """Tell the maker of the car (`oem.…`) or the eMSP (`mo.…`) about a contract of a car."""
    party = bundle.pcid.wmi.value if kind.startswith("oem.") else bundle.provider.value
    emit(tx, kind, party, _contract(tx, bundle), at)


def _contract(tx: Transaction, bundle: Bundle) -> dict[str, JsonValue]:
    signer = next((s for s in tx.pools.signers() if s.root == bundle.root), None)
    record = tx.certificates.by_fingerprint(bundle.certificate)
    return {
        "emaid": bundle.emaid.normalised,
        "pcid": bundle.pcid.value,
        "xsdMsgDefNamespace": NAMESPACES[bundle.emaid.edition],
        "contractCert": base64.b64encode(record.der).decode() if record else None,
        "cpsSignerRootFingerprint": bundle.root.value,
        "cpsSignerRootCommonName": _common_name(signer),
        "signatureAlgorithm": CURVES[bundle.suite],
    }


def _common_name(signer: CpsSigner | None) -> str | None:
    names = load(signer.root_der).common_names if signer else ()
    return names[0] if names else None
