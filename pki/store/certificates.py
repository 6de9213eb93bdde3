"""Certificates that we issued, and what was revoked of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, func, select

from pki.errors import Conflict
from pki.ids import Edition, Fingerprint, SerialNumber
from pki.model import (
    CertificateRecord,
    ChangeKind,
    Expiring,
    Holder,
    Living,
    Reason,
    Revocation,
    Standing,
)
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.store import known_keys, lookups
from pki.store.expiry_sql import ENDING, expiring_page
from pki.store.hot import hot
from pki.store.schema import blocked_keys, certificates, issuers, revocations
from pki.store.session import Parameters, Session, Upsert

_ADD: Final = Upsert.new(certificates)
_BY_FINGERPRINTS: Final = hot(
    select(certificates).where(
        certificates.c.fingerprint.in_(bindparam("fingerprints", expanding=True))
    )
)
_BY_FINGERPRINT: Final = hot(
    select(certificates).where(certificates.c.fingerprint == bindparam("fingerprint"))
)
_BY_SERIAL: Final = (
    select(certificates)
    .where(
        certificates.c.issuer_id.in_(select(issuers.c.issuer_id)),  # for the index
        certificates.c.serial == bindparam("serial"),
    )
    .order_by(certificates.c.issuer_id)
)
_BY_ISSUER_SERIAL: Final = select(certificates).where(
    certificates.c.issuer_id == bindparam("issuer_id"),
    certificates.c.serial == bindparam("serial"),
)
_ENDED: Final = select(certificates.c.serial).where(
    certificates.c.issuer_id == bindparam("issuer_id"),
    certificates.c.serial.in_(bindparam("serials", expanding=True)),
    certificates.c.not_after < bindparam("before"),
)
_AT_ONCE: Final = 1000
_COUNT: Final = select(func.count().label("certificates")).where(
    certificates.c.issuer_id == bindparam("issuer_id")
)
_LIVING: Final = (
    select(
        certificates.c.kind,
        certificates.c.owner,
        func.count().label("certificates"),
        func.max(certificates.c.not_after).label("last"),
    )
    .where(
        certificates.c.issuer_id == bindparam("issuer_id"),
        certificates.c.not_after > bindparam("now"),
    )
    .group_by(certificates.c.kind, certificates.c.owner)
    .order_by(certificates.c.kind, certificates.c.owner)
)
_BY_KEY: Final = (
    select(certificates)
    .where(certificates.c.spki_sha256 == bindparam("spki_sha256"))
    .order_by(certificates.c.fingerprint)
)
_BY_INTENTS: Final = hot(
    select(certificates).where(
        certificates.c.intent_id.in_(bindparam("intent_ids", expanding=True))
    )
)
_BY_CONTRACT: Final = (
    select(certificates)
    .where(certificates.c.contract_id == bindparam("contract_id"))
    .order_by(certificates.c.fingerprint)
)
_REVOKE: Final = Upsert.new(revocations)
_RELEASE: Final = delete(revocations).where(
    revocations.c.issuer_id == bindparam("the_issuer"),
    revocations.c.serial == bindparam("the_serial"),
)
_REVOCATION: Final = hot(
    select(revocations).where(
        revocations.c.issuer_id == bindparam("issuer_id"),
        revocations.c.serial == bindparam("serial"),
    )
)
_REVOCATIONS: Final = select(revocations).where(
    # pairs, (issuer_id, serial) IN (VALUES …), would make SQLite scan the whole table
    revocations.c.issuer_id.in_(bindparam("issuer_ids", expanding=True)),
    revocations.c.serial.in_(bindparam("serials", expanding=True)),
)
_BLOCK: Final = Upsert.new(blocked_keys)
_BLOCKED: Final = hot(
    select(blocked_keys.c.spki_sha256).where(
        blocked_keys.c.spki_sha256.in_(bindparam("spki_sha256s", expanding=True))
    )
)


_ALL_BLOCKED: Final = select(blocked_keys.c.spki_sha256).limit(bindparam("most"))


class CertificateRows:
    """Certificates, revocations and blocked keys; see `pki.ports.Certificates`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, record: CertificateRecord) -> None:
        """
        Store a certificate.

        Raises:
            Conflict: `certificate_exists`: its fingerprint, its issuer and serial, or its intent
                has a certificate already.
        """
        if not self._session.put(_ADD, _row(record)):
            raise Conflict(
                "certificate_exists",
                f"There is a certificate for serial {record.serial.value} or its intent already.",
            )

    def add_many(self, records: Sequence[CertificateRecord]) -> None:
        """Store certificates, all or none; errors as `add`."""
        if len(records) == 1:
            self.add(records[0])
            return
        try:
            self._session.load(certificates, [_row(record) for record in records])
        except Conflict as error:
            exists = Conflict("certificate_exists", "One of the certificates was stored already.")
            raise self._session.spoil(exists) from error

    def by_fingerprint(self, fingerprint: Fingerprint) -> CertificateRecord | None:
        """Return the certificate, or None."""
        row = self._session.first(_BY_FINGERPRINT, {"fingerprint": fingerprint.value})
        return _record(row) if row else None

    def by_fingerprints(
        self, fingerprints: list[Fingerprint]
    ) -> dict[Fingerprint, CertificateRecord]:
        """Return those of the certificates that are ours, with one query."""
        if not fingerprints:
            return {}
        wanted = [fingerprint.value for fingerprint in fingerprints]
        found = map(_record, self._session.rows(_BY_FINGERPRINTS, {"fingerprints": wanted}))
        return {record.fingerprint: record for record in found}

    def standings(self, fingerprints: list[Fingerprint]) -> dict[Fingerprint, Standing]:
        """Return how those of the certificates stand that are ours, with one query."""
        return lookups.standings(self._session, fingerprints)

    def revocations_of(
        self, fingerprints: list[Fingerprint]
    ) -> dict[Fingerprint, Revocation | None]:
        """Return the revocation, if any, of those of the certificates that are ours."""
        return lookups.revocations_of(self._session, fingerprints)

    def by_serial(self, serial: SerialNumber) -> list[CertificateRecord]:
        """Return the certificates of every issuer that carry this serial."""
        return [_record(row) for row in self._session.rows(_BY_SERIAL, {"serial": serial.value})]

    def by_issuer_serial(self, issuer_id: str, serial: SerialNumber) -> CertificateRecord | None:
        """Return the certificate, or None."""
        key = {"issuer_id": issuer_id, "serial": serial.value}
        row = self._session.first(_BY_ISSUER_SERIAL, key)
        return _record(row) if row else None

    def by_key(self, spki_sha256: bytes) -> list[CertificateRecord]:
        """Return the certificates of a public key, ordered by fingerprint."""
        return [_record(row) for row in self._session.rows(_BY_KEY, {"spki_sha256": spki_sha256})]

    def known_keys(
        self, spki_sha256s: list[bytes]
    ) -> tuple[set[bytes], list[tuple[bytes, Holder]]]:
        """Return those of the keys that are blocked, and whose certificates they stand in."""
        return known_keys.known(self._session, spki_sha256s)

    def by_intents(self, intent_ids: list[str]) -> list[CertificateRecord]:
        """Return the certificates of any of these intents, with one query."""
        if not intent_ids:
            return []
        rows = self._session.rows(_BY_INTENTS, {"intent_ids": intent_ids})
        return [_record(row) for row in rows]

    def by_contract(self, contract_id: str) -> list[CertificateRecord]:
        """Return the certificates of a contract, ordered by fingerprint."""
        return [
            _record(row) for row in self._session.rows(_BY_CONTRACT, {"contract_id": contract_id})
        ]

    def ended(
        self, issuer_id: str, serials: list[SerialNumber], before: dt.datetime
    ) -> set[SerialNumber]:
        """Return those of an issuer's serials whose certificates ended before a time."""
        found: set[SerialNumber] = set()
        for at in range(0, len(serials), _AT_ONCE):
            wanted = [serial.value for serial in serials[at : at + _AT_ONCE]]
            key = {"issuer_id": issuer_id, "serials": wanted, "before": before}
            found |= {SerialNumber(value=row.serial) for row in self._session.rows(_ENDED, key)}
        return found

    def search(  # noqa: PLR0913 - one keyword per filter
        self,
        *,
        kinds: tuple[Kind, ...] | None = None,
        owners: tuple[str, ...] | None = None,
        issuer_id: str | None = None,
        common_name: str | None = None,
        after: Fingerprint | None = None,
        limit: int = 100,
    ) -> list[CertificateRecord]:
        """Return a page ordered by fingerprint, beginning behind `after`."""
        column = certificates.c
        filters = (
            (column.issuer_id, issuer_id),
            (column.common_name, common_name),
        )
        query = select(certificates).where(
            *(c == wanted for c, wanted in filters if wanted is not None)
        )
        if kinds is not None:
            query = query.where(column.kind.in_(kinds))
        if owners is not None:
            query = query.where(column.owner.in_(owners))
        if after is not None:
            query = query.where(column.fingerprint > after.value)
        page = query.order_by(column.fingerprint).limit(limit)
        return [_record(row) for row in self._session.rows(page)]

    def expiring(  # noqa: PLR0913 - one keyword per filter
        self,
        begin: dt.datetime,
        last: Fingerprint | None,
        end: dt.datetime,
        *,
        kinds: tuple[Kind, ...] | None = None,
        owners: tuple[str, ...] | None = None,
        issuer_id: str | None = None,
        limit: int = 100,
    ) -> list[Expiring]:
        """Return those in force that end behind `begin` (and `last`) and not behind `end`."""
        query = expiring_page(begin, last, end, kinds, owners, issuer_id).limit(limit)
        return [
            Expiring(record=_record(row), renewed=bool(row.renewed))
            for row in self._session.rows(query)
        ]

    def ending(self, begin: dt.datetime, end: dt.datetime) -> dict[Kind, int]:
        """Return how many in force end behind `begin` and not behind `end`, by kind."""
        rows = self._session.rows(ENDING, {"begin": begin, "end": end})
        return {Kind(row.kind): row.certificates for row in rows}

    def count(self, issuer_id: str) -> int:
        """Return how many certificates an issuer issued."""
        row = self._session.first(_COUNT, {"issuer_id": issuer_id})
        return int(row.certificates) if row else 0

    def living(self, issuer_id: str, now: dt.datetime) -> list[Living]:
        """Return what an issuer's certificates that have not ended are, by kind and owner."""
        return [
            Living(kind=Kind(row.kind), owner=row.owner, count=row.certificates, last=row.last)
            for row in self._session.rows(_LIVING, {"issuer_id": issuer_id, "now": now})
        ]

    def revoke(self, revocation: Revocation) -> None:
        """Store a revocation. Raises Conflict (`already_revoked`)."""
        row = {
            "issuer_id": revocation.issuer_id,
            "serial": revocation.serial.value,
            "reason": revocation.reason,
            "revoked_at": revocation.revoked_at,
            "revoked_by": revocation.revoked_by,
            "not_after": revocation.not_after,
            "shard": revocation.shard,
        }
        if not self._session.put(_REVOKE, row):
            raise Conflict(
                "already_revoked", f"Serial {revocation.serial.value} was revoked before."
            )

    def release(self, issuer_id: str, serial: SerialNumber) -> None:
        """Remove a revocation, if there is one."""
        self._session.change(_RELEASE, {"the_issuer": issuer_id, "the_serial": serial.value})

    def revocation(self, issuer_id: str, serial: SerialNumber) -> Revocation | None:
        """Return the revocation of a serial, or None."""
        key = {"issuer_id": issuer_id, "serial": serial.value}
        row = self._session.first(_REVOCATION, key)
        return _revocation(row) if row else None

    def revocations(
        self, keys: list[tuple[str, SerialNumber]]
    ) -> dict[tuple[str, SerialNumber], Revocation]:
        """Return those of the serials (issuer id, serial) that are revoked, with one query."""
        if not keys:
            return {}
        crossed = {
            "issuer_ids": sorted({issuer_id for issuer_id, _ in keys}),
            "serials": sorted({serial.value for _, serial in keys}),
        }
        found = map(_revocation, self._session.rows(_REVOCATIONS, crossed))
        by_key = {(each.issuer_id, each.serial): each for each in found}
        return {key: by_key[key] for key in keys if key in by_key}

    def block_key(self, spki_sha256: bytes, at: dt.datetime, why: str) -> None:
        """Put a public key on the block list; a second time changes nothing."""
        self._session.put(_BLOCK, {"spki_sha256": spki_sha256, "blocked_at": at, "why": why})
        self._session.note(ChangeKind.KEYS)

    def keys_blocked(self, spki_sha256s: list[bytes]) -> set[bytes]:
        """Return those of the keys that are on the block list, with one query."""
        if not spki_sha256s:
            return set()
        rows = self._session.rows(_BLOCKED, {"spki_sha256s": spki_sha256s})
        return {bytes(row.spki_sha256) for row in rows}

    def all_blocked(self, most: int) -> frozenset[bytes] | None:
        """Return the whole block list; None where it has more than `most` keys."""
        rows = self._session.rows(_ALL_BLOCKED, {"most": most + 1})
        return frozenset(bytes(row.spki_sha256) for row in rows) if len(rows) <= most else None

    def key_blocked(self, spki_sha256: bytes) -> bool:
        """Tell whether a public key is on the block list."""
        return bool(self.keys_blocked([spki_sha256]))


