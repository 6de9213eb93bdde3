"""What the offline side of a ceremony does: introduce its CA, and sign what a request asks for."""

from __future__ import annotations

import hashlib
from typing import cast

from cryptography.hazmat.primitives.serialization import load_der_public_key

from pki import access, gate, hierarchy
from pki.ceremony.papers import Answer, Request, read_request
from pki.ceremony.values import Transcript, digest, of_certificate, transcript
from pki.errors import BadInput, Conflict, NotFound
from pki.hierarchy import IssuerPlan
from pki.ids import quote
from pki.issue import Order, carry_out
from pki.model import CertificateRecord, Issuer, Principal
from pki.pkix.certificate import load
from pki.pkix.profiles import find
from pki.pkix.suites import PublicKey, suite_of
from pki.ports import Deployment
from pki.rotate import plan_of
from pki.status import StatusPolicy, crls, responders


def introduce(
    deployment: Deployment, principal: Principal, policy: StatusPolicy, name: str
) -> tuple[Answer, Transcript]:
    """
    Return the file by which an offline CA becomes known elsewhere, with a fresh CRL.

    Raises:
        NotFound: `issuer_unknown`.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    issuer = _active(deployment, name)
    with deployment.store.read() as tx:
        plan = plan_of(tx, issuer)
    given = Answer(
        request="",
        plan=plan,
        issuer_id=issuer.issuer_id,
        issuer=issuer.certificate,
        crl=_crl(deployment, principal, policy, issuer),
    )
    lines = [f"introduced {issuer.issuer_id}: " + of_certificate(load(issuer.certificate))]
    files = {"answer": digest(given.text())}
    title = f"introduction of {name}"
    return given, transcript(deployment, principal, title, files, lines, dry_run=False)


def answer(
    deployment: Deployment,
    principal: Principal,
    policy: StatusPolicy,
    text: str,
    *,
    dry_run: bool = False,
) -> tuple[Answer | None, Transcript]:
    """
    Sign what a request asks for: the new CA, and a delegated OCSP signer for this one.

    What was signed for these keys before is given again, and needs nobody's approval: so whoever
    proposed it fetches the answer once others approved and it was signed.

    Raises:
        ApprovalNeeded: `approval_needed`: it is proposed; others must approve.
        BadInput: `invalid_ceremony_file`, `key_not_allowed`.
        NotFound: `issuer_unknown`: the CA that is asked does not sign here.
        Conflict: `issuer_not_fitting`: it signs no CA of that kind.
        PolicyViolation: `lint_failed`.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    request = read_request(text)
    issuer = _active(deployment, request.parent)
    _refuse_unfit(request.plan, issuer)
    files = {"request": digest(text)}
    title = f"{issuer.issuer_id} signs {request.plan.name}"
    orders = _orders(deployment, request, issuer)
    if dry_run:
        lines = [_wanted(order) for order in orders]
        return None, transcript(deployment, principal, title, files, lines, dry_run=True)
    if any(_signed_before(deployment, order) is None for order in orders):
        gate.enter(deployment, principal, "ceremony.sign", {"file": text})
    made = [_signed(deployment, principal, order) for order in orders]
    given = Answer(
        request=digest(text),
        plan=request.plan,
        issuer_id=issuer.issuer_id,
        issuer=issuer.certificate,
        certificate=made[0].der,
        responder=made[1].der,
        crl=_crl(deployment, principal, policy, issuer),
    )
    files["answer"] = digest(given.text())
    lines = ["signed " + of_certificate(load(record.der)) for record in made]
    return given, transcript(deployment, principal, title, files, lines, dry_run=False)


def _active(deployment: Deployment, name: str) -> Issuer:
    with deployment.store.read() as tx:
        found = tx.issuers.active(name)
    if found is None or found.offline:
        raise NotFound("issuer_unknown", f"No issuer {quote(name)} signs here.")
    return found


def _refuse_unfit(plan: IssuerPlan, issuer: Issuer) -> None:
    profile = find(plan.kind, plan.suite.edition)
    if not profile.ca or issuer.kind not in profile.issued_by:
        raise Conflict(
            "issuer_not_fitting",
            f"{issuer.name} is a {issuer.kind.value} and signs no {plan.kind.value}.",
        )


def _orders(deployment: Deployment, request: Request, issuer: Issuer) -> tuple[Order, Order]:
    ca = hierarchy.order_for(
        deployment, request.plan, issuer, key_of(request.ca, request.plan.suite)
    )
    if request.ca == request.responder:
        raise BadInput("key_not_allowed", "The CA and its responder need a key each.")
    signer = key_of(request.responder, issuer.suite)
    return ca, responders.order(deployment, issuer, signer)


def key_of(spki: bytes, suite: object) -> PublicKey:
    """Read a public key of a suite. Raises BadInput (`key_not_allowed`)."""
    try:
        key = load_der_public_key(spki)
    except ValueError as error:
        raise BadInput("key_not_allowed", "A key of the request cannot be read.") from error
    if suite_of(key) is not suite:
        raise BadInput("key_not_allowed", f"A key of the request is not of {suite}.")
    return cast("PublicKey", key)


def _wanted(order: Order) -> str:
    until = f"{order.not_after:%Y-%m-%d}"
    return f"would sign {order.subject.text} ({order.profile.profile_id}) until {until}"


def _signed(deployment: Deployment, principal: Principal, order: Order) -> CertificateRecord:
    before = _signed_before(deployment, order)
    if before is not None:
        return before
    hierarchy.lint_fully(deployment, order)
    return carry_out(deployment, principal, order)


def _signed_before(deployment: Deployment, order: Order) -> CertificateRecord | None:
    with deployment.store.read() as tx:
        known = tx.certificates.by_key(hashlib.sha256(order.spki).digest())
    wanted = (order.issuer.issuer_id, order.profile.kind, order.subject.text)
    return next((r for r in known if (r.issuer_id, r.kind, r.subject) == wanted), None)


def _crl(
    deployment: Deployment, principal: Principal, policy: StatusPolicy, issuer: Issuer
) -> bytes:
    record = crls.publish(deployment, principal, issuer, 0, policy)
    with deployment.store.read() as tx:
        return b"".join(tx.status.crl_chunks(record))
