"""
What the parties are told of an emergency, through their webhooks.

Ids of these events come from what they tell of, so that a run that is repeated tells nothing twice.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from pki.access import OWNER_ROLE
from pki.clock import format_time
from pki.emergency.values import Case
from pki.errors import JsonValue
from pki.model import CertificateRecord, Event, Living, Role
from pki.pkix.certificate import Certificate
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction

_PREFIX: Mapping[Role, str] = {Role.EMSP: "mo", Role.OEM: "oem", Role.CPO: "cpo"}


def _event_id(*parts: str) -> str:
    return hashlib.sha256("\n".join(("emergency", *parts)).encode()).hexdigest()[:32]


def _tell(
    tx: Transaction, deployment: Deployment, event_id: str, kind: str, told: tuple[str, str]
) -> None:
    if tx.outbox.get(event_id) is None:
        party, payload = told
        event = Event(
            event_id=event_id,
            type=kind,
            party=party,
            payload=payload,
            created_at=deployment.clock.now(),
        )
        tx.outbox.add(event)


def _named(kind: Kind, what: str) -> str | None:
    """Return the name of the event for whoever owns certificates of a kind, or None."""
    role = OWNER_ROLE.get(kind)
    prefix = _PREFIX.get(role) if role else None
    return f"{prefix}.{what}" if prefix else None


def tell_fall(deployment: Deployment, case: Case, touched: Iterable[Living]) -> None:
    """Tell every owner of certificates below a CA that it fell, and how many they are."""
    with deployment.store.write() as tx:
        for each in touched if case.issuers else ():
            kind = _named(each.kind, "ca.revoked")
            if kind is None or not each.owner:
                continue
            payload: dict[str, JsonValue] = {
                "issuers": list(case.issuers),
                "reason": case.reason.value,
                "kind": each.kind.value,
                "certificates": each.count,
                "revokedAt": format_time(case.begun_at),
            }
            event_id = _event_id(case.reference, each.kind.value, each.owner)
            _tell(tx, deployment, event_id, kind, (each.owner, json.dumps(payload)))


def tell_replaced(
    deployment: Deployment, old: CertificateRecord, serial: str, *, new_key: bool
) -> None:
    """Tell the owner of a certificate which one came in its place."""
    kind = _named(old.kind, "cert.replaced")
    if kind is None or not old.owner:
        return
    payload: dict[str, JsonValue] = {
        "kind": old.kind.value,
        "commonName": old.common_name,
        "replaced": old.serial.value,
        "serialNumber": serial,
        "newKey": new_key,
    }
    with deployment.store.write() as tx:
        event_id = _event_id(old.fingerprint.value, "replaced")
        _tell(tx, deployment, event_id, kind, (old.owner, json.dumps(payload)))


def tell_distrust(deployment: Deployment, root: Certificate) -> None:
    """Tell everybody that a root is no longer trusted here."""
    names = root.common_names
    payload: dict[str, JsonValue] = {
        "distinguishedName": root.subject_text,
        "commonName": names[0] if names else None,
        "fingerprint": root.fingerprint.value,
    }
    now = format_time(deployment.clock.now())
    with deployment.store.write() as tx:
        event_id = _event_id(root.fingerprint.value, "distrusted", now)
        _tell(tx, deployment, event_id, "root.cert.revoked", ("", json.dumps(payload)))
