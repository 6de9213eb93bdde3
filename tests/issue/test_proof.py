"""Which signatures of a CA are verified before certificates are stored, and what that sees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from pki import lookup
from pki.errors import PkiError, Unavailable
from pki.ids import SerialNumber
from pki.issue import IssueRequest, issue_many
from pki.issue.order import place
from pki.issue.phases import _intent
from pki.issue.proof import SHARE, Signed, proven
from pki.model import IntentState
from pki.pkix.profiles import Kind
from pki.pkix.suites import PublicKey, Suite
from pki.ports import Deployment, Signer
from pki.services import Services
from tests.homes import ADMIN
from tests.issue.test_issue import csr

GROUP = 5


@dataclass(slots=True)
class FaultySigner:
    """A signer that signs something else where it is told to; `told` gets the count so far."""

    real: Signer
    wrong: Callable[[int], bool]
    soft: bool
    count: int = 0

    @property
    def suite(self) -> Suite:
        return self.real.suite

    @property
    def public_key(self) -> PublicKey:
        return self.real.public_key

    @property
    def quick(self) -> bool:
        return self.soft

    def sign(self, data: bytes) -> bytes:
        self.count += 1
        return self.real.sign(data + b"x" if self.wrong(self.count - 1) else data)


@dataclass(slots=True)
class FaultyKeys:
    services: Services
    wrong: Callable[[int], bool]
    soft: bool = True
    made: FaultySigner | None = None

    def create(self, label: str, suite: Suite) -> Signer:
        return self.services.deployment.keys.create(label, suite)

    def signer(self, label: str) -> Signer:
        if self.made is None:
            real = self.services.deployment.keys.signer(label)
            self.made = FaultySigner(real, self.wrong, self.soft)
        return self.made


def issued(deployment: Deployment) -> list[str]:
    wanted = [
        (ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr(f"DEMOAC0000000{n}")))
        for n in range(GROUP)
    ]
    return [o.code if isinstance(o, PkiError) else "" for o in issue_many(deployment, wanted)]


@pytest.mark.parametrize("each", [False, True], ids=["share", "each"])
def test_a_fault_that_stays_is_seen_in_its_first_group(small: Services, each: bool) -> None:  # noqa: FBT001 - the rule
    keys = FaultyKeys(small, lambda n: n >= 1)
    deployment = replace(small.deployment, keys=keys, prove_each=each)
    assert issued(deployment) == ["signature_not_proven"] * GROUP
    left = lookup.intents(small.deployment, ADMIN)
    assert {intent.state for intent in left} == {IntentState.SIGNING}
    with small.deployment.store.read() as tx:
        assert tx.certificates.search(kinds=(Kind.CONTRACT,)) == []


@pytest.mark.parametrize(("soft", "each"), [(True, True), (False, False)], ids=["each", "token"])
@pytest.mark.parametrize("at", range(GROUP))
def test_every_fault_is_seen_of_a_token_and_where_each_is_proven(
    small: Services,
    at: int,
    soft: bool,  # noqa: FBT001 - the case
    each: bool,  # noqa: FBT001 - the case
) -> None:
    keys = FaultyKeys(small, lambda n: n == at, soft)
    deployment = replace(small.deployment, keys=keys, prove_each=each)
    assert issued(deployment) == ["signature_not_proven"] * GROUP


def test_of_a_software_key_one_of_many_is_proven_by_its_serial(small: Services) -> None:
    deployment = small.deployment
    order = place(deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr())).order
    key = deployment.keys.signer(order.issuer.key_label)
    good = _intent(deployment, ADMIN, order)

    def group(serial: int) -> list[Signed]:
        first = replace(good, serial=SerialNumber.from_int(serial))
        return [
            Signed(order, first, key.sign(b"something else")),
            Signed(order, good, key.sign(good.tbs)),
        ]

    assert len(proven(deployment, group(SHARE * 1000 + 1))) == 2
    with pytest.raises(Unavailable, match="does not verify"):
        proven(deployment, group(SHARE * 1000))
