"""
A thread that answers requests in groups: whatever arrived while it answered the group before.

One hop into the thread and one back serve the whole group, and so do one read and one commit. Under
load groups grow, so that a slow disk costs waiting and not work.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from pki.errors import PkiError
from web.hot import HotRequest, HotResponse
from web.logs import ERRORS

MOST: Final = 64
"""Requests of one group."""

PATIENCE: Final = 0.001
"""Seconds in which a group may become as large as the one before."""

_FEW: Final = 4
"""A group that is smaller than this is no reason to wait for others."""

_WITHOUT: Final = 16
"""Groups that wait for nobody, behind one that waited in vain."""

Answer = HotResponse | PkiError | None
"""None, or the error that somebody else is to tell, where there is no answer."""
Done = Callable[[Answer], None]
_Waiting = tuple[HotRequest, Done]
_Handed = tuple[asyncio.AbstractEventLoop, list[_Waiting]]


class Crew:
    """
    Asked by an event loop, one at a time.

    Who was answered in a group asks again together with the others of that group, or nearly so;
    without waiting for them, every other group would be the first to come and nobody else. Others
    ask when something becomes due, whenever they were answered: once they were waited for in vain,
    nobody is for some groups.

    Args:
        work: answers a group; None for what somebody else is to answer.
        patience: seconds that every group waits for more, where commits cost more than the wait.
    """

    def __init__(
        self,
        work: Callable[[Sequence[HotRequest]], Sequence[Answer]],
        patience: float = 0.0,
    ) -> None:
        self._work = work
        self._patience = patience
        self._queue: queue.SimpleQueue[_Handed | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begin()

    def _begin(self) -> None:
        """Belong to a loop that was not heard of before."""
        self._arrived: list[_Waiting] = []
        self._busy = False
        self._without = 0  # groups that still wait for nobody
        self._wanted = self._wants(0)
        self._call: asyncio.Handle | None = None

    def take(self, request: HotRequest, done: Done) -> None:
        """
        Have a request answered, together with what else arrives meanwhile.

        Args:
            done: is called in the loop with the answer, or with what somebody else is to answer.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._begin()
            self._loop = loop
        self._arrived.append((request, done))
        if not self._busy and (self._call is None or len(self._arrived) == self._wanted):
            self._plan(loop)

    async def ask(self, request: HotRequest) -> Answer:
        """Return the answer to a request, or what somebody else is to answer it with."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def done(answer: Answer) -> None:
            if not future.done():  # its caller may be gone
                future.set_result(answer)

        self.take(request, done)
        return await future

    def stop(self) -> None:
        """Answer what the thread has, and end it."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    # --- in the loop -----------------------------------------------------------------------------

    def _plan(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand over what arrives in this turn of the loop, or wait a little for more."""
        if self._call is not None:
            self._call.cancel()
        if len(self._arrived) >= self._wanted:
            self._call = loop.call_soon(self._send, loop)
        else:
            self._call = loop.call_later(self._patience or PATIENCE, self._give_up, loop)

    def _give_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand over what came until now."""
        self._without = _WITHOUT
        self._send(loop)

    def _wants(self, last: int) -> int:
        """Return how many a group waits for, behind one of `last` requests."""
        if self._patience:
            return MOST
        self._without = max(0, self._without - 1)
        return last if last >= _FEW and not self._without else 1

    def _send(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call = None
        self._busy = True
        group, self._arrived = self._arrived[:MOST], self._arrived[MOST:]
        self._wanted = self._wants(len(group))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="crew", daemon=True)
            self._thread.start()
        self._queue.put((loop, group))

    def _tell(
        self, loop: asyncio.AbstractEventLoop, group: Sequence[_Waiting], answers: Sequence[Answer]
    ) -> None:
        if loop is self._loop:
            self._busy = False
        for (_, done), answer in zip(group, answers, strict=True):
            try:
                done(answer)
            except Exception as error:  # noqa: BLE001 - one caller's fault is not another's
                ERRORS.error("unexpected", exc_info=error)
        if self._arrived and not self._busy and self._call is None:
            self._plan(loop)

    # --- in the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            loop, group = item
            answers = self._answers([request for request, _ in group])
            with suppress(RuntimeError):  # the loop ended, and everybody who waited there
                loop.call_soon_threadsafe(self._tell, loop, group, answers)

    def _answers(self, requests: Sequence[HotRequest]) -> Sequence[Answer]:
        try:
            return self._work(requests)
        except Exception as error:  # noqa: BLE001 - the thread must outlive whatever it was
            ERRORS.error("unexpected", exc_info=error)
            return [None] * len(requests)
