"""
What is to be signed, and its twin: the same octets under a signature that is none of the CA's.

Leaves are filled into a template, which is made once for each profile, issuer generation and shape
from a twin that our lints and pkilint passed. Every leaf is compared with that twin, octet by
octet, and our lints are asked about what differs; one of `SAMPLE` is linted in full as well (I6).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from cryptography import x509

from pki.errors import PolicyViolation
from pki.ids import SerialNumber
from pki.issue.chains import crl_address, plain
from pki.issue.values import Order
from pki.pkix import build, fulllint, lint
from pki.pkix.crl import shard_of
from pki.pkix.profiles import Profile
from pki.pkix.suites import PrivateKey, Suite, generate
from pki.pkix.template import Filling, Template, encoded_time, template_of
from pki.ports import Deployment

SAMPLE: Final = 1024
"""Of so many leaves, one passes the whole of both lints; the serial, which is random, decides."""

_MOST_SHAPES: Final = 1024
_LONGEST_SIGNATURE: Final = {Suite.P256: 72, Suite.P521: 139, Suite.ED448: 114}
"""Octets: of ECDSA the DER of two numbers, each as long as the field and a sign bit need."""
_MIDDLE_SERIAL: Final = SerialNumber.from_int(1 << 126)


def linted_tbs(deployment: Deployment, order: Order, serial: SerialNumber) -> bytes:
    """
    Return to-be-signed octets that may leave the process once they are signed (I6).

    Raises:
        PolicyViolation: `lint_failed`, with the findings.
    """
    template = _template(_Shape.of(deployment, order, serial))
    if template is None:
        return linted_twin(deployment, order, serial)
    tbs = template.fill(_filling(order, serial))
    der = build.assemble(tbs, order.issuer.suite, _zeros(order.issuer.suite))
    view = template.view(tbs, der, order.suite, order.spki)
    if view is None:
        raise PolicyViolation("lint_failed", "The certificate differs from its linted template.")
    _refuse(lint.lint_varying(view))
    if serial.as_int % SAMPLE == 0:
        _lint_fully(der, order.profile, template.model.issuer_facts)
    return tbs


def linted_twin(deployment: Deployment, order: Order, serial: SerialNumber) -> bytes:
    """
    Return the to-be-signed octets of a twin that our lints passed.

    Raises:
        PolicyViolation: `lint_failed`, with the findings.
    """
    twin = twin_of(deployment, order, serial)
    _refuse(lint.lint(twin, order.profile, _lint_issuer(order)))
    return x509.load_der_x509_certificate(twin).tbs_certificate_bytes


def twin_of(deployment: Deployment, order: Order, serial: SerialNumber) -> bytes:
    """Return the DER of the order's twin: same to-be-signed bytes, signed with a throw-away key."""
    profile, issuer = order.profile, order.issuer
    parent = order.issuer_certificate
    facts = build.Facts(
        serial=serial.as_int,
        subject=order.subject.name,
        issuer=parent.x509.subject if parent else order.subject.name,
        public_key=order.public_key,
        issuer_key_id=parent.key_id if parent else None,
        not_before=order.not_before,
        not_after=order.not_after,
        ocsp_url=_ocsp_url(deployment, profile),
        crl_url=_crl_url(deployment, order, serial),
        alternate_key=order.alternate_key,
    )
    key = _throw_away_key(issuer.suite)
    return build.encoded(build.builder(profile, facts).sign(key, issuer.suite.hash))


def longest(deployment: Deployment, order: Order) -> bytes:
    """Return a certificate of the order as long as it can become; its signature is zeros."""
    tbs = linted_tbs(deployment, order, _MIDDLE_SERIAL)
    return build.assemble(tbs, order.issuer.suite, _zeros(order.issuer.suite))


def lint_fully(deployment: Deployment, order: Order) -> None:
    """
    Run our lints and pkilint over a twin, before a key is used for the first time.

    Raises:
        PolicyViolation: `lint_failed`, with the findings.
    """
    twin = twin_of(deployment, order, _MIDDLE_SERIAL)
    _lint_fully(twin, order.profile, _lint_issuer(order))


