"""
Sessions, CDRs and tariffs that a CPO partner keeps with us.

Pushes may come twice and out of order: what is older than what is held, by `last_updated`, changes
nothing and is answered like any other, since its sender has nothing to mend. A PATCH of something
that is not held is refused, so that its sender turns to PUT.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from pki.errors import BadInput, NotFound
from pki.ids import quote
from pki.model import Partner, PartnerObject
from pki.partners import sessions
from pki.partners.caller import require_owner
from pki.partners.network import PartnerNetwork, version_of
from pki.ports import Transaction
from pki.roaming.ocpi.charging import CDRS, SESSIONS
from pki.roaming.ocpi.parties import PartyKey, PartyRole
from pki.roaming.ocpi.shapes import Json, Shape, missing, needed_text
from pki.roaming.ocpi.tariffs import TARIFFS
from pki.roaming.ocpi.text import fold, parse_time
from pki.roaming.ocpi.tokens import ids_differ, merged
from pki.roaming.ocpi.versions import Version

MAX_AHEAD: Final = dt.timedelta(days=1)
"""How far a clock may be ahead: an object from further ahead would lock out its successors."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_SHAPES: Final[Mapping[str, Mapping[Version, Shape]]] = {
    "session": SESSIONS,
    "cdr": CDRS,
    "tariff": TARIFFS,
}


def get(
    network: PartnerNetwork, partner: Partner, kind: str, key: PartyKey, object_id: str
) -> dict[str, Any]:
    """
    Return an object as its owner gave it.

    Raises:
        NotFound: `ocpi_party_unknown`, `ocpi_object_unknown`.
    """
    with network.deployment.store.read() as tx:
        require_owner(tx, partner, key, PartyRole.CPO)
        held = tx.partner_objects.get(kind, str(key), fold(object_id))
    if held is None or held.deleted:
        raise _unknown(kind, object_id)
    found: dict[str, Any] = json.loads(held.document)
    return found


def put(  # noqa: PLR0913 - the parts of an address, and the body
    network: PartnerNetwork,
    partner: Partner,
    kind: str,
    key: PartyKey,
    object_id: str,
    body: object,
) -> bool:
    """
    Take in a whole session or tariff; tell whether it changed anything.

    Raises:
        BadInput: `ocpi_…`, `ocpi_ids_differ`, `ocpi_time_ahead`, `ocpi_not_our_driver`.
        NotFound: `ocpi_party_unknown`.
    """
    found = _read(network, partner, kind, body)
    _check_address(found, key, object_id)
    with network.deployment.store.write() as tx:
        require_owner(tx, partner, key, PartyRole.CPO)
        held = tx.partner_objects.get(kind, found.party, found.key)
        if kind == "tariff":
            return _keep_version(tx, found)
        if held is not None and held.updated > found.updated:
            return False
        _keep_session(tx, partner, found)
    return True


def _keep_session(tx: Transaction, partner: Partner, found: PartnerObject) -> None:
    document = json.loads(found.document)
    reference = sessions.confirmed(tx, partner, found.party, document)
    tx.partner_objects.put(replace(found, reference=reference))
    sessions.note(tx, partner, found.party, document)


def _keep_version(tx: Transaction, found: PartnerObject) -> bool:
    """Keep a tariff beside those before it, late ones too; the newest by its time counts."""
    held = tx.partner_objects.versions(found.party, found.key)
    if any(_same(each, found) for each in held):
        return False
    tx.partner_objects.put(replace(found, sequence=len(held) + 1))
    return True


def _same(one: PartnerObject, other: PartnerObject) -> bool:
    return (one.updated, one.deleted, json.loads(one.document)) == (
        other.updated,
        other.deleted,
        json.loads(other.document),
    )


def patch_session(
    network: PartnerNetwork, partner: Partner, key: PartyKey, object_id: str, body: object
) -> bool:
    """
    Change a session; its charging periods are appended, those that are held already are not.

    Raises:
        BadInput: as `put`, and `ocpi_field_missing` without `last_updated`.
        NotFound: `ocpi_party_unknown`, `ocpi_object_unknown`.
    """
    version = version_of(partner)
    SESSIONS[version].check(body, partial=True)
    with network.deployment.store.write() as tx:
        require_owner(tx, partner, key, PartyRole.CPO)
        held = tx.partner_objects.get("session", str(key), fold(object_id))
        if held is None:
            raise _unknown("session", object_id)
        document = json.loads(held.document)
        changed = merged(document, body, ("country_code", "party_id", "id"))
        changed["charging_periods"] = _appended(document, changed)
        found = _read(network, partner, "session", changed)
        if found.updated < held.updated:
            return False
        _keep_session(tx, partner, found)
    return True


