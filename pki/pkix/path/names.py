"""
Names that end in a dot, where a CA of the path constrains names (RFC 5280 4.2.1.10).

`example.com.` and `example.com` are one host, but OpenSSL compares the letters, so that one of
them is outside of a subtree that holds the other. The dot belongs into no certificate (4.2.1.6:
preferred name syntax), so such a name is refused there rather than understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar
from urllib.parse import urlsplit

from cryptography import x509

from pki.pkix.certificate import Certificate

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


def fault(path: tuple[Certificate, ...]) -> tuple[Certificate, str] | None:
    """Return a certificate whose names cannot be compared and why, or None."""
    if not any(_value(certificate, x509.NameConstraints) for certificate in path):
        return None
    for certificate in path:
        for name in _names(certificate):
            if _host(name).endswith("."):
                return certificate, f"a name of it ends in a dot: {name.value!a}"
    return None


def _value(certificate: Certificate, kind: type[_Extension]) -> _Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _names(certificate: Certificate) -> Iterator[x509.GeneralName]:
    """Yield what a certificate is named besides its subject, and what it constrains."""
    yield from _value(certificate, x509.SubjectAlternativeName) or ()
    constraints = _value(certificate, x509.NameConstraints)
    if constraints is not None:
        yield from constraints.permitted_subtrees or ()
        yield from constraints.excluded_subtrees or ()


def _host(name: x509.GeneralName) -> str:
    """Return the host of a name, or nothing for a name of another kind."""
    match name:
        case x509.DNSName(value=value) | x509.RFC822Name(value=value):
            return value
        case x509.UniformResourceIdentifier(value=value):
            return _host_of_uri(value)
        case _:
            return ""


def _host_of_uri(text: str) -> str:
    """Return a URI's host; a constraint is a host alone (RFC 5280 4.2.1.10)."""
    if "//" not in text:
        return text
    try:
        return urlsplit(text).hostname or ""
    except ValueError:
        return "."  # nobody knows which host that is
