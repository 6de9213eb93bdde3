"""Requests that may be sent twice: the answer to a key is kept for a day and given again."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from typing import Final

from pki.errors import BadInput, PolicyViolation
from pki.model import Principal, Remembered
from pki.ports import Deployment

KEPT: Final = dt.timedelta(days=1)
_KEY: Final = re.compile(r"[!-~]{1,64}")
_BATCH: Final = 1000


def digest(method: str, path: str, body: bytes) -> bytes:
    """Return what a request is recognised by."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), body))).digest()


def recall(
    deployment: Deployment, principal: Principal, key: str, request: bytes
) -> Remembered | None:
    """
    Return the answer that this request of the caller got before, or None.

    Raises:
        BadInput: `invalid_idempotency_key`.
        PolicyViolation: `idempotency_key_reused`: the key belongs to another request.
    """
    if not _KEY.fullmatch(key):
        raise BadInput(
            "invalid_idempotency_key", "An Idempotency-Key has 1 to 64 printable characters."
        )
    with deployment.store.read() as tx:
        found = tx.roaming.remembered(principal.name, key)
    if found is None or found.created_at + KEPT < deployment.clock.now():
        return None
    if found.request != request:
        raise PolicyViolation(
            "idempotency_key_reused",
            "This Idempotency-Key was sent with another request before.",
            hint="Make a new key for every request; repeat a request with its own.",
        )
    return found


def keep(
    deployment: Deployment, principal: Principal, key: str, request: bytes, told: tuple[int, str]
) -> None:
    """Keep an answer (status and JSON); the first one to a key stays."""
    status, answer = told
    remembered = Remembered(
        client=principal.name,
        key=key,
        request=request,
        status=status,
        answer=answer,
        created_at=deployment.clock.now(),
    )
    with deployment.store.write() as tx:
        tx.roaming.remember(remembered)


def prune(deployment: Deployment) -> int:
    """Forget answers that are older than a day; return how many."""
    before = deployment.clock.now() - KEPT
    gone = 0
    while True:
        with deployment.store.write() as tx:
            batch = tx.roaming.forget(before, _BATCH)
        gone += batch
        if batch < _BATCH:
            return gone
