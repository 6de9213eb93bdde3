"""The signer's side of the socket: who may ask, and what is done."""

from __future__ import annotations

import fcntl
import grp
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki import sign
from pki.errors import BadInput, Conflict, NotAllowed, PkiError, Unavailable
from pki.model import is_delegated
from pki.pkix.suites import Suite
from pki.ports import Deployment, Signer
from pki.signer import frames, judge
from pki.signer.frames import Message

_LOG: Final = logging.getLogger(__name__)
_THREADS: Final = 16
_WAITING: Final = 64
_QUESTION: Final = 5.0
"""Seconds in which a question must have arrived."""
_LOOK: Final = 0.5
_TOGETHER: Final = 512
"""Intents of one question."""
_PEER: Final = struct.Struct("3i")
_SO_PEERGROUPS: Final = 59
_GROUPS: Final = 1024
"""Octets for the groups of a peer, four each: as many as Python takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketPlace:
    """
    Where the signer listens, and for whom.

    Attributes:
        group: whose members may ask besides our own user; None: nobody.
    """

    path: Path
    group: int | None = None

    @classmethod
    def of(cls, path: Path, group: str) -> SocketPlace:
        """Look the group up. Raises BadInput (`group_unknown`)."""
        try:
            return cls(path=path, group=grp.getgrnam(group).gr_gid if group else None)
        except KeyError as error:
            raise BadInput("group_unknown", f"There is no group {group}.") from error


class Server:
    """
    Answers questions until it is stopped.

    Args:
        deployment: with the keys and a way into the database of the signer's own.
        delegated: whether keys that are no CA's lie here too.
        answers: whether CAs sign OCSP answers.
    """

    def __init__(
        self, deployment: Deployment, place: SocketPlace, *, delegated: bool, answers: bool
    ) -> None:
        self._deployment = deployment
        self._place = place
        self._delegated = delegated
        self._answers = answers
        self._stopped = threading.Event()
        self._deeds: dict[str, Callable[[Message, int | None], Message]] = {
            "ping": self._ping,
            "sign_intents": self._sign_intents,
            "sign_crl": self._sign_crl,
            "sign_answer": self._sign_answer,
            "create": self._create,
            "public_key": self._public_key,
            "sign_delegated": self._sign_delegated,
        }

    def stop(self) -> None:
        """End after the questions that are being answered."""
        self._stopped.set()

    def run(self, ready: Callable[[], None] = lambda: None) -> None:
        """
        Listen until `stop`; `ready` is called when the socket is there.

        Raises:
            Conflict: `already_signing`.
            Unavailable: `socket_not_usable`.
        """
        lock = _lock(self._place.path)
        try:
            listener = _listen(self._place)
            with listener, ThreadPoolExecutor(_THREADS, "signer") as pool:
                ready()
                while not self._stopped.is_set():
                    try:
                        peer, _ = listener.accept()
                    except TimeoutError:
                        continue
                    except OSError as error:  # out of descriptors: some will be free
                        _LOG.warning("a question cannot be taken: %s", error)
                        self._stopped.wait(_LOOK)
                    else:
                        pool.submit(self._serve, peer)
        finally:
            self._place.path.unlink(missing_ok=True)
            os.close(lock)

    def _serve(self, peer: socket.socket) -> None:
        with peer:
            try:
                if not _may_ask(peer, self._place.group):
                    _LOG.warning("a stranger asked the signer and was told nothing")
                    return
                question, descriptor = frames.receive(peer, _QUESTION)
                try:
                    answer = self._answer(question, descriptor)
                finally:
                    if descriptor is not None:
                        os.close(descriptor)
                frames.send(peer, answer)
            except (OSError, ValueError) as error:
                _LOG.warning("a question was not answered: %s", error)

    def _answer(self, question: Message, descriptor: int | None) -> Message:
        try:
            return self._deeds.get(str(question.get("do")), _unknown)(question, descriptor)
        except PkiError as error:
            return frames.of_error(error)
        except Exception:  # noqa: BLE001 - whatever it was, the next question is to be answered
            _LOG.exception("unexpected")
            return frames.of_error(Unavailable("key_unavailable", "The signer failed."))

    # --- what is done --------------------------------------------------------------------------

    def _ping(self, _: Message, __: int | None) -> Message:
        self._deployment.store.ping()
        return {}

    def _sign_intents(self, question: Message, _: int | None) -> Message:
        ids = question.get("intents")
        if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
            raise BadInput("question_malformed", "The question names no intents.")
        if not 0 < len(ids) <= _TOGETHER:
            raise BadInput("question_malformed", f"Not between 1 and {_TOGETHER} intents.")
        signatures = sign.sign_intents(self._deployment, ids, judge.certificate)
        return {"signatures": [signature.hex() for signature in signatures]}

    def _sign_crl(self, question: Message, descriptor: int | None) -> Message:
        tbs = _octets(descriptor)
        signature = sign.sign_crl(
            self._deployment,
            _text(question, "intent"),
            tbs,
            lambda intent, issuer: judge.crl(intent, issuer, tbs),
        )
        return {"signature": signature.hex()}

    def _sign_answer(self, question: Message, _: int | None) -> Message:
        if not self._answers:
            raise NotAllowed("answers_delegated", "CAs sign no OCSP answers here.")
        data = frames.to_answer(question.get("answer") or {})
        now = self._deployment.clock.now()
        tbs, signature = sign.sign_answer(
            self._deployment,
            _text(question, "issuer"),
            data,
            lambda tx, issuer: judge.answer(tx, issuer, data, now),
        )
        return {"tbs": tbs.hex(), "signature": signature.hex()}

    def _create(self, question: Message, _: int | None) -> Message:
        label = self._label(question)
        suite = _text(question, "suite")
        if suite not in list(Suite):
            raise BadInput("question_malformed", "There is no such suite.")
        return _shown(self._deployment.keys.create(label, Suite(suite)))

    def _public_key(self, question: Message, _: int | None) -> Message:
        return _shown(self._deployment.keys.signer(self._label(question)))

    def _sign_delegated(self, question: Message, descriptor: int | None) -> Message:
        """Sign octets that were handed over: never with the key of a CA."""
        label = self._label(question)
        if not is_delegated(label):
            raise NotAllowed("key_of_ca", f"The key {label} is a CA's: it signs intents only.")
        signer = self._deployment.keys.signer(label)
        return {"signature": signer.sign(_octets(descriptor)).hex()}

    def _label(self, question: Message) -> str:
        label = _text(question, "label")
        if is_delegated(label) and not self._delegated:
            raise NotAllowed("key_elsewhere", f"The key {label} lies with the workers.")
        return label


def _unknown(_: Message, __: int | None) -> Message:
    raise BadInput("question_unknown", "The signer does no such thing.")


def _text(question: Message, name: str) -> str:
    value = question.get(name)
    if not isinstance(value, str):
        raise BadInput("question_malformed", f"The question names no {name}.")
    return value


def _octets(descriptor: int | None) -> bytes:
    """Read what is to be signed, once: whoever holds the file too may change it meanwhile."""
    if descriptor is None:
        raise BadInput("question_malformed", "The question came without what is to be signed.")
    size = os.fstat(descriptor).st_size
    if size > frames.LARGEST:
        raise BadInput("question_malformed", f"More than {frames.LARGEST} octets are not signed.")
    try:
        with os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            return file.read(size)
    except OSError as error:  # no plain file
        raise BadInput("question_malformed", "What is to be signed cannot be read.") from error


def _shown(signer: Signer) -> Message:
    key = signer.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {"key": key.hex()}


# --- the socket ----------------------------------------------------------------------------------


def _may_ask(peer: socket.socket, group: int | None) -> bool:
    """Tell whether the process at the other end is of our user, or a member of the group."""
    credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, user, primary = _PEER.unpack(credentials)
    if user == os.geteuid():
        return True
    if group is None:
        return False
    with suppress(OSError):
        octets = peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _GROUPS)
        if group in struct.unpack(f"{len(octets) // 4}I", octets):
            return True
    return bool(primary == group)


def _lock(path: Path) -> int:
    """Hold the socket for one signer. Raises Conflict, Unavailable."""
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _not_usable(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise Conflict("already_signing", f"A signer listens at {path} already.") from error
    return descriptor


def _listen(place: SocketPlace) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        place.path.unlink(missing_ok=True)  # of a signer that was killed
        before = os.umask(0o177)
        try:
            listener.bind(str(place.path))
        finally:
            os.umask(before)
        if place.group is not None:
            os.chown(place.path, -1, place.group)
            place.path.chmod(0o660)
        listener.listen(_WAITING)
        listener.settimeout(_LOOK)
    except OSError as error:
        listener.close()
        raise _not_usable(place.path, error) from error
    return listener


def _not_usable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        "socket_not_usable",
        f"The signer cannot listen at {path}: {error.strerror or error}.",
        hint="Name a short path in a directory that the signer may write (signer.socket).",
    )
