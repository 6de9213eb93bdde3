# ruff: noqa: N999 - the name that gunicorn looks for
"""
gunicorn for this service: `gunicorn -c web/gunicorn.conf.py`.

Workers run an event loop (`web.worker`): OCSP answers in memory are given there, what waits for the
database or its disk waits in threads, and a slow client holds up nobody. Limits on requests are in
`web.worker_protocol`. Address and number of workers come from the settings of the installation.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from pki import services, settings
from pki.errors import PkiError
from web import logs


def _settings() -> settings.Settings:
    try:
        return settings.load(os.environ)
    except PkiError as error:
        sys.stderr.write(f"The service does not start ({error.code}): {error}\n")
        raise SystemExit(1) from error


_INSTALLATION = _settings()
_RUN = _INSTALLATION.home / "run"
_METRICS = _RUN / "metrics"
_MEMORY = Path("/dev/shm")  # noqa: S108 - not for secrets: an empty, unlinked file

# prometheus_client looks at this when it is imported, which workers do after this file
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(_METRICS)

bind = f"{_INSTALLATION.host}:{_INSTALLATION.port}"
workers = _INSTALLATION.workers
wsgi_app = "web.asgi:application()"
worker_class = "web.worker.Worker"
timeout = 30
graceful_timeout = 15
keepalive = 5
backlog = 512
max_requests = 0

# a heartbeat on a slow disk would look like a hung worker
worker_tmp_dir = str(_MEMORY if os.access(_MEMORY, os.W_OK) else _RUN)
control_socket_disable = True

accesslog = None
"""The app writes the line of a request itself: it knows the caller and the decision."""

logconfig_dict = logs.config()


def on_starting(_server: Any) -> None:  # noqa: ANN401 - gunicorn's Arbiter has no types
    """Refuse at once what must not run, and forget the numbers of the last run."""
    try:
        running = services.build(_INSTALLATION)
        try:
            services.check_start(running)
        finally:
            running.close()
    except PkiError as error:
        sys.stderr.write(f"The service does not start ({error.code}): {error}\n")
        raise SystemExit(1) from error
    shutil.rmtree(_METRICS, ignore_errors=True)
    _METRICS.mkdir(parents=True, mode=0o700)


def when_ready(_server: Any) -> None:  # noqa: ANN401 - as above
    """Start the listener with client certificates beside this one; it ends with its parent."""
    if _INSTALLATION.mtls_port:
        config = str(Path(__file__).with_name("gunicorn_tls.conf.py"))
        subprocess.Popen(  # noqa: S603 - ours
            [sys.executable, "-m", "gunicorn", "--config", config],
            pass_fds=_INSTALLATION.keys.descriptors,
        )


def child_exit(_server: Any, worker: Any) -> None:  # noqa: ANN401 - as above
    """Drop what only a living worker may report."""
    from prometheus_client import multiprocess  # noqa: PLC0415 - see PROMETHEUS_MULTIPROC_DIR

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
