"""Protocols of private keys, and of who signs with those of CAs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Protocol

from pki.model import Held, KeyUse
from pki.pkix.ocsp import ResponseData
from pki.pkix.suites import PublicKey, Suite


class Signer(Protocol):
    """One private key that never leaves its home."""

    @property
    def suite(self) -> Suite: ...

    @property
    def public_key(self) -> PublicKey: ...

    @property
    def quick(self) -> bool:
        """Tell whether `sign` takes no wait, so that an event loop may call it: some 30 µs."""

    def sign(self, data: bytes) -> bytes:
        """
        Sign with the suite's algorithm (DER ECDSA, raw Ed448). Raises Unavailable
        (`key_unavailable`).
        """


class Keys(Protocol):
    """Where private keys live."""

    def create(self, label: str, suite: Suite) -> Signer:
        """Make and keep a key. Raises Conflict (`key_exists`)."""

    def signer(self, label: str) -> Signer:
        """Return a kept key's signer. Raises Unavailable (`key_missing`, `key_unavailable`)."""


class SignerProcess(Protocol):
    """Another process that holds the keys of CAs; it signs as `pki.sign` does, and raises so."""

    def sign_intents(self, intent_ids: Sequence[str]) -> list[bytes]: ...

    def sign_crl(self, intent_id: str, tbs: bytes) -> bytes: ...

    def sign_answer(self, issuer_id: str, data: ResponseData) -> tuple[bytes, bytes]: ...


class KeyUses(Protocol):
    """How often CAs signed."""

    def hold(self, issuer_id: str) -> Held:
        """
        Return what is asked before a CA signs; in a write, hold it and the end of its audit chain
        until the transaction ends.
        """

    def put(self, use: KeyUse) -> None: ...

    def database_time(self) -> dt.datetime | None:
        """Return the database's own clock; None where that is the clock of this host."""
