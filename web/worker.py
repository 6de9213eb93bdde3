"""gunicorn's worker for `web.asgi`: uvicorn on uvloop with our own protocol."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from uvicorn_worker import UvicornWorker

from web.worker_protocol import Protocol

MAX_CONNECTIONS: Final = 1000
"""Of one worker; those above are told 503."""

GRACEFUL_SECONDS: Final = 12
"""Until requests that still run at a stop are given up; below gunicorn's own patience."""


class Worker(UvicornWorker):  # type: ignore[misc]  # it ships no types
    """One process that serves."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        "http": Protocol,
        "loop": "uvloop",
        "ws": "none",
        "interface": "asgi3",
        "lifespan": "on",
        "access_log": False,
        "proxy_headers": False,  # `web.ops` judges a peer by what it is, not by what it says
        "server_header": False,
        "date_header": False,  # `web.hot.date` is written by whoever answers
        "limit_concurrency": MAX_CONNECTIONS,
        "timeout_graceful_shutdown": GRACEFUL_SECONDS,
    }
