"""What becomes of a contract: pool, state, status of certificates and events, and its preview."""

from __future__ import annotations

import base64
import datetime as dt
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pki import contracts
from pki.errors import BadInput, Conflict, NotAllowed, NotFound
from pki.ids import Edition
from pki.model import ContractState, Principal, Reason, Role
from pki.pkix.certificate import load
from pki.pkix.suites import sign as sign_with
from pki.provision import ccp, cps, life, pcp
from pki.provision.install import Installation, install
from pki.services import Services
from pki.v2g import messages
from pki.v2g.envelope import Envelope, open_iso2
from pki.v2g.messages import iso2
from pki.v2g.signature import sign, verify
from tests.homes import ADMIN, EMAID
from tests.provision import cars
from tests.provision.cars import PCID, SESSION, Car

OTHER = "DEMOAC00000002"
SECOND_CAR = "WMIDEMO0000000002"
EMSP = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",))


def provide(
    services: Services, emaid: str = EMAID, pcid: str = PCID, days: int = 365
) -> cps.Signed:
    ends = services.deployment.clock.now() + dt.timedelta(days=days)
    wanted = cps.Wanted(emaid=emaid, pcid=pcid, ends=ends)
    return cps.generate_contract(services.deployment, EMSP, wanted)


def ask(services: Services, exi: bytes) -> Installation:
    return install(services.deployment, ADMIN, exi, Edition.ISO2)


def reason_of(services: Services, made: cps.Signed) -> Reason | None:
    with services.deployment.store.read() as tx:
        record = tx.certificates.by_fingerprint(made.bundle.certificate)
        assert record is not None
        found = tx.certificates.revocation(record.issuer_id, record.serial)
    return found.reason if found else None


def state_of(services: Services, emaid: str = EMAID) -> ContractState:
    found = contracts.search(services.deployment, ADMIN, provider="DEMOA")
    return next(c.state for c in found if c.identifiers[0].key == emaid)


def test_suspension_withholds_the_contract_and_holds_its_certificates_until_it_is_resumed(
    pnc_anywhere: Services,
) -> None:
    services = pnc_anywhere
    car = cars.deposited(services)
    made = provide(services)
    preview = life.suspend(services.deployment, EMSP, EMAID, dry_run=True)
    assert (state_of(services), reason_of(services, made)) == (ContractState.ACTIVE, None)
    done = life.suspend(services.deployment, EMSP, EMAID)
    assert (preview.held, preview.dry_run) == (done.held, True)
    assert len(done.held) == 1
    assert state_of(services) is ContractState.SUSPENDED
    assert reason_of(services, made) is Reason.CERTIFICATE_HOLD
    refusal = ask(services, car.request()).refusal
    assert refusal is not None
    assert refusal.response_code == "FAILED_ContractCanceled"
    with pytest.raises(Conflict) as caught:
        life.suspend(services.deployment, EMSP, EMAID)
    assert caught.value.code == "contract_state"
    assert life.resume(services.deployment, EMSP, EMAID).released == done.held
    assert reason_of(services, made) is None
    car.accept(ask(services, car.request()).answers[0].exi)


def test_the_end_of_a_contract_revokes_and_is_for_good(pnc: Services) -> None:
    car = cars.deposited(pnc)
    made = provide(pnc)
    preview = life.end(pnc.deployment, EMSP, EMAID, dry_run=True)
    done = life.end(pnc.deployment, EMSP, EMAID)
    assert (preview.removal.revoked, preview.removal.bundles) == (done.removal.revoked, 1)
    assert done.removal.defaults == (PCID,)
    assert (state_of(pnc), reason_of(pnc, made)) == (
        ContractState.ENDED,
        Reason.CESSATION_OF_OPERATION,
    )
    refusal = ask(pnc, car.request()).refusal
    assert refusal is not None
    assert refusal.code == "no_contract"
    with pytest.raises(Conflict) as caught:
        provide(pnc)
    assert caught.value.code == "contract_ended"


@pytest.mark.parametrize("revoking", [True, False])
def test_a_contract_leaves_the_pool_with_or_without_its_certificates(
    pnc: Services, *, revoking: bool
) -> None:
    cars.deposited(pnc)
    made = provide(pnc)
    provide(pnc, OTHER)
    done = life.delete(pnc.deployment, EMSP, EMAID, revoking=revoking)
    assert len(done.removal.revoked) == int(revoking)
    assert (reason_of(pnc, made) is None) is not revoking
    assert state_of(pnc) is ContractState.ACTIVE
    with pytest.raises(NotFound):
        life.delete(pnc.deployment, EMSP, EMAID)


