"""
Requests that may be sent twice: the answer to a key is kept for a day and given again.

The work and its answer are one transaction, so that whatever happens in between, the work is done
once: who is killed leaves both or neither, and whoever comes with the same key meanwhile waits.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Final

from pki import batches
from pki.errors import BadInput, Conflict, PkiError, PolicyViolation, Unavailable
from pki.model import Principal, Remembered
from pki.ports import Deployment, Store, Transaction

KEPT: Final = dt.timedelta(days=1)
_KEY: Final = re.compile(r"[!-~]{1,64}")

ABANDONED: Final = dt.timedelta(minutes=1)
"""After that a key that was taken belongs to nobody who still works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """
    One try at work that commits by itself.

    Attributes:
        mark: belongs to this try alone: what is made under it is found again by it.
        earlier: marks of tries that came to no end, whose work may be done, oldest first.
    """

    mark: str
    earlier: tuple[str, ...]


Plain = Callable[[Turn], tuple[int, str]]
"""What is done once and commits by itself; returns status and JSON."""

Work = Callable[[Deployment], tuple[int, str]]
"""What is done once, all of it through the deployment given; returns status and JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The answer; `again`: it is the one of an earlier request."""

    status: int
    answer: str
    again: bool


@dataclass(slots=True)
class _Joined:
    """The store as verbs see it whose transactions are all part of one."""

    store: Store
    tx: Transaction
    failure: BaseException | None = None

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Read within the one transaction, its own changes included."""
        yield self.tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """Write within the one transaction; a block that fails fails all of it."""
        try:
            yield self.tx
        except BaseException as error:
            self.failure = error
            raise

    def ping(self) -> None:
        """Do as the store does."""
        self.store.ping()


def digest(method: str, path: str, body: bytes) -> bytes:
    """Return what a request is recognised by; `path` with its query."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode(), body))).digest()


def _claim(deployment: Deployment, principal: Principal, key: str, request: bytes) -> Remembered:
    if not _KEY.fullmatch(key):
        raise BadInput(
            "invalid_idempotency_key", "An Idempotency-Key has 1 to 64 printable characters."
        )
    return Remembered(
        client=principal.name,
        key=key,
        request=request,
        status=0,
        answer="",
        created_at=deployment.clock.now(),
    )


def once(
    deployment: Deployment, principal: Principal, key: str, request: bytes, work: Work
) -> Told:
    """
    Do the work of a request and keep its answer, or return the answer that it got before.

    What the work raises is raised, and leaves the key free.

    Raises:
        BadInput: `invalid_idempotency_key`.
        PolicyViolation: `idempotency_key_reused`: the key belongs to another request.
        Unavailable: `store_busy`, also where the same request takes too long elsewhere.
    """
    claim = _claim(deployment, principal, key, request)
    with deployment.store.write() as tx:
        before = _claimed(tx, claim)
        if before is not None:
            return _again(before, request)
        joined = _Joined(deployment.store, tx)
        status, answer = work(replace(deployment, store=joined))
        if joined.failure is not None:
            raise joined.failure
        tx.roaming.answer(replace(claim, status=status, answer=answer))
    return Told(status=status, answer=answer, again=False)


def once_apart(
    deployment: Deployment, principal: Principal, key: str, request: bytes, work: Plain
) -> Told:
    """
    Do the work of a request that commits by itself, as issuing does, and keep its answer.

    The key is taken first; whoever comes meanwhile is told so. What is refused leaves the key free,
    with nothing done. A try that ends in any other way may have done its work: its key keeps its
    mark for the next, which is let in at once after an error and after a minute where nobody told
    of an end.

    Raises:
        BadInput, PolicyViolation: as `once`.
        Conflict: `request_underway`.
    """
    mark = f"request-{secrets.token_hex(16)}"
    # the place of the answer holds marks until there is one
    claim = replace(_claim(deployment, principal, key, request), answer=mark)
    with deployment.store.write() as tx:
        before = _claimed(tx, claim)
        if before is not None and (before.status or before.request != request):
            return _again(before, request)
        if before is not None:
            claim = _take_over(tx, before, claim)
    earlier = tuple(claim.answer.split()[:-1])
    try:
        status, answer = work(Turn(mark=mark, earlier=earlier))
    except BaseException as error:
        refused = isinstance(error, PkiError) and not isinstance(error, Unavailable)
        with suppress(PkiError), deployment.store.write() as tx:
            _leave(tx, claim, done_nothing=refused and not earlier)
        raise
    with deployment.store.write() as tx:
        tx.roaming.answer(replace(claim, status=status, answer=answer))
    return Told(status=status, answer=answer, again=False)


def _take_over(tx: Transaction, before: Remembered, claim: Remembered) -> Remembered:
    """Take a key from a try that came to no end; return the claim, with the marks of both."""
    if before.created_at + ABANDONED > claim.created_at:
        raise Conflict(
            "request_underway",
            "The same request is being worked on.",
            hint="Send it again in a moment; under its key it gets the same answer.",
        )
    claim = replace(claim, answer=f"{before.answer} {claim.answer}")
    tx.roaming.forget_key(claim.client, claim.key)
    tx.roaming.remember(claim)
    return claim


def _leave(tx: Transaction, claim: Remembered, *, done_nothing: bool) -> None:
    """Free a key, or leave it with its marks to whoever comes next, unless somebody has it."""
    held = tx.roaming.remembered(claim.client, claim.key)
    if held is None or (held.status, held.answer) != (claim.status, claim.answer):
        return
    tx.roaming.forget_key(claim.client, claim.key)
    if not done_nothing:
        tx.roaming.remember(replace(claim, created_at=claim.created_at - ABANDONED))


def _claimed(tx: Transaction, claim: Remembered) -> Remembered | None:
    """Take a key, waiting for whoever is at work under it; return what stands there already."""
    if tx.roaming.remember(claim):
        return None
    held = tx.roaming.remembered(claim.client, claim.key)
    if held is not None and held.created_at + KEPT >= claim.created_at:
        return held
    tx.roaming.forget_key(claim.client, claim.key)
    return None if tx.roaming.remember(claim) else tx.roaming.remembered(claim.client, claim.key)


def _again(before: Remembered, request: bytes) -> Told:
    if before.request != request:
        raise PolicyViolation(
            "idempotency_key_reused",
            "This Idempotency-Key was sent with another request before.",
            hint="Make a new key for every request; repeat a request with its own.",
        )
    return Told(status=before.status, answer=before.answer, again=True)


def prune(deployment: Deployment) -> int:
    """Forget answers that are older than a day; return how many."""
    before = deployment.clock.now() - KEPT
    return batches.each_apart(deployment, lambda tx, most: tx.roaming.forget(before, most))
