"""
Certificates without content in a CMS SignedData (RFC 5652 5, "certs-only" of RFC 8551 3.8).

The SET of certificates is DER, so the usual writers sort it; clients of the field take the last
certificate for the root and the rest, as they stand, for the chain. Every reader we know accepts
BER order here (X.690 10.3 asks it of DER alone, RFC 5652 does not ask for DER), so the order of the
caller is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pki.pkix.der import SEQUENCE, encode

_SIGNED_DATA: Final = bytes.fromhex("06092a864886f70d010702")
_DATA: Final = bytes.fromhex("06092a864886f70d010701")
_VERSION_1: Final = bytes.fromhex("020101")
_SET: Final = 0x31
_CONTEXT_0: Final = 0xA0


def certs_only(certificates: Sequence[bytes]) -> bytes:
    """
    Return the DER of a ContentInfo that carries these certificates, in this order.

    Args:
        certificates: DER, at least one.
    """
    signed_data = encode(
        SEQUENCE,
        _VERSION_1
        + encode(_SET, b"")  # digestAlgorithms
        + encode(SEQUENCE, _DATA)  # encapContentInfo without content
        + encode(_CONTEXT_0, b"".join(certificates))
        + encode(_SET, b""),  # signerInfos
    )
    return encode(SEQUENCE, _SIGNED_DATA + encode(_CONTEXT_0, signed_data))
