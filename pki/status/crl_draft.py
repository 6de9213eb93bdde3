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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from pki.clock import UTC
from pki.errors import Conflict, PolicyViolation
from pki.ids import SerialNumber
from pki.issue import crl_address
from pki.model import CrlRecord, Issuer, RevokedRow
from pki.pkix import crl, fulllint
from pki.pkix.certificate import load
from pki.pkix.der import DerError, slice_certificate
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
        scope: the issuers whose revocations it lists, itself included.
        sample: the first entries, for the lint.
    """

    facts: crl.CrlFacts
    shard: int
    entries: int
    sequence: int
    before: CrlRecord | None
    scope: tuple[str, ...]
    sample: bytes = field(repr=False)


@dataclass(slots=True)
class _Watched:
    """Writes entries page by page, counts them, and keeps the first ones."""

    count: int = 0
    first: bytes = b""
    writer: crl.EntryWriter = field(default_factory=crl.EntryWriter)

    def all_of(self, pages: Iterable[Sequence[RevokedRow]]) -> Iterator[bytes]:
        for page in pages:
            if not self.count:
                self.first = self.writer.written(page[:_LINTED])
            self.count += len(page)
            yield self.writer.written(page)


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
        covered = scope(tx.issuers.all(), issuer, shard)
        watched = _Watched()
        pages = _pages(tx, covered, shard, _ended_before(before, now))
        crl.build_tbs(out, facts, entries=watched.all_of(pages), scratch=scratch)
    out.flush()
    return Draft(
        facts=facts,
        shard=shard,
        entries=watched.count,
        sequence=sequence,
        before=before,
        scope=covered,
        sample=watched.first,
    )


def _ended_before(before: CrlRecord | None, now: dt.datetime) -> dt.datetime:
    """
    Return when a certificate must have ended for its entry to leave.

    RFC 5280 3.3: an entry stays until one CRL after the end of its certificate. A predecessor from
    the future, of a clock that was wrong, says nothing of what has ended by now.
    """
    return min(now, before.this_update) if before else _NEVER


def _distribution_point(deployment: Deployment, issuer: Issuer, shard: int) -> str | None:
    return crl_address(deployment.public_url, issuer, shard) if shard else None


def scope(issuers: Iterable[Issuer], issuer: Issuer, shard: int) -> tuple[str, ...]:
    """
    Return the ids of the issuers whose revocations a CRL lists.

    A full CRL speaks for a name (RFC 5280 5: everything that the CA of that name issued), and
    generations may share their key as well: it lists what any of them revoked, so that whoever
    holds it for another generation's certificate is not told that all is well. A shard speaks for
    certificates that name it, which are of one generation.
    """
    if shard:
        return (issuer.issuer_id,)
    # cut, not parsed: asked for every CA every other second
    subject = slice_certificate(issuer.certificate).subject
    certified = [i for i in issuers if i.certificate]
    return tuple(
        i.issuer_id for i in certified if slice_certificate(i.certificate).subject == subject
    )


def _pages(
    tx: Transaction, covered: tuple[str, ...], shard: int, ended_before: dt.datetime
) -> Iterator[Sequence[RevokedRow]]:
    for issuer_id in covered:
        yield from tx.status.revoked(issuer_id, ended_before, shard or None)


def lint(draft: Draft) -> None:
    """
    Refuse a CRL in which pkilint finds anything, by a twin with its header and first entries.

    Raises:
        PolicyViolation: `lint_failed`, with the findings.
    """
    tbs, scratch, twin = io.BytesIO(), io.BytesIO(), io.BytesIO()
    crl.build_tbs(tbs, draft.facts, entries=(draft.sample,), scratch=scratch)
    crl.assemble_crl(twin, tbs.getvalue(), draft.facts.suite, b"")
    findings = fulllint.crl_findings(twin.getvalue())
    if findings:
        raise PolicyViolation(
            "lint_failed",
            "pkilint refuses the CRL: " + ", ".join(findings) + ".",
            data={"findings": list(findings)},
        )


def compare(deployment: Deployment, draft: Draft, whole: BinaryIO) -> None:
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
        ended_before = _ended_before(before, draft.facts.this_update)

        def may_leave(serials: list[int]) -> set[int]:
            numbers = list(map(SerialNumber.from_int, serials))
            found: set[SerialNumber] = set()
            for issuer_id in draft.scope:
                found |= tx.status.released(issuer_id, before.sequence)
                found |= tx.certificates.ended(issuer_id, numbers, ended_before)
            return {number.as_int for number in found}

        problems = _differences(old, whole, may_leave)
    if problems:
        raise PolicyViolation("crl_differs", problems[0], data={"findings": list(problems)})


def _differences(
    old: BinaryIO, new: BinaryIO, may_leave: Callable[[list[int]], set[int]]
) -> tuple[str, ...]:
    with (
        mmap.mmap(old.fileno(), 0, access=mmap.ACCESS_READ) as one,
        mmap.mmap(new.fileno(), 0, access=mmap.ACCESS_READ) as other,
    ):
        try:
            return crl.compare(one, other, may_leave=may_leave)
        except DerError as error:
            return (f"The predecessor or its successor cannot be read: {error}.",)
