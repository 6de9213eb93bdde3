"""The whole authorisation: route, agreement, whitelist rule, and one explained verdict."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from pki import agreements, authorize, contracts, parties, route, validate
from pki.clock import SystemClock
from pki.model import (
    EVERY,
    Allowed,
    AuthorisationFault,
    ContractState,
    CredentialKind,
    CredentialState,
    Principal,
    RangeKind,
    Role,
    Session,
    SessionProtocol,
    Terms,
    Whitelist,
)
from pki.services import Services
from tests.authorize.homes import (
    BEGIN,
    CPO,
    EVSE,
    TERMS,
    Partner,
    asked,
    card,
    ready,
    roaming,
    set_rule,
)
from tests.homes import ADMIN, EMAID

HOUR = dt.timedelta(hours=1)


def test_an_agreed_contract_may_charge_and_the_receipt_says_why(anywhere: Services) -> None:
    ready(anywhere)
    told = asked(anywhere, roaming(anywhere))
    assert (told.allowed, told.fault, told.token_status) == (Allowed.ALLOWED, None, "Accepted")
    assert (told.cpo, told.emsp, told.agreement) == ("DECPA", "DEMOA", ("a", 1))
    found = authorize.find(anywhere.deployment, CPO, told.reference)
    assert found == told
    replayed = validate.replay(anywhere.deployment, ADMIN, told.reference)
    assert replayed.same


def test_no_agreement_means_no_and_leaves_the_contract_decision(small: Services) -> None:
    ready(small, None)
    told = asked(small, roaming(small))
    assert (told.allowed, told.fault) == (Allowed.NOT_ALLOWED, AuthorisationFault.NO_AGREEMENT)
    assert told.token_status == "NotAtThisLocation"
    receipt = validate.find(small.deployment, ADMIN, told.reference)
    assert receipt.accepted


@pytest.mark.parametrize(
    ("terms", "fault"),
    [
        (TERMS, None),
        (replace(TERMS, cpo=EVERY, emsp=EVERY), None),
        (replace(TERMS, cpo="DEXYZ"), AuthorisationFault.NO_AGREEMENT),
        (replace(TERMS, emsp="FRMOB"), AuthorisationFault.NO_AGREEMENT),
        (replace(TERMS, valid_until=BEGIN + HOUR), AuthorisationFault.NO_AGREEMENT),
        (replace(TERMS, countries=("DE",)), None),
        (replace(TERMS, countries=("FR",)), AuthorisationFault.NOT_HERE),
        (replace(TERMS, operators=("DE*CPA",)), None),
        (replace(TERMS, operators=("DE*CPX",)), AuthorisationFault.NOT_HERE),
        (replace(TERMS, evse_groups=("DE*CPA*E45",)), None),
        (replace(TERMS, evse_groups=("DE*CPA*E46",)), AuthorisationFault.NOT_HERE),
        (replace(TERMS, kinds=(CredentialKind.EMAID,)), None),
        (replace(TERMS, kinds=(CredentialKind.RFID,)), AuthorisationFault.KIND_NOT_AGREED),
    ],
    ids=str,
)
def test_an_agreement_holds_for_whom_when_where_and_with_what_it_says(
    small: Services, terms: Terms, fault: AuthorisationFault | None
) -> None:
    ready(small, terms)
    assert asked(small, roaming(small)).fault is fault


def test_a_limit_on_places_denies_where_the_place_is_not_told(small: Services) -> None:
    ready(small, replace(TERMS, countries=("DE",)))
    found = roaming(small)
    assert asked(small, found, evse=None).fault is AuthorisationFault.NOT_HERE
    assert asked(small, found, evse="1").fault is AuthorisationFault.NOT_HERE


def test_an_evse_of_somebody_else_is_not_the_callers_place(small: Services) -> None:
    ready(small)
    told = asked(small, roaming(small), evse="DE*XYZ*E1")
    assert told.fault is AuthorisationFault.NOT_HERE


def test_a_withdrawn_agreement_ends_at_once_for_a_directory_in_memory(small: Services) -> None:
    ready(small)
    found = roaming(small)
    assert asked(small, found).fault is None
    agreements.withdraw(small.deployment, ADMIN, "a")
    assert asked(small, found).fault is AuthorisationFault.NO_AGREEMENT


def test_a_wildcard_speaks_of_registered_parties_only(small: Services) -> None:
    ready(small, replace(TERMS, cpo=EVERY))
    stranger = replace(CPO, parties=("DEXYZ",))
    told = asked(small, roaming(small), evse="DE*XYZ*E1", principal=stranger)
    assert told.fault is AuthorisationFault.NO_AGREEMENT


@pytest.mark.parametrize(
    ("state", "allowed", "status"),
    [
        (ContractState.BLOCKED, Allowed.BLOCKED, "Blocked"),
        (ContractState.SUSPENDED, Allowed.BLOCKED, "Blocked"),
        (ContractState.ENDED, Allowed.EXPIRED, "Expired"),
    ],
)
def test_the_contract_decision_speaks_first(
    small: Services, state: ContractState, allowed: Allowed, status: str
) -> None:
    ready(small)
    card(small)
    contracts.set_state(small.deployment, ADMIN, EMAID, state)
    for told in (
        asked(small, roaming(small, Partner())),
        asked(small, roaming(small, Partner()), "04-A2-3B-C1", kind="ISO14443"),
    ):
        assert (told.allowed, told.token_status) == (allowed, status)


# --- the whitelist rule --------------------------------------------------------------------------


@pytest.mark.parametrize("rule", Whitelist)
@pytest.mark.parametrize("answer", [Allowed.ALLOWED, Allowed.NO_CREDIT, None])
def test_the_whitelist_rule_says_who_is_asked_and_what_silence_means(
    small: Services, rule: Whitelist, answer: Allowed | None
) -> None:
    ready(small)
    set_rule(small, rule)
    partner = Partner(answer=answer)
    told = asked(small, roaming(small, partner))
    assert told.rule is rule
    if rule in (Whitelist.ALWAYS, Whitelist.ALLOWED):
        assert (partner.asked, told.allowed, told.asked) == ([], Allowed.ALLOWED, "no")
        return
    assert partner.asked[0].reference == told.reference
    if answer is None:
        accepted = rule is Whitelist.ALLOWED_OFFLINE
        assert (told.asked, told.fallback) == ("failed", rule.value)
        assert told.allowed is (Allowed.ALLOWED if accepted else Allowed.NOT_ALLOWED)
        assert told.fault is (None if accepted else AuthorisationFault.EMSP_SILENT)
        return
    assert (told.asked, told.allowed) == ("answered", answer)
    assert told.emsp_reference == "theirs-1"


def test_an_emsp_that_keeps_its_contracts_here_has_spoken_already(small: Services) -> None:
    ready(small)
    set_rule(small, Whitelist.NEVER)
    assert asked(small, roaming(small)).allowed is Allowed.ALLOWED


def test_never_asks_about_an_invalid_token_too_and_the_other_rules_do_not(small: Services) -> None:
    ready(small)
    for rule in Whitelist:
        partner = Partner()
        card(small, rule=rule, state=CredentialState.BLOCKED, partner=True)
        told = asked(small, roaming(small, partner), "04a23bc1", kind="ISO15693")
        asks = rule is Whitelist.NEVER
        assert bool(partner.asked) is asks
        assert told.fault is (None if asks else AuthorisationFault.CREDENTIAL_BLOCKED)


def test_a_contract_that_only_its_emsp_knows_goes_by_its_word(small: Services) -> None:
    ready(small, replace(TERMS, emsp="FRMOB"))
    foreign = "FRMOBC00000001"
    partner = Partner()
    told = asked(small, roaming(small, partner), foreign)
    assert (told.allowed, told.emsp, partner.asked[0].uid) == (Allowed.ALLOWED, "FRMOB", foreign)
    assert asked(small, roaming(small), foreign).token_status == "Unknown"
    silent = asked(small, roaming(small, Partner(answer=None)), foreign)
    assert silent.fault is AuthorisationFault.EMSP_SILENT
    unknown = asked(small, roaming(small, Partner(unknown=True)), foreign)
    assert (unknown.fault, unknown.token_status) == (
        AuthorisationFault.CREDENTIAL_UNKNOWN,
        "Unknown",
    )


def test_a_party_behind_a_hub_is_asked_through_it(small: Services) -> None:
    ready(small, replace(TERMS, emsp="FRMOB"))
    parties.add_party(small.deployment, ADMIN, Role.HUB, "NLHUB", "Hub")
    parties.add_emsp(small.deployment, ADMIN, "FRMOB", "Mob")
    parties.set_hub(small.deployment, ADMIN, Role.EMSP, "FRMOB", "NLHUB")
    partner = Partner(emsps=("NLHUB",))
    told = asked(small, roaming(small, partner), "FRMOBC00000001")
    assert told.allowed is Allowed.ALLOWED
    assert (partner.asked[0].emsp, partner.asked[0].hub) == ("FRMOB", "NLHUB")


# --- cards ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "token_type"),
    [
        (CredentialKind.RFID, "ISO14443"),
        (CredentialKind.RFID, "ISO15693"),
        (CredentialKind.KEY_CODE, "KeyCode"),
        (CredentialKind.CENTRAL, "Central"),
        (CredentialKind.APP_USER, "Central"),
        (CredentialKind.LOCAL, "Local"),
    ],
)
def test_any_kind_of_token_is_a_credential_of_its_contract(
    small: Services, kind: CredentialKind, token_type: str
) -> None:
    ready(small)
    card(small, kind=kind)
    told = asked(small, roaming(small), "04:a2:3b:c1", kind=token_type)
    assert (told.allowed, told.kind, told.contract) == (Allowed.ALLOWED, kind, EMAID)


@pytest.mark.parametrize("token_type", ["MacAddress", "NoAuthorization", "VIN", ""])
def test_what_proves_nothing_names_nothing(small: Services, token_type: str) -> None:
    ready(small)
    card(small)
    told = asked(small, roaming(small), "04A23BC1", kind=token_type)
    assert told.fault is AuthorisationFault.CREDENTIAL_UNKNOWN


def test_a_card_of_two_emsps_is_whose_agreement_holds_here(small: Services) -> None:
    ready(small)
    parties.add_emsp(small.deployment, ADMIN, "FRMOB", "Mob")
    card(small)
    card(small, emsp="FRMOB", partner=True)
    told = asked(small, roaming(small), "04A23BC1", kind="ISO14443")
    assert (told.allowed, told.emsp) == (Allowed.ALLOWED, "DEMOA")
    agreements.add(small.deployment, ADMIN, replace(TERMS, emsp="FRMOB"))
    told = asked(small, roaming(small), "04A23BC1", kind="ISO14443")
    assert told.fault is AuthorisationFault.CREDENTIAL_AMBIGUOUS


# --- routes and sessions -------------------------------------------------------------------------


def test_the_longest_range_in_force_says_whose_contract_it_is(small: Services) -> None:
    ready(small)
    now = SystemClock().now()
    parties.add_emsp(small.deployment, ADMIN, "FRMOB", "Mob")
    add = route.add
    add(small.deployment, ADMIN, RangeKind.EMAID, "DE-MOA-C1", "FRMOB", begin=now)
    add(small.deployment, ADMIN, RangeKind.EMAID, "DE-MOA-C12", "DEMOA", begin=now + HOUR)
    directory = roaming(small).directory.now()
    assert route.to_emsp(directory, EMAID, now).account == "FRMOB"
    assert route.to_emsp(directory, EMAID, now + HOUR).account == "DEMOA"
    assert route.to_emsp(directory, "DEMOAC2XXXXXXX", now).account == "DEMOA"
    assert asked(small, roaming(small)).fault is AuthorisationFault.NO_AGREEMENT
    assert route.settle(small.deployment) == 1
    moved = contracts.search(small.deployment, ADMIN, provider="FRMOB")
    assert [str(c.identifiers[0]) for c in moved] == [EMAID]
    assert route.settle(small.deployment) == 0


def test_an_evse_range_names_a_cpo_whose_id_its_evses_do_not_begin_with(small: Services) -> None:
    ready(small)
    route.add(small.deployment, ADMIN, RangeKind.EVSE, "DE*OLD*E", "DE*CPA")
    assert asked(small, roaming(small), evse="DE*OLD*E7").allowed is Allowed.ALLOWED


def test_sessions_beyond_the_agreed_number_are_refused(small: Services) -> None:
    ready(small, replace(TERMS, sessions=1))
    found = roaming(small)
    told = asked(small, found)
    assert told.allowed is Allowed.ALLOWED
    session = Session(
        session_id="s",
        reference=told.reference,
        protocol=SessionProtocol.OCPP,
        cpo="DECPA",
        station_id="cs-1",
        external_id="tx",
        emsp="DEMOA",
        contract_id=told.contract_id,
        contract=EMAID,
        evse_id=EVSE,
        started_at=BEGIN,
    )
    with small.database.write() as tx:
        tx.sessions.add(session)
    again = asked(small, found)
    assert (again.fault, again.token_status) == (
        AuthorisationFault.TOO_MANY_SESSIONS,
        "ConcurrentTx",
    )


def test_another_party_finds_no_authorisation_of_somebody_else(small: Services) -> None:
    ready(small)
    told = asked(small, roaming(small))
    other = Principal(name="cpo-2", role=Role.CPO, parties=("DEXYZ",))
    assert authorize.find(small.deployment, other, told.reference) is None
    # an operator id of the letters of the eMSP's provider id is another company
    other = Principal(name="cpo-3", role=Role.CPO, parties=("DEMOA",))
    assert authorize.find(small.deployment, other, told.reference) is None
    emsp = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",))
    assert authorize.find(small.deployment, emsp, told.reference) == told
    assert authorize.find(small.deployment, ADMIN, "no such receipt") is None


def test_who_was_refused_finds_the_refusal(small: Services) -> None:
    told = asked(small, roaming(small), "04FFFFFF", kind="ISO14443")
    assert told.fault is AuthorisationFault.CREDENTIAL_UNKNOWN
    assert authorize.find(small.deployment, CPO, told.reference) == told
