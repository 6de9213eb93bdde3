"""Emergencies: the blast radius is told first, everything falls at once, and all is replaced."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pki import audit, emergency, trust
from pki.emergency import Case, Progress
from pki.errors import NotFound, PkiError, Unavailable
from pki.ids import Edition, Fingerprint
from pki.issue import Issued, IssueRequest, issue
from pki.model import (
    Accepted,
    CertificateRecord,
    ContractCheck,
    Domain,
    IssuerState,
    Principal,
    Reason,
    Role,
)
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.ports import Signer
from pki.provision import cps
from pki.provision.install import install
from pki.services import Services
from pki.validate import validate
from tests.builders import Spec, make
from tests.homes import ADMIN
from tests.provision import cars
from tests.provision.cars import PCID
from tests.status import hosts

LOST = Reason.KEY_COMPROMISE
OTHER_ROOT = make(Spec(common_name="Another Root")).certificate
POOLED = "DEMOAC00000001"


def _contract(services: Services, emaid: str) -> Issued:
    return issue(services.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, common_name=emaid))


def _secc(services: Services) -> Issued:
    from pki import parties  # noqa: PLC0415

    parties.add_party(services.deployment, ADMIN, Role.CPO, "DECPA", "Demo Charging")
    request = IssueRequest(kind=Kind.SECC, common_name="DECPAS0001")
    return issue(services.deployment, ADMIN, request)


def _pooled(services: Services) -> cars.Car:
    car = cars.deposited(services)
    ends = services.deployment.clock.now() + cars.YEAR
    cps.generate_contract(
        services.deployment, ADMIN, cps.Wanted(emaid=POOLED, pcid=PCID, ends=ends)
    )
    return car


def _ca(services: Services, issuer_id: str) -> str:
    return Fingerprint.of(hosts.issuer_of(services, issuer_id).certificate).value


def _accepted(services: Services, chain: tuple[bytes, ...]) -> bool:
    decision = validate(services.deployment, ADMIN, ContractCheck(chain=chain))
    return isinstance(decision.verdict, Accepted)


def _newest(services: Services, name: str) -> CertificateRecord:
    with services.deployment.store.read() as tx:
        found = tx.certificates.search(common_name=name, limit=100)
    return max(found, key=lambda record: (record.issuer_id, record.issued_at))


def _chain(services: Services, record: CertificateRecord) -> tuple[bytes, ...]:
    from pki.issue import chain_of  # noqa: PLC0415

    with services.deployment.store.read() as tx:
        return chain_of(tx, record)


def _run(services: Services, reference: str, reason: Reason = LOST) -> Case:
    case = emergency.strike(services.deployment, ADMIN, reference, reason)
    return emergency.reissue(services.deployment, ADMIN, case.reference)


def _told(services: Services) -> list[tuple[str, str, dict[str, object]]]:
    with services.deployment.store.read() as tx:
        queued = tx.webhooks.queued(1000)
    return [(e.type, e.party, json.loads(e.payload)) for e in queued]


def test_the_radius_of_a_ca_counts_contracts_cars_chargers_and_emsps(
    pnc_anywhere: Services,
) -> None:
    _pooled(pnc_anywhere)
    for emaid in ("DEXYZC00000002", "DEXYZC00000002", "DEXYZC00000003"):
        _contract(pnc_anywhere, emaid)
    _secc(pnc_anywhere)
    deployment = pnc_anywhere.deployment
    mo = emergency.radius(deployment, ADMIN, _ca(pnc_anywhere, "mo1-2.g1"), LOST)
    assert mo.issuers == ("mo1-2.g1", "mo2-2.g1")
    assert (mo.contracts, mo.emsps, mo.bundles_for) == (3, ("DEMOA", "DEXYZ"), 1)
    assert (mo.chargers, mo.cars) == (0, 0)
    oem = emergency.radius(deployment, ADMIN, _ca(pnc_anywhere, "oem2-2.g1"), LOST)
    assert (oem.cars, oem.contracts) == (1, 0)
    cpo = emergency.radius(deployment, ADMIN, _ca(pnc_anywhere, "cpo2-2.g1"), LOST)
    assert cpo.chargers == 1
    assert hosts.issuer_of(pnc_anywhere, "mo1-2.g1").state is IssuerState.ACTIVE


def test_a_lost_sub_ca_falls_at_once_and_all_below_is_replaced(pnc_anywhere: Services) -> None:
    services = pnc_anywhere
    car = _pooled(services)
    plain = _contract(services, "DEXYZC00000002")
    assert _accepted(services, plain.chain)
    case = _run(services, _ca(services, "mo2-2.g1"))
    assert (case.progress.replaced, case.progress.renewed, dict(case.progress.left)) == (1, 1, {})
    assert case.ended_at is not None
    assert not _accepted(services, plain.chain)
    assert hosts.issuer_of(services, "mo2-2.g1").state is IssuerState.STATUS_ONLY
    successor = _newest(services, "DEXYZC00000002")
    assert successor.issuer_id == "mo2-2.g2"
    assert successor.spki_sha256 == plain.record.spki_sha256
    assert _accepted(services, _chain(services, successor))
    (answer,) = install(services.deployment, ADMIN, car.request(), Edition.ISO2).answers
    taken = car.accept(answer.exi)
    chain = (taken.contract_chain.certificate, *taken.contract_chain.sub_certificates)
    assert _accepted(services, chain)
    assert not any(report.problem for report in audit.verify(services.deployment.store))


def test_a_lost_root_of_ours_is_replaced_from_the_top_and_trusted_no_more(pnc: Services) -> None:
    plain = _contract(pnc, "DEXYZC00000002")
    old = Fingerprint.of(hosts.issuer_of(pnc, "mo-2.g1").certificate)
    case = _run(pnc, old.value)
    assert case.issuers == ("mo-2.g1", "mo1-2.g1", "mo2-2.g1")
    assert case.progress.replaced == 1
    anchors = {anchor.fingerprint for anchor in trust.anchors(pnc.deployment, ADMIN)}
    assert old not in anchors
    assert Fingerprint.of(hosts.issuer_of(pnc, "mo-2.g2").certificate) in anchors
    assert not _accepted(pnc, plain.chain)
    assert _accepted(pnc, _chain(pnc, _newest(pnc, "DEXYZC00000002")))


def test_a_lost_cps_signs_nothing_that_cars_are_given_afterwards(pnc: Services) -> None:
    car = _pooled(pnc)
    _run(pnc, _ca(pnc, "cps2-2.g1"))
    (answer,) = install(pnc.deployment, ADMIN, car.request(), Edition.ISO2).answers
    taken = car.accept(answer.exi)
    above = load(taken.provisioning_chain.sub_certificates[0])
    assert above.fingerprint.value == _ca(pnc, "cps2-2.g2")


def test_a_lost_leaf_is_renewed_where_its_contract_waits_in_the_pool(pnc: Services) -> None:
    _pooled(pnc)
    lost = _newest(pnc, POOLED)
    case = _run(pnc, lost.fingerprint.value)
    assert (case.issuers, case.progress.renewed) == ((), 1)
    with pnc.deployment.store.read() as tx:
        (bundle,) = tx.pools.bundles_of(lost.contract_id or "")
        assert tx.certificates.key_blocked(lost.spki_sha256)
    assert bundle.certificate != lost.fingerprint
    plain = _contract(pnc, "DEXYZC00000002").record
    case = _run(pnc, plain.fingerprint.value)
    assert dict(case.progress.left) == {"new_key_needed": 1}


def test_what_cannot_be_replaced_is_counted_and_holds_up_nobody(pnc: Services) -> None:
    from pki.revoke import revoke  # noqa: PLC0415

    held, gone, good = (_contract(pnc, f"DEXYZC0000000{n}").record for n in (2, 3, 4))
    revoke(pnc.deployment, ADMIN, held.fingerprint.value, Reason.CERTIFICATE_HOLD)
    revoke(pnc.deployment, ADMIN, gone.fingerprint.value, Reason.SUPERSEDED)
    case = _run(pnc, _ca(pnc, "mo2-2.g1"))
    assert dict(case.progress.left) == {"on_hold": 1}
    assert (case.progress.replaced, case.progress.earlier) == (1, 1)
    assert _newest(pnc, good.common_name).issuer_id == "mo2-2.g2"
    assert _newest(pnc, gone.common_name) == gone


def test_an_interrupted_run_is_repeated_and_replaces_nothing_twice(pnc: Services) -> None:
    for number in range(2, 9):
        _contract(pnc, f"DEXYZC0000000{number}")
    reference = _ca(pnc, "mo2-2.g1")
    emergency.strike(pnc.deployment, ADMIN, reference, LOST)
    broken = replace(pnc.deployment, keys=Failing(pnc, after=3))
    with pytest.raises(Unavailable):
        emergency.reissue(broken, ADMIN, reference)
    again = emergency.strike(pnc.deployment, ADMIN, reference, LOST)  # the same command once more
    case = emergency.reissue(pnc.deployment, ADMIN, again.reference)
    assert case.progress.replaced + case.progress.earlier == 7
    with pnc.deployment.store.read() as tx:
        made = tx.certificates.search(issuer_id="mo2-2.g2", kinds=(Kind.CONTRACT,), limit=100)
    assert len({record.common_name for record in made}) == len(made) == 7
    done: list[Progress] = []
    emergency.reissue(pnc.deployment, ADMIN, reference, progress=done.append)
    assert done == []
    told = [kind for kind, _, _ in _told(pnc) if kind == "mo.cert.replaced"]
    assert len(told) == 7


class Failing:
    """The real keys, which are lost after some signatures of the new CA."""

    def __init__(self, services: Services, *, after: int) -> None:
        self._keys = services.deployment.keys
        self._left = after

    def create(self, label: str, suite: Suite) -> Signer:
        return self._keys.create(label, suite)

    def signer(self, label: str) -> Signer:
        if label == "mo2-2.g2":
            self._left -= 1
            if self._left < 0:
                raise Unavailable("key_unavailable", "The token was pulled out.")
        return self._keys.signer(label)


def test_everybody_concerned_is_told_once(pnc: Services) -> None:
    _pooled(pnc)
    _contract(pnc, "DEXYZC00000002")
    reference = _ca(pnc, "mo2-2.g1")
    for _ in range(2):
        _run(pnc, reference)
    told = [(kind, party) for kind, party, _ in _told(pnc)]
    for expected in (
        ("mo.ca.revoked", "DEMOA"),
        ("mo.ca.revoked", "DEXYZ"),
        ("mo.cert.replaced", "DEMOA"),
        ("mo.cert.replaced", "DEXYZ"),
    ):
        assert told.count(expected) == 1


def test_a_foreign_root_is_distrusted_after_a_look_at_what_hangs_on_it(pnc: Services) -> None:
    anchor = trust.add(pnc.deployment, ADMIN, OTHER_ROOT.der, Domain.OEM)
    shown = emergency.distrust(pnc.deployment, ADMIN, anchor.fingerprint, dry_run=True)
    assert (shown.domains, shown.cars, shown.dry_run) == ((Domain.OEM,), 0, True)
    assert trust.find(pnc.deployment, ADMIN, anchor.fingerprint)
    emergency.distrust(pnc.deployment, ADMIN, anchor.fingerprint, dry_run=False)
    with pytest.raises(NotFound):
        trust.find(pnc.deployment, ADMIN, anchor.fingerprint)
    assert ("root.cert.revoked", "") in {(kind, party) for kind, party, _ in _told(pnc)}


def test_only_administrators_act_and_unknown_cases_are_named(pnc: Services) -> None:
    emsp = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",))
    reference = _ca(pnc, "mo2-2.g1")
    acts = (
        lambda: emergency.radius(pnc.deployment, emsp, reference, LOST),
        lambda: emergency.strike(pnc.deployment, emsp, reference, LOST),
        lambda: emergency.reissue(pnc.deployment, emsp, reference),
        lambda: emergency.replace_cas(pnc.deployment, emsp, reference),
    )
    for act in acts:
        with pytest.raises(PkiError) as caught:
            act()
        assert caught.value.code == "role_not_allowed"
    with pytest.raises(NotFound) as unknown:
        emergency.status(pnc.deployment, ADMIN, reference)
    assert unknown.value.code == "emergency_unknown"
