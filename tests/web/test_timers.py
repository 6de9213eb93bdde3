"""What a worker does now and again is begun once at a time, and again when it has ended."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from tests.web.authority import opened
from web.asgi import Application

_TURN = 0.01
_DEADLINE = 20


async def _until(reached: Callable[[], bool]) -> None:
    while not reached():  # noqa: ASYNC110 - another thread does what is waited for
        await asyncio.sleep(_TURN)


def test_work_that_outlasts_its_turn_is_not_begun_beside_itself(authority_home: Path) -> None:
    services = opened(authority_home)
    app = Application(services)
    begun: list[int] = []
    may_end = threading.Event()

    def work() -> None:
        begun.append(len(begun))
        may_end.wait(_DEADLINE)

    async def next_turn(timer: asyncio.TimerHandle) -> None:
        await _until(lambda: app._timers[work] is not timer)

    async def turns() -> None:
        app._again(asyncio.get_running_loop(), _TURN, work)
        await _until(lambda: begun == [0])
        for _ in range(3):  # turns that come while the work goes on
            await next_turn(app._timers[work])
        assert begun == [0]
        may_end.set()
        await _until(lambda: len(begun) > 1)
        app._timers[work].cancel()

    try:
        asyncio.run(asyncio.wait_for(turns(), _DEADLINE))
    finally:
        may_end.set()
        app.stop()
        services.close()
