"""
Name constraints (RFC 5280 4.2.1.10 and 6.1.4 (g)), asked of a whole path.

OpenSSL's own answer is not taken: it holds directory names apart that differ in the case of letters
beyond ASCII (7.1), lets hosts pass that are addresses, and takes a common name for a host. A name
that cannot be compared is refused where a CA constrains names of its form: one that ends in a dot,
say, which means the host without it (4.2.1.6).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Final, TypeVar

from cryptography import x509

from pki.pkix.certificate import Certificate, normal_name
from pki.pkix.der import DerError, children, element_at, extension_value
from pki.pkix.path.values import NoPath, PathFault

MOST_COMPARISONS: Final = 1 << 16
"""Of one path; a certificate of 16 KiB names some thousands."""

_HOST: Final = r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*"
_DNS: Final = re.compile(rf"(?:\*\.)?{_HOST}", re.ASCII | re.IGNORECASE)
_SUBTREE: Final = re.compile(rf"\.?{_HOST}", re.ASCII | re.IGNORECASE)
_MAILBOX: Final = re.compile(rf'((?:[^@"]|"[^"]*")+)@({_HOST})', re.ASCII | re.IGNORECASE)
_URI: Final = re.compile(
    rf"[a-z][a-z0-9+.-]*://(?:[^/?#@]*@)?({_HOST})(?::[0-9]*)?(?:[/?#].*)?",
    re.ASCII | re.IGNORECASE | re.DOTALL,
)
_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)
"""The last label of an address, never of a host (RFC 1123 2.1)."""
_SMTP_UTF8_MAILBOX: Final = "1.3.6.1.5.5.7.8.9"
_UTF8_STRING: Final = 0x0C

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)
_Value = Any
"""A host, a mailbox of two parts, an address or network, a normal name; None: not comparable."""
_Name = tuple[str, _Value]
"""The form, and the value in a form that can be compared."""


@dataclass(frozen=True, slots=True)
class _Constraints:
    """By form: what is permitted and what is excluded."""

    permitted: dict[str, list[_Value]]
    excluded: dict[str, list[_Value]]


def fault(path: tuple[Certificate, ...]) -> NoPath | None:
    """Ask whether a certificate is named as a CA above it forbids; of verified paths only."""
    constrained = [(at, found) for at, c in enumerate(path) if (found := _constraints(c))]
    if not constrained:
        return None
    for at, _ in constrained:
        if at and _has_distances(path[at]):
            return _fault(path[at], "its name constraints have a minimum or a maximum")
    left = MOST_COMPARISONS
    for at, certificate in enumerate(path):
        above = [found for place, found in constrained if place > at]
        if not above or (at and certificate.self_issued):
            continue
        for name in _names(certificate):
            for found in above:
                left -= 1 + len(found.permitted.get(name[0], ()))
                left -= len(found.excluded.get(name[0], ()))
                why = "there are too many names to compare" if left < 0 else _broken(name, found)
                if why is not None:
                    return _fault(certificate, why)
    return None


def _fault(certificate: Certificate, why: str) -> NoPath:
    detail = f"{certificate.subject_text}: {why}"
    return NoPath(fault=PathFault.PROFILE, detail=detail, certificate=certificate)


def _broken(name: _Name, constraints: _Constraints) -> str | None:
    """Say how a name breaks what one CA says, or None."""
    form, value = name
    permitted, excluded = constraints.permitted.get(form), constraints.excluded.get(form)
    if permitted is None and excluded is None:
        return None
    within = _WITHIN.get(form)
    if within is None or value is None or None in (*(permitted or ()), *(excluded or ())):
        return f"a {form} of it cannot be held against the constraints of a CA: {value!a}"
    if any(within(value, base) or _covers(value, base) for base in excluded or ()):
        return f"a {form} of it is excluded by a CA: {value!a}"
    if permitted is not None and not any(within(value, base) for base in permitted):
        return f"a {form} of it is not permitted by a CA: {value!a}"
    return None


# --- comparing -------------------------------------------------------------------------------


def _below(host: str, base: str) -> bool:
    return not base or host == base or host.endswith(base if base[0] == "." else f".{base}")


def _covers(name: _Value, base: _Value) -> bool:
    """Tell of a wildcard, which stands for one label, that could be an excluded host."""
    if not isinstance(name, str) or not name.startswith("*.") or not base.endswith(name[1:]):
        return False
    return "." not in base.removesuffix(name[1:])


def _at_host(host: str, base: str) -> bool:
    return host.endswith(base) if base[0] == "." else host == base


def _mail(mailbox: tuple[str, str], base: tuple[str, str]) -> bool:
    local, host = base
    return _at_host(mailbox[1], host) and local in ("", mailbox[0])


def _starts_with(name: tuple[object, ...], base: tuple[object, ...]) -> bool:
    return name[: len(base)] == base


_WITHIN: Final[dict[str, Callable[[_Value, _Value], bool]]] = {
    "dNSName": _below,
    "rfc822Name": _mail,
    "uniformResourceIdentifier": _at_host,
    "iPAddress": lambda address, network: address in network,
    "directoryName": _starts_with,
}
"""Names of other forms are compared by nobody."""


# --- reading ---------------------------------------------------------------------------------


def _names(certificate: Certificate) -> Iterator[_Name]:
    """Yield every name of a certificate; also an address in a subject beside other names."""
    if certificate.normal_subject:
        yield "directoryName", certificate.normal_subject
    for attribute in certificate.x509.subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS):
        yield "rfc822Name", _mailbox(str(attribute.value))
    for name in _value(certificate, x509.SubjectAlternativeName) or ():
        yield _name(name)


def _constraints(certificate: Certificate) -> _Constraints | None:
    found = _value(certificate, x509.NameConstraints)
    if found is None:
        return None
    return _Constraints(_by_form(found.permitted_subtrees), _by_form(found.excluded_subtrees))


def _has_distances(certificate: Certificate) -> bool:
    """Tell whether a subtree is more than its base; the strict parser does not say (4.2.1.10)."""
    der = extension_value(certificate.tbs, x509.NameConstraints.oid.dotted_string) or b""
    subtrees = children(der, element_at(der, 0, len(der)))
    return any(len([*children(der, one)]) != 1 for each in subtrees for one in children(der, each))


def _by_form(subtrees: Iterable[x509.GeneralName] | None) -> dict[str, list[_Value]]:
    found: dict[str, list[_Value]] = {}
    for form, value in map(_subtree, subtrees or ()):
        found.setdefault(form, []).append(value)
    return found


def _value(certificate: Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _name(name: x509.GeneralName) -> _Name:
    match name:
        case x509.DNSName(value=text):
            return "dNSName", text.lower() if _DNS.fullmatch(text) else None
        case x509.RFC822Name(value=text):
            return "rfc822Name", _mailbox(text)
        case x509.UniformResourceIdentifier(value=text):
            return "uniformResourceIdentifier", _host_of(text)
        case x509.IPAddress(value=IPv4Address() | IPv6Address() as address):
            return "iPAddress", address
        case x509.OtherName() if name.type_id.dotted_string == _SMTP_UTF8_MAILBOX:
            return "rfc822Name", _utf8_mailbox(name.value)  # RFC 9598 6
        case _:
            return _other(name)


def _subtree(base: x509.GeneralName) -> _Name:
    match base:
        case x509.DNSName(value=text):
            known = not text or _SUBTREE.fullmatch(text)
            return "dNSName", text.lower() if known else None
        case x509.RFC822Name(value=text):
            return "rfc822Name", _mailbox(text) if "@" in text else _hosts_of_mail(text)
        case x509.UniformResourceIdentifier(value=text):
            known = _SUBTREE.fullmatch(text)
            return "uniformResourceIdentifier", text.lower() if known else None
        case x509.IPAddress(value=IPv4Network() | IPv6Network() as network):
            return "iPAddress", network
        case _:
            return _other(base)


def _other(name: x509.GeneralName) -> _Name:
    match name:
        case x509.DirectoryName(value=value):
            return "directoryName", normal_name(value)
        case x509.OtherName(type_id=kind):
            return f"otherName {kind.dotted_string}", None
        case x509.IPAddress():
            return "iPAddress", None
        case _:
            return type(name).__name__, None


def _mailbox(text: str) -> tuple[str, str] | None:
    """Return local part and host (RFC 5321 2.3.11: the case of the former counts)."""
    found = _MAILBOX.fullmatch(text)
    return None if found is None else (found[1], found[2].lower())


def _hosts_of_mail(text: str) -> tuple[str, str] | None:
    return ("", text.lower()) if _SUBTREE.fullmatch(text) else None


def _utf8_mailbox(der: bytes) -> tuple[str, str] | None:
    try:
        whole = element_at(der, 0, len(der))
        text = der[whole.body : whole.end].decode()
    except (DerError, UnicodeDecodeError):
        return None
    return _mailbox(text) if whole.tag == _UTF8_STRING and whole.end == len(der) else None


def _host_of(uri: str) -> str | None:
    """Return the host, which must be a name: an address cannot be held against one (4.2.1.10)."""
    found = _URI.fullmatch(uri)
    host = found[1].lower() if found is not None else ""
    return host if host and not _NUMBER.fullmatch(host) else None
