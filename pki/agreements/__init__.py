"""
Who may roam with whom, where, when and with what; no agreement means no.

An agreement is never changed: each change is a new version, and the newest one counts.
"""

from __future__ import annotations

import datetime as dt
import re
import secrets
from dataclasses import dataclass, replace
from typing import Final

from pki import access, audit
from pki.directory import Directory
from pki.errors import BadInput, JsonValue, NotFound
from pki.ids import OperatorId, fold_prefix, quote
from pki.model import (
    EVERY,
    Agreement,
    AgreementState,
    AuthorisationFault,
    CredentialKind,
    Principal,
    Role,
    Terms,
    Viewer,
)
from pki.ports import Deployment, Transaction

MAX_PLACES: Final = 1000
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_TARIFF: Final = re.compile(r"[ -~]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """
    What somebody wants to do under an agreement.

    Attributes:
        emsps: what the eMSP may be called.
        evse: canonical EVSE id, or None where it is not known.
    """

    cpo: str
    emsps: tuple[str, ...]
    kind: CredentialKind
    evse: str | None
    at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """Why no agreement allows a use."""

    fault: AuthorisationFault
    detail: str


def fitting(directory: Directory, use: Use) -> Agreement | Misfit:
    """
    Return the agreement that allows a use, or why none does.

    Of several the one without a limit on sessions, then with the highest, then the first id.
    """
    held = directory.between(use.cpo, use.emsps)
    current = [a for a in held if _in_force(a.terms, use.at)]
    if not current:
        fault = AuthorisationFault.NO_AGREEMENT
        why = "none is in force at this time" if held else "there is none"
        return Misfit(fault=fault, detail=f"between {use.cpo} and {use.emsps[0]}: {why}")
    here = [a for a in current if _covers(a.terms, use.evse)]
    if not here:
        where = use.evse or "a place without an EVSE id"
        return Misfit(
            fault=AuthorisationFault.NOT_HERE,
            detail=f"no agreement of {use.cpo} and {use.emsps[0]} covers {where}",
        )
    allowing = [a for a in here if not a.terms.kinds or use.kind in a.terms.kinds]
    if not allowing:
        return Misfit(
            fault=AuthorisationFault.KIND_NOT_AGREED,
            detail=f"no agreement of {use.cpo} and {use.emsps[0]} allows {use.kind.value}",
        )
    return min(allowing, key=_preference)


def _preference(agreement: Agreement) -> tuple[int, str]:
    sessions = agreement.terms.sessions
    return (-sessions if sessions is not None else -(1 << 62), agreement.agreement_id)


def _in_force(terms: Terms, at: dt.datetime) -> bool:
    return terms.valid_from <= at and (terms.valid_until is None or at < terms.valid_until)


def _covers(terms: Terms, evse: str | None) -> bool:
    """Tell whether an EVSE lies where the agreement holds; a limit that cannot be judged denies."""
    if not (terms.countries or terms.operators or terms.evse_groups):
        return True
    if evse is None:
        return False
    return (
        (not terms.countries or evse[:2] in terms.countries)
        and (not terms.operators or evse[:5] in terms.operators)
        and (not terms.evse_groups or any(evse.startswith(g) for g in terms.evse_groups))
    )


# --- keeping them --------------------------------------------------------------------------------


def add(
    deployment: Deployment, principal: Principal, terms: Terms, *, agreement_id: str | None = None
) -> Agreement:
    """
    Write a new agreement.

    Raises:
        BadInput: `invalid_agreement`, `invalid_validity`, invalid party ids.
        Conflict: `agreement_changed`: the id is taken.
    """
    access.require(principal, access.Action.KEEP_ROAMING)
    checked = checked_terms(terms)
    with deployment.store.write() as tx:
        return write(deployment, principal, tx, checked, agreement_id)


def write(
    deployment: Deployment,
    principal: Principal,
    tx: Transaction,
    terms: Terms,
    agreement_id: str | None,
) -> Agreement:
    """Write checked terms as a new agreement; permission is the caller's. Raises as `add`."""
    if agreement_id is not None and not _ID.fullmatch(agreement_id):
        raise BadInput("invalid_agreement", f"{quote(agreement_id)} is no id of an agreement.")
    agreement = Agreement(
        agreement_id=agreement_id or secrets.token_hex(8),
        version=1,
        state=AgreementState.ACTIVE,
        terms=terms,
        created_at=deployment.clock.now(),
        created_by=principal.name,
    )
    _keep(tx, agreement, "agreement.add")
    return agreement


def is_free(tx: Transaction, agreement_id: str) -> bool:
    """Tell whether a text is an id that no agreement has."""
    return _ID.fullmatch(agreement_id) is not None and tx.roaming.agreement(agreement_id) is None


def change(
    deployment: Deployment, principal: Principal, agreement_id: str, version: int, terms: Terms
) -> Agreement:
    """
    Write a new version in place of version `version`, which must be the newest.

    Raises:
        NotFound: `agreement_unknown`.
        Conflict: `agreement_changed`: somebody else was first.
        BadInput: as `add`.
    """
    access.require(principal, access.Action.KEEP_ROAMING)
    checked = checked_terms(terms)
    with deployment.store.write() as tx:
        before = _newest(tx, agreement_id)
        after = replace(
            before,
            version=version + 1,
            state=AgreementState.ACTIVE,
            terms=checked,
            created_at=deployment.clock.now(),
            created_by=principal.name,
        )
        _keep(tx, after, "agreement.change")
    return after


def withdraw(deployment: Deployment, principal: Principal, agreement_id: str) -> Agreement:
    """End an agreement now; twice is once. Raises NotFound (`agreement_unknown`)."""
    access.require(principal, access.Action.KEEP_ROAMING)
    with deployment.store.write() as tx:
        before = _newest(tx, agreement_id)
        if before.state is AgreementState.WITHDRAWN:
            return before
        after = replace(
            before,
            version=before.version + 1,
            state=AgreementState.WITHDRAWN,
            created_at=deployment.clock.now(),
            created_by=principal.name,
        )
        _keep(tx, after, "agreement.withdraw")
    return after


def _keep(tx: Transaction, agreement: Agreement, action: str) -> None:
    tx.roaming.add_agreement(agreement)
    tx.roaming.changed(agreement.created_at)
    details: dict[str, JsonValue] = {
        "version": agreement.version,
        "cpo": agreement.terms.cpo,
        "emsp": agreement.terms.emsp,
    }
    audit.note(
        tx, agreement.created_at, agreement.created_by, action, agreement.agreement_id, details
    )


def _newest(tx: Transaction, agreement_id: str) -> Agreement:
    found = tx.roaming.agreement(agreement_id)
    if found is None:
        raise NotFound(
            "agreement_unknown",
            f"There is no agreement {quote(agreement_id)}.",
            hint="`pnc agreement list` shows the agreements.",
        )
    return found


def find(deployment: Deployment, principal: Principal, agreement_id: str) -> tuple[Agreement, ...]:
    """Return every version, oldest first. Raises NotFound (`agreement_unknown`)."""
    access.require(principal, access.Action.READ_ROAMING)
    with deployment.store.read() as tx:
        newest = _newest(tx, agreement_id)
        viewer = access.viewer(tx, principal)
        if viewer is not None and _side(newest, viewer) not in (*viewer.names, EVERY):
            raise NotFound("agreement_unknown", f"There is no agreement {quote(agreement_id)}.")
        return tuple(tx.roaming.agreement_versions(agreement_id))


def _side(agreement: Agreement, viewer: Viewer) -> str | None:
    """Return whom an agreement names in the viewer's role."""
    sides = {Role.CPO: agreement.terms.cpo, Role.EMSP: agreement.terms.emsp}
    return sides.get(viewer.role)


def search(
    deployment: Deployment, principal: Principal, *, after: str | None = None, limit: int = 100
) -> list[Agreement]:
    """Return a page of agreements that name the caller, newest versions, by id."""
    access.require(principal, access.Action.READ_ROAMING)
    with deployment.store.read() as tx:
        viewer = access.viewer(tx, principal)
        return tx.lists.agreements(viewer, after=after, limit=limit)


# --- reading terms -------------------------------------------------------------------------------


def checked_terms(terms: Terms) -> Terms:
    """
    Return terms with canonical identifiers.

    Raises:
        BadInput: `invalid_agreement`, `invalid_validity`, `invalid_prefix`, invalid party ids.
    """
    if terms.valid_until is not None and terms.valid_until <= terms.valid_from:
        raise BadInput("invalid_validity", "The end of an agreement lies behind its begin.")
    countries = tuple(dict.fromkeys(text.upper() for text in terms.countries))
    for country in countries:
        if not _COUNTRY.fullmatch(country):
            raise BadInput("invalid_agreement", f"{quote(country)} is no country of two letters.")
    if terms.sessions is not None and not 1 <= terms.sessions <= MAX_PLACES:
        raise BadInput("invalid_agreement", f"A limit on sessions is 1 to {MAX_PLACES}.")
    if terms.tariff is not None and not _TARIFF.fullmatch(terms.tariff):
        raise BadInput("invalid_agreement", "A tariff reference has 1 to 64 printable characters.")
    if max(map(len, (terms.countries, terms.operators, terms.evse_groups))) > MAX_PLACES:
        raise BadInput("invalid_agreement", f"An agreement names at most {MAX_PLACES} of a kind.")
    return replace(
        terms,
        cpo=terms.cpo if terms.cpo == EVERY else access.party_id(Role.CPO, terms.cpo),
        emsp=terms.emsp if terms.emsp == EVERY else access.party_id(Role.EMSP, terms.emsp),
        countries=countries,
        operators=tuple(dict.fromkeys(OperatorId.parse(o).value for o in terms.operators)),
        evse_groups=tuple(dict.fromkeys(map(fold_prefix, terms.evse_groups))),
        kinds=tuple(dict.fromkeys(terms.kinds)),
    )
