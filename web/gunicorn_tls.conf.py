# ruff: noqa: N999 - beside gunicorn.conf.py
"""
gunicorn for the listener with client certificates; `web/gunicorn.conf.py` starts it.

Threads, because of all workers of gunicorn only those keep the socket of a request, and with it the
peer's certificate, in reach of the app.
"""

from __future__ import annotations

import os
import signal
import ssl
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any

from pki import services, settings
from pki.errors import PkiError
from web import logs, tls

_INSTALLATION = settings.load(os.environ)
_PARENT = os.getppid()
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_INSTALLATION.home / "run" / "metrics")


def _files() -> tuple[str, str, str]:
    running = services.build(_INSTALLATION)
    try:
        certificate, key = tls.server_files(_INSTALLATION, running.deployment.clock.now())
        return str(certificate), str(key), str(tls.write_authorities(running))
    except PkiError as error:
        sys.stderr.write(f"The TLS listener does not start ({error.code}): {error}\n")
        raise SystemExit(1) from error
    finally:
        running.close()


bind = f"{_INSTALLATION.host}:{_INSTALLATION.mtls_port}"
workers = 1
threads = 8
worker_class = "gthread"
wsgi_app = "web.wsgi:app"
timeout = 30
graceful_timeout = 15
keepalive = 5
certfile, keyfile, ca_certs = _files()
cert_reqs = ssl.CERT_OPTIONAL
limit_request_line = 4094
limit_request_fields = 50
control_socket_disable = True
accesslog = None
logconfig_dict = logs.config()


def ssl_context(_conf: Any, factory: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:  # noqa: ANN401 - gunicorn's Config has no types
    """Return the context of one handshake, which believes the CAs that there are now."""
    _known().refresh()
    return factory()


@cache
def _known() -> tls.Authorities:
    """Open the installation once in each worker."""
    return tls.Authorities(services.build(_INSTALLATION))


def when_ready(_server: Any) -> None:  # noqa: ANN401 - gunicorn's Arbiter has no types
    """End with the service that started this listener, also where that was killed."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    while os.getppid() == _PARENT:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
