"""Every look-up finds its rows by an index, however many there are."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import event

from pki.ids import Edition, Emaid, Fingerprint, Pcid, SerialNumber
from pki.model import AuditQuery, CredentialKind, SessionProtocol
from pki.pkix.suites import Suite
from pki.store.db import Database
from pki.store.transaction import Unit
from tests.databases import sqlite_url
from tests.store import samples
from tests.store.samples import DE8AA

SERIAL = SerialNumber.from_int(1)
CAR = Pcid(value="WMIV1234567890ABCD")


def test_no_look_up_scans_a_table(tmp_path: Path) -> None:
    store = Database(sqlite_url(tmp_path))
    store.migrate()
    seen: list[tuple[str, object]] = []
    event.listen(
        store._backend.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, values, _context, _many: seen.append(
            (statement, values)
        ),
    )
    _look_everything_up(store)
    queries = [(text, values) for text, values in seen if text.startswith("SELECT")]
    with store._backend.engine.connect() as connection:
        plans = {
            text: [
                str(row[-1])
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)  # type: ignore[arg-type]
            ]
            for text, values in queries
        }
    store.close()
    assert len(plans) > 20
    for text, steps in plans.items():
        assert [step for step in steps if _scans_much(step)] == [], text


def _scans_much(step: str) -> bool:
    small = ("SCAN issuers", "ix_intents_unf")  # tens of CAs, and what a crash left
    return step.startswith("SCAN") and not any(name in step for name in small)


def _look_up_the_record(tx: Unit) -> None:
    tx.audit.last_checkpoint("admin")
    list(tx.audit.checkpoints())
    tx.audit.search(AuditQuery(subject="x"), 9)
    tx.audit.search(AuditQuery(since=samples.NOW), 9)
    tx.audit.search(AuditQuery(before=(samples.NOW, "admin", 9)), 9)
    tx.proposals.get("p")
    tx.proposals.page(before="p")
    tx.proposals.waiting(9)
    tx.proposals.approvals("p")


def test_what_goes_to_the_driver_itself_scans_no_table_either(tmp_path: Path) -> None:
    store = Database(sqlite_url(tmp_path))
    store.migrate()
    with store.read() as tx:
        driver = tx.certificates._session._connection.connection.driver_connection
        assert driver is not None
        seen: list[str] = []
        driver.set_trace_callback(seen.append)
        tx.certificates.standings([Fingerprint.of(b"1"), Fingerprint.of(b"2")])
        tx.contracts.named([Emaid.parse(f"DE8AACA2B3C4D{n}", Edition.ISO2) for n in range(3)])
        driver.set_trace_callback(None)
        plans = [driver.execute(f"EXPLAIN QUERY PLAN {text}").fetchall() for text in seen]
    store.close()
    assert len(plans) == 2
    steps = [str(step[-1]) for plan in plans for step in plan]
    assert steps
    assert [step for step in steps if not step.startswith("SEARCH")] == []


def _look_everything_up(store: Database) -> None:  # noqa: PLR0915 - one line per look-up
    fingerprint = Fingerprint.of(b"")
    with store.write() as tx:
        tx.contracts.account(DE8AA, lock=True)
        tx.audit.head("admin")
    with store.read() as tx:
        tx.setting("mode")
        _look_up_the_record(tx)
        tx.issuers.get("mo-sub2.g1")
        tx.issuers.active("mo-sub2")
        tx.intents.get("i")
        tx.intents.find(SERIAL)
        tx.intents.unfinished()
        tx.certificates.by_fingerprint(fingerprint)
        tx.certificates.by_fingerprints([fingerprint, Fingerprint.of(b"2")])
        tx.certificates.by_serial(SERIAL)
        tx.certificates.by_issuer_serial("mo-sub2.g1", SERIAL)
        tx.certificates.by_key(bytes(32))
        tx.certificates.by_contract("c")
        tx.certificates.known_keys([bytes(32), bytes(31)])
        tx.certificates.by_intents(["i", "j"])
        tx.certificates.expiring(samples.NOW, fingerprint, samples.NOW, owners=("DE8AA",))
        tx.certificates.ending(samples.NOW, samples.NOW)
        tx.intents.several(["i", "j"])
        tx.certificates.search(owners=("DE8AA",), after=fingerprint)
        tx.certificates.search(common_name="DE8AACA2B3C4D5")
        tx.certificates.search(issuer_id="mo-sub2.g1")
        tx.certificates.count("mo-sub2.g1")
        tx.certificates.revocation("mo-sub2.g1", SERIAL)
        tx.certificates.revocations([("mo-sub2.g1", SERIAL), ("mo-sub1.g1", SERIAL)])
        tx.certificates.key_blocked(bytes(32))
        tx.contracts.get("c")
        tx.contracts.find(Edition.ISO2, "DE8AACA2B3C4D5")
        tx.contracts.find_like("DE8AACA2B3C4D5")
        tx.contracts.search(accounts=(DE8AA,), after="c")
        tx.clients.get("cpo-1")
        tx.clients.by_token_hash(samples.sha256("one"))
        tx.decisions.get("d1")
        tx.webhooks.get("w1")
        tx.webhooks.of("cpo-1")
        tx.webhooks.page("w1", 10)
        tx.webhooks.due("w1", samples.NOW, 10)
        tx.webhooks.log("w1", None, 10)
        tx.webhooks.delivery("d1")
        list(tx.audit.entries("admin"))
        tx.audit.chains()
        tx.pools.chain(CAR, Suite.P256)
        tx.pools.chains(CAR)
        tx.pools.search_chains(wmis=("WMI",), after=("WMIV", "p256"), limit=5)
        tx.pools.bundle("b")
        tx.pools.bundles(CAR)
        tx.pools.bundles_of("c")
        tx.pools.bundles_signed_by(fingerprint, 5)
        tx.pools.search_bundles(accounts=(DE8AA,), after="b", limit=5)
        tx.pools.default_contract(CAR)
        tx.outbox.get("e")
        _look_up_roaming(tx)


def _look_up_roaming(tx: Unit) -> None:
    tx.credentials.get("c")
    tx.credentials.find(CredentialKind.RFID, "04A2", "DE8AA")
    tx.credentials.named(CredentialKind.RFID, "04A2")
    tx.credentials.of_contract("c")
    tx.credentials.search(emsps=("DE8AA",), after=(samples.NOW, "c"), limit=5)
    tx.credentials.count("DE8AA", samples.NOW)
    tx.page_marks.before("acme", "..", 5)
    tx.sessions.get("s")
    tx.sessions.find(SessionProtocol.OCPP, "DEABC", "cs-1", "tx-1")
    tx.sessions.by_reference("r")
    tx.sessions.running("c")
    tx.sessions.search(after="s", limit=5)
    tx.lists.emsps(("DE8AA",), after="A")
    tx.lists.agreements(None, after="a")
    tx.roaming.emsp(DE8AA)
    tx.roaming.agreement_versions("demo")
    tx.roaming.remembered("client", "key")
    tx.partners.get("acme")
    tx.partners.by_token_hash(bytes(32))
    tx.partners.parties("acme")
    tx.partners.reaching("NLCPX", "CPO")
    tx.partners.with_own("DE8AA")
    tx.partner_objects.get("session", "NLCPX", "S1")
    tx.partner_objects.of_reference("cdr", "AUTH-1")
    tx.partner_objects.of_key("cdr", "C1")
    tx.partner_objects.versions("NLCPX", "T1")
    tx.partner_objects.command("c1")
    tx.partner_objects.open_commands(("DEABC",), after="c")
    tx.partner_objects.expired_commands(samples.NOW, 10)
    tx.contracts.several(["c", "d"])


def test_counting_and_leaping_through_own_credentials_read_the_index_alone(tmp_path: Path) -> None:
    store = Database(sqlite_url(tmp_path))
    store.migrate()
    seen: list[tuple[str, object]] = []
    event.listen(
        store._backend.engine,
        "before_cursor_execute",
        lambda _c, _cursor, text, values, _context, _many: seen.append((text, values)),
    )
    with store.read() as tx:
        tx.credentials.count("DE8AA", samples.NOW)
        tx.credentials.place(("DE8AA",), 5, after=(samples.NOW, "c"))
    queries = [(text, values) for text, values in seen if text.startswith("SELECT")]
    with store._backend.engine.connect() as connection:
        for text, values in queries:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values).all()  # type: ignore[arg-type]
            steps = [str(row[-1]) for row in plan if "credentials" in str(row[-1])]
            assert any("COVERING INDEX ix_credentials_own" in step for step in steps), steps
    store.close()
