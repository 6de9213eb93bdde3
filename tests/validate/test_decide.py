"""The decision as a pure function: one test per fault, and the order of the questions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki.ids import Edition, Emaid, ProviderId
from pki.model import (
    EMAID_TOKEN_TYPE,
    Accepted,
    Account,
    CertificateStatus,
    Contract,
    ContractCheck,
    ContractEvidence,
    ContractState,
    DecisionPolicy,
    Domain,
    Evidence,
    Fault,
    OwnIssuer,
    Reason,
    Rejected,
    Status,
    StatusRule,
    Trust,
    TrustAnchor,
)
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.validate.decide import decide
from pki.validate.outcomes import OUTCOMES
from pki.validate.presented import read
from tests.builders import CA_USAGE, EMAID, NOW, YEAR, Chain, Spec, chain, make

ACCOUNT = Account(provider_id=ProviderId.parse("DEMOA"), name="Demo", created_at=NOW)


def _contract(
    state: ContractState = ContractState.ACTIVE, edition: Edition = Edition.ISO2
) -> Contract:
    emaid = Emaid.parse(EMAID, edition)
    return Contract(
        contract_id="c1",
        identifiers=(emaid,),
        account=emaid.provider,
        state=state,
        created_at=NOW,
    )


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A decision that is accepted unless a field says otherwise."""

    chain: Chain = field(default_factory=chain)
    presented: tuple[bytes, ...] | None = None
    token: str | None = EMAID
    contract: Contract | None = field(default_factory=_contract)
    account: Account | None = ACCOUNT
    ambiguous: bool = False
    domains: frozenset[Domain] = frozenset((Domain.MO,))
    rule: StatusRule | None = StatusRule.NOT_REQUIRED
    statuses: dict[int, CertificateStatus] = field(default_factory=dict)
    own: bool = False
    own_kind: Kind = Kind.MO_SUB_CA2
    now: dt.datetime = NOW
    unreadable: str | None = None
    strict: bool = False
    token_type: str = EMAID_TOKEN_TYPE

    def check(self) -> ContractCheck:
        if self.unreadable:
            return ContractCheck(unreadable=self.unreadable, token=self.token)
        return ContractCheck(
            chain=self.chain.presented if self.presented is None else self.presented,
            token=self.token,
            token_type=self.token_type,
        )

    def decide(self) -> Accepted | Rejected:
        made = (self.chain.leaf, *self.chain.sub_cas, self.chain.root)
        pool = tuple(
            OwnIssuer(issuer_id=f"i{at}", kind=self.own_kind, certificate=m.certificate)
            for at, m in enumerate(made[1:] if self.own else ())
        )
        anchor = TrustAnchor(certificate=self.chain.root.certificate, domains=self.domains)
        rules = {} if self.rule is None else dict.fromkeys(Domain, self.rule)
        check = self.check()
        return decide(
            read(check),
            check,
            Evidence(
                read_at=self.now,
                statuses={made[at].certificate.fingerprint: s for at, s in self.statuses.items()},
                contract=ContractEvidence(
                    contract=self.contract, account=self.account, ambiguous=self.ambiguous
                ),
            ),
            Trust(version=1, anchors=(anchor,), pool=pool),
            DecisionPolicy(status=rules, strict_check_digit=self.strict),
            self.now,
        )


def _fault(**scene: Any) -> Fault:
    verdict = Scene(**scene).decide()
    assert isinstance(verdict, Rejected), verdict
    return verdict.fault


def _status(status: Status, reason: Reason | None = None) -> CertificateStatus:
    return CertificateStatus(
        status=status, source="own", as_of=NOW, reason=reason, revoked_at=NOW if reason else None
    )


GOOD = _status(Status.GOOD)
GONE = _status(Status.REVOKED, Reason.KEY_COMPROMISE)