def test_a_default_that_is_deleted_promotes_no_other(pnc: Services) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    provide(pnc, OTHER)
    life.delete(pnc.deployment, EMSP, EMAID)
    refusal = ask(pnc, car.request()).refusal
    assert refusal is not None
    assert refusal.code == "no_contract"
    ccp.set_default(pnc.deployment, ADMIN, PCID, OTHER)
    assert car.accept(ask(pnc, car.request()).answers[0].exi).emaid.value == OTHER


def test_an_emaid_belongs_to_one_car_until_it_is_moved(pnc: Services) -> None:
    first = cars.deposited(pnc)
    second = cars.deposited(pnc, SECOND_CAR)
    old = provide(pnc)
    with pytest.raises(Conflict) as caught:
        provide(pnc, EMAID, SECOND_CAR)
    assert caught.value.code == "emaid_in_use"
    ends = pnc.deployment.clock.now() + cars.YEAR
    wanted = cps.Wanted(emaid=EMAID, pcid=SECOND_CAR, ends=ends)
    preview = life.move(pnc.deployment, EMSP, wanted, dry_run=True)
    assert (preview.made, preview.removal.dry_run) == (None, True)
    moved = life.move(pnc.deployment, EMSP, wanted)
    assert moved.removal.revoked == preview.removal.revoked
    assert reason_of(pnc, old) is Reason.SUPERSEDED
    assert ask(pnc, first.request()).refusal is not None
    message = second.accept(ask(pnc, second.request()).answers[0].exi)
    assert load(message.contract_chain.certificate).fingerprint != old.bundle.certificate


def test_a_contract_that_nobody_knows_is_not_moved(pnc: Services) -> None:
    cars.deposited(pnc)
    wanted = cps.Wanted(emaid=EMAID, pcid=PCID, ends=pnc.deployment.clock.now() + cars.YEAR)
    with pytest.raises(NotFound) as caught:
        life.move(pnc.deployment, EMSP, wanted)
    assert caught.value.code == "contract_unknown"


@pytest.mark.parametrize("how", ["delete", "reset"])
def test_a_car_that_goes_takes_its_contracts_with_it(pnc_anywhere: Services, how: str) -> None:
    services = pnc_anywhere
    car = cars.deposited(services)
    made = [provide(services), provide(services, OTHER)]
    act = pcp.delete if how == "delete" else pcp.factory_reset
    preview = act(services.deployment, ADMIN, PCID, dry_run=True)
    assert [reason_of(services, m) for m in made] == [None, None]
    done = act(services.deployment, ADMIN, PCID)
    assert (preview.emaids, preview.revoked) == (done.emaids, done.revoked)
    assert done.emaids == (OTHER, EMAID)
    assert done.events.count(done.events[0]) == 2
    assert all(reason_of(services, m) is Reason.CESSATION_OF_OPERATION for m in made)
    refusal = ask(services, car.request()).refusal
    assert refusal is not None
    assert refusal.code == ("vehicle_unknown" if how == "delete" else "no_contract")


def test_events_are_written_with_the_change(pnc: Services) -> None:
    cars.deposited(pnc)
    provide(pnc)
    provide(pnc)
    pcp.delete(pnc.deployment, ADMIN, PCID)
    with pnc.database._backend.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT type, party, payload FROM events").all()
    told = sorted((row[0], row[1]) for row in rows)
    assert told == [
        ("mo.prov.cert.deleted", "DEMOA"),
        ("oem.contract.created", "WMI"),
        ("oem.contract.updated", "WMI"),
    ]
    payload = json.loads(rows[0][2])
    assert (payload["emaid"], payload["pcid"]) == (EMAID, PCID)
    assert payload["cpsSignerRootCommonName"] == "V2G Root 2"
    assert load(base64.b64decode(payload["contractCert"])).common_names == (EMAID,)


def update(car: Car, held: iso2.CertificateInstallationRes) -> bytes:
    """Return what a car sends that wants the contract that it holds renewed."""
    key = car.contract_key(held)
    message = iso2.CertificateUpdateReq(
        header=iso2.Header(session_id=SESSION),
        id="request",
        contract_chain=held.contract_chain,
        emaid=held.emaid.value,
        roots=car.listed,
    )
    return messages.encode(sign(message, key.public_key(), lambda data: sign_with(key, data)))


