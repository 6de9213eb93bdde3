"""Asking the signer: what `pki.sign` does and keys do, over its socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import load_der_public_key

from pki.errors import Unavailable
from pki.model import is_delegated
from pki.pkix.ocsp import ResponseData
from pki.pkix.suites import PublicKey, Suite, suite_of
from pki.signer import frames
from pki.signer.frames import Message

_CONNECT: Final = 2.0
_ANSWER: Final = 60.0
"""Seconds that the signer may take, a large CRL and a slow token included."""
_HINT: Final = "Start it with `pnc signer`; signing goes on as soon as it is there."


@dataclass(frozen=True, slots=True)
class SignerClient:
    """
    `SignerProcess` behind a socket; a connection for each question, so that none grows stale.

    Every method raises Unavailable (`key_unavailable`) while the signer is not there, and whatever
    the signer raised.
    """

    path: Path

    def sign_intents(self, intent_ids: Sequence[str]) -> list[bytes]:
        """Have intents signed, all or none; raises as `pki.sign.sign_intents`."""
        answer = self._ask({"do": "sign_intents", "intents": list(intent_ids)})
        return [_octets({"": text}, "") for text in answer.get("signatures", ())]

    def sign_crl(self, intent_id: str, tbs: bytes) -> bytes:
        """Have a CRL signed; raises as `pki.sign.sign_crl`."""
        return _octets(self._ask({"do": "sign_crl", "intent": intent_id}, tbs), "signature")

    def sign_answer(self, issuer_id: str, data: ResponseData) -> tuple[bytes, bytes]:
        """Have a CA sign an OCSP answer; raises as `pki.sign.sign_answer`."""
        question = {"do": "sign_answer", "issuer": issuer_id, "answer": frames.of_answer(data)}
        answer = self._ask(question)
        return _octets(answer, "tbs"), _octets(answer, "signature")

    def create(self, label: str, suite: Suite) -> bytes:
        """Have a key made; return its SubjectPublicKeyInfo. Raises as `Keys.create`."""
        return _octets(self._ask({"do": "create", "label": label, "suite": suite.value}), "key")

    def public_key(self, label: str) -> bytes:
        """Return the SubjectPublicKeyInfo of a key. Raises as `Keys.signer`."""
        return _octets(self._ask({"do": "public_key", "label": label}), "key")

    def sign_delegated(self, label: str, data: bytes) -> bytes:
        """Sign with a key that is no CA's."""
        return _octets(self._ask({"do": "sign_delegated", "label": label}, data), "signature")

    def ping(self) -> None:
        """Return if the signer answers and reaches the database. Raises Unavailable."""
        self._ask({"do": "ping"})

    def _ask(self, question: Message, data: bytes | None = None) -> Message:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as ours, _file(data) as files:
                ours.settimeout(_CONNECT)
                ours.connect(str(self.path))
                frames.send(ours, question, files)
                answer, _ = frames.receive(ours, _ANSWER)
        except (OSError, ValueError) as error:
            raise Unavailable(
                "key_unavailable",
                f"The signer at {self.path} does not answer ({type(error).__name__}).",
                hint=_HINT,
            ) from error
        if "error" in answer:
            raise frames.to_error(answer)
        return answer


@contextmanager
def _file(data: bytes | None) -> Iterator[tuple[int, ...]]:
    """Give what is to be signed a descriptor."""
    if data is None:
        yield ()
        return
    descriptor = os.memfd_create("pnc-to-be-signed")
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        yield (descriptor,)
    finally:
        os.close(descriptor)


def _octets(answer: Message, name: str) -> bytes:
    try:
        return bytes.fromhex(answer[name])
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable("key_unavailable", "The signer's answer cannot be read.") from error


@dataclass(frozen=True, slots=True)
class RemoteSigner:
    """A key in the signer; one of a CA signs intents and nothing else."""

    suite: Suite
    public_key: PublicKey
    label: str
    _client: SignerClient = field(repr=False)

    @property
    def quick(self) -> bool:
        """Another process is asked."""
        return False

    def sign(self, data: bytes) -> bytes:
        """Sign with a delegated key. Raises Unavailable (`key_unavailable`)."""
        if not is_delegated(self.label):
            raise Unavailable(
                "key_unavailable", f"The key {self.label} is a CA's: it signs intents only."
            )
        return self._client.sign_delegated(self.label, data)


@dataclass(frozen=True, slots=True)
class RemoteKeys:
    """`Keys` of the signer."""

    client: SignerClient
    _held: dict[str, RemoteSigner] = field(default_factory=dict, repr=False)

    def create(self, label: str, suite: Suite) -> RemoteSigner:
        """Make a key there. Raises Conflict (`key_exists`), Unavailable (`key_unavailable`)."""
        return self._signer(label, self.client.create(label, suite))

    def signer(self, label: str) -> RemoteSigner:
        """Return a key's signer. Raises Unavailable (`key_missing`, `key_unavailable`)."""
        if label not in self._held:
            self._held[label] = self._signer(label, self.client.public_key(label))
        return self._held[label]

    def _signer(self, label: str, spki: bytes) -> RemoteSigner:
        try:
            key = load_der_public_key(spki)
        except ValueError as error:
            raise Unavailable("key_unavailable", "The signer's answer cannot be read.") from error
        suite = suite_of(key)
        if suite is None:
            raise Unavailable("key_unavailable", f"The key {label} is of no known suite.")
        return RemoteSigner(suite, key, label, self.client)  # type: ignore[arg-type]  # as suite_of
