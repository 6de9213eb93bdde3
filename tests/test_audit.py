"""The audit chains show every tampering with themselves and with what they tell of."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pki import audit
from pki.issue import IssueRequest, issue
from pki.model import Reason
from pki.pkix.profiles import Kind
from pki.revoke import release, revoke
from pki.services import Services
from tests.homes import ADMIN, EMAID, opened


def _problems(services: Services) -> list[str]:
    return [r.problem for r in audit.verify(services.deployment.store) if r.problem]


@pytest.fixture
def busy_home(small_home: Path) -> Path:
    """A home in which something was issued, held, released and revoked."""
    with opened(small_home) as services:
        serials = [
            issue(
                services.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, common_name=EMAID)
            ).record.serial.value
            for _ in range(3)
        ]
        revoke(services.deployment, ADMIN, serials[0], Reason.CERTIFICATE_HOLD)
        release(services.deployment, ADMIN, serials[0])
        revoke(services.deployment, ADMIN, serials[1], Reason.SUPERSEDED)
        assert _problems(services) == []
    return small_home


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE audit SET actor = 'somebody' WHERE chain = 'admin' AND sequence = 1",
        "UPDATE audit SET details = '{}' WHERE chain = 'mo2-2.g1' AND sequence = 2",
        "DELETE FROM audit WHERE chain = 'mo2-2.g1' AND sequence = 2",
        (
            "DELETE FROM audit WHERE chain = 'admin' AND sequence = "
            "(SELECT max(sequence) FROM audit WHERE chain = 'admin')"
        ),
        "DELETE FROM audit_heads",
        "DELETE FROM audit_heads WHERE chain = 'admin'",
        (
            "DELETE FROM audit WHERE chain = 'mo2-2.g1'; "
            "DELETE FROM audit_heads WHERE chain = 'mo2-2.g1'"
        ),
        "DELETE FROM audit; DELETE FROM audit_heads",
        (
            "UPDATE audit_heads SET sequence = 0 WHERE chain = 'admin'; "
            "DELETE FROM audit WHERE chain = 'admin'"
        ),
        "DELETE FROM revocations",
        "INSERT INTO revocations VALUES ('mo2-2.g1', 'abc', 'superseded', 1, 'x', NULL, 0)",
        "UPDATE certificates SET der = x'3000' WHERE kind = 'contract'",
        "DELETE FROM certificates WHERE kind = 'contract'",
        "UPDATE certificates SET serial = 'abcd' WHERE kind = 'mo_sub_ca2'",
    ],
)
def test_tampering_is_found(busy_home: Path, tampering: str) -> None:
    database = sqlite3.connect(busy_home / "pnc.db")
    try:
        database.executescript(tampering)
        database.commit()
    finally:
        database.close()
    with opened(busy_home) as services:
        assert _problems(services)


def test_entries_of_one_chain_stand_in_order_and_hold_no_secret(busy_home: Path) -> None:
    with opened(busy_home) as services, services.deployment.store.read() as tx:
        entries = list(tx.audit.entries("mo2-2.g1"))
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    actions = [entry.action for entry in entries if entry.subject == entries[-1].subject]
    assert actions == [
        "certificate.sign",
        "certificate.issue",
        "certificate.revoke",
    ]
    assert not any("pnc_" in entry.details for entry in entries)
