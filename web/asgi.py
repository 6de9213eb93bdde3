"""
The app for an ASGI server: hot paths by plain functions, everything else by Flask in a few threads.

`gunicorn -c web/gunicorn.conf.py` runs it. Only answers that need no explanation (200 and 304) are
given here; whatever is refused is handed to Flask, so that errors look the same whichever server
runs. What needs the database, a file or a slow key waits in a thread, never in the event loop.
"""

from __future__ import annotations

import asyncio
import gc
import logging.config
import os
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from pki import services, settings
from pki.clock import SystemClock
from pki.errors import PkiError
from pki.services import Services
from web import bridge, hot_routes, issuing, logs, parsing
from web.app import create_app, decisions_of
from web.bridge import Scope
from web.crew import Answer, Crew
from web.decision_heads import DecisionHeads
from web.decisions import LIMITS
from web.hot import HotRequest, HotResponse, date
from web.hot_heads import Heads
from web.hot_routes import Route
from web.hot_watch import HotWatch
from web.limits import Limits
from web.metrics import Metrics
from web.status import StatusPages
from web.worker_waiting import Done

BOOT_FAILED: Final = 3
"""With this code gunicorn gives up on a worker; after any other it tries for ever."""

THREADS: Final = 8
"""Requests of one worker that wait for database, disk or key at a time."""

ACCOUNT_SECONDS: Final = 60.0
"""Between looks at whether signed answers are to be told to the audit log."""

TIDY_SECONDS: Final = 0.25
"""Between moves of SQLite's write-ahead log into its file, which commits would make otherwise."""

_GARBAGE: Final = (5000, 10, 14)
"""
When garbage is looked for: among everything ten times as seldom as Python does by itself, since
that takes 40 ms where 10,000 decisions are remembered, and nothing else goes on meanwhile. Among
what is new only behind several requests: what is still at work in them is looked through in vain.
"""

_DIRECT: Final = frozenset((HTTPStatus.OK, HTTPStatus.NOT_MODIFIED))
_CHUNK: Final = 256 * 1024

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Result = TypeVar("Result")


