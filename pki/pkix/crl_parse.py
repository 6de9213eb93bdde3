"""A strict reader of foreign CRLs (RFC 5280 5.1 to 5.3): nothing is believed yet."""

from __future__ import annotations

import datetime as dt
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from cryptography import x509

from pki.errors import BadInput
from pki.pkix.certificate import NormalName, normal_name
from pki.pkix.der import (
    SEQUENCE,
    children,
    element_at,
    require_elements,
    require_octets,
    why,
)
from pki.pkix.path.signatures import Signed, of_crl

MAX_CRL_SIZE: Final = 0xFFFFFF
"""Octets: 600,000 entries; what the strict reader of lengths can span."""

_INTEGER: Final = 0x02
_TIMES: Final = (0x17, 0x18)
_EXTENSIONS: Final = 0xA0  # [0] EXPLICIT
_VERSION_2: Final = b"\x01"
_HANDLED: Final = frozenset(
    (
        "2.5.29.18",  # issuerAltName: says nothing that is used
        "2.5.29.20",  # cRLNumber
        "2.5.29.27",  # deltaCRLIndicator: refused by name
        "2.5.29.28",  # issuingDistributionPoint
        "2.5.29.35",  # authorityKeyIdentifier
    )
)
_ENTRY_HANDLED: Final = frozenset(("2.5.29.21", "2.5.29.24"))  # reasonCode, invalidityDate

_Value = TypeVar("_Value", bound=x509.ExtensionType)
PointName = tuple[str, object]
"""One name of a distribution point, in a form that can be compared."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """One entry; `reason` as RFC 5280 5.3.1 writes it, or None."""

    at: dt.datetime
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crl:
    """
    A CRL as it was read.

    Attributes:
        names: of its distribution point; None where it speaks for every point of the issuer.
        unusable: why its silence about a certificate would mean nothing, or None.
        signature: None where its algorithm's parameters cannot be read.
    """

    issuer: NormalName
    this_update: dt.datetime
    next_update: dt.datetime | None
    number: int | None
    only_users: bool
    only_cas: bool
    names: frozenset[PointName] | None
    is_delta: bool
    unusable: str | None
    entries: Mapping[int, Revoked] = field(repr=False)
    signature: Signed | None = field(repr=False)


def read(der: bytes) -> Crl:
    """
    Parse one DER CRL completely, every entry included.

    Raises:
        BadInput: `crl_unreadable`; malformed, or against the rules of RFC 5280 5.1.
    """
    if len(der) > MAX_CRL_SIZE:
        raise _unreadable(f"it has {len(der)} octets, more than {MAX_CRL_SIZE}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd serials; they are compared, not judged
            return _read(der)
    except BadInput:
        raise
    except Exception as error:  # the parsers raise unrelated types on hostile input
        raise _unreadable(why(error)) from error


def value_of(extensions: x509.Extensions, kind: type[_Value]) -> _Value | None:
    """Return the value of an extension, or None."""
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def point_names(
    full: list[x509.GeneralName] | None,
    relative: x509.RelativeDistinguishedName | None,
    issuer: NormalName,
) -> frozenset[PointName] | None:
    """Return comparable names; a relative one continues the issuer's (RFC 5280 4.2.1.13)."""
    if relative is not None:
        return frozenset((directory_name(issuer + normal_name(x509.Name([relative]))),))
    if full is None:
        return None
    return frozenset(
        directory_name(normal_name(name.value))
        if isinstance(name, x509.DirectoryName)
        else (type(name).__name__, name.value)
        for name in full
    )


def directory_name(name: NormalName) -> PointName:
    """Return the name of a distribution point that is a directory name."""
    return "directoryName", name


# ----------------------------------------------------------------------


def _unreadable(reason: str) -> BadInput:
    return BadInput("crl_unreadable", f"The CRL cannot be read: {reason}.")


