"""End entities: charging points that an operator registers before they enrol (`/v1/vra`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pki import access, audit
from pki.errors import BadInput, NotAllowed, NotFound
from pki.ids import EvseId, SeccId, quote
from pki.model import EndEntity, Principal
from pki.pkix.profiles import Kind
from pki.ports import Deployment

EDITIONS: Final = ("15118-2", "15118-20")
MAX_EVSES: Final = 100


def register(
    deployment: Deployment, principal: Principal, common_name: str, details: Mapping[str, Any]
) -> EndEntity:
    """
    Register a charging point in place of what was registered under its name.

    Args:
        details: JSON-ready; `evseID` lists EVSE ids, `evseISOversion` names the edition.

    Raises:
        NotAllowed: `role_not_allowed`, `party_not_allowed` (an EVSE of another operator too).
        BadInput: `invalid_secc_id`, `invalid_evse_id`, `invalid_value`, `too_many`.
    """
    secc_id = SeccId.parse(common_name)
    access.require(principal, access.Action.KEEP_STATIONS, secc_id.operator.value)
    _require_evses(secc_id, details.get("evseID") or [])
    if details.get("evseISOversion") not in (None, *EDITIONS):
        raise BadInput("invalid_value", f"evseISOversion is one of {', '.join(EDITIONS)}.")
    now = deployment.clock.now()
    entity = EndEntity(
        secc_id=secc_id,
        details=json.dumps(dict(details), sort_keys=True, separators=(",", ":")),
        registered_at=now,
        registered_by=principal.name,
    )
    with deployment.store.write() as tx:
        tx.entities.put(entity)
        audit.note(
            tx,
            now,
            principal.name,
            "entity.register",
            secc_id.key,
            {"operator": secc_id.operator.value},
        )
    return entity


def _require_evses(secc_id: SeccId, evses: list[str]) -> None:
    if len(evses) > MAX_EVSES:
        raise BadInput("too_many", f"evseID names more than {MAX_EVSES} EVSEs.")
    for evse in evses:
        owner = EvseId.parse(evse).operator
        if owner is not None and owner != secc_id.operator:
            raise NotAllowed("party_not_allowed", f"The EVSE {quote(evse)} is another operator's.")


def entities(
    deployment: Deployment, principal: Principal, *, after: str | None = None, limit: int = 100
) -> list[EndEntity]:
    """Return a page of the caller's end entities, ordered by name without separators."""
    access.require(principal, access.Action.READ_STATIONS)
    with deployment.store.read() as tx:
        return tx.entities.page(access.visible_owners(principal), after or "", limit)


def forget(deployment: Deployment, principal: Principal, common_name: str) -> None:
    """Take a registration back; certificates stay. Raises NotFound (`entity_unknown`)."""
    secc_id = SeccId.parse(common_name)
    access.require(principal, access.Action.KEEP_STATIONS, secc_id.operator.value)
    with deployment.store.write() as tx:
        if not tx.entities.remove(secc_id):
            raise NotFound("entity_unknown", f"{secc_id} is not registered.")
        audit.note(tx, deployment.clock.now(), principal.name, "entity.forget", secc_id.key)


def require(deployment: Deployment, kind: Kind, common_name: str, owner: str) -> None:
    """
    Return if a leaf may be enrolled, as far as registration goes.

    Raises:
        NotAllowed: `not_registered`.
    """
    if kind is not Kind.SECC or not deployment.enrolment.registers(owner):
        return
    with deployment.store.read() as tx:
        known = tx.entities.get(SeccId.parse(common_name))
    if known is None:
        raise NotAllowed(
            "not_registered",
            f"{common_name} is not registered.",
            hint="Register it first: PUT /v1/vra/cpo/endEntities.",
        )


__all__ = ["EDITIONS", "entities", "forget", "register", "require"]
