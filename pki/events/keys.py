"""
Secrets of webhooks, and the key that they are made from.

A secret is stored nowhere: it is a hash of the signature that the key makes over the webhook's
seed. An Ed448 signature is the same each time and tells nobody without the key anything. While a
next key is prepared, every webhook has a next secret besides, and every delivery a signature more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from pki import access, audit
from pki.errors import Conflict, Unavailable
from pki.model import Principal, Webhook
from pki.pkix.suites import Suite
from pki.ports import Deployment, Signer, Transaction

_CURRENT: Final = "webhooks.key"
_NEXT: Final = "webhooks.next"
_FIRST: Final = "webhooks"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyNames:
    """Labels of the key that secrets are made from, and of the one prepared, if any."""

    current: str
    following: str | None


def names(tx: Transaction) -> KeyNames:
    """Return the keys in use."""
    return KeyNames(current=tx.setting(_CURRENT) or _FIRST, following=tx.setting(_NEXT) or None)


def secret_of(deployment: Deployment, webhook: Webhook, label: str) -> str:
    """Return the secret of a webhook under a key."""
    covered = f"pnc webhook secret:{webhook.webhook_id}:{webhook.secret_seed}"
    signature = _signer(deployment, label).sign(covered.encode())
    return "whsec_" + hashlib.sha256(signature).hexdigest()


def _signer(deployment: Deployment, label: str) -> Signer:
    try:
        return deployment.keys.signer(label)
    except Unavailable as error:
        # the first is made when it is first used; a later one that is missing was lost
        if error.code != "key_missing" or label != _FIRST:
            raise
    return _made(deployment, label)


def _made(deployment: Deployment, label: str) -> Signer:
    try:
        return deployment.keys.create(label, Suite.ED448)
    except Conflict:  # another process was faster, or an interrupted run made it
        return deployment.keys.signer(label)


def prepare(deployment: Deployment, principal: Principal) -> KeyNames:
    """
    Make the next key: owners read `nextSecret` from now on, deliveries carry its signature too.

    Raises:
        Conflict: `rotation_underway`.
    """
    access.require(principal, access.Action.KEEP_CLIENTS)
    with deployment.store.read() as tx:
        found = names(tx)
    if found.following is not None:
        raise Conflict("rotation_underway", f"The key {found.following} is prepared already.")
    label = following_label(found.current)
    _made(deployment, label)
    with deployment.store.write() as tx:
        tx.put_setting(_NEXT, label)
        _note(tx, deployment, principal, "webhook_key.prepare", label)
    return KeyNames(current=found.current, following=label)


def following_label(label: str) -> str:
    """Return the label of the key after one: `webhooks`, `webhooks.2`, `webhooks.3` …"""
    _, _, number = label.partition(".")
    return f"{_FIRST}.{int(number or 1) + 1}"


def switch(deployment: Deployment, principal: Principal) -> KeyNames:
    """
    Sign deliveries with the next secret alone from now on.

    Raises:
        Conflict: `not_prepared`.
    """
    access.require(principal, access.Action.KEEP_CLIENTS)
    with deployment.store.write() as tx:
        found = names(tx)
        if found.following is None:
            raise Conflict("not_prepared", "No next key of the webhooks is prepared.")
        tx.put_setting(_CURRENT, found.following)
        tx.put_setting(_NEXT, "")
        _note(tx, deployment, principal, "webhook_key.switch", found.following)
    return KeyNames(current=found.following, following=None)


def _note(
    tx: Transaction, deployment: Deployment, principal: Principal, action: str, label: str
) -> None:
    audit.note(tx, deployment.clock.now(), principal.name, action, label)