def test_accepts_a_good_contract() -> None:
    verdict = Scene().decide()
    assert isinstance(verdict, Accepted)
    assert verdict.account == ACCOUNT
    assert verdict.emaid == Emaid.parse(EMAID, Edition.ISO2)
    assert [c.question for c in verdict.checks if c.answer == "no"] == []


@pytest.mark.parametrize("suite", [Suite.P521, Suite.ED448])
def test_accepts_a_good_iso20_contract(suite: Suite) -> None:
    scene = Scene(chain=chain(suite=suite), contract=_contract(edition=Edition.ISO20))
    assert isinstance(scene.decide(), Accepted)


def test_accepts_a_chain_whose_sub_cas_stand_in_another_order() -> None:
    built = chain()
    first, second = built.sub_cas
    assert isinstance(
        Scene(chain=built, presented=(built.leaf.der, second.der, first.der)).decide(), Accepted
    )


def test_accepts_one_sub_ca() -> None:
    assert isinstance(Scene(chain=chain(sub_cas=1)).decide(), Accepted)


def test_a_verdict_has_no_truth_value() -> None:
    with pytest.raises(TypeError):
        bool(Scene().decide())


# --- parse -----------------------------------------------------------------------------------


def test_unreadable_certificates() -> None:
    assert _fault(presented=(b"\x30\x03garbage",)) is Fault.UNREADABLE
    assert _fault(presented=()) is Fault.UNREADABLE
    assert _fault(unreadable="unreadable: no PEM") is Fault.UNREADABLE


def test_too_many_certificates() -> None:
    built = chain()
    assert _fault(presented=(built.leaf.der,) * 11) is Fault.TOO_MANY_CERTIFICATES


def test_duplicate_certificate() -> None:
    built = chain()
    twice = (*built.presented, built.sub_cas[0].der)
    assert _fault(chain=built, presented=twice) is Fault.DUPLICATE_CERTIFICATE


def test_leaf_not_first() -> None:
    built = chain()
    turned = tuple(reversed(built.presented))
    assert _fault(chain=built, presented=turned) is Fault.LEAF_NOT_FIRST


def test_leaf_is_ca() -> None:
    built = chain()
    assert _fault(chain=built, presented=built.presented[1:]) is Fault.LEAF_IS_CA
    assert _fault(chain=chain(leaf={"ca": True})) is Fault.LEAF_IS_CA


# --- path ------------------------------------------------------------------------------------


def test_no_path_without_the_sub_ca() -> None:
    built = chain()
    assert _fault(chain=built, presented=(built.leaf.der,)) is Fault.NO_PATH


def test_signature_invalid_for_a_twin() -> None:
    assert _fault(chain=chain(), presented=chain().presented) is Fault.SIGNATURE_INVALID


def test_issuer_is_leaf() -> None:
    lowest = {"ca": False, "key_usage": ("digital_signature",)}
    assert _fault(chain=chain(lowest=lowest)) is Fault.ISSUER_IS_LEAF


def test_issuer_not_ca() -> None:
    assert _fault(chain=chain(lowest={"key_usage": ("crl_sign",)})) is Fault.ISSUER_NOT_CA


def test_path_length() -> None:
    assert _fault(chain=chain(highest={"path_length": 0})) is Fault.PATH_LENGTH


# --- role and profile ------------------------------------------------------------------------


@pytest.mark.parametrize("component", ["CPO", "CPS", "OEM", "oem", " CPO", "cpo "])
def test_wrong_role_by_domain_component(component: str) -> None:
    assert _fault(chain=chain(leaf={"domain_component": component})) is Fault.WRONG_ROLE


def test_wrong_role_by_anchor() -> None:
    assert _fault(domains=frozenset((Domain.OEM, Domain.PE))) is Fault.WRONG_ROLE


def test_wrong_role_by_our_own_issuer() -> None:
    statuses = dict.fromkeys(range(4), GOOD)
    scene = {"own": True, "own_kind": Kind.CPO_SUB_CA2, "statuses": statuses}
    assert _fault(**scene) is Fault.WRONG_ROLE


