"""Many certificates and revocations at once, written into the tables as a bulk load would."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from sqlalchemy import insert, text

from pki.model import IntentState, Issuer
from pki.store.db import Database
from pki.store.schema import certificates, intents, revocations

_BATCH = 10_000
FIRST = 1 << 126


def serials(count: int) -> Iterator[str]:
    """Yield serials of 16 octets, spread as random ones are, the same ones each time."""
    for number in range(count):
        yield f"{FIRST | (number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % FIRST:x}"


def revoke_many(
    store: Database, issuer: Issuer, count: int, *, now: dt.datetime, until: dt.datetime
) -> None:
    """Seed `count` certificates of an issuer, every one revoked; no change is logged."""
    found = sorted(serials(count))
    with store.write() as tx:
        connection = tx._session._connection
        for at in range(0, count, _BATCH):
            page = found[at : at + _BATCH]
            connection.execute(insert(intents), [_intent(issuer, s, now) for s in page])
            connection.execute(
                insert(certificates), [_certificate(issuer, s, now, until) for s in page]
            )
            connection.execute(
                insert(revocations), [_revocation(issuer, s, now, until) for s in page]
            )


def _intent(issuer: Issuer, serial: str, now: dt.datetime) -> dict[str, object]:
    return {
        "intent_id": f"{issuer.issuer_id}/{serial}",
        "issuer_id": issuer.issuer_id,
        "serial": serial,
        "profile": "contract-2",
        "kind": "contract",
        "edition": issuer.edition,
        "suite": issuer.suite,
        "tbs": b"",
        "owner": "",
        "requested_by": "seed",
        "state": IntentState.COMPLETED,
        "created_at": now,
        "contract_id": None,
    }


def _certificate(
    issuer: Issuer, serial: str, now: dt.datetime, end: dt.datetime
) -> dict[str, object]:
    return {
        "fingerprint": serial.rjust(64, "0"),
        "issuer_id": issuer.issuer_id,
        "serial": serial,
        "der": bytes(600),
        "kind": "contract",
        "edition": issuer.edition,
        "suite": issuer.suite,
        "subject": f"CN={serial}",
        "common_name": serial,
        "not_before": now,
        "not_after": end,
        "owner": "",
        "spki_sha256": serial.encode(),
        "intent_id": f"{issuer.issuer_id}/{serial}",
        "issued_at": now,
        "contract_id": None,
    }


def _revocation(
    issuer: Issuer, serial: str, now: dt.datetime, end: dt.datetime
) -> dict[str, object]:
    return {
        "issuer_id": issuer.issuer_id,
        "serial": serial,
        "reason": "superseded",
        "revoked_at": now,
        "revoked_by": "seed",
        "not_after": end,
    }


_NUMBERS = "WITH RECURSIVE s(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM s WHERE n < :count)"
_SERIAL = "printf('7%031x', (n * 2654435761) % 4294967296 * 65536 + n % 65536)"
_REVOCATIONS = f"""
INSERT INTO revocations
{_NUMBERS} SELECT :issuer, {_SERIAL}, 'superseded', :now, 'seed', :end, 0 FROM s
"""  # noqa: S608 - constants
_INTENTS = """
INSERT INTO intents
SELECT :issuer || '/' || serial, :issuer, serial, 'contract-2', 'contract', :edition, :suite,
       x'', '', 'seed', 'completed', :now, NULL
FROM revocations WHERE issuer_id = :issuer
"""
_CERTIFICATES = """
INSERT INTO certificates
SELECT printf('%064s', serial), :issuer, serial, zeroblob(600), 'contract', :edition, :suite,
       serial, serial, :now, :end, '', serial, :issuer || '/' || serial, :now, NULL
FROM revocations WHERE issuer_id = :issuer
"""


def revoke_very_many(store: Database, issuer: Issuer, count: int, *, now: dt.datetime) -> None:
    """Seed as `revoke_many`, but made within SQLite: a hundred thousand in some seconds."""
    facts = {
        "issuer": issuer.issuer_id,
        "edition": issuer.edition.value,
        "suite": issuer.suite.value,
        "now": int(now.timestamp()),
        "end": int(now.timestamp()) + 10**7,
        "count": count,
    }
    with store.write() as tx:
        for statement in (_REVOCATIONS, _INTENTS, _CERTIFICATES):
            tx._session._connection.execute(text(statement), facts)
