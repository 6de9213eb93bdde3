"""
Sessions with one PKCS#11 module, shared by the threads of a process.

The module belongs to the process: whoever initialises it does so for everybody, and a child after
a fork does so anew. When a call fails, the module is initialised anew once nobody is inside it and
the call is made again, so that a token that was away is found without a restart.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

import pkcs11
from pkcs11 import PKCS11Error
from pkcs11.types import SignMixin

from pki.errors import Unavailable

T = TypeVar("T")

SESSIONS: Final = 8
"""Of one process; those who come later wait for one."""
_PATIENCE: Final = 10.0
_OS_LOCKING: Final = 2  # CKF_OS_LOCKING_OK
_REFUSED: Final = (
    pkcs11.PinIncorrect,
    pkcs11.PinInvalid,
    pkcs11.PinLenRange,
    pkcs11.PinLocked,
    pkcs11.PinExpired,
)
_FINAL: Final = (pkcs11.MechanismInvalid, *_REFUSED)
"""What another try cannot mend."""


class _InitializeArgs(ctypes.Structure):
    """CK_C_INITIALIZE_ARGS (PKCS#11 3.1, 5.4): the module locks by itself."""

    _fields_ = (
        ("create_mutex", ctypes.c_void_p),
        ("destroy_mutex", ctypes.c_void_p),
        ("lock_mutex", ctypes.c_void_p),
        ("unlock_mutex", ctypes.c_void_p),
        ("flags", ctypes.c_ulong),
        ("reserved", ctypes.c_void_p),
    )


@dataclass(slots=True)
class Session:
    """
    An open session, logged in.

    Attributes:
        keys: private keys that it has found, by label.
    """

    raw: pkcs11.Session
    keys: dict[str, SignMixin] = field(default_factory=dict)

    def private_key(self, label: str) -> SignMixin:
        """Return a key of the token; NoSuchKey, MultipleObjectsReturned."""
        if label not in self.keys:
            key = self.raw.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label=label)
            if not isinstance(key, SignMixin):
                raise pkcs11.KeyTypeInconsistent
            self.keys[label] = key
        return self.keys[label]


class Module:
    """One module in one process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._idle: dict[str, list[Session]] = {}
        self._inside = 0
        self._generation = 0
        self._ready = False
        self._starting = False
        self._logging_in = threading.Lock()
        self._logged_in: set[str] = set()
        self._refused: dict[str, bytes] = {}

    def use(self, token: str, pin: Callable[[], bytes], work: Callable[[Session], T]) -> T:
        """
        Return what `work` does with a session, tried a second time over a new connection.

        Raises:
            PKCS11Error: it failed twice.
            Unavailable: `key_unavailable`.
        """
        generation = self._generation
        try:
            if not self._ready:
                self._start(generation)
                generation = self._generation
            return self._try(token, pin, work)
        except _FINAL:
            raise
        except PKCS11Error:
            self._start(generation)
            return self._try(token, pin, work)

    def _try(self, token: str, pin: Callable[[], bytes], work: Callable[[Session], T]) -> T:
        with self._entered():
            session = self._session(token, pin)
            try:
                result = work(session)
            except PKCS11Error:
                with suppress(PKCS11Error):
                    session.raw.close()
                raise
            self._idle.setdefault(token, []).append(session)
            return result

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Be one of those inside the module, while nobody initialises it."""
        with self._changed:
            if not self._changed.wait_for(self._admits, _PATIENCE):
                raise Unavailable(
                    "key_unavailable",
                    "Every session with the hardware token is in use.",
                    hint="Try again; the token answers slower than it is asked.",
                )
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    def _admits(self) -> bool:
        return not self._starting and self._inside < SESSIONS

    def _session(self, token: str, pin: Callable[[], bytes]) -> Session:
        with self._changed:
            idle = self._idle.get(token)
            if idle:
                return idle.pop()
        with self._logging_in:
            return Session(self._open(token, pin))

    def _open(self, token: str, pin: Callable[[], bytes]) -> pkcs11.Session:
        """Open a session; a wrong PIN is tried once and no more, since tokens lock at some."""
        found = pkcs11.lib(str(self._path)).get_token(token_label=token)
        if token in self._logged_in:  # one session logs in for all of the process
            return found.open(rw=True)
        given = pin()
        if self._refused.get(token) == given:
            raise pkcs11.PinIncorrect
        try:
            session = found.open(rw=True, user_pin=given.decode("utf-8", "replace"))
        except _REFUSED:
            self._refused[token] = given
            raise
        self._logged_in.add(token)
        return session

    def _start(self, seen: int) -> None:
        """Initialise the module, unless somebody did since `seen`."""
        with self._changed:
            self._changed.wait_for(lambda: not self._starting)
            if self._generation != seen:
                return
            self._starting = True
            self._changed.wait_for(lambda: self._inside == 0)
        try:
            self._ready = False
            self._idle.clear()
            self._logged_in.clear()
            _initialise(self._path)
            self._ready = True
        finally:
            with self._changed:
                self._starting = False
                self._generation += 1
                self._changed.notify_all()


def _initialise(path: Path) -> None:
    """
    Initialise a module anew, for threads.

    The binding tells no module that there are threads, and one that was not told may crash
    (PKCS#11 3.1, 5.4); so it is told once more, beneath the binding.
    """
    try:
        pkcs11.lib(str(path))
        raw = ctypes.CDLL(str(path))
    except (OSError, RuntimeError) as error:
        raise Unavailable(
            "key_unavailable",
            f"The PKCS#11 module {path} cannot be used.",
            hint="Check keys.pkcs11_module and the module's own configuration.",
        ) from error
    raw.C_Finalize(None)
    arguments = _InitializeArgs(None, None, None, None, _OS_LOCKING, None)
    if raw.C_Initialize(ctypes.byref(arguments)) != 0:
        raise Unavailable("key_unavailable", f"The PKCS#11 module {path} does not start.")


@lru_cache(maxsize=64)
def _module(path: Path, process: int) -> Module:  # noqa: ARG001 - one for each process
    return Module(path)


def module(path: Path) -> Module:
    """Return the module of this process; after a fork it is another one."""
    return _module(path, os.getpid())
