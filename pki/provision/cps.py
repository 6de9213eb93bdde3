"""The certificate provisioning service as its callers see it."""

from __future__ import annotations

from pki import access
from pki.model import CpsSigner, Principal
from pki.ports import Deployment
from pki.provision.foreign import ContractData, sign_contract, store_signed
from pki.provision.generate import Signed, Wanted, generate_contract
from pki.provision.signers import make, usable

__all__ = [
    "ContractData",
    "Signed",
    "Wanted",
    "generate_contract",
    "make",
    "sign_contract",
    "signers",
    "store_signed",
]


def signers(
    deployment: Deployment, principal: Principal, *, ended: bool = False
) -> list[CpsSigner]:
    """Return the leaves that sign, newest first; with `ended`, those that no longer do as well."""
    access.require(principal, access.Action.READ_CPS)
    with deployment.store.read() as tx:
        return tx.pools.signers() if ended else usable(tx, deployment.clock.now())
