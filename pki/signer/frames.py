"""
What goes over the socket: a length in four octets, and that much JSON; one question, one answer.

Octets to be signed do not stand in it: they lie in a file whose descriptor goes with the question.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import time
from typing import Any, Final

from pki import errors
from pki.clock import format_time, parse_time
from pki.errors import BadInput, PkiError
from pki.pkix.ocsp import CertStatus, ResponseData, SingleAnswer

LONGEST: Final = 262_144
"""Octets of a question or an answer."""
LARGEST: Final = 256 * 1024 * 1024
"""Octets that may be signed: a CRL of some million entries."""
_HEAD: Final = struct.Struct(">I")
_PIECE: Final = 65_536
_MOST_ANSWERS: Final = 100

Message = dict[str, Any]


def send(to: socket.socket, message: Message, descriptors: tuple[int, ...] = ()) -> None:
    """Send one message, and a descriptor with it. Raises OSError, ValueError (too long)."""
    body = json.dumps(message, separators=(",", ":")).encode()
    if len(body) > LONGEST:
        raise ValueError("the message is too long")
    whole = _HEAD.pack(len(body)) + body
    sent = socket.send_fds(to, [whole[:_PIECE]], list(descriptors)) if descriptors else 0
    if sent < len(whole):  # else the peer may have answered and left
        to.sendall(whole[sent:])


def receive(of: socket.socket, within: float) -> tuple[Message, int | None]:
    """
    Receive one message whole, and the descriptor that came with it, which the caller closes.

    Args:
        within: seconds for all of it.

    Raises:
        OSError: the peer left, or took too long.
        ValueError: no such message.
    """
    deadline = time.monotonic() + within
    data = bytearray()
    found: list[int] = []
    try:
        while len(data) < _HEAD.size or len(data) < _HEAD.size + _length(data):
            of.settimeout(max(deadline - time.monotonic(), 0.001))
            piece, descriptors, _, _ = socket.recv_fds(of, _PIECE, 1)
            found += descriptors
            if not piece:
                raise ConnectionResetError("the peer left")
            data += piece
            if time.monotonic() > deadline:
                raise TimeoutError("the peer is too slow")
        return _parsed(bytes(data)), found.pop(0) if found else None
    finally:
        for descriptor in found:
            os.close(descriptor)


def _length(data: bytearray) -> int:
    (length,) = _HEAD.unpack_from(data)
    if length > LONGEST:
        raise ValueError("the message is too long")
    return int(length)


def _parsed(data: bytes) -> Message:
    if len(data) != _HEAD.size + _length(bytearray(data[: _HEAD.size])):
        raise ValueError("more than one message")
    try:
        message = json.loads(data[_HEAD.size :])
    except RecursionError as error:
        raise ValueError("the message is nested too deep") from error
    if not isinstance(message, dict):
        raise ValueError("the message is no object")  # noqa: TRY004 - whoever sent it is no caller
    return message


# --- errors --------------------------------------------------------------------------------------

_KINDS: Final = {kind.__name__: kind for kind in PkiError.__subclasses__()}


def of_error(error: PkiError) -> Message:
    """Return an error as it is told."""
    return {
        "error": type(error).__name__,
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "data": error.data,
    }


def to_error(message: Message) -> PkiError:
    """Return the error that was told; of a kind that we do not know it is Unavailable."""
    kind = _KINDS.get(str(message.get("error")), errors.Unavailable)
    data = message.get("data")
    return kind(
        str(message.get("code")),
        str(message.get("message")),
        hint=message.get("hint"),
        data=data if isinstance(data, dict) else {},
    )


# --- OCSP answers --------------------------------------------------------------------------------


def of_answer(data: ResponseData) -> Message:
    """Return what an OCSP answer says as it is told."""
    return {
        "responder": data.responder.hex(),
        "producedAt": format_time(data.produced_at),
        "nonce": data.nonce.hex() if data.nonce is not None else None,
        "extendedRevoked": data.extended_revoked,
        "answers": [_of_single(answer) for answer in data.answers],
    }


def _of_single(answer: SingleAnswer) -> Message:
    times = {
        "thisUpdate": answer.this_update,
        "nextUpdate": answer.next_update,
        "revokedAt": answer.revoked_at,
        "archiveCutoff": answer.archive_cutoff,
    }
    return {
        "certId": answer.cert_id.hex(),
        "status": answer.status.value,
        "reason": answer.reason,
        **{name: format_time(time) for name, time in times.items() if time is not None},
    }


def to_answer(message: Message) -> ResponseData:
    """Return what was told. Raises BadInput (`question_malformed`)."""
    try:
        nonce = message["nonce"]
        answers = message["answers"]
        if not 0 < len(answers) <= _MOST_ANSWERS:
            raise ValueError("too many answers")  # noqa: TRY301 - one way out
        return ResponseData(
            responder=bytes.fromhex(message["responder"]),
            produced_at=parse_time(message["producedAt"]),
            nonce=bytes.fromhex(nonce) if nonce is not None else None,
            extended_revoked=bool(message["extendedRevoked"]),
            answers=tuple(_to_single(answer) for answer in answers),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput("question_malformed", "The OCSP answer cannot be read.") from error


def _to_single(message: Message) -> SingleAnswer:
    names = ("nextUpdate", "revokedAt", "archiveCutoff")
    times = {name: parse_time(message[name]) if name in message else None for name in names}
    return SingleAnswer(
        cert_id=bytes.fromhex(message["certId"]),
        status=CertStatus(message["status"]),
        reason=message["reason"],
        this_update=parse_time(message["thisUpdate"]),
        next_update=times["nextUpdate"],
        revoked_at=times["revokedAt"],
        archive_cutoff=times["archiveCutoff"],
    )
