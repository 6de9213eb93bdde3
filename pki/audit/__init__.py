"""
Who did what: append-only hash chains, one per issuer and one for administration.

The hash of an entry covers its chain, sequence, time, actor, action, subject, details and the hash
of its predecessor, as a JSON array without white space. Entries are written in the transaction of
the change that they tell of.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from pki.clock import format_time
from pki.errors import JsonValue
from pki.ids import Fingerprint
from pki.model import AuditEntry
from pki.ports import Store, Transaction

MOST_AT_ONCE: Final = 500
"""Acts of one entry: some 80 KiB."""

ADMIN: Final = "admin"
"""The chain of everything that is not an issuer's."""

GENESIS: Final = bytes(32)
"""Stands in for the predecessor of a chain's first entry."""


def record(  # noqa: PLR0913 - the columns of an audit row
    tx: Transaction,
    *,
    chain: str,
    at: dt.datetime,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, JsonValue],
) -> AuditEntry:
    """Append one entry to a chain inside the caller's transaction."""
    entry = _next(tx.audit.tip(chain), chain, at, (actor, action, subject), details)
    tx.audit.append(entry)
    return entry


def _next(
    tip: tuple[int, bytes] | None,
    chain: str,
    at: dt.datetime,
    told: tuple[str, str, str],
    details: Mapping[str, JsonValue],
) -> AuditEntry:
    """Return the entry behind the last one of a chain; `told` is actor, action, subject."""
    last, previous = tip or (0, GENESIS)
    sequence = last + 1
    text = json.dumps(dict(details), sort_keys=True, separators=(",", ":"))
    actor, action, subject = told
    return AuditEntry(
        chain=chain,
        sequence=sequence,
        at=at,
        actor=actor,
        action=action,
        subject=subject,
        details=text,
        previous_hash=previous,
        entry_hash=entry_hash(chain, sequence, at, (*told, text), previous),
    )


def note(  # noqa: PLR0913 - the columns of an audit row
    tx: Transaction,
    at: dt.datetime,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, JsonValue] = MappingProxyType({}),
) -> AuditEntry:
    """Append one entry to the chain of administration inside the caller's transaction."""
    return record(
        tx, chain=ADMIN, at=at, actor=actor, action=action, subject=subject, details=details
    )


def hold(tx: Transaction, chain: str) -> None:
    """Make every other writer of a chain wait until the caller's transaction ends."""
    tx.audit.head(chain)


@dataclass(frozen=True, slots=True)
class Act:
    """
    One of many acts of a kind.

    Attributes:
        details: the same names for every act of the kind; values without white space.
    """

    chain: str
    actor: str
    subject: str
    details: Mapping[str, str]


def record_batch(tx: Transaction, action: str, at: dt.datetime, acts: Iterable[Act]) -> None:
    """
    Append what many did at once: one entry for each chain and actor, chains in order.

    An entry of several has the number of them as its subject; each line of `each` has the subject
    of one and its details, in the order of `fields`. `verify` holds every one of them against the
    store.
    """
    told: dict[str, dict[str, list[Act]]] = {}
    for act in acts:
        told.setdefault(act.chain, {}).setdefault(act.actor, []).append(act)
    for chain in sorted(told):
        tip, entries = tx.audit.tip(chain), []
        for actor, some in sorted(told[chain].items()):
            for at_once in _pieces(some):
                subject, details = _together(at_once)
                entry = _next(tip, chain, at, (actor, action, subject), details)
                tip = entry.sequence, entry.entry_hash
                entries.append(entry)
        tx.audit.append_many(entries)


def _together(acts: Sequence[Act]) -> tuple[str, Mapping[str, JsonValue]]:
    """Return subject and details of the entry that tells of some acts."""
    if len(acts) == 1:
        return acts[0].subject, acts[0].details
    each = [" ".join((act.subject, *act.details.values())) for act in acts]
    return str(len(acts)), {"fields": list(acts[0].details), "each": list(each)}


def _pieces(acts: Sequence[Act]) -> Iterator[Sequence[Act]]:
    for begin in range(0, len(acts), MOST_AT_ONCE):
        yield acts[begin : begin + MOST_AT_ONCE]


def each_of(entry: AuditEntry) -> list[tuple[str, Mapping[str, str]]]:
    """Return subject and details of everything that one entry tells of."""
    details = json.loads(entry.details)
    if "each" not in details:
        return [(entry.subject, details)]
    lines = [line.split(" ") for line in details["each"]]
    return [(line[0], dict(zip(details["fields"], line[1:], strict=True))) for line in lines]


