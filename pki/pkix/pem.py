"""PEM in and out (RFC 7468), strict inside the armour and tolerant of text around it."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from pki.errors import BadInput

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*)-----END \1-----", re.ASCII)
_BEGIN: Final = "-----BEGIN "


def certificates(text: str, *, limit: int) -> tuple[bytes, ...]:
    """
    Return the DER of every certificate in `text`, in order; at least one, at most `limit`.

    Raises:
        BadInput: `unreadable` (no block, another kind of block, not base64),
            `too_many_certificates`.
    """
    count = text.count(_BEGIN)
    if count > limit:
        raise BadInput("too_many_certificates", f"{count} certificates, more than {limit}.")
    blocks = _BLOCK.findall(text)
    if not blocks or len(blocks) != count:
        raise BadInput("unreadable", "There is no complete PEM block.")
    for label, _ in blocks:
        if label != "CERTIFICATE":
            raise BadInput("unreadable", f"A PEM block holds a {label}, not a CERTIFICATE.")
    return tuple(_decode(body) for _, body in blocks)


def one(data: bytes, label: str) -> bytes:
    """
    Return the DER of the only block of `data`, which bears `label` or `NEW label`; DER passes.

    Raises:
        BadInput: `unreadable`.
    """
    if data[:1] == b"\x30":
        return data
    text = data.decode("ascii", "replace")
    blocks = _BLOCK.findall(text)
    if len(blocks) != 1 or text.count(_BEGIN) != 1 or blocks[0][0] not in (label, f"NEW {label}"):
        raise BadInput("unreadable", f"Expected one {label} as PEM or DER.")
    return _decode(blocks[0][1])


def encode(der: bytes, label: str = "CERTIFICATE") -> str:
    """Write one PEM block with a trailing line feed."""
    body = base64.b64encode(der).decode()
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""))


def _decode(body: str) -> bytes:
    try:
        der = base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("unreadable", "A PEM block is not base64.") from error
    if not der:
        raise BadInput("unreadable", "A PEM block is empty.")
    return der
