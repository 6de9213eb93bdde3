"""Trust anchors and status policies per domain; every change raises the trust version."""

from __future__ import annotations

import base64

from pki import access, audit, gate
from pki.errors import BadInput, NotFound
from pki.ids import Fingerprint
from pki.model import Anchor, Domain, Principal, StatusRule
from pki.pkix import pem
from pki.pkix.certificate import Certificate, load
from pki.ports import Deployment, Transaction


def add(deployment: Deployment, principal: Principal, data: bytes, domain: Domain) -> Anchor:
    """
    Trust a CA certificate (PEM or DER) for a domain, from the next decision on.

    Raises:
        BadInput: `unreadable`, `anchor_not_ca`, `anchor_key`.
        Conflict: `anchor_exists`.
    """
    access.require(principal, access.Action.KEEP_TRUST)
    certificate = anchor_certificate(data)
    wanted = {"certificate": base64.b64encode(certificate.der).decode(), "domain": domain.value}
    gate.enter(deployment, principal, "trust.add", wanted)
    anchor = Anchor(
        fingerprint=certificate.fingerprint,
        domain=domain,
        der=certificate.der,
        added_at=deployment.clock.now(),
        added_by=principal.name,
    )
    with deployment.store.write() as tx:
        put(tx, anchor, certificate)
    return anchor


def put(tx: Transaction, anchor: Anchor, certificate: Certificate) -> None:
    """Store an anchor and its audit row inside the caller's transaction."""
    tx.trust.add_anchor(anchor)
    details = {"domain": anchor.domain.value, "subject": certificate.subject_text}
    audit.note(tx, anchor.added_at, anchor.added_by, "trust.add", anchor.fingerprint.value, details)


def anchor_certificate(data: bytes) -> Certificate:
    """
    Read a certificate that may serve as trust anchor.

    Raises:
        BadInput: `unreadable`, `anchor_not_ca`, `anchor_key`.
    """
    certificate = load(pem.one(data, "CERTIFICATE"))
    may_sign = certificate.key_usage is None or "key_cert_sign" in certificate.key_usage
    if not certificate.is_ca or not may_sign:
        raise BadInput(
            "anchor_not_ca",
            f"{certificate.subject_text} is no CA certificate, so it cannot be a trust anchor.",
        )
    if certificate.suite is None:
        raise BadInput("anchor_key", "An anchor's key must be P-256, P-521 or Ed448.")
    return certificate


def find(deployment: Deployment, principal: Principal, fingerprint: Fingerprint) -> list[Anchor]:
    """Return the anchors in force with this fingerprint. Raises NotFound (`anchor_unknown`)."""
    found = [a for a in anchors(deployment, principal) if a.fingerprint == fingerprint]
    if not found:
        raise NotFound(
            "anchor_unknown",
            f"No trust anchor has the fingerprint {fingerprint}.",
            hint="`pnc trust list` shows them.",
        )
    return found


def remove(
    deployment: Deployment,
    principal: Principal,
    fingerprint: Fingerprint,
    domain: Domain | None = None,
) -> list[Anchor]:
    """
    Stop trusting an anchor, in one domain or in all; the next decision sees it.

    Raises:
        NotFound: `anchor_unknown`.
    """
    access.require(principal, access.Action.KEEP_TRUST)
    wanted = {"fingerprint": fingerprint.value, "domain": domain.value if domain else None}
    gate.enter(deployment, principal, "trust.remove", wanted)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        removed = [
            anchor
            for anchor in tx.trust.anchors()
            if anchor.fingerprint == fingerprint
            and domain in (None, anchor.domain)
            and tx.trust.remove_anchor(fingerprint, anchor.domain, now)
        ]
        if not removed:
            raise NotFound("anchor_unknown", f"No trust anchor {fingerprint} is in force there.")
        for anchor in removed:
            domain_of = {"domain": anchor.domain.value}
            audit.note(tx, now, principal.name, "trust.remove", fingerprint.value, domain_of)
    return removed


def anchors(deployment: Deployment, principal: Principal) -> list[Anchor]:
    """Return the anchors in force."""
    access.require(principal, access.Action.KEEP_TRUST)
    with deployment.store.read() as tx:
        return tx.trust.anchors()


def set_rule(
    deployment: Deployment, principal: Principal, domain: Domain, rule: StatusRule
) -> None:
    """Say whether the status of foreign certificates under a domain's anchors must be known."""
    access.require(principal, access.Action.KEEP_TRUST)
    wanted = {"domain": domain.value, "status": rule.value}
    gate.enter(deployment, principal, "trust.status_rule", wanted)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        tx.trust.set_rule(domain, rule)
        audit.note(tx, now, principal.name, "trust.policy", domain.value, {"status": rule.value})


def rules(deployment: Deployment, principal: Principal) -> dict[Domain, StatusRule]:
    """Return the rule of every domain, the default included."""
    access.require(principal, access.Action.KEEP_TRUST)
    with deployment.store.read() as tx:
        stored = tx.trust.rules()
    return {domain: stored.get(domain, StatusRule.REQUIRED) for domain in Domain}
