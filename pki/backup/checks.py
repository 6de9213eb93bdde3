"""What is checked of a restored installation before anybody relies on it."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from pki import audit
from pki.backup.values import Contents, contents_of
from pki.errors import PkiError, Unavailable
from pki.ids import Fingerprint, SerialNumber
from pki.model import CrlRecord, Issuer, IssuerState, Principal, StoredAnswer
from pki.pkix import crl_read, ocsp_check
from pki.pkix.certificate import load
from pki.pkix.suites import verifies
from pki.ports import Deployment, Transaction
from pki.status import StatusPolicy, crl_draft, crls

_SERIAL_BITS: Final = 64
_PAGE: Final = 500
_EVER: Final = dt.datetime(9999, 1, 1, tzinfo=dt.UTC)
_BEGIN: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    One named check.

    Attributes:
        problem: None where all is well.
        count: of what was looked at.
    """

    name: str
    count: int
    problem: str | None = None


def run(deployment: Deployment, contents: Contents | None = None) -> list[Check]:
    """
    Check a restored installation; `contents` is what its backup said of itself.

    audit: every chain verifies, against certificates and revocations too. contents: heads, counts
    and CRL numbers are those of the backup. serials: every certificate has a serial that nobody
    could foresee, so that none comes twice. answers, crls: what is stored of OCSP answers and CRLs
    is signed by ours and says what the revocations say.
    """
    checks: list[tuple[str, Callable[[], Check]]] = [
        ("audit", lambda: _audit(deployment)),
        ("contents", lambda: _contents(deployment, contents)),
        ("serials", lambda: _serials(deployment)),
        ("answers", lambda: _answers(deployment)),
        ("crls", lambda: _crls(deployment)),
    ]
    return [_tried(name, check) for name, check in checks]


def refusal(deployment: Deployment, principal: Principal, policy: StatusPolicy) -> Check:
    """Try to have a CA sign; that it refuses is what is right before the confirmation."""
    with deployment.store.read() as tx:
        signing = [i for i in tx.issuers.all() if i.state is IssuerState.ACTIVE and not i.offline]
    problem = "there is no CA to try it with"
    for issuer in signing[:1]:
        problem = "a CA signed before anybody confirmed"
        try:
            crls.publish(deployment, principal, issuer, 0, policy)
        except Unavailable as error:
            problem = "" if error.code == "restore_unconfirmed" else error.message
    return Check(name="refuses to sign", count=len(signing), problem=problem or None)


def _tried(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except PkiError as error:
        return Check(name=name, count=0, problem=error.message)


def _audit(deployment: Deployment) -> Check:
    reports = audit.verify(deployment.store)
    broken = [f"{r.chain}: {r.problem}" for r in reports if r.problem]
    entries = sum(report.entries for report in reports)
    return Check(name="audit", count=entries, problem="; ".join(broken) or None)


def _contents(deployment: Deployment, expected: Contents | None) -> Check:
    with deployment.store.read() as tx:
        found = contents_of(tx)
    problem = None
    if expected is not None and found != expected:
        problem = "audit heads, counts or CRL numbers are not those of the backup"
    return Check(name="contents", count=sum(found.issued.values()), problem=problem)


def _serials(deployment: Deployment) -> Check:
    count, weak = 0, 0
    after: Fingerprint | None = None
    with deployment.store.read() as tx:
        while page := tx.certificates.search(after=after, limit=_PAGE):
            count += len(page)
            weak += sum(r.serial.as_int.bit_length() < _SERIAL_BITS for r in page)
            after = page[-1].fingerprint
    problem = f"{weak} serials have fewer than {_SERIAL_BITS} bits" if weak else None
    return Check(name="serials", count=count, problem=problem)


def _answers(deployment: Deployment) -> Check:
    with deployment.store.read() as tx:
        issuers = {issuer.issuer_id: issuer for issuer in tx.issuers.all()}
        answers = tx.status.due_answers(_EVER, _PAGE)
        wrong = [a for a in answers if not _holds(tx, issuers[a.issuer_id], a)]
    problem = f"{len(wrong)} stored OCSP answers say otherwise" if wrong else None
    return Check(name="answers", count=len(answers), problem=problem)


def _holds(tx: Transaction, issuer: Issuer, answer: StoredAnswer) -> bool:
    record = tx.certificates.by_issuer_serial(answer.issuer_id, answer.serial)
    revocation = tx.certificates.revocation(answer.issuer_id, answer.serial)
    if record is None:
        return True  # asked about a serial that was never issued
    told = ocsp_check.check(
        answer.der,
        ocsp_check.Target.of(load(record.der)),
        load(issuer.certificate),
        at=answer.this_update,
    )
    wanted = ocsp_check.OcspStatus.REVOKED if revocation else ocsp_check.OcspStatus.GOOD
    return told.status is wanted


def _crls(deployment: Deployment) -> Check:
    problems = []
    count = 0
    with deployment.store.read() as tx:
        for issuer, record in _published(tx):
            count += 1
            problem = _crl_problem(tx, issuer, record)
            if problem:
                problems.append(f"CRL {record.number} of {issuer.issuer_id} {problem}")
    return Check(name="crls", count=count, problem="; ".join(problems) or None)


def _published(tx: Transaction) -> Iterator[tuple[Issuer, CrlRecord]]:
    for issuer in tx.issuers.all():
        for shard in range(issuer.crl_shards + 1):
            record = tx.status.crl(issuer.issuer_id, shard)
            if record is not None:
                yield issuer, record


def _crl_problem(tx: Transaction, issuer: Issuer, record: CrlRecord) -> str | None:
    der = b"".join(tx.status.crl_chunks(record))
    if hashlib.sha256(der).digest() != record.sha256:
        return "is not whole"
    crl = x509.load_der_x509_crl(der)
    if not verifies(load(issuer.certificate).public_key, crl.signature, crl.tbs_certlist_bytes):
        return "is not signed by it"
    if crl_read.number_of(der) != record.number:
        return "has another number"
    covered = crl_draft.scope(tx.issuers.all(), issuer, record.shard)
    revoked = {row[0] for one in covered for page in tx.status.revoked(one, _BEGIN) for row in page}
    listed = {SerialNumber.from_int(entry.serial).value for entry in crl_read.read_entries(der)}
    if not listed <= revoked:
        return f"lists {len(listed - revoked)} serials that are not revoked"
    return None