def updated(car: Car, held: iso2.CertificateInstallationRes, exi: bytes) -> bytes:
    """Take a renewed contract as a car does; return its certificate."""
    received = messages.decode(exi, Edition.ISO2)
    message = received.message
    assert isinstance(message, iso2.CertificateUpdateRes)
    assert message.response_code == "OK"
    verify(received, load(message.provisioning_chain.certificate).public_key)
    envelope = Envelope(
        encrypted_key=message.encrypted_key.value, dh_public_key=message.dh_public_key.value
    )
    contract = load(message.contract_chain.certificate).public_key
    assert isinstance(contract, ec.EllipticCurvePublicKey)
    open_iso2(envelope, car.contract_key(held), contract)
    return message.contract_chain.certificate


def test_a_car_updates_the_contract_that_it_holds(pnc: Services) -> None:
    car = cars.deposited(pnc)
    provide(pnc, days=20)
    held = car.accept(ask(pnc, car.request()).answers[0].exi)
    before = ask(pnc, update(car, held)).refusal
    assert before is not None
    assert (before.code, before.response_code) == (
        "not_renewed",
        "FAILED_NoCertificateAvailable",
    )
    until = pnc.deployment.clock.now() + cars.YEAR
    (renewed,) = life.renew(pnc.deployment, EMSP, EMAID, until)
    assert renewed.replaced
    for _ in range(2):  # a second renewal before the car came by changes nothing for it
        exi = ask(pnc, update(car, held)).answers[0].exi
        certificate = updated(car, held, exi)
        assert load(certificate).fingerprint == renewed.bundle.certificate
    newest = car.accept(ask(pnc, car.request()).answers[0].exi)
    assert newest.contract_chain.certificate == certificate


def test_a_renewal_that_nobody_fetched_is_followed_by_one_for_the_same_car_key(
    pnc: Services,
) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    held = car.accept(ask(pnc, car.request()).answers[0].exi)
    until = pnc.deployment.clock.now() + cars.YEAR
    life.renew(pnc.deployment, EMSP, EMAID, until)
    (second,) = life.renew(pnc.deployment, EMSP, EMAID, until)
    exi = ask(pnc, update(car, held)).answers[0].exi
    assert load(updated(car, held, exi)).fingerprint == second.bundle.certificate


def test_an_update_that_another_key_signed_is_refused(pnc: Services) -> None:
    car = cars.deposited(pnc)
    provide(pnc)
    held = car.accept(ask(pnc, car.request()).answers[0].exi)
    message = messages.decode(update(car, held), Edition.ISO2).message
    assert isinstance(message, iso2.CertificateUpdateReq)
    forged = messages.encode(sign(message, car.key.public_key(), car.sign))
    refusal = ask(pnc, forged).refusal
    assert refusal is not None
    assert refusal.response_code == "FAILED_SignatureError"


def test_only_the_emsp_of_a_contract_changes_it(pnc: Services) -> None:
    cars.deposited(pnc)
    provide(pnc)
    other = Principal(name="emsp-2", role=Role.EMSP, parties=("DEXYZ",))
    steps = (life.suspend, life.end, life.delete)
    for step in steps:
        with pytest.raises(NotAllowed) as caught:
            step(pnc.deployment, other, EMAID)
        assert caught.value.code == "party_not_allowed"
    wanted = cps.Wanted(emaid=EMAID, pcid=PCID, ends=pnc.deployment.clock.now() + cars.YEAR)
    with pytest.raises(NotAllowed):
        cps.generate_contract(pnc.deployment, other, wanted)
    external = Principal(name="emsp-3", role=Role.EMSP, parties=("DEMOA",), pki="own")
    with pytest.raises(NotAllowed) as caught:
        cps.generate_contract(pnc.deployment, external, wanted)
    assert caught.value.code == "pki_not_hosted"


def test_an_end_in_the_past_and_a_car_that_nobody_knows_are_refused(pnc: Services) -> None:
    now = pnc.deployment.clock.now()
    with pytest.raises(BadInput) as past:
        cps.generate_contract(pnc.deployment, EMSP, cps.Wanted(emaid=EMAID, pcid=PCID, ends=now))
    assert past.value.code == "contract_ends_past"
    with pytest.raises(NotFound) as unknown:
        provide(pnc)
    assert unknown.value.code == "provisioning_certificate_unknown"
