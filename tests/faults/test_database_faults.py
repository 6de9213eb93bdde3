"""
A database that fails one insert, has no room, or is gone: I1 to I4 hold, and it heals by itself.

What is written stays whole; what is refused says why; nobody has to put anything right.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pki import audit, lookup, revoke
from pki.errors import Conflict, PkiError, Unavailable
from pki.issue import IssueRequest, issue
from pki.model import (
    Accepted,
    CertificateRecord,
    ContractCheck,
    Decision,
    IntentState,
    Reason,
)
from pki.pkix.profiles import Kind
from pki.services import Services
from pki.status import StatusPolicy, crls
from pki.validate import validate
from tests.databases import PostgresServer, run_postgres
from tests.homes import ADMIN, EMAID, MO_BRANCH, make_home, opened
from tests.status import hosts

FAILED = {
    *("store_unavailable", "constraint_violated", "store_busy"),
    *("serial_taken", "certificate_exists"),  # SQLite calls what a trigger raises a constraint
}


def _run(services: Services, *statements: str) -> None:
    with services.database._backend.engine.connect() as connection:
        connection.exec_driver_sql("BEGIN")
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()


@contextmanager
def _failing(services: Services, table: str, event: str = "INSERT") -> Iterator[None]:
    """Have a trigger refuse every insert (or update) of one table."""
    if services.settings.database_url.startswith("sqlite"):
        body = "BEGIN SELECT RAISE(ABORT, 'injected'); END"
        make = [f"CREATE TRIGGER injected BEFORE {event} ON {table} {body}"]
        drop = ["DROP TRIGGER injected"]
    else:
        body = "$$ BEGIN RAISE EXCEPTION 'injected'; END $$"
        each = "FOR EACH ROW EXECUTE FUNCTION injected()"
        make = [
            f"CREATE FUNCTION injected() RETURNS trigger LANGUAGE plpgsql AS {body}",
            f"CREATE TRIGGER injected BEFORE {event} ON {table} {each}",
        ]
        drop = [f"DROP TRIGGER injected ON {table}", "DROP FUNCTION injected"]
    _run(services, *make)
    try:
        yield
    finally:
        _run(services, *drop)


def _issue(services: Services) -> CertificateRecord:
    request = IssueRequest(kind=Kind.CONTRACT, common_name=EMAID)
    return issue(services.deployment, ADMIN, request).record


def _intact(services: Services) -> bool:
    return not any(report.problem for report in audit.verify(services.deployment.store))


def _decision(services: Services, record: CertificateRecord) -> Decision:
    from pki.issue import chain_of  # noqa: PLC0415

    with services.deployment.store.read() as tx:
        chain = chain_of(tx, record)
    return validate(services.deployment, ADMIN, ContractCheck(chain=chain))


def test_i1_an_issuance_whose_insert_fails_leaves_nothing_or_a_listed_intent(
    anywhere: Services,
) -> None:
    for table in ("intents", "certificates", "audit", "audit_heads"):
        _issue_without(anywhere, table)


def _issue_without(anywhere: Services, table: str) -> None:
    with anywhere.deployment.store.read() as tx:
        known = len(tx.certificates.search(common_name=EMAID))
    before = _issue(anywhere)
    # the head of a chain that exists is updated
    with (
        _failing(anywhere, table, "UPDATE" if table == "audit_heads" else "INSERT"),
        pytest.raises(PkiError) as caught,
    ):
        _issue(anywhere)
    assert caught.value.code in FAILED
    left = lookup.intents(anywhere.deployment, ADMIN)
    expected = [IntentState.SIGNING] if table == "certificates" else []
    assert [intent.state for intent in left] == expected
    with anywhere.deployment.store.read() as tx:
        found = [r.fingerprint for r in tx.certificates.search(common_name=EMAID)]
    assert before.fingerprint in found
    assert len(found) == known + 1
    assert _intact(anywhere)
    for intent in left:  # what may have been signed can be revoked, whoever holds it
        assert revoke.revoke(
            anywhere.deployment, ADMIN, intent.serial.value, Reason.SUPERSEDED
        ).from_intent
    assert _issue(anywhere).serial != before.serial
    assert _intact(anywhere)


def test_i1_a_crl_whose_insert_fails_leaves_the_one_before_in_force(anywhere: Services) -> None:
    for table in ("crl_intents", "crls", "crl_chunks"):
        _publish_without(anywhere, table)


def _publish_without(anywhere: Services, table: str) -> None:
    issuer, policy = hosts.issuer_of(anywhere), StatusPolicy()
    first = crls.publish(anywhere.deployment, ADMIN, issuer, 0, policy)
    with _failing(anywhere, table), pytest.raises(PkiError) as caught:
        crls.publish(anywhere.deployment, ADMIN, issuer, 0, policy)
    assert caught.value.code in FAILED
    assert crls.current(anywhere.deployment, "mo2-2", 0) == first
    assert crls.publish(anywhere.deployment, ADMIN, issuer, 0, policy).number > first.number
    assert lookup.crl_intents(anywhere.deployment, ADMIN) == []
    assert _intact(anywhere)


def test_i4_a_revocation_whose_insert_fails_happened_not_at_all(anywhere: Services) -> None:
    for table in ("revocations", "blocked_keys", "audit", "changes"):
        _revoke_without(anywhere, table)


def _revoke_without(anywhere: Services, table: str) -> None:
    record = _issue(anywhere)
    assert hosts.ask(anywhere, record) == hosts.GOOD
    with _failing(anywhere, table), pytest.raises(PkiError) as caught:
        revoke.revoke(anywhere.deployment, ADMIN, record.fingerprint.value, Reason.KEY_COMPROMISE)
    assert caught.value.code in FAILED
    assert hosts.ask(anywhere, record) == hosts.GOOD
    assert isinstance(_decision(anywhere, record).verdict, Accepted)
    revoke.revoke(anywhere.deployment, ADMIN, record.fingerprint.value, Reason.KEY_COMPROMISE)
    assert hosts.ask(anywhere, record) == hosts.REVOKED
    assert not isinstance(_decision(anywhere, record).verdict, Accepted)
    assert _intact(anywhere)


def test_i7_a_decision_whose_receipt_cannot_be_kept_is_no_decision(anywhere: Services) -> None:
    record = _issue(anywhere)
    with _failing(anywhere, "decisions"), pytest.raises(PkiError) as caught:
        _decision(anywhere, record)
    assert caught.value.code in FAILED
    assert isinstance(_decision(anywhere, record).verdict, Accepted)


def test_i3_a_full_disk_keeps_the_chains_and_is_survived(small: Services) -> None:
    record = _issue(small)
    small.database.close()  # there is one connection from now on
    with small.database._backend.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # means: what there is now
    codes = set()
    for _ in range(60):  # the free room within the last pages ends soon
        try:
            _issue(small)
        except PkiError as error:
            codes.add(error.code)
            break
    assert codes == {"store_unavailable"}
    assert hosts.ask(small, record, nonce=bytes(16)) == hosts.GOOD  # what is only read goes on
    assert _intact(small)
    small.database.close()  # new connections, whose files may grow
    assert _issue(small)
    assert _intact(small)


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[tuple[PostgresServer, Services]]:
    """A PKI on a PostgreSQL that a test may stop."""
    for server in run_postgres():
        url = server.url()
        make_home(tmp_path / "home", *MO_BRANCH, database_url=url)
        with opened(tmp_path / "home", database_url=url) as services:
            yield server, services


def test_i4_a_database_that_is_gone_is_told_and_comes_back_by_itself(
    mortal: tuple[PostgresServer, Services],
) -> None:
    server, services = mortal
    record = _issue(services)
    issuer = hosts.issuer_of(services)
    assert hosts.ask(services, record, nonce=bytes(16)) == hosts.GOOD
    server.stop()
    for act in (lambda: _issue(services), lambda: _decision(services, record)):
        with pytest.raises(Unavailable) as caught:
            act()
        assert caught.value.code == "store_unavailable"
    request = hosts.request_about(issuer, record.serial.as_int, nonce=bytes(16))
    hosts.wait_for(lambda: hosts.answer_to(services, request) == hosts.TRY_LATER, within=30)
    server.start()
    assert isinstance(_decision(services, record).verdict, Accepted)
    revoke.revoke(services.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
    assert hosts.ask(services, record, nonce=bytes(16)) == hosts.REVOKED
    assert _issue(services)
    assert _intact(services)


def test_i2_a_serial_that_is_taken_is_refused_by_the_database_itself(anywhere: Services) -> None:
    from dataclasses import replace  # noqa: PLC0415

    record = _issue(anywhere)
    twin = replace(record, intent_id="0" * 24)
    with pytest.raises(Conflict), anywhere.deployment.store.write() as tx:
        tx.certificates.add(twin)
    assert _intact(anywhere)
