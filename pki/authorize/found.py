"""Authorisations that were given before, from their receipts."""

from __future__ import annotations

import json

from pki import access
from pki.authorize.told import from_json
from pki.model import Authorisation, Principal, Role
from pki.ports import Deployment, Transaction
from pki.validate.forms import get


def find(deployment: Deployment, principal: Principal, reference: str) -> Authorisation | None:
    """Return the authorisation with that reference which the caller may see, or None."""
    access.require(principal, access.Action.READ_ROAMING)
    with deployment.store.read() as tx:
        return read(tx, principal, reference)


def read(tx: Transaction, principal: Principal, reference: str) -> Authorisation | None:
    """
    Return what `find` does, within a transaction of the caller's.

    A CPO sees what was asked about its EVSEs, an eMSP what was asked about its drivers, and both
    what they asked themselves.
    """
    receipt = get(tx, reference)
    told = json.loads(receipt.record).get("authorisation") if receipt else None
    if told is None:
        return None
    found = from_json(told)
    owners = access.visible_owners(principal)
    theirs = {Role.CPO: found.cpo, Role.EMSP: found.emsp}.get(principal.role)
    asked = receipt is not None and receipt.asked_by == principal.name
    return found if owners is None or asked or theirs in owners else None
