"""
The proof of what a CA signed: good under its certified key, over the very octets that were linted.

A key in another process or in a token proves each of its signatures here, before anything is
stored. A software key of this process may prove a share of them: of each group the last of every
issuer, so that a fault that stays is seen at once, and one of `SHARE`, which the serial decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pki import sign
from pki.errors import Unavailable
from pki.issue.values import Order
from pki.model import Intent
from pki.pkix import build
from pki.pkix.suites import verifies
from pki.ports import Deployment

SHARE: Final = 64


@dataclass(frozen=True, slots=True)
class Signed:
    """An intent with the signature that came for it."""

    order: Order
    intent: Intent
    signature: bytes


def proven(deployment: Deployment, signed: Sequence[Signed]) -> list[bytes]:
    """
    Return the certificates of a group, as DER.

    Raises:
        Unavailable: `signature_not_proven`; nothing of the group may be stored.
    """
    last = {each.intent.issuer_id: each for each in signed}
    trusted = {name for name, each in last.items() if _proves_a_share(deployment, each.order)}
    for each in signed:
        issuer_id = each.intent.issuer_id
        sampled = each.intent.serial.as_int % SHARE == 0 or each is last[issuer_id]
        if sampled or issuer_id not in trusted:
            _prove(each)
    return [build.assemble(s.intent.tbs, s.order.issuer.suite, s.signature) for s in signed]


def _proves_a_share(deployment: Deployment, order: Order) -> bool:
    if deployment.prove_each or order.profile.ca:
        return False
    return sign.signs_here(deployment, order.issuer)


def _prove(signed: Signed) -> None:
    order = signed.order
    key = order.issuer_certificate.public_key if order.issuer_certificate else order.public_key
    if not verifies(key, signed.signature, signed.intent.tbs):
        raise Unavailable(
            "signature_not_proven",
            f"The signature of {order.issuer.issuer_id} does not verify; nothing was issued.",
        )
