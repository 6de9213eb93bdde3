"""Rows of the status authority to store: every argument a field that a test wants to see."""

from __future__ import annotations

import datetime as dt

from pki.ids import Fingerprint, SerialNumber
from pki.model import CrlIntent, CrlRecord, IntentState, Responder, StoredAnswer
from tests.store.samples import NOW, sha256

ISSUER = "mo-sub2.g1"
HOUR = dt.timedelta(hours=1)


def serial(number: int) -> SerialNumber:
    return SerialNumber.from_int(number)


def responder(number: int = 1, *, issuer_id: str = ISSUER) -> Responder:
    der = f"responder {issuer_id} {number}".encode()
    return Responder(
        fingerprint=Fingerprint.of(der),
        issuer_id=issuer_id,
        key_label=f"ocsp.{issuer_id}.{number}",
        der=der,
        not_before=NOW + number * HOUR,
        not_after=NOW + (number + 100) * HOUR,
    )


def answer(
    number: int = 1, *, of: str = "sha1", der: bytes = b"\x30\x00", refresh_at: dt.datetime = NOW
) -> StoredAnswer:
    return StoredAnswer(
        cert_id=f"{of} of {number}".encode(),
        issuer_id=ISSUER,
        serial=serial(number),
        der=der,
        this_update=refresh_at - HOUR,
        next_update=refresh_at + HOUR,
        refresh_at=refresh_at,
    )


def crl(
    number: int = 1,
    *,
    issuer_id: str = ISSUER,
    shard: int = 0,
    octets: int = 3,
    at: dt.datetime = NOW,
) -> CrlRecord:
    return CrlRecord(
        issuer_id=issuer_id,
        shard=shard,
        number=number,
        this_update=at,
        next_update=at + 24 * HOUR,
        entries=number * 10,
        octets=octets,
        sha256=sha256(f"{issuer_id} {shard} {number}"),
        sequence=number * 100,
    )


def crl_intent(
    number: int = 1,
    *,
    issuer_id: str = ISSUER,
    shard: int = 0,
    state: IntentState = IntentState.OPEN,
    intent_id: str | None = None,
) -> CrlIntent:
    return CrlIntent(
        intent_id=intent_id or f"crl {issuer_id} {number}",
        issuer_id=issuer_id,
        shard=shard,
        number=number,
        tbs_sha256=sha256(f"tbs {number}"),
        state=state,
        created_at=NOW,
    )
