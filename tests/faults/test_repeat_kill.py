"""A request with an idempotency key is done once, whenever its process dies or others come."""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from pki import contracts, repeat
from pki.clock import FixedClock
from pki.errors import Conflict, PolicyViolation, Unavailable
from pki.ports import Deployment
from pki.services import Services
from tests.faults.repeat_killer import REQUEST, register
from tests.homes import ADMIN, EMAID, make_home, opened

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 6


@pytest.fixture(params=["sqlite", "postgresql"])
def home(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A home without CAs; its `pnc.toml` names the database."""
    url = None if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))
    made = tmp_path / "home"
    make_home(made, "none", database_url=url)
    if url is not None:
        (made / "pnc.toml").write_text(f'database_url = "{url}"\n', "utf-8")
    return made


def _registered(services: Services) -> int:
    return len(contracts.search(services.deployment, ADMIN))


def test_a_kill_leaves_work_and_answer_or_neither(home: Path) -> None:
    for step, (there, again) in enumerate([(0, False), (1, True)], start=1):  # before, after
        command = [sys.executable, "-m", "tests.faults.repeat_killer", str(home), str(step)]
        killed = subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        with opened(home) as services:
            assert _registered(services) == there
            if again:
                told = repeat.once(services.deployment, ADMIN, "key-1", REQUEST, register)
                assert (told.status, told.again) == (201, True)
                assert told.answer == contracts.find(services.deployment, ADMIN, EMAID).contract_id
            assert _registered(services) == there


def test_of_many_at_once_one_works_and_all_hear_its_answer(home: Path) -> None:
    with opened(home) as services:
        begin = threading.Barrier(AT_ONCE)

        def ask(_n: int) -> repeat.Told:
            begin.wait()
            return repeat.once(services.deployment, ADMIN, "key-1", REQUEST, register)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            told = list(pool.map(ask, range(AT_ONCE)))
        assert len({each.answer for each in told}) == 1
        assert [each.again for each in told].count(False) == 1
        assert _registered(services) == 1
        with pytest.raises(PolicyViolation, match="another request"):
            repeat.once(services.deployment, ADMIN, "key-1", bytes(32), register)
        # under another key it is another request, and the contract is there
        with pytest.raises(Conflict):
            repeat.once(services.deployment, ADMIN, "key-2", REQUEST, register)
        _what_fails_frees_the_key(services)
        _a_key_is_free_again_after_a_day(services)


Try = Callable[[float, repeat.Plain], repeat.Told]


@pytest.fixture
def at(home: Path) -> Iterator[Try]:
    """Try a request under a key, so many minutes from now."""
    with opened(home) as services:
        now = services.deployment.clock.now()

        def once_apart(minutes: float, work: repeat.Plain) -> repeat.Told:
            clock = FixedClock(now + dt.timedelta(minutes=minutes))
            deployment = replace(services.deployment, clock=clock)
            return repeat.once_apart(deployment, ADMIN, "key-1", REQUEST, work)

        yield once_apart


def _marks(turn: repeat.Turn) -> tuple[int, str]:
    return 201, " ".join((*turn.earlier, turn.mark))


def test_the_marks_of_all_tries_that_came_to_no_end_are_told_to_the_next(at: Try) -> None:
    tried: list[str] = []

    def second(turn: repeat.Turn) -> tuple[int, str]:
        tried.append(turn.mark)
        told = at(4, _marks).answer.split()
        assert told[:-1] == tried
        assert len(set(told)) == len(told)
        return 200, "late"

    def first(turn: repeat.Turn) -> tuple[int, str]:  # at work, as far as anybody can see
        tried.append(turn.mark)
        with pytest.raises(Conflict, match="worked on"):
            at(0.5, _marks)
        at(2, second)
        return 200, "late"

    at(0, first)


@pytest.mark.parametrize("error", [Unavailable("store_busy", "It is busy."), ZeroDivisionError()])
def test_what_may_have_done_its_work_before_it_failed_is_told_to_the_next_at_once(
    at: Try, error: Exception
) -> None:
    tried: list[str] = []

    def fails(turn: repeat.Turn) -> tuple[int, str]:
        assert turn.earlier == tuple(tried)
        tried.append(turn.mark)
        raise error

    for _ in range(2):
        with pytest.raises(type(error)):
            at(0, fails)
    assert at(0, _marks).answer.split()[:-1] == tried
    assert at(0, fails).again


def test_a_refusal_leaves_a_key_free_but_forgets_no_mark(at: Try) -> None:
    def refuses(_turn: repeat.Turn) -> tuple[int, str]:
        raise PolicyViolation("no", "No.")

    def fails(_turn: repeat.Turn) -> tuple[int, str]:
        raise ZeroDivisionError

    with pytest.raises(PolicyViolation):
        at(0, refuses)
    with pytest.raises(ZeroDivisionError):
        at(0, fails)
    with pytest.raises(PolicyViolation):
        at(0, refuses)
    assert len(at(0, _marks).answer.split()) == 3


def test_a_try_that_fails_late_takes_nothing_from_the_one_that_took_over(at: Try) -> None:
    def slow(_turn: repeat.Turn) -> tuple[int, str]:
        at(2, _marks)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        at(0, slow)
    assert at(3, _marks).again


def _what_fails_frees_the_key(services: Services) -> None:
    def half(deployment: Deployment) -> tuple[int, str]:
        contracts.add(deployment, ADMIN, "DEMOAC00000002")
        with suppress(Conflict):  # a block that failed fails the whole, whoever catches it
            contracts.add(deployment, ADMIN, EMAID)
        return 200, "half"

    with pytest.raises(Conflict):
        repeat.once(services.deployment, ADMIN, "key-2", bytes(32), half)
    assert _registered(services) == 1
    other = bytes(range(32))
    told = repeat.once(services.deployment, ADMIN, "key-2", other, lambda _d: (200, "done"))
    assert not told.again


def _a_key_is_free_again_after_a_day(services: Services) -> None:
    now = services.deployment.clock.now()
    for later, again in ((repeat.KEPT, True), (repeat.KEPT + dt.timedelta(seconds=5), False)):
        deployment = replace(services.deployment, clock=FixedClock(now + later))
        told = repeat.once(deployment, ADMIN, "key-2", bytes(range(32)), lambda _d: (200, "again"))
        assert told.again is again
