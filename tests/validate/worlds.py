"""A hierarchy under which one leaf was accepted already, so that the next take the quick way."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from pki.model import (
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
    OwnIssuer,
    Rejected,
    Status,
    Trust,
    TrustAnchor,
)
from pki.pkix.certificate import Certificate
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.validate.decide import decide
from pki.validate.presented import LEAVES, Presented
from pki.validate.profile import emaid_of
from tests.builders import CONTRACT_USAGE, NOW, Chain, Made, Spec, chain, make

POLICY: Final = DecisionPolicy()


@dataclass(frozen=True)
class World:
    """A hierarchy of ours under which one leaf was accepted already."""

    made: Chain
    trust: Trust
    good: CertificateStatus

    @property
    def issuer(self) -> Made:
        return self.made.sub_cas[0]

    @property
    def suite(self) -> Suite:
        return self.made.leaf.certificate.suite or Suite.P256

    def leaf(self, **more: Any) -> bytes:
        name = "DEMOAC00000007" if self.suite is Suite.P256 else "DEMOAC00000007X"
        spec = Spec(common_name=name, suite=self.suite, ca=False, key_usage=CONTRACT_USAGE)
        return make(replace(spec, **more), self.issuer).der

    def quick_leaf(self) -> Certificate:
        """Return a leaf whose shape, path and usual verdict are known."""
        for _ in range(3):  # the first shows its shape and path, the next what is said of it
            assert isinstance(self.decide(LEAVES.read(self.leaf())), Accepted)
        return LEAVES.read(self.leaf())

    def presented(self, leaf: Certificate) -> tuple[Certificate, ...]:
        return (leaf, *(made.certificate for made in self.made.sub_cas))

    def check(self, leaf: Certificate, token: str | None = None) -> ContractCheck:
        return ContractCheck(chain=tuple(c.der for c in self.presented(leaf)), token=token)

    def evidence(self, leaf: Certificate) -> Evidence:
        known = (*self.presented(leaf), self.made.root.certificate)
        return Evidence(
            read_at=NOW,
            statuses={c.fingerprint: self.good for c in known},
            contract=contract_of(leaf),
        )

    def decide(
        self,
        leaf: Certificate,
        *,
        trust: Trust | None = None,
        now: dt.datetime = NOW,
        evidence: Evidence | None = None,
        check: ContractCheck | None = None,
        policy: DecisionPolicy = POLICY,
    ) -> Accepted | Rejected:
        return decide(
            Presented(certificates=self.presented(leaf)),
            check or self.check(leaf),
            evidence or self.evidence(leaf),
            trust or self.trust,
            policy,
            now,
        )


def contract_of(leaf: Certificate) -> ContractEvidence:
    """Return an active contract and its account, where the leaf names one."""
    emaid = emaid_of(leaf)
    if emaid is None:
        return ContractEvidence()
    contract = Contract(
        contract_id="1",
        identifiers=(emaid,),
        account=emaid.provider,
        state=ContractState.ACTIVE,
        created_at=NOW,
    )
    account = Account(provider_id=emaid.provider, name="Demo Mobility", created_at=NOW)
    return ContractEvidence(contract=contract, account=account)


def trust_in(made: Chain, version: int = 1) -> Trust:
    kinds = (Kind.MO_SUB_CA2, Kind.MO_SUB_CA1)
    return Trust(
        version=version,
        anchors=(TrustAnchor(certificate=made.root.certificate, domains=frozenset((Domain.MO,))),),
        pool=tuple(
            OwnIssuer(issuer_id=f"ca{at}", kind=kind, certificate=ca.certificate)
            for at, (kind, ca) in enumerate(zip(kinds, made.sub_cas, strict=True))
        ),
    )


@cache
def world_of(suite: Suite) -> World:
    name = {} if suite is Suite.P256 else {"common_name": "DEMOAC12345678X"}
    made = chain(suite=suite, leaf=name)
    good = CertificateStatus(status=Status.GOOD, source="own", as_of=NOW)
    found = World(made, trust_in(made), good)
    assert isinstance(found.decide(made.leaf.certificate), Accepted)
    return found
