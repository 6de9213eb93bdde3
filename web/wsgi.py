"""The app for any WSGI server, without `web.gunicorn.conf`: `gunicorn --threads 4 web.wsgi:app`."""

from __future__ import annotations

import logging.config
import os
import sys
from collections.abc import Mapping
from typing import Final

from flask import Flask

from pki import services, settings
from pki.errors import PkiError
from web import logs
from web.app import create_app

BOOT_FAILED: Final = 3
"""With this code gunicorn gives up on a worker; after any other it tries for ever."""


def load(environment: Mapping[str, str]) -> Flask:
    """
    Return the app of the installation that the environment names.

    Raises:
        PkiError: `invalid_settings`, `key_unavailable`, `store_unavailable`, `demo_key`, ….
    """
    running = services.build(settings.load(environment))
    services.check_start(running)
    for warning in running.warnings:
        logs.ERRORS.warning(warning)
    running.view.start()
    return create_app(running)


def _load_or_stop() -> Flask:
    logging.config.dictConfig(logs.config())
    try:
        return load(os.environ)
    except PkiError as error:
        sys.stderr.write(f"The service does not start ({error.code}): {error}\n")
        raise SystemExit(BOOT_FAILED) from error


app = _load_or_stop()
