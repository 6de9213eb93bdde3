"""
Everything that was issued, linted and verified once more, by the rules of today.

What there is to check is taken from the audit chains, not from the table of certificates, so that
one that was removed is missed. How far each chain was checked is kept in the store: a run that was
cut short goes on there, and the next one takes only what is new.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from pki import access, audit
from pki.errors import PkiError
from pki.ids import Fingerprint
from pki.model import AuditEntry, CertificateRecord, Issuer, Principal
from pki.pkix import fulllint, lint
from pki.pkix.certificate import Certificate, load
from pki.pkix.path.signatures import certifies
from pki.pkix.profiles import Profile, find
from pki.ports import Deployment, Transaction
from pki.rotate.cross import profile_of

MARKS: Final = "rechecked"
"""Setting of the store: up to which entry each chain was checked."""

_AT_ONCE: Final = 200
_MOST_FINDINGS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """A certificate that does not hold, and why."""

    issuer_id: str
    serial: str
    fingerprint: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    What a run found.

    Attributes:
        wrong: at most a thousand; after that the run ends, and the next goes on.
        remaining: entries that were not looked at.
    """

    checked: int
    wrong: tuple[Wrong, ...]
    remaining: int


def remaining(deployment: Deployment, principal: Principal, *, anew: bool = False) -> int:
    """Return how many entries of the chains of CAs a run would look at."""
    access.require(principal, access.Action.READ_AUDIT)
    with deployment.store.read() as tx:
        marks = {} if anew else _marks(tx)
        heads = tx.audit.heads()
        chains = [i.issuer_id for i in tx.issuers.all()]
    return sum(heads[c][0] - marks.get(c, 0) for c in chains if c in heads)


def recheck(
    deployment: Deployment,
    principal: Principal,
    *,
    anew: bool = False,
    full: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Report:
    """
    Check what was issued since the marks and move these on.

    Args:
        anew: forget the marks, and check everything.
        full: ask pkilint too, some milliseconds a certificate.
        progress: told how many entries were looked at since the last time.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    if anew:
        with deployment.store.write() as tx:
            tx.put_setting(MARKS, "{}")
    with deployment.store.read() as tx:
        issuers = [issuer for issuer in tx.issuers.all() if issuer.certificate]
    checked, wrong = 0, list[Wrong]()
    for issuer in issuers:
        for count, found, looked_at in _pages(deployment, issuer, full=full):
            checked += count
            wrong += found
            progress(looked_at)
            if len(wrong) >= _MOST_FINDINGS:
                return _report(deployment, principal, checked, wrong)
    return _report(deployment, principal, checked, wrong)


def _report(
    deployment: Deployment, principal: Principal, checked: int, wrong: list[Wrong]
) -> Report:
    left = remaining(deployment, principal)
    return Report(checked=checked, wrong=tuple(wrong), remaining=left)


def _pages(
    deployment: Deployment, issuer: Issuer, *, full: bool
) -> Iterator[tuple[int, list[Wrong], int]]:
    """Check a chain page by page; yield certificates, findings and entries of each."""
    chain, own = issuer.issuer_id, load(issuer.certificate)
    while True:
        with deployment.store.read() as tx:
            behind = _marks(tx).get(chain, 0)
            entries = list(islice(tx.audit.entries(chain, behind), _AT_ONCE))
            named = list(_named(entries))
            records = tx.certificates.by_fingerprints([f for _, f in named])
        if not entries:
            return
        wrong = [
            Wrong(issuer_id=chain, serial=serial, fingerprint=f.value, problems=problems)
            for serial, f in named
            if (problems := _problems(records.get(f), serial, issuer, own, full=full))
        ]
        _mark(deployment, chain, entries[-1].sequence)
        yield len(named), wrong, len(entries)


def _named(entries: list[AuditEntry]) -> Iterator[tuple[str, Fingerprint]]:
    for entry in entries:
        if entry.action == "certificate.issue":
            for serial, details in audit.each_of(entry):
                yield serial, Fingerprint.parse(details["fingerprint"])


def _marks(tx: Transaction) -> dict[str, int]:
    found: dict[str, int] = json.loads(tx.setting(MARKS) or "{}")
    return found


def _mark(deployment: Deployment, chain: str, sequence: int) -> None:
    with deployment.store.write() as tx:
        tx.put_setting(MARKS, json.dumps(_marks(tx) | {chain: sequence}))


def _problems(
    record: CertificateRecord | None,
    serial: str,
    issuer: Issuer,
    own: Certificate,
    *,
    full: bool,
) -> tuple[str, ...]:
    """Return everything that is wrong with a certificate; empty: nothing."""
    if record is None:
        return ("it is missing",)
    try:
        certificate = load(record.der)
    except PkiError as error:
        return (f"it cannot be read: {error.code}",)
    return tuple(_faults(record, certificate, serial, issuer, own, full=full))


def _faults(  # noqa: PLR0913 - a certificate, what is told of it, and its issuer
    record: CertificateRecord,
    certificate: Certificate,
    serial: str,
    issuer: Issuer,
    own: Certificate,
    *,
    full: bool,
) -> Iterator[str]:
    if certificate.fingerprint != record.fingerprint or record.serial.value != serial:
        yield "it was changed"
    if not certifies(own.public_key, certificate.x509):
        yield "its signature does not verify"
    if certificate.not_after > own.not_after:
        yield "it outlives its issuer"
    profile = _profile(record, issuer)
    root = record.der == issuer.certificate
    for finding in lint.lint(record.der, profile, None if root else _facts(issuer, own)):
        yield f"{finding.rule}: {finding.message}"
    if full:
        for code in fulllint.unwaived(record.der, profile):
            yield f"pkilint: {code}"


def _profile(record: CertificateRecord, issuer: Issuer) -> Profile:
    """Return what it is to be: what a root issued of its own kind is a cross certificate."""
    if record.kind is issuer.kind and record.der != issuer.certificate:
        return profile_of(issuer)
    return find(record.kind, record.edition)


def _facts(issuer: Issuer, own: Certificate) -> lint.IssuerFacts:
    constraints = own.basic_constraints
    return lint.IssuerFacts(
        subject=own.subject,
        key_id=own.key_id,
        not_before=own.not_before,
        not_after=own.not_after,
        path_length=constraints.path_length if constraints else None,
        suite=issuer.suite,
    )