def _appended(before: Json, after: Json) -> list[object]:
    held, sent = before.get("charging_periods") or [], after.get("charging_periods") or []
    held = held if isinstance(held, list) else []
    sent = sent if isinstance(sent, list) else []
    return [*held, *(period for period in sent if period not in held)]


def delete_tariff(network: PartnerNetwork, partner: Partner, key: PartyKey, object_id: str) -> None:
    """
    Withdraw a tariff; its versions are kept.

    Raises:
        NotFound: `ocpi_party_unknown`, `ocpi_object_unknown`.
    """
    now = network.deployment.clock.now()
    with network.deployment.store.write() as tx:
        require_owner(tx, partner, key, PartyRole.CPO)
        held = tx.partner_objects.get("tariff", str(key), fold(object_id))
        if held is None or held.deleted:
            raise _unknown("tariff", object_id)
        updated = max(held.updated, micros(now))
        sequence = len(tx.partner_objects.versions(held.party, held.key)) + 1
        tx.partner_objects.put(
            replace(held, sequence=sequence, updated=updated, received_at=now, deleted=True)
        )


def add_cdr(network: PartnerNetwork, partner: Partner, body: object) -> PartnerObject:
    """
    Take in a CDR, which never changes; the same one again is answered like the first time.

    Raises:
        BadInput: as `put`, `ocpi_cdr_exists` for another one of the same id, `ocpi_field_missing`
            for a credit that names no CDR.
        NotFound: `ocpi_party_unknown`.
    """
    found = _read(network, partner, "cdr", body)
    document = json.loads(found.document)
    if document.get("credit") is True and not document.get("credit_reference_id"):
        raise missing("credit_reference_id")
    key = PartyKey.parse(found.party)
    with network.deployment.store.write() as tx:
        require_owner(tx, partner, key, PartyRole.CPO)
        held = tx.partner_objects.get("cdr", found.party, found.key)
        if held is None:
            reference = sessions.confirmed(tx, partner, found.party, document)
            tx.partner_objects.put(replace(found, reference=reference))
        elif json.loads(held.document) != document:
            raise BadInput(
                "ocpi_cdr_exists",
                f"There is another CDR {quote(document['id'])}; a CDR does not change.",
                hint="Send a credit CDR under a new id, then a new CDR.",
            )
    return found


def _read(network: PartnerNetwork, partner: Partner, kind: str, body: object) -> PartnerObject:
    """Check an object by its shape, its driver and its time."""
    _SHAPES[kind][version_of(partner)].check(body)
    values: Json = body if isinstance(body, dict) else {}
    if kind != "tariff":
        _require_our_driver(partner, values["cdr_token"])
    now = network.deployment.clock.now()
    updated = parse_time(needed_text(values, "last_updated"), "last_updated")
    require_not_ahead(updated, now)
    key = PartyKey.of(needed_text(values, "country_code"), needed_text(values, "party_id"))
    return PartnerObject(
        kind=kind,
        party=str(key),
        key=fold(needed_text(values, "id")),
        partner_id=partner.partner_id,
        updated=micros(updated),
        received_at=now,
        document=json.dumps(values, ensure_ascii=True, separators=(",", ":")),
    )


def _require_our_driver(partner: Partner, token: object) -> None:
    values: Json = token if isinstance(token, dict) else {}
    emsp = PartyKey.of(needed_text(values, "country_code"), needed_text(values, "party_id"))
    if not any(own.role == PartyRole.EMSP and own.party == str(emsp) for own in partner.own):
        raise BadInput(
            "ocpi_not_our_driver",
            f"cdr_token names the eMSP {emsp}, whom you do not deal with here.",
            data={"field": "cdr_token"},
        )


def require_not_ahead(updated: dt.datetime, now: dt.datetime) -> None:
    """Raise BadInput (`ocpi_time_ahead`) for an object from far ahead."""
    if updated - now > MAX_AHEAD:
        raise BadInput(
            "ocpi_time_ahead",
            "last_updated lies more than a day ahead: check your clock.",
            data={"field": "last_updated"},
        )


def _check_address(found: PartnerObject, key: PartyKey, object_id: str) -> None:
    """Raise BadInput (`ocpi_ids_differ`) where body and address name different objects."""
    if found.party != str(key):
        raise ids_differ("party_id", str(key), found.party)
    if found.key != fold(object_id):
        raise ids_differ("id", object_id, found.key)


def micros(value: dt.datetime) -> int:
    """Return microseconds since 1970."""
    return (value - _EPOCH) // dt.timedelta(microseconds=1)


def _unknown(kind: str, object_id: str) -> NotFound:
    return NotFound("ocpi_object_unknown", f"We hold no {kind} {quote(object_id)}.")
