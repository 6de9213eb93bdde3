"""Orders for leaves of our own services, which are named after their issuer."""

from __future__ import annotations

from cryptography import x509
from cryptography.x509.oid import NameOID

from pki.issue.values import Order, validity_end
from pki.model import Issuer
from pki.pkix import build
from pki.pkix.certificate import Certificate, load
from pki.pkix.profiles import Kind, find
from pki.pkix.suites import PublicKey
from pki.ports import Deployment


def own_leaf(
    deployment: Deployment, kind: Kind, issuer: Issuer, public_key: PublicKey, common_name: str
) -> Order:
    """
    Return the order for a leaf that takes O and C from its issuer and belongs to nobody else.

    Raises:
        PolicyViolation: `issuer_expired`, `subject_invalid`.
    """
    profile = find(kind, issuer.edition)
    certificate = load(issuer.certificate)
    now = deployment.clock.now()
    return Order(
        profile=profile,
        issuer=issuer,
        issuer_certificate=certificate,
        spki=build.spki(public_key),
        suite=issuer.suite,
        subject=build.subject(
            profile,
            common_name=common_name,
            organization=attribute(certificate, NameOID.ORGANIZATION_NAME) or issuer.name,
            country=attribute(certificate, NameOID.COUNTRY_NAME),
        ),
        common_name=common_name,
        owner="",
        not_before=now,
        not_after=validity_end(profile, certificate, now, None),
    )


def attribute(certificate: Certificate, oid: x509.ObjectIdentifier) -> str | None:
    """Return the first attribute of that type in a subject, or None."""
    found = certificate.x509.subject.get_attributes_for_oid(oid)
    return str(found[0].value) if found else None
