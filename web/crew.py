"""
A thread that answers requests in groups: whatever arrived while it answered the group before.

One hop into the thread and one back serve the whole group, and so do one read and one commit. Under
load groups grow, so that a slow disk costs waiting and not work.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from pki.errors import PkiError
from web.hot import HotRequest, HotResponse
from web.logs import ERRORS

MOST: Final = 64
"""Requests of one group."""

Answer = HotResponse | PkiError | None
"""None, or the error that somebody else is to tell, where there is no answer."""
_Waiting = tuple[HotRequest, asyncio.Future[Answer]]


class Crew:
    """
    Asked by event loops.

    Args:
        work: answers a group; None for what somebody else is to answer.
        patience: seconds that a group waits for more, where commits cost more than the wait.
    """

    def __init__(
        self,
        work: Callable[[Sequence[HotRequest]], Sequence[Answer]],
        patience: float = 0.0,
    ) -> None:
        self._work = work
        self._patience = patience
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def ask(self, request: HotRequest) -> Answer:
        """Return the answer to a request, or what somebody else is to answer it with."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="crew", daemon=True)
            self._thread.start()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.put((request, future))
        return await future

    def stop(self) -> None:
        """Answer what waits, and end the thread."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        going = True
        while going:
            group, going = self._group()
            if group:
                answers = self._answers([request for request, _ in group])
                futures = [future for _, future in group]
                for loop in {future.get_loop() for future in futures}:
                    with suppress(RuntimeError):  # the loop ended, and everybody who waited there
                        loop.call_soon_threadsafe(_tell, loop, futures, answers)

    def _group(self) -> tuple[list[_Waiting], bool]:
        """Wait for a request, and take what came with it; tell whether to go on."""
        group: list[_Waiting] = []
        end = 0.0
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) >= MOST:
                return group, True
            end = end or time.monotonic() + self._patience
            try:
                item = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                return group, True
        return group, False

    def _answers(self, requests: Sequence[HotRequest]) -> Sequence[Answer]:
        try:
            return self._work(requests)
        except Exception as error:  # noqa: BLE001 - the thread must outlive whatever it was
            ERRORS.error("unexpected", exc_info=error)
            return [None] * len(requests)


def _tell(
    loop: asyncio.AbstractEventLoop,
    futures: Sequence[asyncio.Future[Answer]],
    answers: Sequence[Answer],
) -> None:
    for future, answer in zip(futures, answers, strict=True):
        if future.get_loop() is loop and not future.done():  # its caller may be gone
            future.set_result(answer)