def _lint_fully(der: bytes, profile: Profile, issuer: lint.IssuerFacts | None) -> None:
    _refuse(lint.lint(der, profile, issuer))
    findings = fulllint.unwaived(der, profile)
    if findings:
        raise PolicyViolation(
            "lint_failed",
            f"pkilint refuses {profile.profile_id}: " + ", ".join(findings) + ".",
            data={"findings": list(findings)},
        )


def _refuse(findings: tuple[lint.Finding, ...]) -> None:
    if findings:
        raise PolicyViolation(
            "lint_failed",
            f"The certificate would break its profile: {findings[0].message}.",
            data={"findings": [f"{f.rule}: {f.message}" for f in findings]},
        )


# --- templates -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """
    All that leaves of one template share; the order and serial are those of the first of them.

    Attributes:
        issuer: fingerprint of its certificate.
        name: octets of the CN.
        times: octets of notBefore and notAfter.
        others: the subject without its CN.
    """

    profile: str
    issuer: str
    suite: Suite
    name: int
    times: int
    others: str
    ocsp_url: str | None
    crl_url: str | None
    second_key: bool
    deployment: Deployment = field(compare=False, repr=False)
    order: Order = field(compare=False, repr=False)
    serial: SerialNumber = field(compare=False)

    @classmethod
    def of(cls, deployment: Deployment, order: Order, serial: SerialNumber) -> _Shape:
        """Return the shape of an order."""
        parent = order.issuer_certificate
        return cls(
            profile=order.profile.profile_id,
            issuer=parent.fingerprint.value if parent else "",
            suite=order.suite,
            name=len(order.common_name.encode()),
            times=len(encoded_time(order.not_before) + encoded_time(order.not_after)),
            others=order.subject.others,
            ocsp_url=_ocsp_url(deployment, order.profile),
            crl_url=_crl_url(deployment, order, serial),
            second_key=order.alternate_key is not None,
            deployment=deployment,
            order=order,
            serial=serial,
        )


@lru_cache(maxsize=_MOST_SHAPES)
def _template(shape: _Shape) -> Template | None:
    """
    Return the template of a shape, or None for what is built one by one: CAs, and leaves with a
        second key or their name once more.

    Raises:
        PolicyViolation: `lint_failed`; then nothing is kept.
    """
    order = shape.order
    if order.profile.ca:
        return None  # a ceremony lints its CAs itself
    twin = twin_of(shape.deployment, order, shape.serial)
    _lint_fully(twin, order.profile, _lint_issuer(order))
    if order.alternate_key is not None or order.profile.server_name:
        return None
    tbs = x509.load_der_x509_certificate(twin).tbs_certificate_bytes
    return template_of(tbs, lint.take_apart(twin, order.profile, _lint_issuer(order)))


def _filling(order: Order, serial: SerialNumber) -> Filling:
    return Filling(
        serial=serial.as_int.to_bytes(serial.as_int.bit_length() // 8 + 1),
        times=encoded_time(order.not_before) + encoded_time(order.not_after),
        name=order.common_name.encode(),
        spki=order.spki,
        key_id=build.key_id_of(order.spki, short=order.profile.short_key_id),
    )


@lru_cache(maxsize=len(Suite))
def _zeros(suite: Suite) -> bytes:
    return bytes(_LONGEST_SIGNATURE[suite])


@lru_cache(maxsize=len(Suite))
def _throw_away_key(suite: Suite) -> PrivateKey:
    return generate(suite)


# --- what a certificate says of its issuer -------------------------------------------------------


def _ocsp_url(deployment: Deployment, profile: Profile) -> str | None:
    return f"{plain(deployment.public_url)}/ocsp" if profile.ocsp_url else None


def _crl_url(deployment: Deployment, order: Order, serial: SerialNumber) -> str | None:
    issuer = order.issuer
    if not order.profile.ocsp_url or not (issuer.crl_url or issuer.crl_shards):
        return None
    shard = shard_of(serial.as_int, issuer.crl_shards) if issuer.crl_shards else 0
    return crl_address(deployment.public_url, issuer, shard)


def _lint_issuer(order: Order) -> lint.IssuerFacts | None:
    parent = order.issuer_certificate
    if parent is None:
        return None
    return lint.IssuerFacts(
        subject=parent.subject,
        key_id=parent.key_id,
        not_before=parent.not_before,
        not_after=parent.not_after,
        path_length=parent.basic_constraints.path_length if parent.basic_constraints else None,
        suite=order.issuer.suite,
    )
