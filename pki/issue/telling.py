"""Events of certificates, written with the change that they tell of, if anybody listens."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from typing import Final

from pki.clock import format_time, sortable_id
from pki.model import CertificateRecord, Event
from pki.ports import Transaction

ISSUED: Final = "certificate.issued"
RENEWED: Final = "certificate.renewed"


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
    """Tell of new certificates, before they are stored; one with a forerunner renews it."""
    wanted = tx.webhooks.wanted()
    issued, renewed = ISSUED in wanted, RENEWED in wanted
    if not (issued or renewed):
        return
    for record in records:
        if issued:
            tell(tx, ISSUED, record, at)
        if renewed and _has_forerunner(tx, record):
            tell(tx, RENEWED, record, at)


def _has_forerunner(tx: Transaction, record: CertificateRecord) -> bool:
    return bool(
        tx.certificates.search(
            kinds=(record.kind,),
            owners=(record.owner,),
            common_name=record.common_name,
            limit=1,
        )
    )
