"""The companies and callers of a demo: one CPO, two eMSPs, one OEM, one CPS, and two people."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pki import agreements, clients, parties
from pki.errors import Conflict, NotAllowed, NotFound
from pki.model import EVERY, Principal, Role, Terms
from pki.ports import Deployment

FILE_NAME: Final = "demo-clients.json"
EMSP: Final = "DEMOA"
OPERATOR: Final = "DECPA"
WMI: Final = "WPN"
AGREEMENT: Final = "demo"

_EMSPS: Final = ((EMSP, "Demo Mobility"), ("FRMOB", "Mobilité Démo"))
_CLIENTS: Final[tuple[tuple[str, Role, tuple[str, ...], str | None], ...]] = (
    ("cpo", Role.CPO, (OPERATOR,), "Demo Charging"),
    ("emsp", Role.EMSP, (EMSP,), None),
    ("emsp2", Role.EMSP, ("FRMOB",), None),
    ("oem", Role.OEM, (WMI,), "Demo Cars"),
    ("cps", Role.CPS, ("DEMO-CPS",), "Demo Provisioning"),
    ("admin", Role.ADMIN, (), None),
    ("auditor", Role.AUDITOR, (), None),
)


def register(deployment: Deployment, principal: Principal, home: Path) -> Path:
    """
    Register the demo's companies and write its tokens to `demo-clients.json` (mode 0600), once.

    Raises:
        NotAllowed: `not_demo` in production mode.
    """
    if not deployment.demo:
        raise NotAllowed("not_demo", "Demo clients exist in demo mode only.")
    agree(deployment, principal)
    path = home / FILE_NAME
    if path.exists():
        return path
    known = {account.provider_id.value for account in parties.accounts(deployment, principal)}
    for provider, name in _EMSPS:
        if provider not in known:
            parties.add_emsp(deployment, principal, provider, name)
    made = {
        label: _client(deployment, principal, role, party_ids, name)
        for label, role, party_ids, name in _CLIENTS
    }
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(made, file, indent=2)
        file.write("\n")
    temporary.rename(path)
    return path


def agree(deployment: Deployment, principal: Principal) -> None:
    """
    Let every CPO of this home roam with every eMSP of it, by one agreement that can be withdrawn.

    Written once: an agreement that was withdrawn does not come back.

    Raises:
        NotAllowed: `not_demo` in production mode.
    """
    if not deployment.demo:
        raise NotAllowed("not_demo", "Demo agreements exist in demo mode only.")
    with deployment.store.read() as tx:
        if tx.roaming.agreement(AGREEMENT) is not None:
            return
    terms = Terms(cpo=EVERY, emsp=EVERY, valid_from=deployment.clock.now())
    with suppress(Conflict):  # another process was first
        agreements.add(deployment, principal, terms, agreement_id=AGREEMENT)


def _client(
    deployment: Deployment,
    principal: Principal,
    role: Role,
    party_ids: tuple[str, ...],
    name: str | None,
) -> dict[str, Any]:
    client, token = clients.add(deployment, principal, role, party_ids, name=name)
    return {
        "clientId": client.client_id,
        "token": token,
        "role": role.value,
        "parties": list(client.parties),
    }


def token(home: Path, label: str) -> str:
    """Return a demo token. Raises NotFound (`demo_client_unknown`)."""
    try:
        made = json.loads((home / FILE_NAME).read_text("utf-8"))
        return str(made[label]["token"])
    except (OSError, KeyError, ValueError) as error:
        labels = ", ".join(label for label, *_ in _CLIENTS)
        raise NotFound(
            "demo_client_unknown",
            f"{home / FILE_NAME} holds no token for {label!r}.",
            hint=f"Demo clients are {labels}; `pnc init` makes them in demo mode.",
        ) from error