def _row(record: CertificateRecord) -> Parameters:
    return {
        "fingerprint": record.fingerprint.value,
        "issuer_id": record.issuer_id,
        "serial": record.serial.value,
        "der": record.der,
        "kind": record.kind,
        "edition": record.edition,
        "suite": record.suite,
        "subject": record.subject,
        "common_name": record.common_name,
        "not_before": record.not_before,
        "not_after": record.not_after,
        "owner": record.owner,
        "spki_sha256": record.spki_sha256,
        "intent_id": record.intent_id,
        "issued_at": record.issued_at,
        "contract_id": record.contract_id,
    }


def _record(row: Row[Any]) -> CertificateRecord:
    return CertificateRecord(
        fingerprint=Fingerprint(value=row.fingerprint),
        issuer_id=row.issuer_id,
        serial=SerialNumber(value=row.serial),
        der=row.der,
        kind=Kind(row.kind),
        edition=Edition(row.edition),
        suite=Suite(row.suite),
        subject=row.subject,
        common_name=row.common_name,
        not_before=row.not_before,
        not_after=row.not_after,
        owner=row.owner,
        spki_sha256=row.spki_sha256,
        intent_id=row.intent_id,
        issued_at=row.issued_at,
        contract_id=row.contract_id,
    )


def _revocation(row: Row[Any]) -> Revocation:
    return Revocation(
        issuer_id=row.issuer_id,
        serial=SerialNumber(value=row.serial),
        reason=Reason(row.reason),
        revoked_at=row.revoked_at,
        revoked_by=row.revoked_by,
        not_after=row.not_after,
        shard=row.shard,
    )
