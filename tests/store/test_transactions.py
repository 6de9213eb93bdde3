"""A write is kept whole or not at all; a read is one moment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

import psycopg
import pytest

from pki.errors import BadInput, Conflict, Unavailable
from pki.ids import Edition
from pki.model import Account, DecisionRecord, Party, Role
from pki.ports import Transaction
from pki.store.db import Database
from tests.store import samples
from tests.store.samples import DE8AA, NOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Twice:
    """Something that may be done once, and the code of doing it again."""

    code: str
    work: Callable[[Transaction], object]


_EMAID = samples.emaid("DE8AACA2B3C4D5")
_DECISION = DecisionRecord(
    decision_id="d1",
    decided_at=NOW,
    accepted=True,
    fault=None,
    emaid="DE8AACA2B3C4D5",
    asked_by="cpo-1",
    record="{}",
)
PLAIN = [
    Twice(code="issuer_exists", work=lambda tx: tx.issuers.add(samples.issuer("other"))),
    Twice(
        code="issuer_exists",
        work=lambda tx: tx.issuers.add(
            replace(samples.issuer("other"), issuer_id=f"id-{len(tx.issuers.all())}")
        ),
    ),
    Twice(code="serial_taken", work=lambda tx: tx.intents.add(samples.intent(9))),
    Twice(
        code="serial_taken",
        work=lambda tx: tx.intents.add(
            samples.intent(9, intent_id=f"i-{len(tx.intents.unfinished())}")
        ),
    ),
    Twice(code="certificate_exists", work=lambda tx: tx.certificates.add(samples.certificate())),
    Twice(code="already_revoked", work=lambda tx: tx.certificates.revoke(samples.revocation())),
    Twice(
        code="party_exists",
        work=lambda tx: tx.contracts.add_party(
            Party(party_id="DE8AA", role=Role.EMSP, name="A", created_at=NOW)
        ),
    ),
    Twice(
        code="account_exists",
        work=lambda tx: tx.contracts.add_account(
            Account(provider_id=DE8AA, name="A", created_at=NOW)
        ),
    ),
    Twice(code="contract_exists", work=lambda tx: tx.contracts.add(samples.contract("c1"))),
    Twice(code="anchor_exists", work=lambda tx: tx.trust.add_anchor(samples.anchor())),
    Twice(code="client_exists", work=lambda tx: tx.clients.add(samples.client(token="one"))),
    Twice(code="decision_exists", work=lambda tx: tx.decisions.add(_DECISION)),
]


def _prepare(database: Database) -> None:
    with database.write() as tx:
        tx.issuers.add(samples.issuer())
        tx.intents.add(samples.intent())


@pytest.mark.parametrize("twice", PLAIN, ids=lambda twice: twice.code)
def test_a_second_time_is_a_conflict_after_which_the_write_goes_on(
    database: Database, twice: Twice
) -> None:
    _prepare(database)
    with database.write() as tx:
        twice.work(tx)
        with pytest.raises(Conflict) as conflict:
            twice.work(tx)
        assert conflict.value.code == twice.code
        tx.put_setting("after", "kept")
    with database.read() as tx:
        assert tx.setting("after") == "kept"
    with database.write() as tx, pytest.raises(Conflict) as conflict:
        twice.work(tx)
    assert conflict.value.code == twice.code


def test_an_intent_has_one_certificate(database: Database) -> None:
    _prepare(database)
    first = samples.certificate()
    second = replace(samples.certificate(0xDEF), intent_id=first.intent_id)
    with database.write() as tx:
        tx.certificates.add(first)
        with pytest.raises(Conflict) as conflict:
            tx.certificates.add(second)
    assert conflict.value.code == "certificate_exists"


def _add_taken_identifier(tx: Transaction) -> None:
    tx.contracts.add(samples.contract("c2", samples.emaid("DE8AACA2B3C4D6"), _EMAID))


def _append_out_of_order(tx: Transaction) -> None:
    tx.audit.append(replace(samples.entry(), sequence=3))


def _append_first_again(tx: Transaction) -> None:
    tx.audit.append(samples.entry())


def _append_without_link(tx: Transaction) -> None:
    tx.audit.append(replace(samples.entry(samples.entry()), previous_hash=bytes(32)))


@pytest.mark.parametrize(
    ("work", "code"),
    [
        (_add_taken_identifier, "contract_exists"),
        (_append_out_of_order, "audit_conflict"),
        (_append_first_again, "audit_conflict"),
        (_append_without_link, "audit_conflict"),
        (lambda tx: tx.intents.add(samples.intent(issuer_id="none.g1")), "constraint_violated"),
        (
            lambda tx: tx.contracts.add_identifier("none", samples.emaid("DE8AACA2B3C4D6")),
            "constraint_violated",
        ),
        (
            lambda tx: tx.certificates.add(replace(samples.certificate(), contract_id="none")),
            "constraint_violated",
        ),
    ],
)
def test_a_half_done_change_cannot_be_committed_even_if_its_error_is_swallowed(
    database: Database, work: Callable[[Transaction], None], code: str
) -> None:
    _prepare(database)
    with database.write() as tx:
        tx.contracts.add(samples.contract("c1", _EMAID))
        tx.audit.append(samples.entry())

    def swallow() -> None:
        with database.write() as tx:
            tx.put_setting("beside", "lost")
            with pytest.raises(Conflict):
                work(tx)

    with pytest.raises(Conflict) as conflict:
        swallow()
    assert conflict.value.code == code
    with database.read() as tx:
        assert tx.setting("beside") is None
        assert tx.contracts.get("c2") is None
        assert tx.contracts.find(Edition.ISO2, "DE8AACA2B3C4D6") is None
        assert list(tx.audit.entries("admin")) == [samples.entry()]


def test_what_postgresql_rolled_back_is_not_taken_for_committed(postgres_url: str) -> None:
    database = Database(postgres_url)
    database.migrate()

    def broken() -> None:
        with database.write() as tx:
            tx.put_setting("beside", "lost")
            driver = tx._session._connection.connection
            with pytest.raises(psycopg.Error):
                driver.cursor().execute("SELECT 1/0")

    try:
        with pytest.raises(Unavailable):
            broken()
        with database.read() as tx:
            assert tx.setting("beside") is None
    finally:
        database.close()


def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    _prepare(database)

    def fail() -> None:
        with database.write() as tx:
            tx.certificates.add(samples.certificate())
            tx.audit.append(samples.entry())
            tx.trust.add_anchor(samples.anchor())
            tx.put_setting("beside", "lost")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with database.read() as tx:
        assert tx.certificates.search() == []
        assert (tx.audit.chains(), tx.audit.heads()) == ([], {})
        assert (tx.trust.anchors(), tx.trust.version()) == ([], 0)
        assert tx.setting("beside") is None


def test_a_read_sees_one_moment(database: Database) -> None:
    with database.read() as before:
        assert before.setting("mode") is None
        with database.write() as tx:
            tx.put_setting("mode", "demo")
        assert before.setting("mode") is None
    with database.read() as after:
        assert after.setting("mode") == "demo"


def test_a_read_refuses_to_write(database: Database) -> None:
    with database.read() as tx, pytest.raises(TypeError, match="read transaction"):
        tx.put_setting("mode", "demo")


@pytest.mark.parametrize(
    "at", [NOW.replace(tzinfo=None), NOW.replace(microsecond=1)], ids=["naive", "fraction"]
)
def test_a_time_that_would_not_come_back_is_refused(database: Database, at: dt.datetime) -> None:
    with pytest.raises(ValueError, match="aware times in whole seconds"), database.write() as tx:
        tx.certificates.block_key(bytes(32), at, "")


def test_a_time_in_another_zone_comes_back_in_utc(database: Database) -> None:
    zone = dt.timezone(dt.timedelta(hours=5, minutes=30))
    with database.write() as tx:
        tx.clients.add(replace(samples.client(token="one"), created_at=NOW.astimezone(zone)))
        client = tx.clients.get("cpo-1")
    assert client is not None
    assert (client.created_at, client.created_at.tzinfo) == (NOW, dt.UTC)


@pytest.mark.parametrize("text", ["a\0b", "\ud800"], ids=["nul", "surrogate"])
def test_text_that_no_database_keeps_is_bad_input(database: Database, text: str) -> None:
    with pytest.raises(BadInput) as refused, database.write() as tx:
        tx.put_setting("name", text)
    assert refused.value.code == "text_not_storable"
    with pytest.raises(BadInput) as refused, database.read() as tx:
        tx.certificates.search(common_name=text)
    assert refused.value.code == "text_not_storable"


def test_a_number_outside_its_column_is_bad_input(postgres_url: str) -> None:
    store = Database(postgres_url)
    store.migrate()
    with pytest.raises(BadInput) as refused, store.write() as tx:
        tx.issuers.add(samples.issuer(generation=100_000))
    assert refused.value.code == "value_not_storable"
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///pnc.db?mode=ro",
        "mysql://root:hunter2@host/db",
        "postgresql://root:hunter2@host:port/db",
    ],
)
def test_a_url_of_no_use_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        Database(url)
    assert refused.value.code == "invalid_database_url"
    assert "hunter2" not in str(refused.value)
