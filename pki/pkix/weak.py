"""Public keys that protect nothing: their private key is known to everybody, or none is needed."""

from __future__ import annotations

from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki.pkix.suites import PublicKey

_SMALL: Final = 64
"""Private scalars from 1 on, as broken generators and test programs make them."""

_ED448_PRIME: Final = 2**448 - 2**224 - 1
_ED448_OCTETS: Final = 57
_SIGN_OF_X: Final = 1 << 455


def is_weak(public_key: PublicKey) -> bool:
    """
    Tell whether a key is a small multiple of the base point, or an Ed448 point of small order.

    A signature under a point of small order can be made by anybody (RFC 8032 5.2.7 leaves it to
    the application to refuse such keys).
    """
    if isinstance(public_key, ed448.Ed448PublicKey):
        return public_key.public_bytes(Encoding.Raw, PublicFormat.Raw) in _ED448_SMALL_ORDER
    return public_key.public_numbers().x in _known(public_key.curve.name)


@cache
def _known(curve: str) -> frozenset[int]:
    """Return the x coordinates of small multiples; a point and its negative share theirs."""
    made = {"secp256r1": ec.SECP256R1, "secp521r1": ec.SECP521R1}[curve]()
    keys = (ec.derive_private_key(number, made) for number in range(1, _SMALL + 1))
    return frozenset(key.public_key().public_numbers().x for key in keys)


def _small_order() -> frozenset[bytes]:
    """Return the points of order 1, 2 and 4: y is 1, -1 or 0 (the cofactor of the curve is 4)."""
    ys = (1, _ED448_PRIME - 1, 0)
    return frozenset(
        (y | sign).to_bytes(_ED448_OCTETS, "little") for y in ys for sign in (0, _SIGN_OF_X)
    )


_ED448_SMALL_ORDER: Final = _small_order()
