"""Named administrators for tests of two-person control."""

from __future__ import annotations

from dataclasses import replace

from pki import clients
from pki.access import token_hash
from pki.errors import ApprovalNeeded
from pki.model import ApprovalPolicy, Principal, Role
from pki.ports import Deployment

HOLDER = Principal(name="cli:holder", role=Role.ADMIN)


def admin(name: str) -> Principal:
    """Return an administrator of that name, as a token would show it."""
    return Principal(name=f"admin-{name}", role=Role.ADMIN)


def controlled(deployment: Deployment, *names: str, required: int = 2) -> Deployment:
    """Return the deployment under two-person control, with administrators of those names."""
    under = replace(deployment, approvals=ApprovalPolicy(required=required))
    for number, name in enumerate(names, start=1):
        wanted = clients.new(Role.ADMIN, (), token_hash(f"pnc_{name}"), client_id=admin(name).name)
        clients.register(under if number <= required + 1 else deployment, HOLDER, wanted)
    return under


def proposal_id(error: ApprovalNeeded) -> str:
    """Return the id of what was proposed."""
    return str(error.data["proposalId"])
