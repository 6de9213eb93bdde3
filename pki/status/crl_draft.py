"""
What a CRL will say, before anything is committed or signed: written, linted, compared.

It is compared with its predecessor: an entry leaves only after its certificate expired or was
released from hold.
"""

from __future__ import annotations

import datetime as dt
import io
import mmap
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from pki.clock import UTC
from pki.errors import Conflict, PolicyViolation
from pki.ids import SerialNumber
from pki.issue import crl_address
from pki.model import CrlRecord, Issuer
from pki.pkix import crl, fulllint
from pki.pkix.certificate import load
from pki.pkix.der import DerError
from pki.ports import Deployment, Transaction
from pki.status.policy import StatusPolicy

TAKEN: Final = "crl_number_taken"
_NEVER: Final = dt.datetime(1970, 1, 1, tzinfo=UTC)
_LINTED: Final = 100
"""Entries that pkilint reads; it makes some hundred objects of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """
    A CRL without its signature, whose to-be-signed octets lie in a file.

    Attributes:
        entries: how many there are.
        sequence: the last change that it contains.
        before: the predecessor, or None.
        sample: the first entries, for the lint.
    """

    facts: crl.CrlFacts
    shard: int
    entries: int
    sequence: int
    before: CrlRecord | None
    sample: tuple[bytes, ...] = field(repr=False)


@dataclass(slots=True)
class _Watched:
    """Counts entries that pass, and keeps the first ones."""

    count: int = 0
    first: list[bytes] = field(default_factory=list)

    def all_of(self, entries: Iterable[bytes]) -> Iterator[bytes]:
        for self.count, entry in enumerate(entries, 1):
            if self.count <= _LINTED:
                self.first.append(entry)
            yield entry


def write(
    deployment: Deployment, issuer: Issuer, shard: int, policy: StatusPolicy, out: BinaryIO
) -> Draft:
    """
    Write the to-be-signed octets of an issuer's next CRL, from one consistent read.

    Raises:
        PolicyViolation: `issuer_expired`.
        Unavailable: the store is out of reach.
    """
    certificate = load(issuer.certificate)
    now = deployment.clock.now()
    if certificate.not_after <= now:
        raise PolicyViolation("issuer_expired", "The issuer's own certificate has expired.")
    with deployment.store.read() as tx, tempfile.TemporaryFile() as scratch:
        before = tx.status.crl(issuer.issuer_id, shard)
        facts = crl.CrlFacts(
            issuer=certificate.subject,
            suite=issuer.suite,
            authority_key_id=certificate.key_id or b"",
            number=tx.status.crl_number(issuer.issuer_id) + 1,
            this_update=now,
            next_update=min(now + policy.crl_validity, certificate.not_after),
            distribution_point=_distribution_point(deployment, issuer, shard),
        )
        sequence = tx.status.sequence()
        watched = _Watched()
        entries = watched.all_of(_entries(tx, issuer, shard, _ended_before(before, now)))
        crl.build_tbs(out, facts, entries=entries, scratch=scratch)
    out.flush()
    return Draft(
        facts=facts,
        shard=shard,
        entries=watched.count,
        sequence=sequence,
        before=before,
        sample=tuple(watched.first),
    )


def _ended_before(before: CrlRecord | None, now: dt.datetime) -> dt.datetime:
    """
    Return when a certificate must have ended for its entry to leave.

    RFC 5280 3.3: an entry stays until one CRL after the end of its certificate. A predecessor from
    the future, of a clock that was wrong, says nothing of what has ended by now.
    """
    return min(now, before.this_update) if before else _NEVER


def _distribution_point(deployment: Deployment, issuer: Issuer, shard: int) -> str | None:
    return crl_address(deployment.public_url, issuer.name, shard) if shard else None


def _entries(
    tx: Transaction, issuer: Issuer, shard: int, ended_before: dt.datetime
) -> Iterator[bytes]:
    for revocation in tx.status.revoked(issuer.issuer_id, ended_before):
        serial = revocation.serial.as_int
        if not shard or crl.shard_of(serial, issuer.crl_shards) == shard:
            yield crl.entry(serial, revocation.revoked_at, revocation.reason.value)


def lint(draft: Draft) -> None:
    """
    Refuse a CRL in which pkilint finds anything, by a twin with its header and first entries.

    Raises:
        PolicyViolation: `lint_failed`, with the findings.
    """
    tbs, scratch, twin = io.BytesIO(), io.BytesIO(), io.BytesIO()
    crl.build_tbs(tbs, draft.facts, entries=draft.sample, scratch=scratch)
    crl.assemble_crl(twin, tbs.getvalue(), draft.facts.suite, b"")
    findings = fulllint.crl_findings(twin.getvalue())
    if findings:
        raise PolicyViolation(
            "lint_failed",
            "pkilint refuses the CRL: " + ", ".join(findings) + ".",
            data={"findings": list(findings)},
        )


def compare(deployment: Deployment, issuer: Issuer, draft: Draft, whole: BinaryIO) -> None:
    """
    Refuse a CRL from which an entry of its predecessor vanished without reason.

    Args:
        whole: file of the new CRL, under whatever signature.

    Raises:
        PolicyViolation: `crl_differs`, with the findings.
        Conflict: `crl_number_taken`: the predecessor has two successors already.
    """
    before = draft.before
    if before is None:
        return
    with tempfile.TemporaryFile() as old, deployment.store.read() as tx:
        for chunk in tx.status.crl_chunks(before):
            old.write(chunk)
        if not old.tell():
            raise Conflict(TAKEN, f"CRL {before.number} is no longer the newest.")
        old.flush()
        whole.flush()
        released = tx.status.released(issuer.issuer_id, before.sequence)
        ended_before = _ended_before(before, draft.facts.this_update)

        def may_leave(serial: int) -> bool:
            number = SerialNumber.from_int(serial)
            record = tx.certificates.by_issuer_serial(issuer.issuer_id, number)
            ended = record is not None and record.not_after < ended_before
            return ended or number in released

        problems = _differences(old, whole, may_leave)
    if problems:
        raise PolicyViolation("crl_differs", problems[0], data={"findings": list(problems)})


def _differences(old: BinaryIO, new: BinaryIO, may_leave: Callable[[int], bool]) -> tuple[str, ...]:
    with (
        mmap.mmap(old.fileno(), 0, access=mmap.ACCESS_READ) as one,
        mmap.mmap(new.fileno(), 0, access=mmap.ACCESS_READ) as other,
    ):
        try:
            return crl.compare(one, other, may_leave=may_leave)
        except DerError as error:
            return (f"The predecessor or its successor cannot be read: {error}.",)
