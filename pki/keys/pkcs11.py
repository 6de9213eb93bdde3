"""
Private keys in a PKCS#11 token: made there, never leaving it.

The label of a key pair in the token is our label. What is hashed is hashed here; the token signs
the digest (CKM_ECDSA) or, for Ed448, the whole (CKM_EDDSA).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, PKCS11Error

from pki.errors import BadInput, Conflict, Unavailable
from pki.keys.token import Session, module
from pki.pkix.der import DerError, element_at
from pki.pkix.suites import PublicKey, Suite

T = TypeVar("T")

_LABEL: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}", re.ASCII)
_PARAMETERS: Final = {
    Suite.P256: bytes.fromhex("06082a8648ce3d030107"),
    Suite.P521: bytes.fromhex("06052b81040023"),
    Suite.ED448: bytes.fromhex("06032b6571"),
}
"""CKA_EC_PARAMS: the object identifier of the curve."""
_CURVES: Final = {Suite.P256: ec.SECP256R1(), Suite.P521: ec.SECP521R1()}
_OCTETS: Final = 0x04
_STAYS: Final = {
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.PRIVATE: True,
    Attribute.SIGN: True,
    Attribute.DERIVE: False,
}


@dataclass(frozen=True, slots=True)
class TokenSigner:
    """A signer whose key is in the token."""

    suite: Suite
    public_key: PublicKey
    label: str
    _use: Callable[[Callable[[Session], bytes]], bytes] = field(repr=False)

    @property
    def quick(self) -> bool:
        """A token may be at the other end of a network."""
        return False

    def sign(self, data: bytes) -> bytes:
        """Sign in the token. Raises Unavailable (`key_missing`, `key_unavailable`)."""
        return self._use(partial(_sign, self.label, self.suite, data))


@dataclass(frozen=True, slots=True)
class TokenKeys:
    """
    `Keys` over a PKCS#11 token.

    Args:
        path: the module, a shared library.
        token: label of the token.
        pin: gives the user's PIN.
        lock: file that keeps two processes from making a key of the same label at once.
    """

    path: Path
    token: str
    pin: Callable[[], bytes] = field(repr=False)
    lock: Path
    _held: dict[str, TokenSigner] = field(default_factory=dict, repr=False)

    def create(self, label: str, suite: Suite) -> TokenSigner:
        """
        Make a key pair in the token.

        Raises:
            BadInput: `invalid_key_label`.
            Conflict: `key_exists`.
            Unavailable: `key_unavailable`; `key_suite_unsupported`: the token cannot.
        """
        _check(label)
        with _locked(self.lock):
            self._use(label, partial(_make, label, suite))
        return self.signer(label)

    def signer(self, label: str) -> TokenSigner:
        """Return a key's signer. Raises Unavailable (`key_missing`, `key_unavailable`)."""
        if label not in self._held:
            _check(label)
            suite, public_key = self._use(label, partial(_public, label))
            self._held[label] = TokenSigner(suite, public_key, label, partial(self._use, label))
        return self._held[label]

    def _use(self, label: str, work: Callable[[Session], T]) -> T:
        try:
            return module(self.path).use(self.token, self.pin, work)
        except PKCS11Error as error:
            raise _told(error, label, self.token) from error


def _check(label: str) -> None:
    if not _LABEL.fullmatch(label):
        raise BadInput("invalid_key_label", "A key label has lower-case letters, digits, . _ -.")


def _told(error: PKCS11Error, label: str, token: str) -> Unavailable:
    """Say what failed by the name that PKCS#11 has for it, without a word of the PIN."""
    what = type(error).__name__
    match error:
        case pkcs11.NoSuchKey():
            return Unavailable("key_missing", f"There is no key called {label} in {token}.")
        case pkcs11.MultipleObjectsReturned():
            hint = "Remove all but the one that the certificate names, with the token's own tool."
            return Unavailable("key_unavailable", f"{token} holds {label} twice.", hint=hint)
        case pkcs11.MechanismInvalid():
            return Unavailable(
                "key_suite_unsupported",
                f"The token {token} cannot make or use the key {label} of this kind.",
                hint="Leave this edition out of the hierarchy, or take a token that can.",
            )
        case pkcs11.NoSuchToken():
            hint = "Check keys.pkcs11_token and that the token is connected; then try again."
            return Unavailable("key_unavailable", f"There is no token {token}.", hint=hint)
        case _:
            hint = "Check the token and the PIN (keys.pin_file); the next try opens it anew."
            return Unavailable(
                "key_unavailable", f"The token {token} refuses ({what}) the key {label}.", hint=hint
            )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Unavailable("key_unavailable", f"{path} cannot be written.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _make(label: str, suite: Suite, session: Session) -> None:
    known = session.raw.get_objects(
        {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: label}
    )
    if list(known):
        raise Conflict("key_exists", f"There is a key called {label} already.")
    edwards = suite is Suite.ED448
    parameters = session.raw.create_domain_parameters(
        KeyType.EC_EDWARDS if edwards else KeyType.EC,
        {Attribute.EC_PARAMS: _PARAMETERS[suite]},
        local=True,
    )
    parameters.generate_keypair(
        mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN if edwards else Mechanism.EC_KEY_PAIR_GEN,
        store=True,
        label=label,
        id=hashlib.sha256(label.encode()).digest()[:20],
        private_template=_STAYS,
    )


def _public(label: str, session: Session) -> tuple[Suite, PublicKey]:
    session.private_key(label)
    key = session.raw.get_key(ObjectClass.PUBLIC_KEY, label=label)
    parameters, point = key[Attribute.EC_PARAMS], _point(key[Attribute.EC_POINT])
    suite = next((s for s, known in _PARAMETERS.items() if known == parameters), None)
    try:
        if suite is Suite.ED448:
            return suite, ed448.Ed448PublicKey.from_public_bytes(point)
        if suite is not None:
            return suite, ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[suite], point)
    except ValueError:
        pass
    raise Unavailable("key_unavailable", f"The key {label} is of no known suite.")


def _point(value: bytes) -> bytes:
    """Return the point of CKA_EC_POINT, which most tokens wrap in an OCTET STRING."""
    try:
        element = element_at(value, 0, len(value))
    except DerError:
        return value
    whole = element.tag == _OCTETS and element.end == len(value)
    return value[element.body :] if whole else value


def _sign(label: str, suite: Suite, data: bytes, session: Session) -> bytes:
    key = session.private_key(label)
    if suite is Suite.ED448:
        return key.sign(data, mechanism=Mechanism.EDDSA)
    digest = hashlib.sha256(data) if suite is Suite.P256 else hashlib.sha512(data)
    raw = key.sign(digest.digest(), mechanism=Mechanism.ECDSA)
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
