"""The decision with a store: hash data, tokens, receipts, and who may ask."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import replace
from typing import Literal

import pytest

from pki import contracts, trust, validate
from pki.access import Action
from pki.clock import FixedClock
from pki.errors import NotAllowed, NotFound
from pki.ids import Edition, SerialNumber
from pki.issue import IssueRequest, issue, linted_twin
from pki.model import (
    Accepted,
    ContractCheck,
    ContractState,
    Domain,
    Fault,
    HashData,
    Principal,
    Reason,
    Rejected,
    Role,
    StatusRule,
)
from pki.pkix.certificate import load
from pki.pkix.hashes import issuer_hashes, public_key_octets
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite, generate
from pki.revoke import revoke
from pki.services import Services
from pki.validate import frame
from tests.builders import NOW, YEAR
from tests.builders import chain as built
from tests.homes import ADMIN, EMAID

Algorithm = Literal["SHA256", "SHA384", "SHA512"]
CPO = Principal(name="cpo-1", role=Role.CPO, parties=("DECPA",))


def _issue(services: Services, emaid: str = EMAID) -> tuple[bytes, ...]:
    request = IssueRequest(kind=Kind.CONTRACT, common_name=emaid)
    return issue(services.deployment, ADMIN, request).chain


def _hash_data(chain: tuple[bytes, ...], root: bytes, algorithm: Algorithm) -> list[HashData]:
    certificates = [load(der) for der in (*chain, root)]
    issuers = [*certificates[1:], certificates[-1]]
    return [
        HashData(
            algorithm=algorithm,
            issuer_name_hash=hashlib.new(algorithm, issuer.subject).digest(),
            issuer_key_hash=hashlib.new(algorithm, public_key_octets(issuer.spki)).digest(),
            serial=SerialNumber.from_int(certificate.serial),
        )
        for certificate, issuer in zip(certificates, issuers, strict=True)
    ]


def _root(services: Services) -> bytes:
    with services.deployment.store.read() as tx:
        found = tx.issuers.active("mo-2")
    assert found is not None
    return found.certificate


def _fault(services: Services, check: ContractCheck) -> Fault | None:
    verdict = validate.validate(services.deployment, CPO, check, action=Action.AUTHORIZE).verdict
    return verdict.fault if isinstance(verdict, Rejected) else None


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_hash_data_name_a_contract_of_ours(
    small: Services, algorithm: Algorithm, count: int
) -> None:
    items = _hash_data(_issue(small), _root(small), algorithm)[:count]
    check = ContractCheck(hash_data=tuple(reversed(items)), token=EMAID)
    assert _fault(small, check) is None


def test_hash_data_unknown(small: Services) -> None:
    chain, root = _issue(small), _root(small)
    leaf, sub, *_ = _hash_data(chain, root, "SHA256")
    for wrong in (
        replace(leaf, serial=SerialNumber.from_int(77)),
        replace(leaf, issuer_key_hash=bytes(32)),
        replace(leaf, issuer_name_hash=bytes(32)),
        replace(leaf, algorithm="SHA512"),
    ):
        assert _fault(small, ContractCheck(hash_data=(wrong,), token=EMAID)) is (
            Fault.HASH_DATA_UNKNOWN
        )
        assert _fault(small, ContractCheck(hash_data=(wrong, sub), token=EMAID)) is (
            Fault.HASH_DATA_UNKNOWN
        )


def test_hash_data_of_two_contracts_are_no_path(small: Services) -> None:
    one = _hash_data(_issue(small), _root(small), "SHA256")[0]
    other = _hash_data(_issue(small, "DEMOAC00000001"), _root(small), "SHA256")[0]
    assert _fault(small, ContractCheck(hash_data=(one, other))) is Fault.HASH_DATA_UNKNOWN


def test_hash_data_are_tied_to_the_emaid_and_to_revocation(small: Services) -> None:
    chain = _issue(small)
    leaf = _hash_data(chain, _root(small), "SHA256")[0]
    other = ContractCheck(hash_data=(leaf,), token="DEMOAC00000009")
    assert _fault(small, other) is Fault.EMAID_MISMATCH
    revoke(small.deployment, ADMIN, leaf.serial.value, Reason.SUPERSEDED)
    assert _fault(small, ContractCheck(hash_data=(leaf,), token=EMAID)) is Fault.REVOKED


def test_hash_data_of_a_ca_are_no_contract(small: Services) -> None:
    sub = _hash_data(_issue(small), _root(small), "SHA256")[1]
    assert _fault(small, ContractCheck(hash_data=(sub,))) is Fault.LEAF_IS_CA


def test_the_chain_decides_over_hash_data(small: Services) -> None:
    chain = _issue(small)
    leaf = _hash_data(chain, _root(small), "SHA256")[0]
    wrong = replace(leaf, issuer_key_hash=bytes(32))
    assert _fault(small, ContractCheck(chain=chain, hash_data=(wrong,), token=EMAID)) is None


@pytest.mark.parametrize("most", [0, 1000], ids=["asked for each time", "kept"])
@pytest.mark.parametrize("place", ["leaf", "lower sub-CA", "upper sub-CA", "anchor"])
def test_a_blocked_key_is_refused_whoever_certified_it(
    small: Services, place: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame, "MOST_LISTED", most)
    key = generate(Suite.P256)
    foreign = built(leaf={"key": key}, root={"not_after": NOW + 10 * YEAR})
    trust.add(small.deployment, ADMIN, foreign.root.der, Domain.MO)
    trust.set_rule(small.deployment, ADMIN, Domain.MO, StatusRule.NOT_REQUIRED)
    contracts.add(small.deployment, ADMIN, EMAID)
    check = ContractCheck(chain=foreign.presented)

    def fault() -> Fault | None:
        verdict = validate.validate(small.deployment, CPO, check, at=NOW).verdict
        return verdict.fault if isinstance(verdict, Rejected) else None

    assert fault() is None
    made = {"leaf": foreign.leaf, "anchor": foreign.root}
    made |= dict(zip(("lower sub-CA", "upper sub-CA"), foreign.sub_cas, strict=True))
    with small.deployment.store.write() as tx:
        digest = hashlib.sha256(made[place].certificate.spki).digest()
        tx.certificates.block_key(digest, NOW, "told by the eMSP")
    assert fault() is Fault.REVOKED


def test_the_key_hash_is_that_of_rfc_6960(small: Services) -> None:
    issuer = load(_issue(small)[1])
    name, key = issuer_hashes(issuer, "sha256")
    assert name == hashlib.sha256(issuer.subject).digest()
    bits = issuer.spki[issuer.spki.index(b"\x03\x42\x00\x04") + 3 :]
    assert key == hashlib.sha256(bits).digest()


def test_a_bare_token_is_looked_up_as_iso2_first_then_as_iso20(small: Services) -> None:
    contracts.add(small.deployment, ADMIN, "DEMOAC00000001")
    contracts.add(small.deployment, ADMIN, "DEMOAC00000002X", edition=Edition.ISO20)
    contracts.add(small.deployment, ADMIN, "DEMOAC0000000345678901", edition=Edition.ISO20)
    for token in ("DE-MOA-C00000001", "demoac00000001x", "DEMOAC00000002X"):
        assert _fault(small, ContractCheck(token=token)) is None
    assert _fault(small, ContractCheck(token="DEMOAC0000000345678901")) is None
    assert _fault(small, ContractCheck(token="DEMOAC00000002")) is Fault.CONTRACT_UNKNOWN
    iso2 = ContractCheck(token="DEMOAC00000002X", edition=Edition.ISO2)
    assert _fault(small, iso2) is Fault.CONTRACT_UNKNOWN


@pytest.mark.parametrize("kind", ["ISO14443", "Central", "NoAuthorization"])
def test_tokens_of_other_types_name_no_contract(small: Services, kind: str) -> None:
    _issue(small)
    assert _fault(small, ContractCheck(token=EMAID, token_type=kind)) is Fault.CONTRACT_UNKNOWN


def test_the_receipt_holds_inputs_and_result(anywhere: Services) -> None:
    chain = _issue(anywhere)
    check = ContractCheck(chain=chain, token=EMAID, evse_id="DE*CPA*E1", station_id="s1")
    decision = validate.validate(anywhere.deployment, CPO, check)
    assert isinstance(decision.verdict, Accepted)
    with anywhere.deployment.store.read() as tx:
        receipt = tx.decisions.get(decision.decision_id)
    assert receipt is not None
    assert (receipt.accepted, receipt.emaid, receipt.asked_by) == (True, EMAID, "cpo-1")
    record = json.loads(receipt.record)
    assert record["check"]["evseId"] == "DE*CPA*E1"
    assert len(record["chain"]) == 3
    assert {s["status"] for s in record["statuses"].values()} == {"good"}
    assert record["verdict"]["accepted"] is True


def _cases(services: Services) -> list[ContractCheck]:
    chain = _issue(services)
    revoked = _issue(services, "DEMOAC00000005")
    revoke(
        services.deployment,
        ADMIN,
        SerialNumber.from_int(load(revoked[0]).serial).value,
        Reason.KEY_COMPROMISE,
    )
    leaf, *_ = _hash_data(chain, _root(services), "SHA384")
    return [
        ContractCheck(chain=chain, token=EMAID, evse_id="DE*CPA*E1"),
        ContractCheck(chain=chain[:1]),
        ContractCheck(chain=tuple(reversed(chain))),
        ContractCheck(chain=(chain[0], chain[0])),
        ContractCheck(chain=(b"garbage",)),
        ContractCheck(chain=()),
        ContractCheck(chain=revoked),
        ContractCheck(chain=chain, token="DEMOAC99999999"),
        ContractCheck(hash_data=(leaf,), token=EMAID),
        ContractCheck(hash_data=(replace(leaf, issuer_key_hash=bytes(48)),)),
        ContractCheck(token=EMAID),
        ContractCheck(token="nonsense"),
        ContractCheck(token="04AB", token_type="ISO14443"),
        ContractCheck(unreadable="too_many_certificates: 50, more than 10"),
    ]


def test_i7_a_decision_can_be_replayed_from_its_receipt(anywhere: Services) -> None:
    """Whatever changes afterwards: trust, states, revocations."""
    ids = [
        validate.validate(anywhere.deployment, CPO, check).decision_id for check in _cases(anywhere)
    ]
    contracts.set_state(anywhere.deployment, ADMIN, EMAID, ContractState.BLOCKED)
    with anywhere.deployment.store.read() as tx:
        anchors = tx.trust.anchors()
        sub = tx.certificates.search(kinds=(Kind.MO_SUB_CA1,))[0]
    for anchor in anchors:
        trust.remove(anywhere.deployment, ADMIN, anchor.fingerprint)
    revoke(anywhere.deployment, ADMIN, sub.serial.value, Reason.CA_COMPROMISE)
    for decision_id in ids:
        found = validate.replay(anywhere.deployment, ADMIN, decision_id)
        assert found.same, (found.recorded, found.replayed)


def test_receipts_are_pruned_by_age(small: Services) -> None:
    decision = validate.validate(small.deployment, CPO, ContractCheck(token=EMAID))
    assert validate.prune(small.deployment, dt.timedelta(days=1)) == 0
    later = FixedClock(small.deployment.clock.now() + dt.timedelta(days=2))
    assert validate.prune(replace(small.deployment, clock=later), dt.timedelta(days=1)) == 1
    with pytest.raises(NotFound):
        validate.find(small.deployment, ADMIN, decision.decision_id)


def test_an_emsp_learns_of_its_own_contracts_only(small: Services) -> None:
    chain = _issue(small)
    own = Principal(name="e1", role=Role.EMSP, parties=("DEMOA",))
    other = Principal(name="e2", role=Role.EMSP, parties=("FRMOB",))
    check = ContractCheck(chain=chain)
    assert isinstance(validate.validate(small.deployment, own, check).verdict, Accepted)
    with pytest.raises(NotAllowed):
        validate.validate(small.deployment, other, check)
    with small.deployment.store.read() as tx:
        before = tx.decisions
        assert before is not None
    garbage = validate.validate(
        small.deployment, other, ContractCheck(unreadable="unreadable: no PEM")
    )
    assert isinstance(garbage.verdict, Rejected)
    with pytest.raises(NotAllowed):
        validate.validate(small.deployment, own, check, action=Action.AUTHORIZE)


def test_a_state_is_seen_by_the_next_decision(small: Services) -> None:
    check = ContractCheck(chain=_issue(small))
    told = {
        ContractState.BLOCKED: Fault.CONTRACT_BLOCKED,
        ContractState.SUSPENDED: Fault.CONTRACT_SUSPENDED,
        ContractState.ENDED: Fault.CONTRACT_ENDED,
        ContractState.ACTIVE: None,
    }
    for state, fault in told.items():
        contracts.set_state(small.deployment, ADMIN, EMAID, state)
        assert _fault(small, check) is fault


def test_i6_what_is_signed_is_what_was_linted(small: Services) -> None:
    """The stored intent's to-be-signed bytes are those of the certificate, and lint clean."""
    from pki.issue.order import place  # noqa: PLC0415

    chain = _issue(small)
    with small.deployment.store.read() as tx:
        record = tx.certificates.search(kinds=(Kind.CONTRACT,))[0]
        intent = tx.intents.get(record.intent_id)
    assert intent is not None
    assert load(chain[0]).x509.tbs_certificate_bytes == intent.tbs
    request = IssueRequest(kind=Kind.CONTRACT, common_name=EMAID)
    order = place(small.deployment, ADMIN, request).order
    assert linted_twin(small.deployment, order, record.serial)


def test_a_token_that_is_no_unicode_is_refused_with_a_receipt(small: Services) -> None:
    decision = validate.validate(small.deployment, ADMIN, ContractCheck(token="DEMOA\udcff"))
    assert isinstance(decision.verdict, Rejected)
    assert validate.replay(small.deployment, ADMIN, decision.decision_id).same
