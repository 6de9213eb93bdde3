"""Backups of a working installation, on both databases, and what a restored one does (I10)."""

from __future__ import annotations

import io
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import inspect

from pki import audit, backup, services, trust
from pki.backup import Confirmation, Restored
from pki.clock import SystemClock
from pki.errors import BadInput, Conflict, NotAllowed, PolicyViolation, Unavailable
from pki.issue import IssueRequest, issue
from pki.model import RESTORED, Principal, Reason, Role
from pki.pkix.profiles import Kind
from pki.revoke import revoke
from pki.services import Services
from pki.settings.values import default_database
from pki.status import StatusPolicy, crls
from tests.databases import PostgresServer
from tests.homes import ADMIN, EMAID, opened
from tests.status import hosts

PHRASE = b"correct horse battery staple"
POLICY = StatusPolicy()


@dataclass(frozen=True)
class Place:
    """Where a backup may be restored: a home that is not there, and a database if needed."""

    home: Path
    url: str | None

    def restore(self, data: bytes, phrase: bytes = PHRASE) -> Restored:
        return backup.restore(
            io.BytesIO(data),
            phrase,
            self.home,
            lambda home: services.database_at(self.url or default_database(home)),
            SystemClock(),
            database_url=self.url,
        )

    @contextmanager
    def opened(self) -> Iterator[Services]:
        with opened(self.home, database_url=self.url) as running:
            yield running


@pytest.fixture
def elsewhere(
    request: pytest.FixtureRequest, tmp_path: Path, anywhere: Services
) -> Iterator[Place]:
    """A place of the same kind of database as `anywhere`."""
    home = tmp_path / "elsewhere" / "home"
    if anywhere.settings.database_url.startswith("sqlite"):
        yield Place(home, None)
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"restored_{secrets.token_hex(6)}"
    server.run(f"CREATE DATABASE {name}")
    yield Place(home, server.url(name))
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


def saved(running: Services, out: Path) -> bytes:
    home = running.settings.home
    backup.save(running.deployment, ADMIN, running.database, home, out, PHRASE)
    return out.read_bytes()


def _lived(running: Services) -> None:
    """Issue, revoke, publish and answer, so that there is something to save."""
    records = [hosts.issued(running) for _ in range(3)]
    revoke(running.deployment, ADMIN, records[0].fingerprint.value, Reason.SUPERSEDED)
    crls.publish(running.deployment, ADMIN, hosts.issuer_of(running), 0, POLICY)
    for record in records:
        hosts.ask(running, record)


def _problems(running: Services, restored: Restored | None = None) -> list[str]:
    found = backup.run(running.deployment, restored.contents if restored else None)
    return [f"{check.name}: {check.problem}" for check in found if check.problem]


def _confirm(running: Services, head: str | None = None) -> Confirmation:
    return backup.confirm(running.deployment, ADMIN, POLICY, head=head)


# --- whole and consistent ------------------------------------------------------------------------


def test_a_backup_comes_back_as_it_was(
    anywhere: Services, elsewhere: Place, tmp_path: Path
) -> None:
    _lived(anywhere)
    restored = elsewhere.restore(saved(anywhere, tmp_path / "backup"))
    with elsewhere.opened() as running:
        checks = {c.name: c for c in backup.run(running.deployment, restored.contents)}
        assert {name: c.problem for name, c in checks.items()} == dict.fromkeys(checks)
        assert (checks["answers"].count, checks["crls"].count) == (3, 1)
        assert backup.refusal(running.deployment, ADMIN, POLICY).problem is None
        with anywhere.deployment.store.read() as one, running.deployment.store.read() as other:
            assert one.issuers.all() == other.issuers.all()
            assert one.certificates.search(limit=1000) == other.certificates.search(limit=1000)


def test_a_backup_holds_every_table(anywhere: Services) -> None:
    with anywhere.database.snapshot(anywhere.settings.home / "scratch") as frozen:
        engine = anywhere.database._backend.engine
        there = set(inspect(engine).get_table_names()) - {"alembic_version"}
        assert not frozen.description.tables or set(frozen.description.tables) == there
        assert {name for name, _ in frozen.parts} in ({"pnc.db"}, there)
    assert not (anywhere.settings.home / "scratch").exists()


