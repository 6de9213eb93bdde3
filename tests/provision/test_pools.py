"""What the pools take in, in which order they judge it, and from whom."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pki import revoke, trust
from pki.clock import FixedClock
from pki.errors import BadInput, Conflict, NotAllowed, NotFound, PkiError, PolicyViolation
from pki.ids import Edition, Fingerprint
from pki.issue import IssueRequest, issue
from pki.model import Domain, Principal, Reason, Role, StatusRule, TrustList
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.ports import Deployment
from pki.provision import ccp, cps, pcp, rcp, upkeep
from pki.provision.install import install
from pki.services import Services
from pki.v2g import messages
from pki.v2g.envelope import seal_iso2
from tests.builders import Spec, chain, make
from tests.homes import ADMIN, EMAID
from tests.provision import cars
from tests.provision.cars import PCID, Car

OEM = Principal(name="oem-1", role=Role.OEM, parties=("WMI",))
EMSP = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",), pki="own")
SERVICE = Principal(name="cps-1", role=Role.CPS, parties=("OTHER",))


def at(services: Services, later: dt.timedelta) -> Deployment:
    clock = FixedClock(services.deployment.clock.now() + later)
    return replace(services.deployment, clock=clock, skew=None)  # the guard would refuse the jump


def refused(deployment: Deployment, who: Principal, *ders: bytes) -> str:
    with pytest.raises(PkiError) as caught:
        pcp.deposit(deployment, who, ders[0], ders[1:])
    return caught.value.code


# --- provisioning certificates -------------------------------------------------------------------


def test_a_maker_deposits_its_own_cars_only(pnc: Services) -> None:
    car = cars.make_car(pnc)
    other = Principal(name="oem-2", role=Role.OEM, parties=("XYZ",))
    emsp = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",))
    assert refused(pnc.deployment, other, *car.chain) == "party_not_allowed"
    assert refused(pnc.deployment, emsp, *car.chain) == "role_not_allowed"
    assert pcp.deposit(pnc.deployment, OEM, car.chain[0], car.chain[1:]).replaced is False
    assert [c.pcid.value for c in pcp.search(pnc.deployment, OEM)] == [PCID]
    assert pcp.search(pnc.deployment, other) == []
    assert len(pcp.find(pnc.deployment, emsp, PCID)) == 1
    with pytest.raises(NotAllowed):
        pcp.find(pnc.deployment, other, PCID)
    with pytest.raises(NotAllowed):
        pcp.search(pnc.deployment, emsp)


def test_the_first_error_of_a_deposit_wins(pnc: Services) -> None:
    """WMI before dates, dates before status, status before path (spec 6.2 row 2)."""
    car = cars.make_car(pnc)
    other = Principal(name="oem-2", role=Role.OEM, parties=("XYZ",))
    late = at(pnc, dt.timedelta(days=30 * 365))
    revoke.revoke(pnc.deployment, ADMIN, load(car.chain[0]).fingerprint.value, Reason.SUPERSEDED)
    assert refused(late, other, *car.chain) == "party_not_allowed"
    assert refused(late, OEM, *car.chain) == "certificate_expired"
    assert refused(pnc.deployment, OEM, car.chain[0]) == "certificate_revoked"


def test_a_chain_that_ends_at_no_root_of_the_pool_is_refused(pnc: Services) -> None:
    stranger = chain(leaf={"common_name": PCID, "domain_component": "OEM"})
    now = FixedClock(stranger.leaf.certificate.not_before + dt.timedelta(days=1))
    told = refused(replace(pnc.deployment, clock=now), OEM, *stranger.presented)
    assert told == "no_path"
    car = cars.make_car(pnc)
    assert refused(pnc.deployment, OEM, car.chain[0]) == "no_path"


def test_a_certificate_of_another_role_is_no_car(pnc: Services) -> None:
    stranger = chain(leaf={"common_name": PCID, "domain_component": "CPO"})
    now = stranger.leaf.certificate.not_before + dt.timedelta(days=1)
    deployment = replace(pnc.deployment, clock=FixedClock(now))
    root = stranger.root.certificate
    rcp.add(deployment, ADMIN, root.der, Domain.OEM, confirm=root.fingerprint.value)
    assert refused(deployment, OEM, *stranger.presented) == "status_missing"
    trust.set_rule(deployment, ADMIN, Domain.OEM, StatusRule.NOT_ASKED)
    assert refused(deployment, OEM, *stranger.presented) == "wrong_role"


def test_parts_that_cannot_be_read_are_named(pnc: Services) -> None:
    car = cars.make_car(pnc)
    assert refused(pnc.deployment, OEM, b"x") == "invalid_vehicle_certificate"
    assert refused(pnc.deployment, OEM, car.chain[0], b"0") == "invalid_sub_ca1_certificate"
    told = refused(pnc.deployment, OEM, car.chain[0], car.chain[1], b"0")
    assert told == "invalid_sub_ca2_certificate"
    named = make(Spec(common_name="no pcid", ca=False))
    assert refused(pnc.deployment, OEM, named.der) == "invalid_pcid"


def test_a_car_may_change_its_pcid(pnc: Services) -> None:
    cars.deposited(pnc)
    ends = pnc.deployment.clock.now() + cars.YEAR
    cps.generate_contract(pnc.deployment, ADMIN, cps.Wanted(emaid=EMAID, pcid=PCID, ends=ends))
    newer = cars.make_car(pnc, "WMIDEMO0000000009")
    told = pcp.deposit(pnc.deployment, OEM, newer.chain[0], newer.chain[1:], previous=PCID)
    assert (told.removal.emaids, told.removal.events) == ((EMAID,), ("mo.prov.cert.updated",))
    with pytest.raises(NotFound):
        pcp.find(pnc.deployment, OEM, PCID)


# --- roots ---------------------------------------------------------------------------------------


def test_roots_are_read_by_all_and_written_by_the_operator_alone(pnc: Services) -> None:
    root = make(Spec(common_name="Other Root", domain_component="V2G")).certificate
    confirm = root.fingerprint.value
    for who in (OEM, EMSP, SERVICE):
        assert len(rcp.roots(pnc.deployment, who)) == 4
        with pytest.raises(NotAllowed):
            rcp.add(pnc.deployment, who, root.der, Domain.V2G, confirm=confirm)
    with pytest.raises(BadInput) as caught:
        rcp.add(pnc.deployment, ADMIN, root.der, Domain.V2G, confirm="ab" * 32)
    assert caught.value.code == "fingerprint_not_confirmed"
    added = rcp.add(pnc.deployment, ADMIN, root.der, Domain.V2G, confirm=confirm)
    assert rcp.root(pnc.deployment, OEM, added.root_id).certificate == root
    lists = (TrustList.EUROPEAN, TrustList.AMERICAN)
    told = rcp.set_trust_lists(pnc.deployment, ADMIN, added.root_id, lists, confirm=confirm)
    assert told.trust_lists == lists
    rcp.remove(pnc.deployment, ADMIN, added.root_id, confirm=confirm)
    assert len(rcp.roots(pnc.deployment, OEM, Domain.V2G)) == 1


def test_a_certificate_that_does_not_sign_itself_is_no_root(pnc: Services) -> None:
    made = chain()
    sub = made.sub_cas[0].certificate
    with pytest.raises(BadInput) as caught:
        rcp.add(pnc.deployment, ADMIN, sub.der, Domain.MO, confirm=sub.fingerprint.value)
    assert caught.value.code == "root_not_self_signed"


def test_a_cross_certificate_joins_two_roots_of_the_pool(pnc: Services) -> None:
    one, other = make(Spec(common_name="Root A")), make(Spec(common_name="Root B"))
    cross = make(Spec(common_name="Root B", key=other.key), one).certificate
    late = make(
        Spec(
            common_name="Root B",
            key=other.key,
            not_after=one.certificate.not_after + dt.timedelta(days=1),
        ),
        one,
    ).certificate
    confirm = cross.fingerprint.value
    with pytest.raises(PolicyViolation) as caught:
        rcp.add_cross_certificate(pnc.deployment, ADMIN, cross.der, confirm=confirm)
    assert caught.value.code == "cross_certificate_foreign"
    for root in (one.certificate, other.certificate):
        rcp.add(pnc.deployment, ADMIN, root.der, Domain.V2G, confirm=root.fingerprint.value)
    with pytest.raises(PolicyViolation) as caught:
        rcp.add_cross_certificate(pnc.deployment, ADMIN, late.der, confirm=late.fingerprint.value)
    assert caught.value.code == "outlives_issuer"
    told = rcp.add_cross_certificate(pnc.deployment, ADMIN, cross.der, confirm=confirm)
    assert told.certificate == other.certificate
    assert [c.der for c in told.cross] == [cross.der]
    rcp.remove_cross_certificate(pnc.deployment, ADMIN, cross.fingerprint, confirm=confirm)
    assert rcp.root(pnc.deployment, ADMIN, told.root_id).cross == ()


# --- contracts of an eMSP with a PKI of its own --------------------------------------------------


def own_contract(services: Services, car: Car, emaid: str = EMAID) -> cps.ContractData:
    """What an eMSP makes itself: here with our MO branch standing in for its PKI."""
    issued = issue(services.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, common_name=emaid))
    receiver = load(car.chain[0]).public_key
    assert isinstance(issued.private_key, ec.EllipticCurvePrivateKey)
    assert isinstance(receiver, ec.EllipticCurvePublicKey)
    envelope = seal_iso2(issued.private_key, receiver)
    return cps.ContractData(
        chain=issued.chain,
        encrypted_key=envelope.encrypted_key,
        dh_public_key=envelope.dh_public_key,
        pcid=car.pcid,
    )


def test_a_bundle_of_an_emsp_with_its_own_pki_is_signed_and_installed(pnc: Services) -> None:
    car = cars.deposited(pnc)
    signed = cps.sign_contract(pnc.deployment, EMSP, own_contract(pnc, car))
    assert signed.stored
    (answer,) = install(pnc.deployment, ADMIN, car.request(), Edition.ISO2).answers
    assert car.accept(answer.exi).emaid.value == EMAID


def test_a_bundle_for_no_car_is_signed_and_given_back(pnc: Services) -> None:
    car = cars.deposited(pnc)
    data = replace(own_contract(pnc, car), pcid=None)
    signed = cps.sign_contract(pnc.deployment, EMSP, data)
    assert not signed.stored
    with pytest.raises(NotFound):
        ccp.by_emaid(pnc.deployment, ADMIN, EMAID)
    told = cps.store_signed(
        pnc.deployment, SERVICE, signed.bundle.message, edition=Edition.ISO2, pcid=PCID
    )
    assert told.stored
    (answer,) = install(pnc.deployment, ADMIN, car.request(), Edition.ISO2).answers
    car.accept(answer.exi)


def test_a_bundle_that_does_not_hold_is_not_signed(pnc: Services) -> None:
    car = cars.deposited(pnc)
    data = own_contract(pnc, car)
    stranger = chain()
    now = FixedClock(stranger.leaf.certificate.not_before + dt.timedelta(days=1))
    foreign = replace(data, chain=stranger.presented)
    cases: list[tuple[cps.ContractData, Deployment, str]] = [
        (replace(data, emaid="DEMOAC00000009"), pnc.deployment, "emaid_mismatch"),
        (replace(data, encrypted_key=bytes(47)), pnc.deployment, "envelope_size"),
        (replace(data, dh_public_key=bytes(65)), pnc.deployment, "envelope_point"),
        (replace(data, chain=data.chain[:1]), pnc.deployment, "no_path"),
        (replace(data, chain=(b"x",)), pnc.deployment, "invalid_certificate"),
        (
            replace(data, pcid="WMIDEMO0000000009"),
            pnc.deployment,
            "provisioning_certificate_unknown",
        ),
        (replace(data, root=Fingerprint.of(b"")), pnc.deployment, "cps_unknown"),
        (foreign, replace(pnc.deployment, clock=now), "no_path"),
    ]
    for case, deployment, code in cases:
        with pytest.raises(PkiError) as caught:
            cps.sign_contract(deployment, EMSP, case)
        assert caught.value.code == code
    hosted = replace(EMSP, pki="hosted")
    other = replace(EMSP, parties=("DEXYZ",))
    for who, code in ((hosted, "pki_not_own"), (other, "party_not_allowed")):
        with pytest.raises(NotAllowed) as denied:
            cps.sign_contract(pnc.deployment, who, data)
        assert denied.value.code == code


def test_a_bundle_that_was_altered_is_not_taken_in(pnc: Services) -> None:
    car = cars.deposited(pnc)
    data = replace(own_contract(pnc, car), pcid=None)
    signed = cps.sign_contract(pnc.deployment, EMSP, data)
    message = messages.decode(signed.bundle.message, Edition.ISO2).message
    forged = replace(message, dh_public_key=replace(message.dh_public_key, value=bytes(65)))  # type: ignore[union-attr,arg-type]
    with pytest.raises(PolicyViolation) as caught:
        cps.store_signed(
            pnc.deployment, SERVICE, messages.encode(forged), edition=Edition.ISO2, pcid=PCID
        )
    assert caught.value.code == "signature_digest"
    with pytest.raises(BadInput) as unread:
        cps.store_signed(pnc.deployment, SERVICE, car.request(), edition=Edition.ISO2, pcid=PCID)
    assert unread.value.code == "not_a_bundle"


# --- upkeep --------------------------------------------------------------------------------------


def test_a_cps_leaf_is_replaced_in_time_and_what_it_signed_is_signed_anew(
    pnc_anywhere: Services,
) -> None:
    services = pnc_anywhere
    car = cars.deposited(services)
    ends = services.deployment.clock.now() + cars.YEAR
    made = cps.generate_contract(
        services.deployment, ADMIN, cps.Wanted(emaid=EMAID, pcid=PCID, ends=ends)
    )
    assert upkeep.keep(services.deployment) == 0
    later = at(services, dt.timedelta(days=70))
    assert upkeep.keep(later) == 1
    assert upkeep.keep(later) == 0
    (held,) = ccp.by_emaid(later, ADMIN, EMAID)
    assert held.bundle.cps != made.bundle.cps
    (answer,) = install(later, ADMIN, car.request(), Edition.ISO2).answers
    message = car.accept(answer.exi)
    assert load(message.contract_chain.certificate).fingerprint == made.bundle.certificate
    assert len(cps.signers(later, ADMIN)) == 2
    assert upkeep.equip(later, ADMIN) == []


def test_a_cps_leaf_that_was_revoked_signs_nothing(pnc: Services) -> None:
    cars.deposited(pnc)
    (signer,) = cps.signers(pnc.deployment, ADMIN)
    revoke.revoke(pnc.deployment, ADMIN, signer.fingerprint.value, Reason.KEY_COMPROMISE)
    ends = pnc.deployment.clock.now() + cars.YEAR
    wanted = cps.Wanted(emaid=EMAID, pcid=PCID, ends=ends)
    with pytest.raises(NotFound) as caught:
        cps.generate_contract(pnc.deployment, ADMIN, wanted)
    assert caught.value.code == "cps_unknown"


def test_a_deposit_twice_at_the_same_place_is_no_conflict(pnc: Services) -> None:
    car = cars.make_car(pnc, suite=Suite.P256)
    cars.deposit(pnc, car)
    cars.deposit(pnc, car)
    assert len(pcp.find(pnc.deployment, ADMIN, PCID)) == 1
    root = rcp.roots(pnc.deployment, ADMIN)[0]
    confirm = root.certificate.fingerprint.value
    with pytest.raises(Conflict):
        rcp.add(pnc.deployment, ADMIN, root.certificate.der, root.domain, confirm=confirm)
