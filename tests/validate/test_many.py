"""Many decisions at once are those that each would have been alone, with a receipt each."""

from __future__ import annotations

import json

from pki import access, validate
from pki.errors import NotAllowed
from pki.issue import IssueRequest, issue
from pki.model import (
    Accepted,
    ContractCheck,
    Fault,
    Principal,
    Reason,
    Rejected,
    Role,
)
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.revoke import revoke
from pki.services import Services
from pki.validate import Asked, Decided
from tests.homes import ADMIN, EMAID

OTHER = "DEMOAC00000002"
EMSP = Principal(name="emsp", role=Role.EMSP, parties=("DEXYZ",))


def _chain(services: Services, emaid: str) -> tuple[bytes, ...]:
    request = IssueRequest(kind=Kind.CONTRACT, common_name=emaid)
    return issue(services.deployment, ADMIN, request).chain


def _asked(chain: tuple[bytes, ...], principal: Principal = ADMIN) -> Asked:
    action = access.Action.VALIDATE
    return Asked(principal=principal, check=ContractCheck(chain=chain), action=action)


def test_each_gets_its_own_verdict_and_a_receipt_that_replays(anywhere: Services) -> None:
    good, revoked = _chain(anywhere, EMAID), _chain(anywhere, OTHER)
    serial = load(revoked[0]).serial_number.value
    revoke(anywhere.deployment, ADMIN, serial, Reason.SUPERSEDED)
    asked = [_asked(good), _asked(revoked), _asked(good, EMSP), _asked((b"garbage",))]
    results = validate.validate_many(anywhere.deployment, asked)
    decisions = [result.decision for result in results if isinstance(result, Decided)]
    verdicts = [decision.verdict for decision in decisions]
    assert isinstance(results[2], NotAllowed)
    assert isinstance(verdicts[0], Accepted)
    faults = [verdict.fault for verdict in verdicts if isinstance(verdict, Rejected)]
    assert faults == [Fault.REVOKED, Fault.UNREADABLE]
    for decision in decisions:
        assert validate.replay(anywhere.deployment, ADMIN, decision.decision_id).same


def test_a_receipt_tells_nothing_of_the_others(small: Services) -> None:
    good, revoked = _chain(small, EMAID), _chain(small, OTHER)
    leaf = load(revoked[0])
    revoke(small.deployment, ADMIN, leaf.serial_number.value, Reason.SUPERSEDED)
    found = validate.validate_many(small.deployment, [_asked(good), _asked(revoked)])
    assert isinstance(found[0], Decided)
    with small.deployment.store.read() as tx:
        receipt = tx.decisions.get(found[0].decision.decision_id)
    assert receipt is not None
    assert leaf.fingerprint.value not in json.loads(receipt.record)["statuses"]


def test_nobody_asks_nothing_is_done(small: Services) -> None:
    assert validate.validate_many(small.deployment, []) == []
