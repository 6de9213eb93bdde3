"""The questions behind the contract decision: route, agreement, sessions, the eMSP itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from pki import agreements, route
from pki.directory import Directory
from pki.errors import BadInput, NotFound, PkiError, Unavailable
from pki.ids import EvseId, quote
from pki.model import (
    Agreement,
    Allowed,
    Authorisation,
    AuthorisationFault,
    Check,
    CredentialKind,
    EmspAnswer,
    EmspQuestion,
    Principal,
    Role,
    Whitelist,
)
from pki.realtime import RealTime

TOKEN_STATUS: Final = {
    Allowed.ALLOWED: "Accepted",
    Allowed.BLOCKED: "Blocked",
    Allowed.EXPIRED: "Expired",
    Allowed.NO_CREDIT: "NoCredit",
    Allowed.NOT_ALLOWED: "NotAtThisLocation",
}
"""OCPI's words in OCPP's (spec section 4.1 of roaming)."""

_FAULTS: Final[dict[AuthorisationFault, tuple[Allowed, str]]] = {
    AuthorisationFault.CREDENTIAL_UNKNOWN: (Allowed.NOT_ALLOWED, "Unknown"),
    AuthorisationFault.CREDENTIAL_AMBIGUOUS: (Allowed.NOT_ALLOWED, "Invalid"),
    AuthorisationFault.CREDENTIAL_BLOCKED: (Allowed.BLOCKED, "Blocked"),
    AuthorisationFault.CONTRACT_BLOCKED: (Allowed.BLOCKED, "Blocked"),
    AuthorisationFault.CONTRACT_ENDED: (Allowed.EXPIRED, "Expired"),
    AuthorisationFault.EMSP_UNKNOWN: (Allowed.NOT_ALLOWED, "Unknown"),
    AuthorisationFault.CPO_UNKNOWN: (Allowed.NOT_ALLOWED, "NotAtThisLocation"),
    AuthorisationFault.NO_AGREEMENT: (Allowed.NOT_ALLOWED, "NotAtThisLocation"),
    AuthorisationFault.KIND_NOT_AGREED: (Allowed.NOT_ALLOWED, "NotAtThisLocation"),
    AuthorisationFault.NOT_HERE: (Allowed.NOT_ALLOWED, "NotAtThisLocation"),
    AuthorisationFault.TOO_MANY_SESSIONS: (Allowed.NOT_ALLOWED, "ConcurrentTx"),
    AuthorisationFault.EMSP_SILENT: (Allowed.NOT_ALLOWED, "Invalid"),
}
"""How each refusal is told in OCPI and in OCPP; EMSP_REFUSED and CONTRACT bring their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """
    What was shown, and what is kept of it.

    Attributes:
        emsp: provider id or party id of whoever issued it.
        contract: identifier of the contract, or None.
        rule: its whitelist rule, or None where neither it nor its contract has one.
        usable: False for a credential that is marked invalid.
        kept: its eMSP keeps it here, so that what is kept here is the eMSP's own word.
    """

    kind: CredentialKind
    uid: str
    presented: str
    emsp: str
    contract: str | None
    contract_id: str | None = None
    rule: Whitelist | None = None
    usable: bool = True
    kept: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the car stands, as it was told and as it was understood."""

    evse_id: str | None
    station_id: str | None
    evse: str | None


def place(evse_id: str | None, station_id: str | None) -> Place:
    """Read where the car stands; an EVSE number of a station is no EVSE id."""
    try:
        evse = EvseId.parse(evse_id).key if evse_id is not None else None
    except BadInput:
        evse = None
    return Place(evse_id=evse_id, station_id=station_id, evse=evse)


class _Refusal(Exception):
    """The first question that was answered with no."""

    def __init__(
        self, fault: AuthorisationFault, detail: str, allowed: Allowed | None = None
    ) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail
        self.allowed = allowed


@dataclass(slots=True)
class _Told:
    """What was found out so far; see `pki.model.Authorisation`."""

    kind: CredentialKind | None = None
    emsp: str | None = None
    contract: str | None = None
    contract_id: str | None = None
    rule: Whitelist | None = None
    cpo: str | None = None
    agreement: tuple[str, int] | None = None
    tariff: str | None = None
    asked: Literal["no", "answered", "failed"] = "no"
    fallback: str | None = None
    emsp_reference: str | None = None


@dataclass(slots=True, kw_only=True)
class Questions:
    """
    Asks in order and writes down what was answered.

    Args:
        running: counts running sessions of a contract; called only where an agreement limits them.
        evse_id: as it was presented.
    """

    principal: Principal
    directory: Directory
    realtime: RealTime
    running: Callable[[str], int]
    place: Place
    reference: str
    now: dt.datetime
    evse_id: str | None = None
    told: _Told = field(default_factory=_Told)
    checks: list[Check] = field(default_factory=list)

    def ask(self, shown: Shown) -> Authorisation:
        """Return the verdict about a credential that is known, or whose eMSP is."""
        told = self.told
        told.kind, told.contract, told.contract_id = shown.kind, shown.contract, shown.contract_id
        try:
            way = self._route(shown)
            self._usable(shown, way)
            agreement = self._agreement(shown, way)
            self._sessions(shown, agreement)
            self._emsp(shown, way)
        except _Refusal as refusal:
            return self.refuse(refusal.fault, refusal.detail, refusal.allowed)
        return self._done(Allowed.ALLOWED, None, "The driver may charge.", "Accepted")

    def agreed(self, shown: Shown) -> bool:
        """Tell whether an agreement allows a credential, without a word in the verdict."""
        apart = replace(self, checks=[], told=_Told())
        try:
            apart._agreement(shown, apart._route(shown))  # noqa: SLF001 - its own kind
        except _Refusal:
            return False
        return True

    def refuse(
        self, fault: AuthorisationFault, detail: str, allowed: Allowed | None = None
    ) -> Authorisation:
        """Return the verdict that a question refused."""
        self._note(fault.value, "no", detail)
        told, status = _FAULTS.get(fault, (Allowed.NOT_ALLOWED, "Invalid"))
        if allowed is not None:
            told, status = allowed, TOKEN_STATUS[allowed]
        return self._done(told, fault, f"{detail[:1].upper()}{detail[1:]}.", status)

    def _done(
        self, allowed: Allowed, fault: AuthorisationFault | None, why: str, status: str
    ) -> Authorisation:
        found = self.told
        return Authorisation(
            reference=self.reference,
            at=self.now,
            allowed=allowed,
            fault=fault,
            explanation=why,
            token_status=status,
            checks=tuple(self.checks),
            cpo=found.cpo,
            emsp=found.emsp,
            kind=found.kind,
            contract_id=found.contract_id,
            contract=found.contract,
            evse_id=self.evse_id,
            agreement=found.agreement,
            tariff=found.tariff,
            rule=found.rule,
            asked=found.asked,
            fallback=found.fallback,
            emsp_reference=found.emsp_reference,
        )

    def _note(self, question: str, answer: Literal["yes", "no", "not_asked"], detail: str) -> None:
        self.checks.append(Check(question=question, answer=answer, detail=detail, clause=""))

    # --- the questions, in order -----------------------------------------------------------------

    def _route(self, shown: Shown) -> route.Route:
        if shown.kind is CredentialKind.EMAID:
            way = route.to_emsp(self.directory, shown.uid, self.now)
        else:
            way = route.of_account(self.directory, shown.emsp)
        self.told.emsp = way.account
        if not way.registered and not self.realtime.reaches(way.party, way.hub):
            raise _Refusal(
                AuthorisationFault.EMSP_UNKNOWN, f"no eMSP {quote(way.account)} is known here"
            )
        by = f"range {way.found.prefix}" if way.found else "its first five characters"
        self._note("route", "yes", f"{way.account} by {by}")
        return way

    def _usable(self, shown: Shown, way: route.Route) -> None:
        rule = self._rule(shown, way)
        self.told.rule = rule
        if not shown.usable and rule is not Whitelist.NEVER:
            raise _Refusal(AuthorisationFault.CREDENTIAL_BLOCKED, "the credential is blocked")

    def _rule(self, shown: Shown, way: route.Route) -> Whitelist:
        emsp = self.directory.emsps.get(way.account)
        return shown.rule or (emsp.whitelist if emsp else None) or Whitelist.ALLOWED

    def _agreement(self, shown: Shown, way: route.Route) -> Agreement:
        misfit: agreements.Misfit | None = None
        for cpo in self._cpos():
            use = agreements.Use(
                cpo=cpo, emsps=way.names, kind=shown.kind, evse=self.place.evse, at=self.now
            )
            found = agreements.fitting(self.directory, use)
            if isinstance(found, Agreement):
                named = (found.agreement_id, found.version)
                self.told.cpo, self.told.agreement = cpo, named
                self.told.tariff = found.terms.tariff
                self._note("agreement", "yes", f"{named[0]}, version {named[1]}")
                return found
            misfit = misfit or found
        if misfit is None:
            raise _Refusal(
                AuthorisationFault.CPO_UNKNOWN,
                "who asks is no CPO, and no EVSE id says which it is",
            )
        raise _Refusal(misfit.fault, misfit.detail)

    def _cpos(self) -> tuple[str, ...]:
        """Return the CPO of the EVSE, or those that the caller acts for."""
        own = self.principal.parties if self.principal.role is Role.CPO else ()
        evse = self.place.evse
        cpo = route.to_cpo(self.directory, evse, self.now) if evse is not None else None
        if cpo is None:
            return own
        if own and cpo not in own:
            raise _Refusal(
                AuthorisationFault.NOT_HERE, f"the EVSE {evse} belongs to {cpo}, not to the caller"
            )
        return (cpo,)

    def _sessions(self, shown: Shown, agreement: Agreement) -> None:
        limit = agreement.terms.sessions
        if limit is None or shown.contract_id is None:
            return
        count = self.running(shown.contract_id)
        if count >= limit:
            raise _Refusal(
                AuthorisationFault.TOO_MANY_SESSIONS,
                f"{count} sessions of this contract are running, {limit} are agreed",
            )
        self._note("sessions", "yes", f"{count} running, {limit} agreed")

    def _emsp(self, shown: Shown, way: route.Route) -> None:
        rule = self._rule(shown, way)
        if rule in (Whitelist.ALWAYS, Whitelist.ALLOWED):
            self._note("emsp", "not_asked", f"the whitelist rule is {rule.value}")
            return
        reached = self.realtime.reaches(way.party, way.hub)
        if shown.kept and shown.usable and not reached:
            self._note("emsp", "not_asked", "the eMSP keeps its contracts here, and no other door")
            return
        try:
            answer = self.realtime.ask(self._question(shown, way))
        except NotFound:
            raise _Refusal(
                AuthorisationFault.CREDENTIAL_UNKNOWN, f"{way.party} does not know it"
            ) from None
        except Unavailable as error:
            self._silent(rule, shown, error)
            return
        self._answered(answer, way)

    def _question(self, shown: Shown, way: route.Route) -> EmspQuestion:
        return EmspQuestion(
            emsp=way.party,
            hub=way.hub,
            kind=shown.kind,
            uid=shown.uid,
            presented=shown.presented,
            contract=shown.contract,
            cpo=self.told.cpo or "",
            evse_id=self.place.evse_id,
            station_id=self.place.station_id,
            reference=self.reference,
        )

    def _answered(self, answer: EmspAnswer, way: route.Route) -> None:
        self.told.asked, self.told.emsp_reference = "answered", answer.reference
        if answer.allowed is not Allowed.ALLOWED:
            said = f": {quote(answer.info)}" if answer.info else ""
            raise _Refusal(
                AuthorisationFault.EMSP_REFUSED,
                f"{way.party} answered {answer.allowed.value}{said}",
                answer.allowed,
            )
        self._note("emsp", "yes", f"{way.party} answered {answer.allowed.value}")

    def _silent(self, rule: Whitelist, shown: Shown, error: PkiError) -> None:
        """Go by the whitelist rule where the eMSP cannot be reached."""
        self.told.asked, self.told.fallback = "failed", rule.value
        if rule is Whitelist.NEVER or not shown.usable:
            raise _Refusal(
                AuthorisationFault.EMSP_SILENT,
                f"the eMSP cannot be reached ({error.code}), and {rule.value} needs its word",
            )
        self._note("emsp", "yes", f"not reached ({error.code}); {rule.value} accepts offline")
