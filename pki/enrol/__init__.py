"""
Enrolment as clients of the field speak of it: a branch of the PKI, an edition, and a CSR.

What is issued, and to whom, `issue` decides; here a branch becomes a kind of certificate, and a
current certificate becomes a caller who may renew exactly that certificate.
"""

from __future__ import annotations

import hashlib
from typing import Final

from pki import access
from pki.enrol import consent, registration
from pki.enrol.policy import Branch, EnrolPolicy, Label, Target
from pki.errors import BadInput, NotAllowed, PolicyViolation
from pki.ids import Fingerprint
from pki.issue import Issued, IssueRequest, Order, chain_to_root, issue, judged, newest_issuer
from pki.model import CertificateRecord, Principal, Role
from pki.pkix import csr
from pki.pkix.profiles import find
from pki.ports import Deployment

_BRANCH: Final = {
    Role.CPO: Branch.CPO,
    Role.EMSP: Branch.MO,
    Role.OEM: Branch.OEM,
    Role.CPS: Branch.CPS,
}
_ANEW: Final = "Enrol anew with credentials: simpleenroll, without this certificate."
_RENEWED: Final = {branch.kind: branch for branch in Branch}


def authorities(deployment: Deployment, target: Target) -> tuple[bytes, ...]:
    """
    Return the CAs above new leaves of a branch as DER: sub-CA 2, sub-CA 1, root; they are public.

    Raises:
        NotFound: `issuer_unknown`.
    """
    suite = target.suite_or_default()
    profile = find((target.branch or Branch.CPO).kind, suite.edition)
    with deployment.store.read() as tx:
        return chain_to_root(tx, newest_issuer(tx, profile, suite))


def admit(
    deployment: Deployment, principal: Principal, request: IssueRequest, *, consented: bool = True
) -> Issued:
    """
    Issue what is asked for, after registration and consent where they are demanded.

    Args:
        consented: False: somebody must accept it, whatever the settings say.

    Raises:
        ConsentNeeded: `enrolment_waits`.
        NotAllowed: `not_registered`, `enrolment_rejected`.
        PolicyViolation: `csr_missing` (somebody must accept what has none).
        PkiError: what `pki.issue.issue` raises.
    """
    asks = deployment.enrolment.asks or not consented
    if not asks or principal.role is Role.ADMIN:
        return issue(deployment, principal, request)
    order = judged(deployment, principal, request)
    registration.require(deployment, order.profile.kind, order.common_name, order.owner)
    if request.request is None:
        _require_nobody(deployment, order, consented=consented)
        return issue(deployment, principal, request)
    wanted = consent.Wanted(
        kind=order.profile.kind,
        owner=order.owner,
        common_name=order.common_name,
        spki=order.spki,
        request=request.request,
        always=not consented,
    )
    spent = consent.settle(deployment, principal, wanted)
    try:
        issued = issue(deployment, principal, request)
    except Exception:
        if spent is not None:
            consent.give_back(deployment, spent)
        raise
    if spent is not None:
        consent.note(deployment, spent, issued.record.fingerprint.value)
    return issued


def _require_nobody(deployment: Deployment, order: Order, *, consented: bool) -> None:
    """Refuse an order without a CSR that somebody must accept: no key could wait with it."""
    if not consented or deployment.enrolment.approves(order.owner, order.profile.kind):
        raise PolicyViolation(
            "csr_missing",
            f"A request for a {order.profile.kind.value} certificate waits until an administrator "
            "accepts it; a key that is made here could not wait with it.",
            hint="Make the key where it will be used and send `csr`.",
        )


def enrol(
    deployment: Deployment,
    principal: Principal,
    target: Target,
    request: bytes,
    *,
    consented: bool = True,
) -> Issued:
    """
    Issue a leaf of a branch from a CSR (RFC 7030 4.2.1).

    Args:
        request: DER or one PEM block.

    Raises:
        BadInput: `branch_missing`, and what `admit` raises.
    """
    wanted = _issue_request(principal, target, request)
    return admit(deployment, principal, wanted, consented=consented)


def reenrol(
    deployment: Deployment,
    current: bytes,
    target: Target,
    request: bytes,
    *,
    consented: bool = True,
) -> Issued:
    """
    Renew a leaf; that the peer holds its key, TLS has shown (RFC 7030 4.2.2).

    Args:
        current: DER of the certificate that the peer proved to hold.

    Raises:
        NotAllowed: `certificate_not_ours`, `certificate_revoked`, `certificate_expired`,
            `other_subject` (the CSR names another subject than the certificate).
        BadInput, NotFound, PolicyViolation, Conflict, ConsentNeeded: as `admit` raises.
    """
    record = _current(deployment, current)
    if target.branch is not None and target.branch.kind is not record.kind:
        raise NotAllowed(
            "other_subject",
            f"A {record.kind.value} certificate is not renewed at this path.",
            hint=f"Its path is /{_RENEWED[record.kind].value}/simplereenroll.",
        )
    wanted = csr.parse(request)
    profile = find(record.kind, wanted.suite.edition)
    if csr.check_common_name(profile, wanted.common_name) != record.common_name:
        raise NotAllowed(
            "other_subject",
            "The CSR names another subject than the certificate that is to be renewed.",
            hint="Re-enrolment keeps the CN; another CN needs simpleenroll.",
        )
    principal = Principal(
        name=f"certificate:{record.fingerprint.value[:16]}",
        role=access.OWNER_ROLE[record.kind],
        parties=(record.owner,),
    )
    chosen = Target(branch=_RENEWED[record.kind], edition=target.edition, suite=target.suite)
    wanted_again = _issue_request(principal, chosen, request)
    return admit(deployment, principal, wanted_again, consented=consented)


def _issue_request(principal: Principal, target: Target, request: bytes) -> IssueRequest:
    branch = target.branch or _BRANCH.get(principal.role)
    if branch is None:
        raise BadInput(
            "branch_missing",
            f"The path names no branch, and the role {principal.role.value} has none.",
            hint="Use a path with cpo, mo, oem, cps, veh, station or csms in it.",
        )
    return IssueRequest(
        kind=branch.kind, request=request, edition=target.edition, suite=target.suite
    )


def _current(deployment: Deployment, der: bytes) -> CertificateRecord:
    """Return our record of a certificate that may still be renewed."""
    fingerprint = Fingerprint.parse(hashlib.sha256(der).hexdigest())
    with deployment.store.read() as tx:
        record = tx.certificates.by_fingerprint(fingerprint)
        revocation = tx.certificates.revocation(record.issuer_id, record.serial) if record else None
    if record is None or record.kind not in _RENEWED:
        raise NotAllowed(
            "certificate_not_ours", "The client certificate is no leaf of this PKI.", hint=_ANEW
        )
    if revocation is not None:
        raise NotAllowed(
            "certificate_revoked", "The client certificate is revoked or on hold.", hint=_ANEW
        )
    if not record.not_before <= deployment.clock.now() <= record.not_after:
        raise NotAllowed(
            "certificate_expired", "The client certificate is not valid now.", hint=_ANEW
        )
    return record


__all__ = ["Branch", "EnrolPolicy", "Label", "Target", "admit", "authorities", "enrol", "reenrol"]
