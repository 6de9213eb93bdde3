"""A car asks, and gets its contract; or hears why not, in its own words."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from pki import contracts, revoke
from pki.errors import BadInput, NotAllowed
from pki.ids import Edition
from pki.model import ContractState, Principal, Reason, Role
from pki.pkix.certificate import load
from pki.pkix.suites import Suite
from pki.provision import ccp, cps, pcp
from pki.provision.install import Asked, Installation, install
from pki.services import Services
from pki.v2g import messages
from pki.v2g.messages import RootCertificateId, iso2, iso20
from tests.homes import ADMIN, EMAID
from tests.provision import cars
from tests.provision.cars import PCID, SESSION, Car

OTHER = "DEMOAC00000002"
CPO = Principal(name="cpo-1", role=Role.CPO, parties=("DEABC",))


def ends(services: Services) -> dt.datetime:
    return services.deployment.clock.now() + cars.YEAR


def provide(services: Services, emaid: str = EMAID, pcid: str = PCID) -> cps.Signed:
    wanted = cps.Wanted(emaid=emaid, pcid=pcid, ends=ends(services))
    return cps.generate_contract(services.deployment, ADMIN, wanted)


def ask(services: Services, exi: bytes, edition: Edition = Edition.ISO2) -> Installation:
    return install(services.deployment, CPO, exi, edition)


def refused(services: Services, exi: bytes) -> tuple[str, str]:
    """Return our reason, and the response code that the car reads."""
    outcome = ask(services, exi)
    assert outcome.answers == ()
    assert outcome.refusal is not None
    message = messages.decode(outcome.refusal.exi, Edition.ISO2).message
    assert isinstance(message, iso2.CertificateInstallationRes)
    assert message.response_code == outcome.refusal.response_code
    assert message.header.session_id == SESSION
    return outcome.refusal.code, message.response_code.value


def test_a_car_installs_the_contract_that_was_made_for_it(pnc_anywhere: Services) -> None:
    car = cars.deposited(pnc_anywhere)
    made = provide(pnc_anywhere)
    (answer,) = ask(pnc_anywhere, car.request()).answers
    message = car.accept(answer.exi)
    assert message.emaid.value == EMAID
    leaf = load(message.contract_chain.certificate)
    assert (leaf.common_names, leaf.fingerprint) == ((EMAID,), made.bundle.certificate)
    assert made.size == len(made.bundle.message) == len(answer.exi)
    assert made.warnings == ()


def test_the_answer_carries_the_session_of_the_request(pnc: Services) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    for session in (b"\x00", b"\x00\x01\x02", bytes(range(8))):
        (answer,) = ask(pnc, car.request(session=session)).answers
        car.accept(answer.exi, session)


def test_no_private_key_of_a_contract_is_anywhere_in_the_home(pnc: Services) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    (answer,) = ask(pnc, car.request()).answers
    key = car.contract_key(car.accept(answer.exi))
    secret = key.private_numbers().private_value.to_bytes(32)
    for path in pnc.settings.home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert secret not in data
            assert secret.hex().encode() not in data


def test_an_unknown_car_is_refused(pnc: Services) -> None:
    car = cars.make_car(pnc)
    assert refused(pnc, car.request()) == ("vehicle_unknown", "FAILED_NoCertificateAvailable")


def test_a_car_without_a_contract_is_refused(pnc: Services) -> None:
    car = cars.deposited(pnc)
    assert refused(pnc, car.request()) == ("no_contract", "FAILED_NoCertificateAvailable")


def test_a_request_that_another_key_signed_is_refused(pnc: Services) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    thief = replace(car, key=cars.make_car(pnc, "WMIDEMO9999999999").key)
    assert refused(pnc, thief.request()) == ("signature", "FAILED_SignatureError")


def test_a_revoked_car_is_refused(pnc: Services) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    reference = load(car.chain[0]).fingerprint.value
    revoke.revoke(pnc.deployment, ADMIN, reference, Reason.SUPERSEDED)
    told = ("certificate_revoked", "FAILED_CertificateRevoked")
    assert refused(pnc, car.request()) == told


def test_a_car_that_does_not_hold_the_root_of_the_cps_is_refused(pnc: Services) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    root = car.listed[0]
    strangers = (
        replace(root, serial=root.serial + 1),
        RootCertificateId(issuer_name="CN=Other", serial=root.serial),
        RootCertificateId(issuer_name="nothing", serial=root.serial),
    )
    assert refused(pnc, car.request(roots=strangers)) == (
        "no_listed_root",
        "FAILED_NoCertificateAvailable",
    )


@pytest.mark.parametrize("separator", [",", ", ", ";", "/", "+"])
def test_a_root_is_known_by_its_attributes_in_any_order_and_case(
    pnc: Services, separator: str
) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    root = car.listed[0]
    parts = [part.strip() for part in root.issuer_name.split(",")]
    for name in (parts[::-1], [part.upper() for part in parts]):
        listed = (replace(root, issuer_name=separator.join(name)),)
        (answer,) = ask(pnc, car.request(roots=listed)).answers
        car.accept(answer.exi)


@pytest.mark.parametrize("state", [ContractState.BLOCKED, ContractState.ENDED])
def test_a_contract_that_is_not_active_is_not_handed_out(
    pnc: Services, state: ContractState
) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    contracts.set_state(pnc.deployment, ADMIN, EMAID, state)
    told = ("contract_not_active", "FAILED_ContractCanceled")
    assert refused(pnc, car.request()) == told


def test_a_contract_whose_certificate_was_revoked_is_not_handed_out(pnc: Services) -> None:
    car = cars.deposited(pnc)
    made = provide(pnc)
    revoke.revoke(pnc.deployment, ADMIN, made.bundle.certificate.value, Reason.SUPERSEDED)
    assert refused(pnc, car.request()) == ("bundle_ended", "FAILED_NoCertificateAvailable")


def test_a_car_gets_its_default_contract_which_only_an_explicit_call_changes(
    pnc: Services,
) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    provide(pnc, OTHER)

    def installed() -> str:
        (answer,) = ask(pnc, car.request()).answers
        return car.accept(answer.exi).emaid.value

    assert installed() == EMAID
    ccp.set_default(pnc.deployment, ADMIN, PCID, OTHER)
    assert installed() == OTHER
    provide(pnc, EMAID)
    assert installed() == OTHER


def test_only_operators_and_makers_ask_for_installations(pnc: Services) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    emsp = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",))
    maker = Principal(name="oem-1", role=Role.OEM, parties=("WMI",))
    other = Principal(name="oem-2", role=Role.OEM, parties=("XYZ",))
    for who, code in ((emsp, "role_not_allowed"), (other, "party_not_allowed")):
        with pytest.raises(NotAllowed) as caught:
            install(pnc.deployment, who, car.request(), Edition.ISO2)
        assert caught.value.code == code
    assert install(pnc.deployment, maker, car.request(), Edition.ISO2).answers


def test_what_is_no_request_is_an_error(pnc: Services) -> None:
    car = cars.deposited(pnc)
    made = provide(pnc)
    for exi, asked, code in (
        (b"\x80", Asked(), "exi_truncated"),
        (made.bundle.message, Asked(), "not_a_request"),
        (car.request(), Asked(update=True), "action_mismatch"),
    ):
        with pytest.raises(BadInput) as caught:
            install(pnc.deployment, CPO, exi, Edition.ISO2, asked)
        assert caught.value.code == code


def test_a_replaced_key_ends_the_contracts_of_the_car(pnc: Services) -> None:
    car = cars.deposited(pnc)
    made = provide(pnc)
    newer = cars.make_car(pnc)
    cars.deposit(pnc, newer)
    assert refused(pnc, car.request()) == ("vehicle_key", "FAILED_NoCertificateAvailable")
    assert refused(pnc, newer.request()) == ("no_contract", "FAILED_NoCertificateAvailable")
    with pnc.deployment.store.read() as tx:
        record = tx.certificates.by_fingerprint(made.bundle.certificate)
        assert record is not None
        assert tx.certificates.revocation(record.issuer_id, record.serial) is not None
    provide(pnc)
    (answer,) = ask(pnc, newer.request()).answers
    newer.accept(answer.exi)


def accepted20(car: Car, outcome: Installation) -> list[str]:
    found = []
    for answer in outcome.answers:
        message = car.accept20(answer.exi)
        found.append(load(message.installation_data.contract_chain.certificate).common_names[0])
    return found


def test_a_car_of_the_new_edition_fetches_its_contracts_one_by_one(pnc20: Services) -> None:
    car = cars.deposited(pnc20, "WMIDEMO12345678901", Suite.P521)
    emaids = ["DEMOAC00000001", "DEMOAC00000002", "DEMOAC00000003"]
    for emaid in emaids:
        provide(pnc20, emaid, car.pcid)
    request = car.request20(maximum=2, prioritized=(emaids[2],))
    outcomes = [ask(pnc20, request, Edition.ISO20) for _ in range(3)]
    assert [accepted20(car, o) for o in outcomes] == [[emaids[2]], [emaids[0]], [emaids[2]]]
    assert [o.remaining for o in outcomes] == [1, 0, 1]
    told = messages.decode(outcomes[0].answers[0].exi, Edition.ISO20).message
    assert isinstance(told, iso20.CertificateInstallationRes)
    assert told.remaining_contracts == 1
    assert told.header.session_id == SESSION


def test_a_pool_client_gets_several_contracts_at_once(pnc20: Services) -> None:
    car = cars.deposited(pnc20, "WMIDEMO12345678901", Suite.P521)
    for emaid in ("DEMOAC00000001", "DEMOAC00000002", "DEMOAC00000003"):
        provide(pnc20, emaid, car.pcid)
    outcome = install(
        pnc20.deployment, CPO, car.request20(maximum=5), Edition.ISO20, Asked(at_most=5)
    )
    assert sorted(accepted20(car, outcome)) == [
        "DEMOAC00000001",
        "DEMOAC00000002",
        "DEMOAC00000003",
    ]
    assert outcome.remaining == 0
    left = [messages.decode(a.exi, Edition.ISO20).message for a in outcome.answers]
    assert [m.remaining_contracts for m in left] == [2, 1, 0]  # type: ignore[union-attr]


def test_a_maker_fetches_a_contract_for_its_own_way_into_the_car(pnc: Services) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    maker = Principal(name="oem-1", role=Role.OEM, parties=("WMI",))
    answer = ccp.provide(pnc.deployment, maker, PCID, EMAID, session_id=SESSION)
    assert car.accept(answer.exi).emaid.value == EMAID
    with pytest.raises(BadInput) as caught:
        ccp.provide(pnc.deployment, maker, PCID, EMAID, session_id=bytes(9))
    assert caught.value.code == "invalid_session_id"
    assert [held.is_default for held in ccp.by_pcid(pnc.deployment, maker, PCID)] == [True]


def test_a_deposit_with_the_same_key_keeps_the_contracts(pnc: Services) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    again = pcp.deposit(pnc.deployment, ADMIN, car.chain[0], car.chain[1:])
    assert (again.replaced, again.removal.bundles) == (True, 0)
    (answer,) = ask(pnc, car.request()).answers
    car.accept(answer.exi)
