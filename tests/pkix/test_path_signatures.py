"""Signatures of foreign certificates: only the algorithm that belongs to the key, never a crash."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa

from pki.pkix.certificate import load
from pki.pkix.path.signatures import (
    Signed,
    Strength,
    certifies,
    of_certificate,
    verifies,
    weak_key,
    weak_signature,
)
from tests.conformance import makers

DATA = b"what is signed"
RSA = rsa.generate_private_key(65537, 2048)
P256 = ec.generate_private_key(ec.SECP256R1())
P521 = ec.generate_private_key(ec.SECP521R1())
E25519 = ed25519.Ed25519PrivateKey.generate()
E448 = ed448.Ed448PrivateKey.generate()
PSS = padding.PSS(padding.MGF1(hashes.SHA384()), 48)

SIGNED: dict[str, tuple[Any, Signed]] = {
    "rsa": (
        RSA,
        Signed(
            data=DATA,
            algorithm="1.2.840.113549.1.1.11",
            signature=RSA.sign(DATA, padding.PKCS1v15(), hashes.SHA256()),
        ),
    ),
    "pss": (
        RSA,
        Signed(
            data=DATA,
            algorithm="1.2.840.113549.1.1.10",
            pss=PSS,
            pss_digest=hashes.SHA384(),
            signature=RSA.sign(DATA, PSS, hashes.SHA384()),
        ),
    ),
    "p256": (
        P256,
        Signed(
            data=DATA,
            algorithm="1.2.840.10045.4.3.2",
            signature=P256.sign(DATA, ec.ECDSA(hashes.SHA256())),
        ),
    ),
    "p521": (
        P521,
        Signed(
            data=DATA,
            algorithm="1.2.840.10045.4.3.4",
            signature=P521.sign(DATA, ec.ECDSA(hashes.SHA512())),
        ),
    ),
    "ed25519": (E25519, Signed(data=DATA, algorithm="1.3.101.112", signature=E25519.sign(DATA))),
    "ed448": (E448, Signed(data=DATA, algorithm="1.3.101.113", signature=E448.sign(DATA))),
}


@pytest.mark.parametrize(("made", "asked"), list(itertools.product(SIGNED, SIGNED)))
def test_a_signature_is_good_under_its_own_key_only(made: str, asked: str) -> None:
    key, _ = SIGNED[asked]
    own = SIGNED[made][0] is key
    assert verifies(key.public_key(), SIGNED[made][1]) is own


@pytest.mark.parametrize("kind", SIGNED)
def test_no_other_data_and_no_other_algorithm(kind: str) -> None:
    key, good = SIGNED[kind]
    public = key.public_key()
    for data, algorithm in [(b"other", good.algorithm), (DATA, "1.2.3.4"), (DATA, "1.3.101.112")]:
        if (data, algorithm) != (good.data, good.algorithm):
            odd = Signed(data=data, signature=good.signature, algorithm=algorithm)
            assert not verifies(public, odd)


DSA = dsa.generate_private_key(1024).public_key()  # noqa: S505 - to be refused


@pytest.mark.parametrize("key", [None, object(), DSA])
def test_an_unexpected_key_verifies_nothing_and_does_not_count(key: object) -> None:
    assert not any(verifies(key, item) for _, item in SIGNED.values())
    assert weak_key(key, Strength()) is not None


def test_algorithms_that_count() -> None:
    assert not any(weak_signature(item, Strength()) for _, item in SIGNED.values())
    assert weak_signature(None, Strength()) is not None
    for name in ("1.2.840.113549.1.1.5", "1.2.840.10045.4.1"):
        old = Signed(data=b"", signature=b"", algorithm=name)
        assert weak_signature(old, Strength()) is not None
        assert weak_signature(old, Strength(sha1=True)) is None
    for name in ("1.2.840.113549.1.1.4", "1.2.840.113549.1.1.10", "1.2.840.10040.4.3"):
        odd = Signed(data=b"", signature=b"", algorithm=name)
        assert weak_signature(odd, Strength(sha1=True)) is not None


def test_parameters_that_cannot_be_read_are_no_signature() -> None:
    root = makers.ca("Root", key=RSA)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    made = makers.leaf("Leaf", root, pss=pss).certificate
    sha256 = bytes.fromhex("0609608648016503040201")
    odd = load(made.der.replace(sha256, sha256[:-1] + b"\x7f"))
    assert of_certificate(made.x509) is not None
    assert of_certificate(odd.x509) is None
    assert not certifies(RSA.public_key(), odd.x509)
