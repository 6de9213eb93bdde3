"""
The roots that a car lists: issuer names that are free text, and serials.

Cars write a distinguished name in any order, with other separators and other spellings of the
attribute types; what counts is the set of attributes and the serial (spec 4.2).
"""

from __future__ import annotations

import re
from typing import Final

from pki.pkix.certificate import Certificate
from pki.v2g.messages import RootCertificateId

Attributes = frozenset[tuple[str, str]]

_TYPES: Final = {
    "CN": "2.5.4.3",
    "COMMONNAME": "2.5.4.3",
    "C": "2.5.4.6",
    "COUNTRYNAME": "2.5.4.6",
    "L": "2.5.4.7",
    "ST": "2.5.4.8",
    "S": "2.5.4.8",
    "O": "2.5.4.10",
    "ORGANIZATIONNAME": "2.5.4.10",
    "OU": "2.5.4.11",
    "ORGANIZATIONALUNITNAME": "2.5.4.11",
    "DC": "0.9.2342.19200300.100.1.25",
    "DOMAINCOMPONENT": "0.9.2342.19200300.100.1.25",
    "E": "1.2.840.113549.1.9.1",
    "EMAILADDRESS": "1.2.840.113549.1.9.1",
}
_MAX_NAME: Final = 1024
_PART: Final = re.compile(r"(?:\\.|[^,;+/\\])+", re.ASCII | re.DOTALL)
_PAIR: Final = re.compile(
    r"<?(?:Name\()?\s*(?:OID\.)?([A-Za-z]+|[0-9.]+)\s*=\s*(.*?)\s*\)?>?", re.DOTALL
)


def attributes(text: str) -> Attributes:
    """Return the attributes of a name as a car wrote it; empty where nothing can be read."""
    found = set()
    for part in _PART.findall(text[:_MAX_NAME]):
        pair = _PAIR.fullmatch(part.strip())
        if pair is None:
            return frozenset()
        kind, value = pair.groups()
        oid = _TYPES.get(kind.upper(), kind)
        found.add((oid, _folded(re.sub(r"\\(.)", r"\1", value))))
    return frozenset(found)


def _folded(value: str) -> str:
    return " ".join(value.casefold().split())


def lists(listed: tuple[RootCertificateId, ...], root: Certificate) -> bool:
    """Tell whether a car lists this root, by its issuer's attributes and its serial."""
    wanted = frozenset(pair for rdn in root.normal_issuer for pair in rdn)
    return any(
        entry.serial == root.serial and attributes(entry.issuer_name) == wanted for entry in listed
    )