def entry_hash(
    chain: str, sequence: int, at: dt.datetime, told: tuple[str, str, str, str], previous: bytes
) -> bytes:
    """Return the SHA-256 that seals an entry; `told` is actor, action, subject, details."""
    sealed = [chain, sequence, format_time(at), *told, previous.hex()]
    return hashlib.sha256(json.dumps(sealed, separators=(",", ":")).encode()).digest()


def sealed(entry: AuditEntry) -> bool:
    """Tell whether an entry has the hash that its contents make."""
    told = (entry.actor, entry.action, entry.subject, entry.details)
    made = entry_hash(entry.chain, entry.sequence, entry.at, told, entry.previous_hash)
    return made == entry.entry_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """
    What `verify` found of one chain.

    Attributes:
        broken_at: sequence of the first entry that does not fit, or None.
    """

    chain: str
    entries: int
    head: bytes
    broken_at: int | None
    problem: str | None


def verify(store: Store) -> list[ChainReport]:
    """
    Re-compute every chain from its first entry, and hold certificates and revocations against it.

    Every CA and the administration must have a chain, and what its entries tell of must be in the
    store and nothing else. Who can rewrite the whole database can rewrite a chain from some entry
    on; only heads that were noted elsewhere show that.
    """
    with store.read() as tx:
        heads = tx.audit.heads()
        issuers = {issuer.issuer_id for issuer in tx.issuers.all()}
        expected = issuers | ({ADMIN} if issuers else set())
        names = sorted(set(heads) | set(tx.audit.chains()) | expected)
        return [
            _verify_chain(tx, name, heads.get(name), of_issuer=name in issuers) for name in names
        ]


def _verify_chain(
    tx: Transaction, chain: str, head: tuple[int, bytes] | None, *, of_issuer: bool
) -> ChainReport:
    previous, count = GENESIS, 0
    told = _Told()
    for entry in tx.audit.entries(chain):
        problem = _problem(entry, count + 1, previous) or told.problem(tx, entry)
        if problem:
            return _report(chain, count, previous, problem, entry.sequence)
        previous, count = entry.entry_hash, count + 1
    if count == 0:
        return _report(chain, 0, previous, "the chain is missing", 1)
    if head is None:
        return _report(chain, count, previous, "the stored head is missing", count)
    if head != (count, previous):
        return _report(chain, count, previous, "entries are missing at the end", count + 1)
    problem = told.contradiction(tx, chain) if of_issuer else None
    return _report(chain, count, previous, problem, count if problem else None)


@dataclass(slots=True)
class _Told:
    """What the entries of an issuer's chain tell of its certificates."""

    issued: int = 0
    revoked: set[str] = field(default_factory=set)

    def problem(self, tx: Transaction, entry: AuditEntry) -> str | None:
        """Take in one entry; say what in the store contradicts it."""
        match entry.action:
            case "certificate.issue":
                told = each_of(entry)
                self.issued += len(told)
                return _certificates_problem(tx, told)
            case "certificate.revoke":
                self.revoked.add(entry.subject)
            case "certificate.release":
                self.revoked.discard(entry.subject)
            case _:
                pass
        return None

    def contradiction(self, tx: Transaction, issuer_id: str) -> str | None:
        """Say what the store holds, or lacks, that no entry tells of."""
        if tx.certificates.count(issuer_id) != self.issued:
            return "there are certificates that no entry tells of"
        held = {row[0] for page in tx.status.revoked(issuer_id, _EVER) for row in page}
        if held != self.revoked:
            return "the revocations are not those that the entries tell of"
        return None


_EVER: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _certificates_problem(tx: Transaction, told: list[tuple[str, Mapping[str, str]]]) -> str | None:
    named = [(serial, Fingerprint.parse(each["fingerprint"])) for serial, each in told]
    found = tx.certificates.by_fingerprints([fingerprint for _, fingerprint in named])
    for serial, fingerprint in named:
        record = found.get(fingerprint)
        if record is None or record.serial.value != serial:
            return f"the certificate {serial} is missing"
        if Fingerprint.of(record.der) != record.fingerprint:
            return f"the certificate {serial} was changed"
    return None


def _problem(entry: AuditEntry, expected: int, previous: bytes) -> str | None:
    if entry.sequence != expected:
        return f"entry {expected} is missing"
    if entry.previous_hash != previous:
        return "the link to the predecessor is broken"
    if not sealed(entry):
        return "the entry was changed"
    return None


def _report(
    chain: str, entries: int, head: bytes, problem: str | None, broken_at: int | None
) -> ChainReport:
    return ChainReport(
        chain=chain, entries=entries, head=head, broken_at=broken_at, problem=problem
    )
