"""Names of events: OPCP's, which we keep, and OPNC's, which differ in their beginning."""

from __future__ import annotations

import json
from typing import Final

from pki import access
from pki.errors import BadInput
from pki.ids import quote
from pki.model import Client, Event, Naming, Role
from pki.pkix.profiles import Kind

OWN: Final = tuple(
    f"{role}.{what}" for role in ("mo", "oem", "cpo") for what in ("ca.revoked", "cert.replaced")
)
"""Not of the documents: a CA fell, and a certificate was issued anew in place of one below it."""

KNOWN: Final = (
    *OWN,
    "root.cert.added",
    "root.cert.expired",
    "root.cert.revoked",
    "mo.prov.cert.updated",
    "mo.prov.cert.deleted",
    "mo.prov.cert.factory.reset",
    "mo.contract.delivered.to.oem",
    "mo.contract.created.sent.to.oem",
    "mo.contract.updated.sent.to.oem",
    "mo.contract.deleted.sent.to.oem",
    "mo.contract.rejected.by.oem",
    "mo.contract.queued.to.oem",
    "oem.contract.created",
    "oem.contract.updated",
    "oem.contract.deleted",
    "certificate.issued",
    "certificate.renewed",
    "certificate.expiring",
    "certificate.expired",
)
_OLD: Final = {"mo.prov.cert.updated.factory.reset": "mo.prov.cert.factory.reset"}
"""Deprecated, and still OPNC's only name for it."""

_OF_CERTIFICATES: Final = "certificate."
_ROLES: Final = {"mo.": Role.EMSP, "oem.": Role.OEM, "cpo.": Role.CPO}


def canonical(name: str) -> str:
    """Return the name that we keep. Raises BadInput (`event_unknown`)."""
    known = "mo." + name.removeprefix("emsp.") if name.startswith("emsp.") else name
    known = _OLD.get(known, known)
    if known not in KNOWN:
        raise BadInput(
            "event_unknown",
            f"There is no event {quote(name)}.",
            hint="Known events: " + ", ".join(KNOWN) + ".",
        )
    return known


def presented(name: str, naming: Naming) -> str:
    """Return the name as a webhook is told it."""
    if naming is Naming.OPNC and name.startswith("mo."):
        return "emsp." + name.removeprefix("mo.")
    return name


def heard_by(event: Event, client: Client) -> bool:
    """
    Tell whether a client may hear of an event: its role's and its party's, or everybody's.

    A party alone says nothing: a provider id can be spelt like a WMI or an operator id.
    """
    if client.disabled_at is not None:
        return False
    if client.role is Role.ADMIN:
        return True
    if not event.party:  # of a certificate, the operator's own
        return not event.type.startswith(_OF_CERTIFICATES)
    if event.type.startswith(_OF_CERTIFICATES):
        role = access.OWNER_ROLE.get(Kind(json.loads(event.payload)["kind"]))
    else:
        role = next((r for start, r in _ROLES.items() if event.type.startswith(start)), None)
    return client.role is role and event.party in client.parties