def test_wrong_role_for_an_ocsp_signer() -> None:
    leaf = {"extended_key_usage": ("1.3.6.1.5.5.7.3.9",)}
    assert _fault(chain=chain(leaf=leaf)) is Fault.WRONG_ROLE


RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.mark.parametrize(
    "overrides",
    [
        {"leaf": {"common_names": ()}},
        {"leaf": {"common_names": (EMAID, EMAID)}},
        {"leaf": {"common_name": "DE*ABC*E1"}},
        {"leaf": {"common_name": "DEMOAC1234567\u0661"}},
        {"leaf": {"key_usage": ("key_agreement",)}},
        {"leaf": {"key_usage": ("digital_signature", "key_cert_sign")}},
        {"leaf": {"extended_key_usage": ("1.3.6.1.5.5.7.3.2",)}},
        {"leaf": {"key": ec.generate_private_key(ec.SECP256K1())}},
        {"leaf": {"key": RSA}},
        {"lowest": {"key": RSA}},
        {"sub_cas": 0},
        {"sub_cas": 3},
    ],
    ids=[
        "no common name",
        "two common names",
        "not an EMAID",
        "a digit that is not ASCII",
        "no digitalSignature",
        "keyCertSign",
        "extendedKeyUsage",
        "curve outside the profile",
        "RSA leaf",
        "RSA issuer",
        "no sub-CA",
        "three sub-CAs",
    ],
)
def test_profile(overrides: dict[str, Any]) -> None:
    assert _fault(chain=chain(**overrides)) is Fault.PROFILE


def test_iso20_needs_key_usage_and_iso2_only_notes_its_absence() -> None:
    leaf = {"key_usage": None}
    verdict = Scene(chain=chain(leaf=leaf)).decide()
    assert isinstance(verdict, Accepted)
    assert any(c.answer == "note" and "keyUsage" in c.detail for c in verdict.checks)
    assert _fault(chain=chain(suite=Suite.ED448, leaf=leaf)) is Fault.PROFILE


def test_three_sub_cas_are_a_profile_fault_below_a_root_but_not_below_a_sub_ca_anchor() -> None:
    built = chain(sub_cas=3)
    assert _fault(chain=built) is Fault.PROFILE
    below = Chain(leaf=built.leaf, sub_cas=built.sub_cas[:2], root=built.sub_cas[2])
    assert isinstance(Scene(chain=below).decide(), Accepted)


# --- dates -----------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["leaf", "lowest", "highest", "root"])
def test_not_yet_valid_applies_to_every_certificate(level: str) -> None:
    late: dict[str, Any] = {level: {"not_before": NOW + dt.timedelta(seconds=1)}}
    built = chain(**late)
    assert _fault(chain=built) is Fault.NOT_YET_VALID


@pytest.mark.parametrize("level", ["leaf", "lowest", "highest", "root"])
def test_expired_applies_to_every_certificate(level: str) -> None:
    early: dict[str, Any] = {level: {"not_after": NOW - dt.timedelta(seconds=1)}}
    built = chain(**early)
    verdict = Scene(chain=built).decide()
    assert isinstance(verdict, Rejected)
    assert verdict.fault is Fault.EXPIRED
    assert "ended at 2026-06-01T11:59:59Z" in verdict.explanation


def test_the_last_second_is_still_valid() -> None:
    assert isinstance(Scene(chain=chain(leaf={"not_after": NOW})).decide(), Accepted)


@pytest.mark.parametrize(("suite", "days"), [(Suite.P256, 21), (Suite.P521, 14)])
def test_expires_soon(suite: Suite, days: int) -> None:
    edition = suite.edition
    for more, soon in ((0, True), (1, False)):
        end = NOW + dt.timedelta(days=days, seconds=more)
        scene = Scene(
            chain=chain(suite=suite, leaf={"not_after": end}), contract=_contract(edition=edition)
        )
        verdict = scene.decide()
        assert isinstance(verdict, Accepted)
        assert verdict.expires_soon is soon


