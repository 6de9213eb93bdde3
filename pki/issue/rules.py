"""What is asked about key and name of an order, beside what its profile says."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pki import access
from pki.errors import Conflict, NotAllowed, PolicyViolation
from pki.ids import Emaid, HostName, SeccId
from pki.issue.values import Order
from pki.model import CertificateRecord, EnrolmentRules, Holder, Principal, Role
from pki.pkix import weak
from pki.pkix.profiles import Kind, Profile, find
from pki.pkix.suites import Suite
from pki.ports import Transaction

NAMED_FREELY: Final = frozenset((Kind.STATION, Kind.CSMS))
"""Kinds whose CN does not say whose it is."""

_SECC: Final = frozenset((Kind.SECC, Kind.PE_SECC))

_PAGE: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What we know of a key: whether it is on the block list, and which certificates it is in."""

    blocked: bool
    holders: Sequence[Holder]


def check_key(  # noqa: PLR0913 - key, and what it is for
    history: History,
    rules: EnrolmentRules,
    profile: Profile,
    suite: Suite,
    spki: bytes,
    common_name: str,
    owner: str,
) -> None:
    """
    Return if a key may be certified.

    Raises:
        PolicyViolation: `key_weak`, `key_blocked`, `key_reused`.
    """
    if weak.is_weak(suite, spki):
        raise PolicyViolation(
            "key_weak",
            "Everybody knows the private key of this key, or needs none.",
            hint="Make a new key and a new CSR.",
        )
    if history.blocked:
        raise PolicyViolation(
            "key_blocked",
            "This key is on the block list and is never certified again.",
            hint="Make a new key and a new CSR.",
        )
    check_holders(history.holders, rules, profile, common_name, owner)


def check_holders(
    holders: Sequence[Holder],
    rules: EnrolmentRules,
    profile: Profile,
    common_name: str,
    owner: str,
) -> None:
    """Return if a key may stand beside the certificates it is in. Raises as `check_key`."""
    freely = rules.tenant(owner).reuse_keys
    for record in holders:
        before = find(record.kind, record.edition)
        same = (record.kind, record.common_name, record.owner) == (profile.kind, common_name, owner)
        if before.ca or (not same and not freely and (profile.own_key or before.own_key)):
            raise PolicyViolation(
                "key_reused",
                f"This key is in another certificate ({record.kind.value}) already.",
                hint="Make a key of its own for each certificate; a renewal may keep its key.",
            )


def check_name(  # noqa: PLR0913 - a name, whose it shall be, and who asks
    tx: Transaction,
    rules: EnrolmentRules,
    principal: Principal,
    kind: Kind,
    common_name: str,
    owner: str,
    now: dt.datetime,
) -> None:
    """
    Return if a party may have a name that does not itself say whose it is.

    Raises:
        NotAllowed: `host_not_allowed`.
        Conflict: `common_name_taken`.
    """
    if kind not in NAMED_FREELY:
        return
    own_host = kind is not Kind.CSMS or rules.may_name(owner, HostName.parse(common_name))
    if not own_host and principal.role is not Role.ADMIN:
        raise NotAllowed(
            "host_not_allowed",
            f"{common_name} is none of the names that {owner or 'this client'} may have.",
            hint="An administrator lists csms_domains for the operator in enrol.tenants.",
        )
    role = access.OWNER_ROLE[kind]
    for record in _named(tx, kind, common_name):
        held = record.not_after > now and record.owner != owner
        if held and tx.certificates.revocation(record.issuer_id, record.serial) is None:
            raise Conflict(
                "common_name_taken",
                f"Another {role.value} holds a certificate for {common_name}.",
                hint="Serial numbers of stations and host names are unique among all operators.",
            )


def check_window(  # noqa: PLR0913 - what is asked for, and when
    tx: Transaction,
    rules: EnrolmentRules,
    profile: Profile,
    common_name: str,
    owner: str,
    now: dt.datetime,
    *,
    again: bool,
) -> None:
    """
    Return unless the kind has no duplicates and a certificate is in force that is not yet due.

    A station or a car that speaks both editions holds a certificate of each.

    Args:
        again: another order that is judged together with this one has the same name.

    Raises:
        Conflict: `certificate_current`.
    """
    window = rules.windows.get(profile.kind)
    if window is None:
        return
    if again:
        raise Conflict("certificate_current", f"{common_name} is asked for twice at once.")
    for record in _of_one_name(tx, profile, common_name, owner):
        due = record.not_after - window
        current = record.edition is profile.edition and due > now
        if current and tx.certificates.revocation(record.issuer_id, record.serial) is None:
            raise Conflict(
                "certificate_current",
                f"A certificate of {common_name} is in force until {record.not_after:%Y-%m-%d}.",
                hint=f"It may be renewed from {due:%Y-%m-%d} on, or at once after its revocation.",
            )


def name_key(profile: Profile, common_name: str) -> str:
    """Return a name without what may be written one way or the other."""
    if profile.kind in _SECC:
        return SeccId.parse(common_name).key
    if profile.kind is Kind.CONTRACT:
        return Emaid.parse(common_name, profile.edition).key
    return common_name


def _of_one_name(
    tx: Transaction, profile: Profile, common_name: str, owner: str
) -> Iterator[CertificateRecord]:
    """Yield certificates of a name in each way to write it, or the usual ones of a SECC id."""
    key = name_key(profile, common_name)
    if profile.kind is Kind.CONTRACT:
        contract = tx.contracts.find(profile.edition, key)
        yield from tx.certificates.by_contract(contract.contract_id) if contract else ()
        return
    names = {common_name}
    if profile.kind in _SECC:
        names |= {key, f"{key[:2]}*{key[2:5]}*{key[5:]}"}
    for name in sorted(names):
        yield from _named(tx, profile.kind, name, owner)


def _named(
    tx: Transaction, kind: Kind, common_name: str, owner: str | None = None
) -> Iterator[CertificateRecord]:
    """Yield every certificate of a kind and name, and owner where one is given."""
    owners, after = None if owner is None else (owner,), None
    while True:
        page = tx.certificates.search(
            kinds=(kind,), owners=owners, common_name=common_name, after=after, limit=_PAGE
        )
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1].fingerprint


def judge_again(
    tx: Transaction, rules: EnrolmentRules, principal: Principal, order: Order, now: dt.datetime
) -> None:
    """Ask about an order once more, in the transaction that keeps its intent; raises as above."""
    profile, name, owner = order.profile, order.common_name, order.owner
    check_name(tx, rules, principal, profile.kind, name, owner, now)
    check_window(tx, rules, profile, name, owner, now, again=False)
    key = hashlib.sha256(order.spki).digest()
    blocked, held = tx.certificates.known_keys([key])
    history = History(blocked=bool(blocked), holders=[holder for _, holder in held])
    check_key(history, rules, profile, order.suite, order.spki, name, owner)
