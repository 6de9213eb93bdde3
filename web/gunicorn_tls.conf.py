# ruff: noqa: N999 - beside gunicorn.conf.py
"""gunicorn for the listener with client certificates; `web/gunicorn.conf.py` starts it."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from typing import Any

from pki import settings
from pki.clock import SystemClock
from pki.errors import PkiError
from web import logs, tls

_INSTALLATION = settings.load(os.environ)
_PARENT = os.getppid()
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_INSTALLATION.home / "run" / "metrics")


def _files() -> tuple[str, str]:
    try:
        certificate, key = tls.server_files(_INSTALLATION, SystemClock().now())
    except PkiError as error:
        sys.stderr.write(f"The TLS listener does not start ({error.code}): {error}\n")
        raise SystemExit(1) from error
    return str(certificate), str(key)


bind = f"{_INSTALLATION.host}:{_INSTALLATION.mtls_port}"
workers = 1
wsgi_app = "web.asgi:application()"
worker_class = "web.worker_tls.TlsWorker"
timeout = 30
graceful_timeout = 15
keepalive = 5
certfile, keyfile = _files()
control_socket_disable = True
accesslog = None
logconfig_dict = logs.config()


def when_ready(_server: Any) -> None:  # noqa: ANN401 - gunicorn's Arbiter has no types
    """End with the service that started this listener, also where that was killed."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while os.getppid() == _PARENT:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