def _read(der: bytes) -> Crl:
    version_2 = _shape(der)
    crl = x509.load_der_x509_crl(der)
    extensions = crl.extensions
    issuer = normal_name(crl.issuer)
    entries, entry_fault = _entries(crl, version_2=version_2)
    scope = value_of(extensions, x509.IssuingDistributionPoint)
    names = None if scope is None else point_names(scope.full_name, scope.relative_name, issuer)
    return Crl(
        issuer=issuer,
        this_update=crl.last_update_utc,
        next_update=crl.next_update_utc,
        number=_number(extensions),
        only_users=scope is not None and scope.only_contains_user_certs,
        only_cas=scope is not None and scope.only_contains_ca_certs,
        names=names,
        is_delta=value_of(extensions, x509.DeltaCRLIndicator) is not None,
        unusable=_unknown_critical(extensions, _HANDLED) or _partial(extensions) or entry_fault,
        entries=entries,
        signature=of_crl(crl),
    )


def _shape(der: bytes) -> bool:
    """
    Ask what the parser below lets through; tell whether the CRL is version 2 (RFC 5280 5.1).

    A CRL without version has no extensions, an explicit version is 2, the list of entries is left
    out rather than empty, and both signature algorithms are the same.
    """
    outer = element_at(der, 0, len(der))
    tbs, algorithm, signature = children(der, outer)
    require_octets(der, signature)
    fields = list(children(der, tbs))
    version_2 = fields[0].tag == _INTEGER
    if version_2 and der[fields[0].body : fields[0].end] != _VERSION_2:
        raise _unreadable("it has a version that is not 2")
    inner, _, _, *rest = fields[version_2:]
    if der[inner.start : inner.end] != der[algorithm.start : algorithm.end]:
        raise _unreadable("its two signature algorithms differ")
    rest = rest[1:] if rest and rest[0].tag in _TIMES else rest
    if rest and rest[0].tag == SEQUENCE and rest[0].body == rest[0].end:
        raise _unreadable("its list of entries is empty instead of absent")
    if rest and rest[-1].tag == _EXTENSIONS:
        require_elements(der, rest[-1])
        if not version_2:
            raise _unreadable("it has extensions without being version 2")
    return version_2


def _number(extensions: x509.Extensions) -> int | None:
    try:
        number = extensions.get_extension_for_class(x509.CRLNumber)
    except x509.ExtensionNotFound:
        return None
    if number.critical:
        raise _unreadable("its cRLNumber is critical (RFC 5280 5.2.3)")
    return number.value.crl_number


def _entries(
    crl: x509.CertificateRevocationList, *, version_2: bool
) -> tuple[dict[int, Revoked], str | None]:
    """Return the entries; a critical extension that nobody knows spoils them all (5.3)."""
    found: dict[int, Revoked] = {}
    fault: str | None = None
    for entry in crl:
        extensions = entry.extensions
        if len(extensions) and not version_2:
            raise _unreadable("an entry has extensions, but the CRL is not version 2")
        fault = fault or _unknown_critical(extensions, _ENTRY_HANDLED)
        reason = value_of(extensions, x509.CRLReason)
        found[entry.serial_number] = Revoked(
            entry.revocation_date_utc, None if reason is None else reason.reason.value
        )
    return found, fault


def _unknown_critical(extensions: x509.Extensions, handled: frozenset[str]) -> str | None:
    for extension in extensions:
        if extension.critical and extension.oid.dotted_string not in handled:
            return f"it has the critical extension {extension.oid.dotted_string}"
    return None


def _partial(extensions: x509.Extensions) -> str | None:
    """Say why the CRL does not speak for all certificates and reasons of its issuer."""
    if value_of(extensions, x509.DeltaCRLIndicator) is not None:
        return "it is a delta CRL"
    scope = value_of(extensions, x509.IssuingDistributionPoint)
    if scope is None:
        return None
    if scope.indirect_crl:
        return "it is an indirect CRL"
    if scope.only_contains_attribute_certs:
        return "it is for attribute certificates"
    return "it covers some reasons only" if scope.only_some_reasons else None
