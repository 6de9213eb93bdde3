"""A request with an idempotency key is done once, whenever its process dies or others come."""

from __future__ import annotations

import datetime as dt
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from pki import contracts, repeat
from pki.clock import FixedClock
from pki.errors import Conflict, PolicyViolation
from pki.ports import Deployment
from pki.services import Services
from tests.faults.repeat_killer import REQUEST, register
from tests.homes import ADMIN, EMAID, make_home, opened

ROOT = Path(__file__).resolve().parents[2]
AT_ONCE = 6
LAST = 3


class Cut(Exception):
    """The end of a try."""


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


def test_who_comes_after_tries_that_were_cut_short_learns_the_marks_of_all_of_them(
    home: Path,
) -> None:
    heard: list[tuple[str, ...]] = []

    with opened(home) as services:
        now = services.deployment.clock.now()

        def ask(minutes: float) -> repeat.Told:
            def work(turn: repeat.Turn) -> tuple[int, str]:
                heard.append((*turn.earlier, turn.mark))
                if minutes < 2 * LAST:  # it stays at work, as far as anybody else can see
                    ask(minutes + 2)
                    raise Cut
                return 201, "made"

            deployment = replace(
                services.deployment, clock=FixedClock(now + dt.timedelta(minutes=minutes))
            )
            return repeat.once_apart(deployment, ADMIN, "key-1", REQUEST, work)

        with pytest.raises(Cut):
            ask(2)
        assert [len(marks) for marks in heard] == list(range(1, LAST + 1))
        assert all(later[:-1] == earlier for earlier, later in pairwise(heard))
        assert len(set(heard[-1])) == LAST


def test_a_try_that_fails_after_one_that_was_cut_short_leaves_its_mark_to_the_next(
    home: Path,
) -> None:
    heard: list[tuple[str, ...]] = []

    with opened(home) as services:
        now = services.deployment.clock.now()

        def at(minutes: float, work: repeat.Plain) -> repeat.Told:
            clock = FixedClock(now + dt.timedelta(minutes=minutes))
            deployment = replace(services.deployment, clock=clock)
            return repeat.once_apart(deployment, ADMIN, "key-1", REQUEST, work)

        def fails(turn: repeat.Turn) -> tuple[int, str]:
            heard.append(turn.earlier)
            raise Cut

        def first(turn: repeat.Turn) -> tuple[int, str]:
            with pytest.raises(Cut):
                at(2, fails)
            with pytest.raises(Conflict, match="worked on"):
                at(2.5, fails)
            told = at(4, lambda later: (201, " ".join(later.earlier)))
            assert told.answer.split()[0] == turn.mark
            assert heard == [(turn.mark,)]
            return 200, "late"

        at(0, first)


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