# --- EMAID -----------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["de-moa-c12345678", "DEMOAC12345678", None, "DEMOAC12345678Z"])
def test_the_emaid_is_compared_after_normalising(token: str | None) -> None:
    assert isinstance(Scene(token=token).decide(), Accepted)


@pytest.mark.parametrize("token", ["DEMOAC12345679", "garbage", "", "DEMOAC1234567\u0668"])
def test_emaid_mismatch(token: str) -> None:
    assert _fault(token=token) is Fault.EMAID_MISMATCH


@pytest.mark.parametrize("kind", ["ISO14443", "KeyCode", "Local", "NoAuthorization", ""])
def test_a_token_of_another_type_is_not_accepted_for_the_chain_beside_it(kind: str) -> None:
    """C07.FR.01; a station keeps in its cache that this card or PIN was accepted."""
    assert _fault(token="04A23BC1", token_type=kind) is Fault.EMAID_MISMATCH
    assert _fault(token=EMAID, token_type=kind) is Fault.EMAID_MISMATCH


def test_a_wrong_check_digit_is_a_note_unless_the_operator_is_strict() -> None:
    built = chain(leaf={"common_name": EMAID + "Z"})
    verdict = Scene(chain=built).decide()
    assert isinstance(verdict, Accepted)
    assert any(c.answer == "note" and "check digit" in c.detail for c in verdict.checks)
    assert _fault(chain=built, strict=True) is Fault.EMAID_MISMATCH


def test_emaid_ambiguous_for_a_plain_token() -> None:
    check = ContractCheck(token=EMAID)
    verdict = decide(
        read(check),
        check,
        Evidence(read_at=NOW, contract=ContractEvidence(ambiguous=True)),
        Trust(version=1, anchors=()),
        DecisionPolicy(),
        NOW,
    )
    assert isinstance(verdict, Rejected)
    assert verdict.fault is Fault.EMAID_AMBIGUOUS
    assert not verdict.with_chain


def test_a_token_alone_keeps_every_question_in_its_place() -> None:
    contract = _contract()
    check = ContractCheck(token=EMAID)
    verdict = decide(
        read(check),
        check,
        Evidence(read_at=NOW, contract=ContractEvidence(contract=contract, account=ACCOUNT)),
        Trust(version=1, anchors=()),
        DecisionPolicy(),
        NOW,
    )
    assert isinstance(verdict, Accepted)
    with_chain = Scene().decide()
    assert isinstance(with_chain, Accepted)
    questions = [c.question for c in verdict.checks if c.answer != "note"]
    assert questions == [c.question for c in with_chain.checks if c.answer != "note"]
    not_asked = {c.question for c in verdict.checks if c.answer == "not_asked"}
    assert not_asked == {*questions} - {"emaid", "contract", "account"}


# --- status ----------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_revoked_applies_to_every_certificate(at: int) -> None:
    statuses = dict.fromkeys(range(4), GOOD) | {at: GONE}
    assert _fault(own=True, statuses=statuses) is Fault.REVOKED


def test_status_missing_for_a_foreign_chain_by_default() -> None:
    assert _fault(rule=None) is Fault.STATUS_MISSING
    assert _fault(rule=StatusRule.REQUIRED) is Fault.STATUS_MISSING


def test_the_strictest_rule_of_an_anchor_in_two_domains_counts() -> None:
    built = chain()
    anchor = TrustAnchor(
        certificate=built.root.certificate, domains=frozenset((Domain.MO, Domain.V2G))
    )
    check = ContractCheck(chain=built.presented)
    verdict = decide(
        read(check),
        check,
        Evidence(read_at=NOW),
        Trust(version=1, anchors=(anchor,)),
        DecisionPolicy(status={Domain.MO: StatusRule.NOT_REQUIRED}),
        NOW,
    )
    assert isinstance(verdict, Rejected)
    assert verdict.fault is Fault.STATUS_MISSING


