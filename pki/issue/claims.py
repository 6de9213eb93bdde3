"""
Names and keys of which there is one certificate only, claimed from intent to certificate.

Whoever judges an order sees certificates, not what others are about to issue. So the transaction of
the intent claims the name and asks once more; that of the certificate gives the name back, and
fails where somebody took it over meanwhile. Kinds without such a rule claim nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pki.errors import Conflict
from pki.issue import rules
from pki.issue.values import Order
from pki.model import EnrolmentRules, Principal
from pki.pkix.profiles import Profile, find
from pki.ports import Deployment, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an order claims, and for whom."""

    principal: Principal
    order: Order
    intent_id: str


def claimed(
    limits: EnrolmentRules, profile: Profile, common_name: str, owner: str, spki_sha256: bytes
) -> tuple[str, ...]:
    """Return what an order has to claim; empty for most."""
    kind = profile.kind
    names = [_key_name(spki_sha256)] if profile.own_key else []
    if kind in rules.NAMED_FREELY:
        names.append(f"{kind.value}:{common_name}")
    elif kind in limits.windows:
        name = rules.name_key(profile, common_name)
        names.append(f"{kind.value}-{profile.edition.value}:{owner}:{name}")
    return tuple(names)


def _key_name(spki_sha256: bytes) -> str:
    return f"key:{spki_sha256.hex()}"


def take(deployment: Deployment, tx: Transaction, wanted: Iterable[Claim]) -> None:
    """
    Claim the names of orders within the transaction of their intents, and judge them again.

    Raises:
        Conflict: `name_underway`, and what `pki.issue.rules` raises.
    """
    claims = [claim for claim in wanted if claim.order.claims]
    now = deployment.clock.now()
    for name, claim in _sorted(claims):
        if not tx.entities.claim(name, claim.intent_id, now):
            raise Conflict(
                "name_underway",
                f"Another certificate for {claim.order.common_name} is being issued.",
                hint="Ask again in a moment, if it is still wanted then.",
            )
    for claim in claims:
        rules.judge_again(tx, deployment.enrolment, claim.principal, claim.order, now)


def free(tx: Transaction, wanted: Iterable[Claim]) -> None:
    """
    Give names back with the certificates that have them.

    Raises:
        Conflict: `name_underway`: it took so long that somebody else has the name.
    """
    for name, claim in _sorted(claim for claim in wanted if claim.order.claims):
        if not tx.entities.free(name, claim.intent_id):
            raise Conflict(
                "name_underway",
                f"{claim.order.common_name} was taken over by a later request.",
                hint="Ask again; this certificate was not issued.",
            )


def require_lone_keys(deployment: Deployment, tx: Transaction, wanted: Sequence[Claim]) -> None:
    """
    Return if no leaf shares its key with one that forbids it, be that issued or about to be.

    For the transaction of the certificates. Their intents were committed before, and so were the
    claims of keys that have one certificate only: of two orders at once, the one that looks last
    sees the claim or the intent of the other, or else its certificate.

    Raises:
        Conflict: `key_underway`.
        PolicyViolation: `key_reused`.
    """
    orders: dict[bytes, list[Order]] = {}
    for claim in (each for each in wanted if not each.order.profile.ca):
        key = hashlib.sha256(claim.order.spki).digest()
        orders.setdefault(key, []).append(claim.order)
    keys = list(orders)
    names = [_key_name(key) for key in keys if _shares(deployment, orders[key][0])]
    _look_for_intents(deployment, tx, wanted)
    claimed, held = tx.entities.keys_in_use(keys, names)
    if claimed:
        if tx.entities.claimed(list(claimed), deployment.clock.now()):
            raise _key_underway()
        # whoever left a claim may have ended meanwhile
        _, held = tx.entities.keys_in_use(keys, names)
    for key, holder in held:
        for order in orders[key]:
            rules.check_holders(
                (holder,), deployment.enrolment, order.profile, order.common_name, order.owner
            )


def _shares(deployment: Deployment, order: Order) -> bool:
    """Tell whether a key may stand in other certificates, as far as this order goes."""
    return not order.profile.own_key and not deployment.enrolment.tenant(order.owner).reuse_keys


def _look_for_intents(deployment: Deployment, tx: Transaction, wanted: Iterable[Claim]) -> None:
    """Refuse a key that may have one certificate only and that an intent of another kind is for."""
    reuse = deployment.enrolment.tenant
    keys = [
        claim.order.spki
        for claim in wanted
        if claim.order.profile.own_key and not reuse(claim.order.owner).reuse_keys
    ]
    for intent in tx.intents.unfinished() if keys else ():
        if not find(intent.kind, intent.edition).own_key and any(key in intent.tbs for key in keys):
            raise _key_underway()


def _key_underway() -> Conflict:
    return Conflict(
        "key_underway",
        "Another certificate is being issued for this key.",
        hint="Make a key of its own for each certificate. `pnc list --intents` shows what was "
        "begun and not finished.",
    )


def _sorted(claims: Iterable[Claim]) -> list[tuple[str, Claim]]:
    """Return names in one order, so that two groups wait for each other in turn."""
    named = ((name, claim) for claim in claims for name in claim.order.claims)
    return sorted(named, key=lambda each: each[0])
