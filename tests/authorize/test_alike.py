"""An authorisation that is given to another contract is the one that it would have got alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from itertools import product
from pathlib import Path

from pki import agreements, parties, route
from pki.access import Action
from pki.authorize import Ask, Authorised, Roaming, authorize, authorize_many
from pki.issue import IssueRequest, issue
from pki.model import (
    Authorisation,
    AuthorisationFault,
    ContractCheck,
    CredentialKind,
    Principal,
    RangeKind,
    Role,
    Whitelist,
)
from pki.pkix.profiles import Kind
from pki.services import Services
from tests.authorize.homes import BEGIN, CPO, TERMS, Partner, ready, roaming, set_rule
from tests.homes import ADMIN, EMAID, opened
from tests.web.deciding import Moving

OTHER, THIRD = "DEMOAC00000002", "DEMOAC00000003"
TWO = replace(CPO, parties=("FRXYZ", "DECPA"))
EMSP = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",))
PLACES = (None, "DE*CPA*E45B*78C", "FR*XYZ*E1", "+49*810*000*438")
LATER = BEGIN + dt.timedelta(days=3650)
ALL_TERMS = (
    None,
    TERMS,
    replace(TERMS, tariff="night"),
    replace(TERMS, countries=("FR",)),
    replace(TERMS, kinds=(CredentialKind.RFID,)),
    replace(TERMS, evse_groups=("DECPAE45B",)),
    replace(TERMS, valid_until=BEGIN + dt.timedelta(days=1)),
    replace(TERMS, valid_from=LATER),
    replace(TERMS, sessions=3),
    replace(TERMS, cpo="*"),
)


class _Drivers:
    """Contracts with their chains."""

    def __init__(self, services: Services) -> None:
        self.services = services
        ready(services, None)
        parties.add_party(services.deployment, ADMIN, Role.CPO, "FRXYZ", "Deux")
        self.chains = {emaid: self._chain(emaid) for emaid in (EMAID, OTHER, THIRD)}
        self.roaming: Roaming = roaming(services)

    def _chain(self, emaid: str) -> tuple[bytes, ...]:
        request = IssueRequest(kind=Kind.CONTRACT, common_name=emaid)
        return issue(self.services.deployment, ADMIN, request).chain

    def ask(self, emaid: str, principal: Principal = CPO, evse: str | None = None) -> Ask:
        check = ContractCheck(chain=self.chains[emaid], evse_id=evse, station_id=emaid)
        return Ask(principal=principal, check=check, action=Action.VALIDATE)

    def at_once(self, *asks: Ask) -> list[Authorised]:
        found = authorize_many(self.services.deployment, self.roaming, asks)
        return [each for each in found if isinstance(each, Authorised)]

    def alone(self, ask: Ask) -> Authorisation:
        deployment, principal = self.services.deployment, ask.principal
        found = authorize(deployment, self.roaming, principal, ask.check, action=ask.action)
        return found.authorisation

    def kept(self) -> int:
        """Return how much is remembered: who is told it, and what it says."""
        return len(self.roaming.directory.now().kept)


def _plain(found: Authorisation) -> Authorisation:
    return replace(found, reference="", at=BEGIN)


def test_what_another_contract_was_told_is_what_this_one_is_told_alone(small: Services) -> None:
    drivers, seen = _Drivers(small), set()
    for terms in ALL_TERMS:
        agreed = agreements.add(small.deployment, ADMIN, terms) if terms else None
        for principal, evse in product((CPO, TWO, EMSP, ADMIN), PLACES):
            asks = [drivers.ask(emaid, principal, evse) for emaid in (EMAID, OTHER)]
            for ask, found in zip(asks, drivers.at_once(*asks), strict=True):
                assert _plain(found.authorisation) == _plain(drivers.alone(ask))
                assert found.decision is not None
                assert found.authorisation.reference == found.decision.decision_id
                assert found.authorisation.at == found.decision.decided_at
                seen.add(found.authorisation.fault)
        if agreed is not None:
            agreements.withdraw(small.deployment, ADMIN, agreed.agreement_id)
    assert drivers.kept() == 0  # the last change made it forget
    assert seen >= {
        None,
        AuthorisationFault.NO_AGREEMENT,
        AuthorisationFault.NOT_HERE,
        AuthorisationFault.KIND_NOT_AGREED,
        AuthorisationFault.CPO_UNKNOWN,
    }


def test_a_contract_with_another_rule_or_another_emsp_is_told_its_own(small: Services) -> None:
    drivers = _Drivers(small)
    agreements.add(small.deployment, ADMIN, TERMS)
    parties.add_emsp(small.deployment, ADMIN, "FRMOB", "Mobilité")
    route.add(small.deployment, ADMIN, RangeKind.EMAID, OTHER, "FRMOB")
    set_rule(small, Whitelist.ALWAYS, THIRD)
    asks = [drivers.ask(emaid) for emaid in (EMAID, OTHER, THIRD)]
    for _ in range(2):
        found = drivers.at_once(*asks)
        told = [each.authorisation for each in found]
        assert list(map(_plain, told)) == [_plain(drivers.alone(ask)) for ask in asks]
    assert [each.emsp for each in told] == ["DEMOA", "FRMOB", "DEMOA"]
    assert [each.rule for each in told] == [Whitelist.ALLOWED, Whitelist.ALLOWED, Whitelist.ALWAYS]
    assert drivers.kept() == 3 + 3


def test_nothing_is_kept_where_sessions_are_counted_or_the_emsp_is_asked(small: Services) -> None:
    drivers = _Drivers(small)
    agreements.add(small.deployment, ADMIN, replace(TERMS, sessions=1))
    drivers.at_once(drivers.ask(EMAID))
    assert drivers.kept() == 0
    drivers.roaming = roaming(small, Partner())
    set_rule(small, Whitelist.NEVER, OTHER)
    assert drivers.at_once(drivers.ask(OTHER)) == []  # somebody must be asked, not at once
    assert drivers.kept() == 0


def test_an_agreement_that_ended_or_began_meanwhile_counts(small_home: Path) -> None:
    clock = Moving()
    turn = clock.at + dt.timedelta(minutes=10)
    with opened(small_home, clock=clock) as services:
        drivers = _Drivers(services)
        terms = replace(TERMS, valid_until=turn)
        agreements.add(services.deployment, ADMIN, terms)
        agreements.add(services.deployment, ADMIN, replace(TERMS, valid_from=turn, tariff="new"))
        for minutes, tariff in ((0, None), (9, None), (10, "new"), (11, "new"), (5, None)):
            clock.at = turn + dt.timedelta(minutes=minutes - 10)
            for emaid in (EMAID, OTHER):
                ask = drivers.ask(emaid)
                (found,) = drivers.at_once(ask)
                assert _plain(found.authorisation) == _plain(drivers.alone(ask))
                assert found.authorisation.tariff == tariff
        assert drivers.kept() == 2 + 2
