"""
Cross certificates between two generations of a root (RFC 4210 4.4): each vouches for the other's
key, so that whoever holds one of them validates what was issued under either.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

from pki import access, audit
from pki.errors import PolicyViolation
from pki.ids import Fingerprint
from pki.issue import Order, carry_out, lint_fully
from pki.model import CertificateRecord, CrossCertificate, Issuer, Principal
from pki.pkix import build
from pki.pkix.certificate import load
from pki.pkix.profiles import Profile, find
from pki.pkix.subject import GivenSubject
from pki.pkix.suites import PublicKey
from pki.ports import Deployment

_EVIDENCE: Final = "a cross certificate is a root's with a status above it [V2G20-1853] [U]"


def profile_of(issuer: Issuer) -> Profile:
    """Return the profile of cross certificates for roots of one kind: a root's, but issued."""
    root = find(issuer.kind, issuer.edition)
    changed = {"issued_by": _EVIDENCE, "ocsp_url": _EVIDENCE}
    return replace(
        root,
        profile_id=f"{issuer.kind.value}.cross.{issuer.edition.value}",
        issued_by=(issuer.kind,),
        ocsp_url=True,
        evidence={**root.evidence, **changed},
    )


def certify(
    deployment: Deployment, principal: Principal, *, by: Issuer, subject: Issuer
) -> CertificateRecord | None:
    """
    Have one root vouch for the key of another, until the first of them ends; None where it did.

    The certificate goes into the root pool, from where it is handed out.

    Raises:
        PolicyViolation: `cross_certificate_foreign` (no two roots of one kind and edition, or one
            key), `issuer_expired`, `lint_failed`.
        Conflict: `issuer_not_active`: `by` signs no more.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    _refuse_unfit(by, subject)
    if _exists(deployment, by, subject):
        return None
    order = _order(deployment, by, subject)
    lint_fully(deployment, order)
    record = carry_out(deployment, principal, order)
    cross = CrossCertificate(
        fingerprint=record.fingerprint,
        certified=Fingerprint.of(subject.certificate),
        der=record.der,
        added_at=deployment.clock.now(),
        added_by=principal.name,
    )
    with deployment.store.write() as tx:
        tx.pools.add_cross_certificate(cross)
        audit.note(
            tx,
            cross.added_at,
            principal.name,
            "root.cross.add",
            cross.certified.value,
            {"cross": cross.fingerprint.value},
        )
    return record


def _refuse_unfit(by: Issuer, subject: Issuer) -> None:
    roots = by.parent_id is None and subject.parent_id is None
    alike = (by.kind, by.edition) == (subject.kind, subject.edition)
    if not roots or not alike or load(by.certificate).spki == load(subject.certificate).spki:
        raise PolicyViolation(
            "cross_certificate_foreign",
            f"{by.issuer_id} and {subject.issuer_id} are no two roots of one kind and edition.",
        )


def _exists(deployment: Deployment, by: Issuer, subject: Issuer) -> bool:
    signer, certified = load(by.certificate), Fingerprint.of(subject.certificate)
    with deployment.store.read() as tx:
        found = [c for c in tx.pools.cross_certificates() if c.certified == certified]
    return any(load(c.der).authority_key_id == signer.key_id for c in found)


def _order(deployment: Deployment, by: Issuer, subject: Issuer) -> Order:
    signer, certified = load(by.certificate), load(subject.certificate)
    now = deployment.clock.now()
    end = min(signer.not_after, certified.not_after)
    if end <= now:
        raise PolicyViolation("issuer_expired", "One of the roots has expired.")
    return Order(
        profile=profile_of(by),
        issuer=by,
        issuer_certificate=signer,
        spki=build.spki(cast("PublicKey", certified.public_key)),
        suite=subject.suite,
        subject=GivenSubject(certified.x509.subject),
        common_name=certified.subject_text,
        owner="",
        not_before=now,
        not_after=end,
    )