def test_a_backup_under_load_is_one_moment_of_the_installation(
    anywhere: Services, elsewhere: Place, tmp_path: Path
) -> None:
    stop, failures = threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            try:
                request = IssueRequest(kind=Kind.CONTRACT, common_name=EMAID)
                issue(anywhere.deployment, ADMIN, request)
            except Unavailable as error:
                if error.code != "store_busy":
                    failures.append(error.code)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    hosts.wait_for(lambda: _count(anywhere) > 6, within=60)
    data = saved(anywhere, tmp_path / "backup")
    seen = _count(anywhere)
    hosts.wait_for(lambda: _count(anywhere) > seen + 1, within=60)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    restored = elsewhere.restore(data)
    with elsewhere.opened() as running:
        assert _problems(running, restored) == []
        assert 6 < _count(running) <= seen


def _count(running: Services) -> int:
    with running.deployment.store.read() as tx:
        return tx.certificates.count("mo2-2.g1")


def test_keys_and_settings_come_with_it_and_stay_encrypted(small: Services, tmp_path: Path) -> None:
    home = small.settings.home
    (home / "pnc.toml").write_text('mode = "demo"\ndatabase_url = "sqlite:////elsewhere"\n')
    place = Place(tmp_path / "there", None)
    place.restore(saved(small, tmp_path / "backup"))
    for key in (home / "keys").glob("*.pem"):
        copy = place.home / "keys" / key.name
        assert copy.read_bytes() == key.read_bytes()
        assert b"ENCRYPTED" in copy.read_bytes()
        assert copy.stat().st_mode & 0o077 == 0
    assert (place.home / "pnc.toml").read_text() == 'mode = "demo"\n'


def test_a_backup_replaces_no_file_and_leaves_none_where_it_fails(
    small: Services, tmp_path: Path
) -> None:
    out = tmp_path / "backup"
    saved(small, out)
    with pytest.raises(Conflict) as caught:
        saved(small, out)
    assert caught.value.code == "out_exists"
    with pytest.raises(BadInput) as short:
        backup.save(
            small.deployment, ADMIN, small.database, small.settings.home, tmp_path / "b", b"short"
        )
    assert short.value.code == "passphrase_short"
    with pytest.raises(Unavailable) as nowhere:
        saved(small, tmp_path / "nowhere" / "backup")
    assert nowhere.value.code == "backup_not_written"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "home"]
    assert list((small.settings.home / "run").glob("backup.*")) == []


def test_only_an_administrator_saves_and_confirms(small: Services, tmp_path: Path) -> None:
    auditor = Principal(name="auditor", role=Role.AUDITOR)
    home = small.settings.home
    with pytest.raises(NotAllowed):
        backup.save(small.deployment, auditor, small.database, home, tmp_path / "b", PHRASE)
    with pytest.raises(NotAllowed):
        backup.confirm(small.deployment, auditor, POLICY)


# --- I10 -----------------------------------------------------------------------------------------


def test_i10_a_restored_backup_signs_nothing_and_does_not_start_before_it_is_confirmed(
    anywhere: Services, elsewhere: Place, tmp_path: Path
) -> None:
    _lived(anywhere)
    elsewhere.restore(saved(anywhere, tmp_path / "backup"))
    with elsewhere.opened() as running:
        acts: list[Callable[[], object]] = [
            lambda: hosts.issued(running),
            lambda: crls.publish(running.deployment, ADMIN, hosts.issuer_of(running), 0, POLICY),
            lambda: services.check_start(running),
        ]
        for act in acts:
            with pytest.raises(Unavailable) as caught:
                act()
            assert caught.value.code == "restore_unconfirmed"
        with running.deployment.store.read() as tx:
            assert tx.intents.unfinished() == []
            assert tx.status.unfinished_crl_intents() == []


def test_i10_a_confirmed_restore_repeats_neither_a_serial_nor_the_number_of_a_crl(
    anywhere: Services, elsewhere: Place, tmp_path: Path
) -> None:
    _lived(anywhere)
    data = saved(anywhere, tmp_path / "backup")
    later = [hosts.issued(anywhere) for _ in range(2)]
    after = crls.publish(anywhere.deployment, ADMIN, hosts.issuer_of(anywhere), 0, POLICY)
    elsewhere.restore(data)
    with elsewhere.opened() as running:
        done = _confirm(running, _confirm(running).head)
        assert (done.dry_run, done.crls) == (False, 1)
        services.check_start(running)
        assert hosts.issued(running).serial not in {record.serial for record in later}
        with running.deployment.store.read() as tx:
            newest = tx.status.crl("mo2-2.g1", 0)
            assert newest is not None
            assert newest.number > after.number + 100_000
            assert tx.setting(RESTORED) == ""
        assert not any(report.problem for report in audit.verify(running.deployment.store))


