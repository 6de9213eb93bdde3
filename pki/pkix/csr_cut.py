"""
The usual CSR: one plain CN, a key of a suite, no attributes (RFC 2986 4), found by a few searches.

What was found is written down anew and must be the request to the octet; so nothing is taken that
`pki.pkix.csr`'s strict reader would refuse or take otherwise. It gets whatever is unusual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pki.pkix.build import ALGORITHMS
from pki.pkix.der import SEQUENCE, encode
from pki.pkix.leaf_cut import KEYS
from pki.pkix.suites import Suite

_CN: Final = bytes.fromhex("0603550403")
_PLAIN: Final = {
    0x0C: re.compile(r"[A-Za-z0-9*-]{1,64}", re.ASCII),  # UTF8String
    0x13: re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII),  # PrintableString, which has no asterisk
}
_SET: Final = 0x31
_BIT_STRING: Final = 0x03
_VERSION_1: Final = bytes.fromhex("020100")
_NO_ATTRIBUTES: Final = bytes.fromhex("a000")
_LONG: Final = 0x80


@dataclass(frozen=True, slots=True)
class CsrCut:
    """
    Parts of a CSR of the usual form; nothing is verified.

    Attributes:
        point: the public key without what stands before it in `spki`.
        signed: the octets under the signature, which is by the suite's own algorithm.
    """

    suite: Suite
    common_name: str
    spki: bytes
    point: bytes
    signed: bytes
    signature: bytes


def cut(der: bytes) -> CsrCut | None:
    """Return the parts of a DER request, or None where its form is not the usual one."""
    try:
        found = _found(der)
    except (IndexError, UnicodeDecodeError):
        return None
    return found


def _found(der: bytes) -> CsrCut | None:
    tag_at = der.find(_CN) + len(_CN)
    name_end = tag_at + 2 + der[tag_at + 1]
    name = der[tag_at + 2 : name_end]
    common_name = name.decode("ascii")
    pattern = _PLAIN.get(der[tag_at])
    suite = next((s for s, (head, _, _) in KEYS.items() if der.startswith(head, name_end)), None)
    if suite is None or pattern is None or not pattern.fullmatch(common_name):
        return None
    head, size, _ = KEYS[suite]
    spki_end = name_end + len(head) + size
    spki = der[name_end:spki_end]
    attribute = encode(SEQUENCE, _CN + encode(der[tag_at], name))
    subject = encode(SEQUENCE, encode(_SET, attribute))
    signed = encode(SEQUENCE, _VERSION_1 + subject + spki + _NO_ATTRIBUTES)
    signature = _signature(der, spki_end + len(_NO_ATTRIBUTES) + len(ALGORITHMS[suite]))
    signing = ALGORITHMS[suite] + encode(_BIT_STRING, b"\0" + signature)
    if encode(SEQUENCE, signed + signing) != der:
        return None
    return CsrCut(suite, common_name, spki, spki[len(head) :], signed, signature)


def _signature(der: bytes, at: int) -> bytes:
    """Return what stands in the BIT STRING behind its count of unused bits."""
    return der[at + 3 if der[at + 1] < _LONG else at + 4 :]
