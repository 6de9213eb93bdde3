"""
Names and keys of which there is one certificate only, claimed from intent to certificate.

Whoever judges an order sees certificates, not what others are about to issue. So the transaction of
the intent claims the name and asks once more; that of the certificate gives the name back, and
fails where somebody took it over meanwhile. Kinds without such a rule claim nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pki.errors import Conflict
from pki.issue import rules
from pki.issue.values import Order
from pki.model import EnrolmentRules, Principal
from pki.pkix.profiles import Profile
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
    if kind in rules.NAMED_FREELY:
        return f"{kind.value}:{common_name}", f"key:{spki_sha256.hex()}"
    if kind in limits.windows:
        name = rules.name_key(profile, common_name)
        return (f"{kind.value}-{profile.edition.value}:{owner}:{name}",)
    return ()


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


def _sorted(claims: Iterable[Claim]) -> list[tuple[str, Claim]]:
    """Return names in one order, so that two groups wait for each other in turn."""
    named = ((name, claim) for claim in claims for name in claim.order.claims)
    return sorted(named, key=lambda each: each[0])
