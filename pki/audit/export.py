"""The whole record as JSON lines, and searches in it, for auditors."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pki import access, audit
from pki.audit import checkpoints
from pki.clock import UTC, format_time
from pki.errors import BadInput
from pki.ids import quote
from pki.model import AuditEntry, AuditQuery, Checkpoint, Principal
from pki.ports import Deployment

FORMAT: Final = "pnc-audit-1"


def lines(deployment: Deployment, principal: Principal) -> Iterator[str]:
    """
    Yield the record as it was at one moment, in bounded memory: what `pki.audit.offline` reads.

    Keys and checkpoints first, the chain of administration next, then every other chain; the last
    line counts them.
    """
    access.require(principal, access.Action.READ_AUDIT)
    entries = 0
    with deployment.store.read() as tx:
        at = format_time(deployment.clock.now())
        yield _line({"kind": "audit", "format": FORMAT, "exportedAt": at})
        for kid, public_key in checkpoints.public_keys(tx).items():
            yield _line({"kind": "key", "kid": kid, "publicKey": _base64(public_key)})
        for checkpoint in tx.audit.checkpoints():
            yield _line(_checkpoint(checkpoint))
        chains = tx.audit.chains()
        for chain in sorted(chains, key=lambda name: (name != audit.ADMIN, name)):
            for entry in tx.audit.entries(chain):
                entries += 1
                yield _line({"kind": "entry", **entry_json(entry)})
    yield _line({"kind": "end", "entries": entries})


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _checkpoint(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "kind": "checkpoint",
        "chain": checkpoint.chain,
        "sequence": checkpoint.sequence,
        "entryHash": checkpoint.entry_hash.hex(),
        "at": format_time(checkpoint.at),
        "kid": checkpoint.kid,
        "signature": _base64(checkpoint.signature),
    }


def entry_json(entry: AuditEntry) -> dict[str, Any]:
    """Return an entry; `details` is the text that its hash covers."""
    return {
        "chain": entry.chain,
        "sequence": entry.sequence,
        "at": format_time(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "details": entry.details,
        "previousHash": entry.previous_hash.hex(),
        "entryHash": entry.entry_hash.hex(),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Entries, newest first, and where the following page begins, or None."""

    entries: tuple[AuditEntry, ...]
    following: str | None


def search(deployment: Deployment, principal: Principal, query: AuditQuery, limit: int) -> Page:
    """Return a page of the entries that fit, newest first."""
    access.require(principal, access.Action.READ_AUDIT)
    with deployment.store.read() as tx:
        found = tx.audit.search(query, limit)
    following = mark(found[-1]) if len(found) == limit else None
    return Page(entries=tuple(found), following=following)


def mark(entry: AuditEntry) -> str:
    """Return the place behind an entry, as `parse_mark` reads it."""
    return f"{int(entry.at.timestamp())}.{entry.sequence}.{entry.chain}"


def parse_mark(text: str) -> tuple[dt.datetime, str, int]:
    """Read a place: time, chain, sequence. Raises BadInput (`invalid_mark`)."""
    at, _, rest = text.partition(".")
    sequence, _, chain = rest.partition(".")
    if not (at.isascii() and at.isdigit() and sequence.isascii() and sequence.isdigit() and chain):
        raise BadInput("invalid_mark", f"{quote(text)} is no `next` of a page before.")
    try:
        return dt.datetime.fromtimestamp(int(at), UTC), chain, int(sequence) % _BIGGEST
    except (OverflowError, ValueError, OSError) as error:
        raise BadInput("invalid_mark", f"{quote(text)} is no `next` of a page before.") from error


_BIGGEST: Final = 1 << 62
