"""
Re-issue in bulk what fell with a CA, certificate by certificate, resumable.

What has a successor is left alone, so that a run may be repeated and run twice at once. A contract
that waits in a bundle is made anew with a new key, since its key is nobody's but the car's; every
other certificate is issued for the key that it had, which was not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from pki import access
from pki.emergency import cases, notices
from pki.emergency.striking import unknown
from pki.emergency.values import Case, Progress
from pki.errors import PkiError, PolicyViolation, Unavailable
from pki.ids import Fingerprint
from pki.issue import IssueRequest, issue
from pki.model import CertificateRecord, Principal, Reason
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction
from pki.provision import life, upkeep

LEAVES: Final = (
    *(Kind.SECC, Kind.PE_SECC, Kind.CONTRACT, Kind.OEM, Kind.VEHICLE),
    *(Kind.STATION, Kind.CSMS),
)
"""What is issued anew; responders and CPS leaves come with the new CA."""
_PAGE: Final = 50
_NAMESAKES: Final = 50


def reissue(
    deployment: Deployment,
    principal: Principal,
    reference: str,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Case:
    """
    Replace what fell; goes on where an earlier run stopped.

    Args:
        reference: fingerprint of the certificate that the emergency is about.
        progress: told after each page.

    Raises:
        NotFound: `emergency_unknown`.
        Unavailable: the store or a key is out of reach; what was done is kept.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    with deployment.store.read() as tx:
        case = cases.find(tx, reference)
    if case is None:
        raise unknown(reference)
    for page in _pages(deployment, case):
        for record in page:
            case = replace(case, progress=_one(deployment, principal, case, record))
        case = replace(case, progress=replace(case.progress, after=_place(page[-1])))
        _keep(deployment, case)
        progress(case.progress)
    upkeep.sign_anew(deployment)
    ended = replace(case, ended_at=deployment.clock.now())
    _keep(deployment, ended)
    return ended


def status(deployment: Deployment, principal: Principal, reference: str) -> Case:
    """Return how far an emergency is. Raises NotFound (`emergency_unknown`)."""
    access.require(principal, access.Action.KEEP_HIERARCHY)
    with deployment.store.read() as tx:
        case = cases.find(tx, reference)
    if case is None:
        raise unknown(reference)
    return case


def _keep(deployment: Deployment, case: Case) -> None:
    with deployment.store.write() as tx:
        cases.keep(tx, case)


def _place(record: CertificateRecord) -> str:
    return f"{record.issuer_id} {record.fingerprint.value}"


def _pages(deployment: Deployment, case: Case) -> Iterator[list[CertificateRecord]]:
    """Yield what fell, behind where an earlier run stopped."""
    if not case.issuers:
        yield from _lost_keys(deployment, case)
        return
    issuer_id, _, after = case.progress.after.partition(" ")
    begun = case.issuers.index(issuer_id) if issuer_id in case.issuers else 0
    for name in case.issuers[begun:]:
        last = Fingerprint.parse(after) if name == issuer_id and after else None
        while page := _page(deployment, name, last):
            yield page
            last = page[-1].fingerprint


def _lost_keys(deployment: Deployment, case: Case) -> Iterator[list[CertificateRecord]]:
    with deployment.store.read() as tx:
        found = tx.certificates.by_fingerprints([Fingerprint.parse(f) for f in case.fingerprints])
    if found:
        yield list(found.values())


def _page(
    deployment: Deployment, issuer_id: str, after: Fingerprint | None
) -> list[CertificateRecord]:
    with deployment.store.read() as tx:
        return tx.certificates.search(kinds=LEAVES, issuer_id=issuer_id, after=after, limit=_PAGE)


def _one(
    deployment: Deployment, principal: Principal, case: Case, record: CertificateRecord
) -> Progress:
    """Replace one certificate and count it; what cannot be replaced is left to somebody's hands."""
    before = replace(case.progress, done=case.progress.done + 1)
    with deployment.store.read() as tx:
        why = _needless(tx, deployment, case, record)
        bundled = _is_bundled(tx, record)
    if why is not None:
        return replace(before, earlier=before.earlier + 1) if not why else _left(before, why)
    try:
        serial = _replaced(deployment, principal, case, record, bundled=bundled)
    except Unavailable:
        raise
    except PkiError as error:
        return _left(before, error.code)
    notices.tell_replaced(deployment, record, serial, new_key=bundled)
    if bundled:
        return replace(before, renewed=before.renewed + 1)
    return replace(before, replaced=before.replaced + 1)


def _left(before: Progress, code: str) -> Progress:
    return replace(before, left={**before.left, code: before.left.get(code, 0) + 1})


def _needless(
    tx: Transaction, deployment: Deployment, case: Case, record: CertificateRecord
) -> str | None:
    """Say why a certificate is not replaced: "" has a successor or ended; None: it must be."""
    now = deployment.clock.now()
    if record.not_after <= now:
        return ""
    revocation = tx.certificates.revocation(record.issuer_id, record.serial)
    if case.issuers and revocation is not None:
        return "on_hold" if revocation.reason is Reason.CERTIFICATE_HOLD else ""
    alike = tx.certificates.search(
        kinds=(record.kind,), common_name=record.common_name, limit=_NAMESAKES
    )
    living = [r for r in alike if r.not_after > now and r.suite is record.suite]
    revoked = tx.certificates.revocations([(r.issuer_id, r.serial) for r in living])
    good = [r for r in living if (r.issuer_id, r.serial) not in revoked]
    if any(r.issuer_id not in case.issuers and r != record for r in good):
        return ""
    newest = max(good, key=lambda r: (r.issued_at, r.fingerprint.value), default=record)
    return None if newest == record or not case.issuers else ""


def _is_bundled(tx: Transaction, record: CertificateRecord) -> bool:
    if record.kind is not Kind.CONTRACT or record.contract_id is None:
        return False
    return bool(tx.pools.bundles_of(record.contract_id))


def _replaced(
    deployment: Deployment,
    principal: Principal,
    case: Case,
    record: CertificateRecord,
    *,
    bundled: bool,
) -> str:
    """Issue a successor; return its serial. Raises PkiError where somebody's hands are needed."""
    if bundled:
        made = life.renew(deployment, principal, record.common_name, record.not_after)
        return _serial_of(deployment, made[0].bundle.certificate)
    if not case.issuers:
        raise PolicyViolation("new_key_needed", "Its key was lost; its owner makes another.")
    request = IssueRequest(
        kind=Kind.SECC if record.kind is Kind.PE_SECC else record.kind,
        spki=load(record.der).spki,
        common_name=record.common_name,
        issuer=record.issuer_id.rpartition(".g")[0],
        not_after=record.not_after,
        cut=True,
    )
    return issue(deployment, principal, request).record.serial.value


def _serial_of(deployment: Deployment, fingerprint: Fingerprint) -> str:
    with deployment.store.read() as tx:
        record = tx.certificates.by_fingerprint(fingerprint)
    return record.serial.value if record else ""