def test_status_missing_for_a_certificate_that_our_own_ca_never_issued() -> None:
    statuses = dict.fromkeys((1, 2, 3), GOOD)
    assert _fault(own=True, statuses=statuses) is Fault.STATUS_MISSING


def test_a_policy_that_does_not_ask_foreign_status_says_so() -> None:
    verdict = Scene(rule=StatusRule.NOT_REQUIRED).decide()
    answers = {c.question: c.answer for c in verdict.checks}
    assert answers["status_known"] == "not_asked"
    assert {p.status.status for p in verdict.path} == {Status.NOT_ASKED}


def test_i8_accepted_implies_evidence_for_every_certificate_where_status_is_required() -> None:
    statuses = dict.fromkeys(range(4), GOOD)
    verdict = Scene(own=True, rule=StatusRule.REQUIRED, statuses=statuses).decide()
    assert isinstance(verdict, Accepted)
    assert {p.status.status for p in verdict.path} == {Status.GOOD}


# --- contract and account --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "fault"),
    [
        (ContractState.BLOCKED, Fault.CONTRACT_BLOCKED),
        (ContractState.SUSPENDED, Fault.CONTRACT_SUSPENDED),
        (ContractState.ENDED, Fault.CONTRACT_ENDED),
    ],
)
def test_contract_states(state: ContractState, fault: Fault) -> None:
    assert _fault(contract=_contract(state)) is fault


def test_contract_unknown_and_account_unknown() -> None:
    assert _fault(contract=None) is Fault.CONTRACT_UNKNOWN
    assert _fault(account=None) is Fault.ACCOUNT_UNKNOWN


# --- order, explanation, totality --------------------------------------------------------------


def test_the_first_no_is_the_fault_in_the_fixed_order() -> None:
    """Take away one defect after the other; the next question in the order then speaks."""
    bad: dict[str, Any] = {
        "contract": None,
        "account": None,
        "token": "DEMOAC99999999",
        "statuses": {1: GONE},
        "rule": StatusRule.REQUIRED,
    }
    late = {"not_before": NOW + YEAR / 2, "not_after": NOW + YEAR}
    early = {"not_before": NOW - YEAR, "not_after": NOW - YEAR / 2}
    steps: list[tuple[dict[str, Any], Fault]] = [
        ({"chain": chain(leaf=late | {"domain_component": "CPO"}, lowest=early)}, Fault.WRONG_ROLE),
        ({"chain": chain(leaf=late, lowest=early)}, Fault.NOT_YET_VALID),
        ({"chain": chain(lowest=early)}, Fault.EXPIRED),
        ({"chain": chain()}, Fault.EMAID_MISMATCH),
        ({"token": EMAID}, Fault.REVOKED),
        ({"statuses": {}}, Fault.STATUS_MISSING),
        ({"rule": StatusRule.NOT_REQUIRED}, Fault.CONTRACT_UNKNOWN),
        ({"contract": _contract()}, Fault.ACCOUNT_UNKNOWN),
    ]
    for better, fault in steps:
        bad |= better
        assert _fault(**bad) is fault


def test_every_fault_has_its_outcome_and_its_sentence() -> None:
    assert set(OUTCOMES) == set(Fault)
    for outcome in OUTCOMES.values():
        assert outcome.meaning[0].isupper()


def test_deciding_twice_gives_the_same_verdict() -> None:
    scene = Scene(rule=StatusRule.REQUIRED)
    assert scene.decide() == scene.decide()


def test_an_attackers_anchor_of_the_same_name_changes_nothing() -> None:
    built = chain()
    twin_root = make(Spec(common_name="MO Root", key_usage=CA_USAGE))
    scene = Scene(chain=replace(built, root=twin_root))
    verdict = scene.decide()
    assert isinstance(verdict, Rejected)
    assert verdict.fault is Fault.SIGNATURE_INVALID