def test_i10_what_was_answered_before_the_backup_is_not_answered_again(
    small: Services, tmp_path: Path
) -> None:
    record = hosts.issued(small)
    hosts.ask(small, record)
    place = Place(tmp_path / "there", None)
    place.restore(saved(small, tmp_path / "backup"))
    with place.opened() as running:
        request = hosts.request_about(hosts.issuer_of(running), record.serial.as_int)
        with running.deployment.store.read() as tx:
            assert tx.status.due_answers(record.not_after, 10) != []
        _confirm(running, _confirm(running).head)
        with running.deployment.store.read() as tx:
            assert tx.status.due_answers(record.not_after, 10) == []
        assert hosts.answer_to(running, request) == hosts.GOOD


def test_i10_another_head_or_a_broken_chain_confirms_nothing(
    small: Services, tmp_path: Path
) -> None:
    hosts.issued(small)
    place = Place(tmp_path / "there", None)
    place.restore(saved(small, tmp_path / "backup"))
    with place.opened() as running:
        head = _confirm(running).head
        with pytest.raises(BadInput) as wrong:
            _confirm(running, "0" * 16)
        assert wrong.value.code == "head_not_confirmed"
        with running.deployment.store.write() as tx:
            tx.certificates._session._connection.exec_driver_sql(  # type: ignore[attr-defined]
                "UPDATE audit SET actor = 'nobody' WHERE chain = 'mo2-2.g1' AND sequence = 1"
            )
        with pytest.raises(PolicyViolation) as broken:
            _confirm(running, head)
        assert broken.value.code == "restore_broken"
        with pytest.raises(Unavailable):
            hosts.issued(running)
    with pytest.raises(Conflict) as never:
        _confirm(small)
    assert never.value.code == "not_restored"


# --- torn ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0.3, 0.999])
def test_a_truncated_backup_restores_nothing(
    anywhere: Services, elsewhere: Place, tmp_path: Path, part: float
) -> None:
    data = saved(anywhere, tmp_path / "backup")
    with pytest.raises(BadInput) as caught:
        elsewhere.restore(data[: int(len(data) * part)])
    assert caught.value.code in {"backup_torn", "backup_unreadable"}
    assert not elsewhere.home.exists()
    elsewhere.restore(data)  # a torn one is not in the way of a good one
    with elsewhere.opened() as running:
        assert _problems(running) == []


def test_a_backup_goes_over_no_installation(
    anywhere: Services, elsewhere: Place, tmp_path: Path
) -> None:
    data = saved(anywhere, tmp_path / "backup")
    with pytest.raises(Conflict) as caught:
        Place(anywhere.settings.home, elsewhere.url).restore(data)
    assert caught.value.code == "home_exists"
    url = anywhere.settings.database_url
    if not url.startswith("sqlite"):
        with pytest.raises(Unavailable) as full:
            Place(tmp_path / "new", url).restore(data)
        assert full.value.code == "store_not_empty"
    assert trust.anchors(anywhere.deployment, ADMIN) != []


def test_a_backup_of_one_database_is_not_put_into_the_other(
    small: Services, postgres_url: str, tmp_path: Path
) -> None:
    data = saved(small, tmp_path / "backup")
    with pytest.raises(BadInput) as caught:
        Place(tmp_path / "new", postgres_url).restore(data)
    assert caught.value.code == "backup_other_database"


def test_a_jump_takes_numbers_that_no_crl_ever_has(small: Services, tmp_path: Path) -> None:
    place = Place(tmp_path / "there", None)
    place.restore(saved(small, tmp_path / "backup"))
    with place.opened() as running:
        _confirm(running, _confirm(running).head)
        with running.deployment.store.read() as tx:
            number = tx.status.crl_number("mo2-2.g1")
            assert tx.status.unfinished_crl_intents() == []
        made = crls.publish(running.deployment, ADMIN, hosts.issuer_of(running), 0, POLICY)
        assert made.number == number + 1