class Application:
    """
    The ASGI callable over one installation.

    Args:
        running: what it serves; closed when the server stops.

    Attributes:
        heads, decision_heads: for a server that sees the octets, what it may answer without reading
            all of them.
    """

    def __init__(self, running: Services) -> None:
        metrics = Metrics()
        self._services = running
        decisions = decisions_of(running, metrics)
        bounds = Limits(running.settings.enrol)
        self._flask = create_app(running, metrics, decisions, bounds)
        self._crews = dict.fromkeys(LIMITS, Crew(decisions.many))
        self._crews[issuing.PATH] = Crew(
            issuing.Issuing(running.deployment, decisions.callers, metrics, bounds).many,
            patience=issuing.PATIENCE,
        )
        self._pages = StatusPages(
            running.deployment,
            running.answers,
            running.settings.status,
            running.run_directory / "crl",
        )
        self._watch = HotWatch(metrics)
        self.heads = Heads(self._pages, self._watch)
        self.decision_heads = DecisionHeads()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="request")
        self._believed: object = None  # the CAs that TLS was told of
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._running: dict[Callable[[], None], Future[None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the server's life, or one request."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._serve(scope, receive, send)

    def quick(self, request: HotRequest) -> HotResponse | None:
        """
        Answer a request for `/ocsp` from memory and without waiting, or return None.

        A server that calls this first saves a task for each request; the answer is the same.
        """
        answer = self._pages.ocsp_in_memory(request)
        if answer is None:
            return None
        return self._watch.from_memory(request, answer, hot_routes.OCSP)

    def decide(self, request: HotRequest, done: Done) -> None:
        """
        Answer a request for a decision or a certificate among others, later and without a task.

        Args:
            done: gets the answer, or what `explain` is to tell.
        """

        def finish(answer: Answer) -> None:
            if isinstance(answer, HotResponse):
                fields = self._watch.written(request, answer, request.raw_path)
                done((answer.status, fields, answer.octets))
            else:
                done(answer)

        self._crews[request.raw_path].take(request, finish)

    async def explain(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that `decide` did not answer."""
        body = await _body(receive, parsing.MAX_BODY)
        if body is not None:
            await self._by_flask(scope, body, send, failure=scope["state"].get(issuing.FAILURE))

    def believe(self, context: ssl.SSLContext) -> None:
        """Have TLS believe certificates of every CA of ours, as the view knows them now."""
        index = self._services.view.index
        if index is self._believed:
            return
        cas = {k.issuer.certificate for found in index.values() for k in found}
        if cas:
            context.load_verify_locations(cadata=b"".join(cas))
        self._believed = index

    def stop(self) -> None:
        """End the threads of this application; what it serves stays open."""
        for crew in set(self._crews.values()):
            crew.stop()
        self._pool.shutdown()

    # --- the server's life ---------------------------------------------------------------------

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._wait(self._first_look)
        self._services.view.start()
        self._watch.start(asyncio.get_running_loop())
        loop = asyncio.get_running_loop()
        self._again(loop, ACCOUNT_SECONDS, self._services.answers.account)
        self._again(loop, TIDY_SECONDS, self._services.database.tidy)
        gc.collect()
        gc.freeze()  # what was imported stays; looking through it again would hold up everybody
        gc.set_threshold(*_GARBAGE)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._watch.stop()
        for timer in self._timers.values():
            timer.cancel()
        self.stop()
        self._services.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _first_look(self) -> None:
        """Look at the change log before the first question comes, however slow this host is."""
        with suppress(PkiError):  # the view's thread tries again and says what is wrong
            self._services.view.follow()

    def _again(
        self, loop: asyncio.AbstractEventLoop, seconds: float, work: Callable[[], None]
    ) -> None:
        """Have something done now and again; while it takes longer, not once more beside itself."""
        running = self._running.get(work)
        if running is None or running.done():
            self._running[work] = self._pool.submit(work)
        self._timers[work] = loop.call_later(seconds, self._again, loop, seconds, work)

    # --- one request ---------------------------------------------------------------------------

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw_path = scope["raw_path"].decode("latin-1")
        if raw_path in self._crews and scope["method"] == "POST":
            await self._in_group(scope, raw_path, receive, send)
            return
        route = hot_routes.match(self._pages, scope["method"], raw_path)
        body = await _body(receive, route.most if route else parsing.MAX_BODY)
        if body is None:
            return  # the caller is gone
        if route is not None:
            request = HotRequest(
                method=scope["method"],
                raw_path=raw_path,
                headers=bridge.headers_of(scope["headers"]),
                body=body,
            )
            answer = await self._hot(request, route)
            if answer is not None:
                await self._send_hot(answer, send)
                return
        await self._by_flask(scope, body, send)

    async def _in_group(self, scope: Scope, raw_path: str, receive: Receive, send: Send) -> None:
        """Answer a request for a decision or a certificate, among others that wait."""
        body = await _body(receive, parsing.MAX_BODY)
        if body is None:
            return
        headers = bridge.headers_of(scope["headers"])
        request = HotRequest(method="POST", raw_path=raw_path, headers=headers, body=body)
        answer = await self._crews[raw_path].ask(request)
        if isinstance(answer, HotResponse):
            await self._send_hot(self._watch.from_memory(request, answer, raw_path), send)
        else:
            await self._by_flask(scope, body, send, failure=answer)

    async def _by_flask(
        self, scope: Scope, body: bytes, send: Send, *, failure: PkiError | None = None
    ) -> None:
        environ = bridge.environ_of(scope, body)
        if failure is not None:
            environ[issuing.FAILURE] = failure
        status, headers, whole = await self._wait(lambda: bridge.run(self._flask, environ))
        await _send(status, headers, whole, send)

    async def _hot(self, request: HotRequest, route: Route) -> HotResponse | None:
        """Answer on a hot path; None where there is something to explain."""
        answer = self.quick(request) if route.label == hot_routes.OCSP else None
        if answer is not None:
            return answer
        begun = time.perf_counter()
        answer = await self._wait(lambda: route.tried(request))
        if answer is None or answer.status not in _DIRECT:
            return None
        return self._watch.waited(request, answer, route.label, time.perf_counter() - begun)

    async def _wait(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _send_hot(self, answer: HotResponse, send: Send) -> None:
        if isinstance(answer.body, bytes):
            await _send(answer.status, answer.headers.items(), answer.body, send)
            return
        path = answer.body
        file, size = await self._wait(lambda: _opened(path))
        try:
            headers = {**answer.headers, "Content-Length": str(size)}
            await send(_start(answer.status, headers.items()))
            while chunk := await self._wait(lambda: file.read(_CHUNK)):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            file.close()


async def _body(receive: Receive, most: int) -> bytes | None:
    """Return the body, or its first octets, at least one above `most`; None if nobody waits."""
    pieces: list[bytes] = []
    size = 0
    while size <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if not message.get("more_body", False):
            break
    return b"".join(pieces)[: most + 1]


def _opened(path: Path) -> tuple[BinaryIO, int]:
    file = path.open("rb")
    return file, os.fstat(file.fileno()).st_size


def _start(status: int, headers: Iterable[tuple[str, str]]) -> Message:
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    pairs.append((b"date", date(SystemClock().now())))
    return {"type": "http.response.start", "status": status, "headers": pairs}


async def _send(status: int, headers: Iterable[tuple[str, str]], body: bytes, send: Send) -> None:
    start = _start(status, headers)
    if status != HTTPStatus.NOT_MODIFIED and not _has_length(start["headers"]):
        start["headers"].append((b"content-length", str(len(body)).encode()))
    await send(start)
    await send({"type": "http.response.body", "body": body})


def _has_length(pairs: list[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-length" for name, _ in pairs)


# --- start ---------------------------------------------------------------------------------------


def load(environment: Mapping[str, str]) -> Application:
    """
    Return the app of the installation that the environment names.

    Raises:
        PkiError: `invalid_settings`, `key_unavailable`, `store_unavailable`, `demo_key`, ….
    """
    running = services.build(settings.load(environment))
    services.check_start(running)
    for warning in running.warnings:
        logs.ERRORS.warning(warning)
    return Application(running)


def application() -> Application:
    """Return the app for gunicorn; end the process with a plain word where it must not run."""
    logging.config.dictConfig(logs.config())
    try:
        return load(os.environ)
    except PkiError as error:
        sys.stderr.write(f"The service does not start ({error.code}): {error}\n")
        raise SystemExit(BOOT_FAILED) from error
