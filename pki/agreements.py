"""
Who may roam with whom, where, when and with what; no agreement means no.

An agreement is never changed: each change is a new version, and the newest one counts.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pki import access, audit
from pki.clock import parse_time
from pki.directory import Directory
from pki.errors import BadInput, JsonValue, NotFound, PkiError
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
)
from pki.ports import Deployment, Transaction

MAX_PLACES: Final = 1000
MAX_ROWS: Final = 10_000
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_TARIFF: Final = re.compile(r"[ -~]{1,64}")
COLUMNS: Final = (
    "id",
    "cpo",
    "emsp",
    "from",
    "until",
    "countries",
    "operators",
    "evseGroups",
    "kinds",
    "sessions",
    "tariff",
)
"""Of a CSV file; lists within a cell are separated by blanks or semicolons."""


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
        return _write(deployment, principal, tx, checked, agreement_id)


def _write(
    deployment: Deployment,
    principal: Principal,
    tx: Transaction,
    terms: Terms,
    agreement_id: str | None,
) -> Agreement:
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
    audit.record(
        tx,
        chain=audit.ADMIN,
        at=agreement.created_at,
        actor=agreement.created_by,
        action=action,
        subject=agreement.agreement_id,
        details=details,
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
        if not _visible(principal, newest):
            raise NotFound("agreement_unknown", f"There is no agreement {quote(agreement_id)}.")
        return tuple(tx.roaming.agreement_versions(agreement_id))


def search(
    deployment: Deployment, principal: Principal, *, after: str | None = None, limit: int = 100
) -> list[Agreement]:
    """Return a page of agreements that concern the caller, newest versions, by id."""
    access.require(principal, access.Action.READ_ROAMING)
    with deployment.store.read() as tx:
        found = [a for a in tx.roaming.agreements() if _visible(principal, a)]
    return [a for a in found if after is None or a.agreement_id > after][:limit]


def _visible(principal: Principal, agreement: Agreement) -> bool:
    owners = access.visible_owners(principal)
    party = agreement.terms.emsp if principal.role is Role.EMSP else agreement.terms.cpo
    return owners is None or party == EVERY or party in owners


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


def import_csv(
    deployment: Deployment, principal: Principal, text: str, *, dry_run: bool = False
) -> list[Agreement]:
    """
    Write the agreements of a CSV file with a header, all of them or none.

    Raises:
        BadInput: `invalid_csv`, with every faulty line in `data["faults"]`.
    """
    access.require(principal, access.Action.KEEP_ROAMING)
    now = deployment.clock.now()
    faults: list[str] = []
    wanted: list[tuple[int, str | None, Terms]] = []
    for number, row in _rows(text):
        try:
            terms = checked_terms(_terms(row, now))
            wanted.append((number, _cell(row, "id"), terms))
        except PkiError as error:
            faults.append(f"line {number}: {error.message}")
    made: list[Agreement] = []
    with deployment.store.read() if dry_run else deployment.store.write() as tx:
        taken = {a.agreement_id for a in tx.roaming.agreements()}
        for number, name, _ in wanted:
            if name is not None and (name in taken or not _ID.fullmatch(name)):
                faults.append(f"line {number}: the id {quote(name)} is taken or no id.")
            taken.add(name or "")
        if faults:
            raise BadInput(
                "invalid_csv",
                f"The file has {len(faults)} faulty lines; nothing was written.",
                data={"faults": sorted(faults, key=_line_number)},
            )
        if not dry_run:
            made = [_write(deployment, principal, tx, terms, name) for _, name, terms in wanted]
    return made


def _line_number(fault: str) -> int:
    return int(fault.removeprefix("line ").partition(":")[0])


def _rows(text: str) -> Iterable[tuple[int, Mapping[str, str]]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
    try:
        header = reader.fieldnames or ()
        unknown = [name for name in header if name not in COLUMNS]
        if unknown or "cpo" not in header or "emsp" not in header:
            raise BadInput(
                "invalid_csv",
                "The first line must name the columns cpo and emsp, and no unknown ones.",
                hint="Columns: " + ", ".join(COLUMNS) + ".",
            )
        found = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise BadInput("invalid_csv", f"Line {reader.line_num} is not CSV: {error}.") from error
    if len(found) > MAX_ROWS:
        raise BadInput("invalid_csv", f"The file has more than {MAX_ROWS} lines.")
    return found


def _cell(row: Mapping[str, str | None], name: str) -> str | None:
    return (row.get(name) or "").strip() or None


def _terms(row: Mapping[str, str], now: dt.datetime) -> Terms:
    if None in row or None in row.values():
        raise BadInput("invalid_csv", "The line has more or fewer cells than the header.")
    begin, end, sessions = (_cell(row, name) for name in ("from", "until", "sessions"))
    if sessions is not None and not re.fullmatch("[0-9]{1,4}", sessions):
        raise BadInput("invalid_csv", f"{quote(sessions)} is no number of sessions.")
    return Terms(
        cpo=_cell(row, "cpo") or "",
        emsp=_cell(row, "emsp") or "",
        valid_from=parse_time(begin) if begin else now,
        valid_until=parse_time(end) if end else None,
        countries=_list(row, "countries"),
        operators=_list(row, "operators"),
        evse_groups=_list(row, "evseGroups"),
        kinds=tuple(map(_kind, _list(row, "kinds"))),
        sessions=int(sessions) if sessions else None,
        tariff=_cell(row, "tariff"),
    )


def _list(row: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(re.split(r"[\s;]+", cell)) if (cell := _cell(row, name)) else ()


def _kind(text: str) -> CredentialKind:
    if text not in tuple(CredentialKind):
        raise BadInput(
            "invalid_agreement",
            f"{quote(text)} is no kind of credential.",
            hint="One of: " + ", ".join(CredentialKind) + ".",
        )
    return CredentialKind(text)
