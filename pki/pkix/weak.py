"""Public keys that protect nothing: their private key is known to everybody, or none is needed."""

from __future__ import annotations

from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki.pkix.suites import KEY_BITS, Suite

_SMALL: Final = 64
"""Private scalars from 1 on, as broken generators and test programs make them."""

_ED448_PRIME: Final = 2**448 - 2**224 - 1
_ED448_OCTETS: Final = 57
_SIGN_OF_X: Final = 1 << 455


def is_weak(suite: Suite, spki: bytes) -> bool:
    """
    Tell whether a key is a small multiple of the base point, or an Ed448 point of small order.

    Args:
        spki: the key as `pki.pkix.build.spki` writes it.

    A signature under a point of small order can be made by anybody (RFC 8032 5.2.7 leaves it to
    the application to refuse such keys).
    """
    bits = spki[KEY_BITS[len(spki)] :]
    if suite is Suite.ED448:
        return bits in _ED448_SMALL_ORDER
    return _x(bits) in _known(suite)


def _x(bits: bytes) -> bytes:
    """Return the x coordinate of an uncompressed point; its negative shares it."""
    return bits[1 : 1 + len(bits) // 2]


@cache
def _known(suite: Suite) -> frozenset[bytes]:
    """Return the x coordinates of small multiples."""
    curve = {Suite.P256: ec.SECP256R1, Suite.P521: ec.SECP521R1}[suite]()
    keys = (ec.derive_private_key(number, curve) for number in range(1, _SMALL + 1))
    points = (
        key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint) for key in keys
    )
    return frozenset(map(_x, points))


def _small_order() -> frozenset[bytes]:
    """Return the points of order 1, 2 and 4: y is 1, -1 or 0 (the cofactor of the curve is 4)."""
    ys = (1, _ED448_PRIME - 1, 0)
    return frozenset(
        (y | sign).to_bytes(_ED448_OCTETS, "little") for y in ys for sign in (0, _SIGN_OF_X)
    )


_ED448_SMALL_ORDER: Final = _small_order()
