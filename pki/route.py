"""
Whose number is this? Ranges of identifiers to parties: the longest prefix wins.

A party's id need not begin its numbers, and a range may be handed over from one eMSP to another at
a given time. Where no range says otherwise, the first five characters name the party.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pki import access, audit
from pki.directory import Directory
from pki.errors import BadInput, JsonValue, PolicyViolation
from pki.ids import fold_prefix, quote
from pki.model import NumberRange, Principal, RangeKind, Role
from pki.ports import Deployment, Transaction

_PARTY_ID: Final = 5
_BATCH: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """
    Where the questions about a contract go.

    Attributes:
        account: provider id of the eMSP account.
        party: its party id in roaming protocols; usually the same.
        registered: there is an account or an eMSP party of that id here.
        hub: party id of the hub through which it is reached, or None.
        found: the range that said so; None: the first five characters did.
    """

    account: str
    party: str
    registered: bool
    hub: str | None
    found: NumberRange | None

    @property
    def names(self) -> tuple[str, ...]:
        """What agreements may call the eMSP."""
        return (self.account, self.party)


def longest(directory: Directory, kind: RangeKind, key: str, at: dt.datetime) -> NumberRange | None:
    """Return the range in force with the longest prefix of `key`, the latest where two begin so."""
    ranges = directory.ranges.get(kind)
    for length in directory.lengths.get(kind, ()) if ranges else ():
        in_force = [r for r in ranges.get(key[:length], ()) if r.holds(at)] if ranges else []
        if in_force and length <= len(key):
            return max(in_force, key=lambda found: found.valid_from)
    return None


def to_emsp(directory: Directory, emaid: str, at: dt.datetime) -> Route:
    """Return whose contract a canonical EMAID is at a time."""
    found = longest(directory, RangeKind.EMAID, emaid, at)
    return of_account(directory, found.party_id if found else emaid[:_PARTY_ID], found)


def of_account(directory: Directory, account: str, found: NumberRange | None = None) -> Route:
    """Return the way to an eMSP that is known by its provider id or party id."""
    emsp = directory.emsps.get(account)
    party = (emsp.party_id if emsp else None) or account
    known = directory.parties.get((Role.EMSP, party)) or directory.parties.get((Role.EMSP, account))
    return Route(
        account=account,
        party=party,
        registered=known is not None or account in directory.accounts,
        hub=known.hub if known else None,
        found=found,
    )


def to_cpo(directory: Directory, evse: str, at: dt.datetime) -> str | None:
    """Return the CPO of a canonical EVSE id; None for the DIN form that no range knows."""
    found = longest(directory, RangeKind.EVSE, evse, at)
    if found is not None:
        return found.party_id
    return None if evse.startswith("+") else evse[:_PARTY_ID]


def holder(tx: Transaction, emaid: str, at: dt.datetime) -> str:
    """Return the provider id of the account that a canonical EMAID belongs to at a time."""
    held = [
        found
        for found in tx.roaming.ranges()
        if found.kind is RangeKind.EMAID and emaid.startswith(found.prefix) and found.holds(at)
    ]
    if not held:
        return emaid[:_PARTY_ID]
    return max(held, key=lambda found: (len(found.prefix), found.valid_from)).party_id


def add(  # noqa: PLR0913 - the columns of a range
    deployment: Deployment,
    principal: Principal,
    kind: RangeKind,
    prefix: str,
    party: str,
    *,
    begin: dt.datetime | None = None,
    end: dt.datetime | None = None,
) -> NumberRange:
    """
    Say whose numbers begin so from some time on; what held before for the same prefix ends then.

    For contracts that is a porting: from `begin` on another eMSP answers for them, and a job moves
    them to its account.

    Raises:
        BadInput: `invalid_prefix`, `invalid_validity`, invalid party ids.
        PolicyViolation: `party_unknown`.
        Conflict: `range_exists`.
    """
    access.require(principal, access.Action.KEEP_PARTIES)
    now = deployment.clock.now()
    begin = begin or now
    if end is not None and end <= begin:
        raise BadInput("invalid_validity", "The end of a range lies behind its begin.")
    role = Role.CPO if kind is RangeKind.EVSE else Role.EMSP
    folded, owner = fold_prefix(prefix), access.party_id(role, party)
    with deployment.store.write() as tx:
        _require_party(tx, role, owner)
        before = _held(tx, kind, folded, begin)
        if before is not None and (before.valid_until is None or before.valid_until > begin):
            tx.roaming.end_range(before, begin)
        found = NumberRange(
            kind=kind,
            prefix=folded,
            role=role,
            party_id=owner,
            valid_from=begin,
            valid_until=end,
            ported_from=_owner_before(kind, folded, before),
        )
        tx.roaming.add_range(found)
        _record(tx, principal, found, now)
    return found


def _held(tx: Transaction, kind: RangeKind, prefix: str, at: dt.datetime) -> NumberRange | None:
    alike = [r for r in tx.roaming.ranges() if (r.kind, r.prefix) == (kind, prefix)]
    begun = [r for r in alike if r.valid_from < at]
    return max(begun, key=lambda r: r.valid_from) if begun else None


def _owner_before(kind: RangeKind, prefix: str, before: NumberRange | None) -> str | None:
    if before is not None:
        return before.party_id
    return prefix[:_PARTY_ID] if kind is RangeKind.EMAID and len(prefix) >= _PARTY_ID else None


def _require_party(tx: Transaction, role: Role, owner: str) -> None:
    if tx.contracts.party(role, owner) is None:
        raise PolicyViolation(
            "party_unknown",
            f"No {role.value} {quote(owner)} is registered here.",
            hint="`pnc party add` and `pnc emsp add` register companies.",
        )


def _record(tx: Transaction, principal: Principal, found: NumberRange, now: dt.datetime) -> None:
    details: dict[str, JsonValue] = {
        "kind": found.kind.value,
        "party": found.party_id,
        "from": int(found.valid_from.timestamp()),
        "portedFrom": found.ported_from,
    }
    tx.roaming.changed(now)
    audit.note(tx, now, principal.name, "range.add", found.prefix, details)


def search(
    deployment: Deployment,
    principal: Principal,
    *,
    after: tuple[RangeKind, str, dt.datetime] | None = None,
    limit: int = 100,
) -> list[NumberRange]:
    """Return a page of ranges of the companies that concern the caller, by kind, prefix, begin."""
    access.require(principal, access.Action.READ_ROAMING)
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        viewer = access.viewer(tx, principal)
        return tx.lists.ranges(viewer, now, after=after, limit=limit)


def place(page: Sequence[NumberRange]) -> tuple[RangeKind, str, dt.datetime] | None:
    """Return where the page behind this one begins; None for an empty one."""
    return (page[-1].kind, page[-1].prefix, page[-1].valid_from) if page else None


def settle(deployment: Deployment) -> int:
    """
    Move contracts of ranges that begun to the accounts they belong to now; return how many.

    What a longer range within holds stays apart.
    """
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        held = [r for r in tx.roaming.ranges() if r.kind is RangeKind.EMAID and r.holds(now)]
        known = {account.provider_id.value: account for account in tx.contracts.accounts()}
    due = [r for r in held if r.party_id in known]
    moved = 0
    for found in due:
        within = {r.prefix for r in held if r.prefix.startswith(found.prefix)} - {found.prefix}
        owner, batch = known[found.party_id].provider_id, _BATCH
        while batch == _BATCH:
            with deployment.store.write() as tx:
                batch = tx.contracts.hand_over(found.prefix, owner, _BATCH, at=now, apart=within)
            moved += batch
    return moved
