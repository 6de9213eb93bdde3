"""Groups: who asks together is answered together, and nobody waits for those who never come."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from web.crew import Crew
from web.hot import HotRequest, HotResponse

_REQUEST = HotRequest(method="POST", raw_path="/", headers={}, body=b"")
_ANSWER = HotResponse(status=200, headers={}, body=b"")


class _Counted:
    """A crew, and how large its groups were."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.crew = Crew(self._work)

    def _work(self, requests: Sequence[HotRequest]) -> list[HotResponse]:
        self.sizes.append(len(requests))
        return [_ANSWER] * len(requests)

    async def ask(self, count: int = 1) -> None:
        asked = (self.crew.ask(_REQUEST) for _ in range(count))
        assert await asyncio.gather(*asked) == [_ANSWER] * count


def test_who_asks_at_once_is_answered_at_once() -> None:
    counted = _Counted()
    asyncio.run(counted.ask(5))
    counted.crew.stop()
    assert counted.sizes == [5]


def test_once_nobody_came_nobody_is_waited_for() -> None:
    counted = _Counted()

    async def run() -> None:
        await counted.ask(5)
        await counted.ask(4)  # wait for one more, in vain
        first = asyncio.create_task(counted.ask())
        for _ in range(3):  # turns of the loop
            await asyncio.sleep(0)
        await counted.ask()
        await first

    asyncio.run(run())
    counted.crew.stop()
    assert counted.sizes == [5, 4, 1, 1]
