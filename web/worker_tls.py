"""
gunicorn's worker for the listener with client certificates: `web.worker` over TLS.

An event loop, so that who begins a handshake or a request and stops holds up nobody.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from web.worker import Worker

if TYPE_CHECKING:
    from uvicorn.config import Config

    from web.asgi import Application

_LOG: Final = logging.getLogger(__name__)


class Telling(ssl.SSLObject):
    """
    TLS that tells the peer what is wrong.

    Event loops close at a failed handshake before its alert is written. To them it goes on here,
    so that they write, until the peer, which has heard, closes or sends more.
    """

    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Go on with the handshake. Raises as `ssl.SSLObject.do_handshake`, later if it failed."""
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._failure = error
            _LOG.info("TLS handshake failed: %s", error)
            raise ssl.SSLWantReadError from error


def context_of(config: Config, _usual: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    """Return TLS that asks for a certificate and believes the CAs that there are at a handshake."""
    app: Application = config.app  # type: ignore[assignment]  # gunicorn loaded it
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(str(config.ssl_certfile), config.ssl_keyfile)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_OPTIONAL
    context.sslobject_class = Telling

    def begin(_spoken: object, _name: str | None, _context: ssl.SSLContext) -> None:
        app.believe(context)

    context.sni_callback = begin  # of every handshake, whether it names a server or not
    return context


class TlsWorker(Worker):
    """One process that serves."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {
        **Worker.CONFIG_KWARGS,
        "ssl_context_factory": context_of,
    }
