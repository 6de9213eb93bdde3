"""What is to be issued, everything decided but serial and signature."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import x448
from cryptography.hazmat.primitives.serialization import load_der_public_key

from pki.errors import BadInput, PolicyViolation
from pki.ids import Edition
from pki.model import CertificateRecord, Issuer
from pki.pkix import build
from pki.pkix.certificate import Certificate
from pki.pkix.profiles import Profile
from pki.pkix.subject import GivenSubject, Subject
from pki.pkix.suites import PublicKey, Suite
from pki.ports import Transaction


class Beside(Protocol):
    """What is stored in the transaction of a certificate: with it, or neither is."""

    def ready(self, record: CertificateRecord) -> None:
        """Do what takes time, before the transaction; the record names no contract yet."""

    def hold(self, tx: Transaction) -> None:
        """Make others wait, before anything else of the transaction."""

    def store(self, tx: Transaction, record: CertificateRecord) -> None:
        """Store it; the certificate is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """
    One certificate to be issued, everything decided but serial and signature.

    Attributes:
        issuer_certificate: None for a root, which signs itself.
        spki: the key, of that suite, as `pki.pkix.build.spki` writes it.
        new_issuer: the CA that comes to life with this certificate, or None.
        prepared: that CA signs status only, until `pki.rotate` switches to it.
        alternate_key: X448 key beside an Ed448 one, where the profile has it.
        intent_id: that its intent shall have; None: any.
        claims: what nobody else may get meanwhile; see `pki.issue.claims`.
    """

    profile: Profile
    issuer: Issuer
    issuer_certificate: Certificate | None
    spki: bytes
    suite: Suite
    subject: Subject | GivenSubject
    common_name: str
    owner: str
    not_before: dt.datetime
    not_after: dt.datetime
    new_issuer: Issuer | None = None
    alternate_key: x448.X448PublicKey | None = None
    prepared: bool = False
    intent_id: str | None = None
    claims: tuple[str, ...] = ()

    @property
    def public_key(self) -> PublicKey:
        """The key; most of what becomes of an order needs its octets alone."""
        key = load_der_public_key(self.spki)
        if not isinstance(key, PublicKey):
            raise TypeError("an order has a key of no suite")
        return key


def spki_hash(public_key: PublicKey) -> bytes:
    """Return SHA-256 over the DER SubjectPublicKeyInfo."""
    return hashlib.sha256(build.spki(public_key)).digest()


def validity_end(
    profile: Profile,
    issuer: Certificate | None,
    not_before: dt.datetime,
    wanted: dt.datetime | None,
    *,
    cut: bool = False,
) -> dt.datetime:
    """
    Return the end of validity: what is wanted, else the profile's length cut to the issuer's end
        (I5).

    Raises:
        BadInput: `not_after_past`.
        PolicyViolation: `outlives_issuer`, `validity_too_long`.
    """
    longest = not_before + dt.timedelta(days=profile.validity_days) - dt.timedelta(seconds=1)
    end = issuer.not_after if issuer else longest
    if end <= not_before:
        raise PolicyViolation("issuer_expired", "The issuer's own certificate has expired.")
    if wanted is None:
        return min(longest, end)
    if wanted <= not_before:
        raise BadInput("not_after_past", "The end of validity lies in the past.")
    if cut:
        return min(wanted, longest, end)
    if wanted > end:
        raise PolicyViolation("outlives_issuer", f"The issuer itself ends at {end:%Y-%m-%d}.")
    if wanted > longest:
        raise PolicyViolation(
            "validity_too_long", f"The profile allows {profile.validity_days} days at most."
        )
    return wanted


def suite_for(edition: Edition | None, suite: Suite | None) -> Suite:
    """
    Return the suite of a key that is made here: P-256 for -2, for -20 P-521 unless Ed448 is wanted.

    Raises:
        PolicyViolation: `suite_mismatch`.
    """
    found = suite or (Suite.P521 if edition is Edition.ISO20 else Suite.P256)
    require_suite(edition, suite, found)
    return found


def require_suite(edition: Edition | None, wanted: Suite | None, suite: Suite) -> None:
    """
    Return if a key of the suite fits what was asked for, None being anything.

    Raises:
        PolicyViolation: `suite_mismatch`.
    """
    asked = edition or suite.edition
    if asked is not suite.edition or wanted not in (None, suite):
        raise PolicyViolation(
            "suite_mismatch",
            f"The key is {suite.value}, which ISO 15118-{suite.edition.value} uses; "
            f"asked for was edition {asked.value}"
            + (f", suite {wanted.value}." if wanted else "."),
            hint="Give the edition and suite that fit the key of the CSR.",
        )
