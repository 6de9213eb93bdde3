"""Events of certificates, written with the change that they tell of, if anybody listens."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Final

from pki.clock import format_time, parse_time, sortable_id
from pki.model import CertificateRecord, Event
from pki.ports import Transaction

ISSUED: Final = "certificate.issued"
RENEWED: Final = "certificate.renewed"
EXPIRING: Final = "certificate.expiring"


def tell(tx: Transaction, event: str, record: CertificateRecord, at: dt.datetime) -> None:
    """Append an event about a certificate inside the caller's transaction."""
    payload = {
        "serialNumber": record.serial.value,
        "fingerprint": record.fingerprint.value,
        "kind": record.kind.value,
        "commonName": record.common_name,
        "issuer": record.issuer_id,
        "notBefore": format_time(record.not_before),
        "notAfter": format_time(record.not_after),
    }
    tx.outbox.add(
        Event(
            event_id=sortable_id(),
            type=event,
            party=record.owner,
            payload=json.dumps(payload, sort_keys=True),
            created_at=at,
        )
    )


def tell_issued(tx: Transaction, records: Sequence[CertificateRecord], at: dt.datetime) -> None:
    """
    Tell of new certificates, before they are stored; one with a forerunner renews it.

    One that ends so soon that the job of `pki.expiry` looks behind its end is told of here.
    """
    wanted = tx.webhooks.wanted()
    issued, renewed = ISSUED in wanted, RENEWED in wanted
    told_up_to = _told_up_to(tx) if EXPIRING in wanted else None
    if not (issued or renewed or told_up_to):
        return
    for record in records:
        if issued:
            tell(tx, ISSUED, record, at)
        if renewed and _has_forerunner(tx, record):
            tell(tx, RENEWED, record, at)
        if told_up_to and record.not_after <= told_up_to:
            tell(tx, EXPIRING, record, at)


def mark_of(event: str) -> str:
    """Return the name under which the store keeps up to which end an event was told."""
    return f"expiry.{event}"


def _told_up_to(tx: Transaction) -> dt.datetime | None:
    mark = tx.setting(mark_of(EXPIRING))
    return parse_time(mark.partition(",")[0]) if mark else None


def _has_forerunner(tx: Transaction, record: CertificateRecord) -> bool:
    return bool(
        tx.certificates.search(
            kinds=(record.kind,),
            owners=(record.owner,),
            common_name=record.common_name,
            limit=1,
        )
    )
