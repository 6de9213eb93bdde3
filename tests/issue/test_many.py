"""Certificates issued in groups: each as if it were alone, and told of by one audit entry."""

from __future__ import annotations

import json

import pytest

from pki import audit, lookup, parties
from pki.errors import Conflict, PkiError
from pki.ids import SerialNumber
from pki.issue import Issued, IssueRequest, issue, issue_many, linted_twin
from pki.issue.order import place
from pki.issue.twins import SAMPLE, linted_tbs
from pki.model import Principal, Role
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite, generate
from pki.services import Services
from tests.homes import ADMIN, EMAID
from tests.issue.test_issue import LEAVES, csr

EMSP = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",))
OTHER = Principal(name="emsp-2", role=Role.EMSP, parties=("DEOTH",))


def contract(number: int) -> IssueRequest:
    return IssueRequest(kind=Kind.CONTRACT, request=csr(f"DEMOAC{number:08d}"))


def told(outcomes: list[Issued | PkiError]) -> list[str]:
    return [o.code if isinstance(o, PkiError) else o.record.common_name for o in outcomes]


def problems(services: Services) -> list[str]:
    return [r.problem for r in audit.verify(services.deployment.store) if r.problem]


def test_a_group_is_answered_in_order_and_a_fault_is_its_own(anywhere: Services) -> None:
    wanted = [
        (EMSP, contract(1)),
        (EMSP, IssueRequest(kind=Kind.CONTRACT, request=b"nonsense")),
        (OTHER, contract(2)),
        (ADMIN, contract(3)),
        (ADMIN, IssueRequest(kind=Kind.SECC, request=csr("DE*ABC*E1"))),
    ]
    assert told(issue_many(anywhere.deployment, wanted)) == [
        "DEMOAC00000001",
        "csr_unreadable",
        "party_not_allowed",
        "DEMOAC00000003",
        "issuer_unknown",
    ]
    assert lookup.intents(anywhere.deployment, ADMIN) == []
    assert problems(anywhere) == []


def test_one_audit_entry_tells_of_all_that_a_caller_got(anywhere: Services) -> None:
    outcomes = issue_many(anywhere.deployment, [(EMSP, contract(n)) for n in range(3)])
    with anywhere.deployment.store.read() as tx:
        entries = [e for e in tx.audit.entries("mo2-2.g1") if e.actor == EMSP.name]
    assert [e.action for e in entries] == [
        "certificate.sign",
        "certificate.issue",
    ]
    serials = [o.record.serial.value for o in outcomes if isinstance(o, Issued)]
    for entry in entries:
        assert entry.subject == "3"
        assert [subject for subject, _ in audit.each_of(entry)] == serials
    fingerprints = [details["fingerprint"] for _, details in audit.each_of(entries[-1])]
    assert fingerprints == [o.record.fingerprint.value for o in outcomes if isinstance(o, Issued)]
    assert "tbsSha256" in json.loads(entries[0].details)["fields"]


def test_a_certificate_that_is_gone_from_a_group_is_missed(small: Services) -> None:
    issue_many(small.deployment, [(EMSP, contract(n)) for n in range(3)])
    assert problems(small) == []
    import sqlite3  # noqa: PLC0415 - for the tampering alone

    database = sqlite3.connect(small.settings.home / "pnc.db")
    with database:
        database.execute("DELETE FROM certificates WHERE common_name = 'DEMOAC00000001'")
    database.close()
    assert len(problems(small)) == 1
    assert problems(small)[0].endswith("is missing")


def test_of_two_that_exclude_each_other_the_first_is_issued(full: Services) -> None:
    """Neither stands in the way of the other before; the commit of both together cannot be."""
    other = IssueRequest(kind=Kind.CONTRACT, request=csr(EMAID + "Q", key=generate(Suite.P521)))
    wanted = [(ADMIN, IssueRequest(kind=Kind.CONTRACT, request=csr())), (ADMIN, other)]
    assert told(issue_many(full.deployment, [*wanted, (ADMIN, contract(7))])) == [
        EMAID,
        "emaid_ambiguous",
        "DEMOAC00000007",
    ]
    assert problems(full) == []
    assert lookup.intents(full.deployment, ADMIN) == []  # nobody saw its certificate
    with full.deployment.store.read() as tx:
        actions = [e.action for chain in tx.audit.chains() for e in tx.audit.entries(chain)]
    assert actions.count("certificate.abandon") == 1


def test_i2_a_group_with_a_serial_that_is_taken_stores_nothing(anywhere: Services) -> None:
    issue(anywhere.deployment, ADMIN, contract(1))
    with anywhere.deployment.store.read() as tx:
        (record,) = tx.certificates.search(common_name="DEMOAC00000001")
        intent = tx.intents.get(record.intent_id)
    assert intent is not None
    from dataclasses import replace  # noqa: PLC0415 - for this alone

    fresh = replace(intent, intent_id="f" * 24, serial=SerialNumber.parse("40" * 16))
    again = replace(intent, intent_id="e" * 24)
    with pytest.raises(Conflict, match="serials"), anywhere.deployment.store.write() as tx:
        tx.intents.add_many([fresh, again])
    with anywhere.deployment.store.read() as tx:
        assert tx.intents.get(fresh.intent_id) is None


def test_i6_what_is_signed_is_the_twin_to_the_octet_for_every_leaf(full: Services) -> None:
    for role, party in ((Role.CPO, "DE*CPA"), (Role.OEM, "WPN")):
        parties.add_party(full.deployment, ADMIN, role, party, f"Demo {role.value}")
    for kind, name, suite in LEAVES:
        request = IssueRequest(kind=kind, common_name=name, suite=suite, edition=suite.edition)
        order = place(full.deployment, ADMIN, request).order
        for number in ((1 << 126) + SAMPLE, (1 << 126) + 1):  # one of them linted in full
            serial = SerialNumber.from_int(number)
            twin = linted_twin(full.deployment, order, serial)
            assert linted_tbs(full.deployment, order, serial) == twin, (kind, suite)
