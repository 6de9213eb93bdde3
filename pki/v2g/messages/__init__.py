"""
The certificate messages as values, and their EXI.

`decode` keeps the stream beside the message, because signatures are verified over the sender's
bits. What a length facet of the schema forbids is read all the same; `schema_faults` names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

from pki.errors import BadInput
from pki.ids import Edition
from pki.v2g import exi
from pki.v2g.messages import iso2, iso20
from pki.v2g.messages.binding import from_tree, length_faults, to_tree
from pki.v2g.messages.common import (
    Algorithm,
    Reference,
    RootCertificateId,
    Signature,
    SignatureValue,
    SignedInfo,
)
from pki.v2g.messages.iso2 import Message2
from pki.v2g.messages.iso20 import Message20

__all__ = [
    "Algorithm",
    "Message",
    "Message2",
    "Message20",
    "Received",
    "Reference",
    "RootCertificateId",
    "Signature",
    "SignatureValue",
    "SignedInfo",
    "decode",
    "edition_of",
    "encode",
    "from_document",
    "iso2",
    "iso20",
    "schema_faults",
    "schema_of",
    "to_document",
    "to_tree",
]

Message = Message2 | Message20

_ENVELOPE: Final = "V2G_Message"
_HEADER: Final = "Header"
_BODY: Final = "Body"

_ISO2: Final[dict[str, type[Message2]]] = {
    kind.__name__: kind
    for kind in (
        iso2.CertificateInstallationReq,
        iso2.CertificateInstallationRes,
        iso2.CertificateUpdateReq,
        iso2.CertificateUpdateRes,
        iso2.PaymentDetailsReq,
        iso2.AuthorizationReq,
    )
}
_ISO20: Final[dict[str, type[Message20]]] = {
    kind.__name__: kind
    for kind in (
        iso20.CertificateInstallationReq,
        iso20.CertificateInstallationRes,
        iso20.AuthorizationReq,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A message and the stream that said it."""

    message: Message
    stream: exi.Decoded


def decode(data: bytes, edition: Edition) -> Received:
    """
    Read a whole message: bare EXI, without transport header and base64.

    Raises:
        BadInput: the codes of `exi.decode_document`; `exi_no_message` for an empty body.
    """
    stream = exi.decode_document(exi.ISO20 if edition is Edition.ISO20 else exi.ISO2, data)
    return Received(message=from_document(stream.root, stream.tree, edition), stream=stream)


def from_document(root: str, tree: exi.Tree, edition: Edition) -> Message:
    """Return the message in a document's tree. Raises BadInput (`exi_no_message`)."""
    if edition is Edition.ISO20:
        return from_tree(_ISO20[root], tree)
    header, body = tree[_HEADER], tree[_BODY]
    if not isinstance(body, dict) or not body:
        raise BadInput("exi_no_message", "The body holds no message.")
    ((name, content),) = body.items()
    return from_tree(_ISO2[name], {_HEADER: header, **cast("exi.Tree", content)})


def encode(message: Message) -> bytes:
    """Write a whole message. Raises BadInput (`exi_unencodable`) where it breaks the schema."""
    return exi.encode_document(schema_of(message), *to_document(message))


def to_document(message: Message) -> tuple[str, exi.Tree]:
    """Return the root element of a message's document and its tree."""
    name = type(message).__name__
    tree = to_tree(message)
    if edition_of(message) is Edition.ISO20:
        return name, tree
    header = tree.pop(_HEADER)
    return _ENVELOPE, {_HEADER: header, _BODY: {name: tree}}


def edition_of(message: Message) -> Edition:
    """Return the edition that a message belongs to."""
    return Edition.ISO20 if isinstance(message, Message20) else Edition.ISO2


def schema_of(message: Message) -> exi.Schema:
    """Return the schema set that a message belongs to."""
    return exi.ISO20 if isinstance(message, Message20) else exi.ISO2


def schema_faults(message: Message) -> tuple[str, ...]:
    """Return what of a message is longer or shorter than its schema allows, one sentence each."""
    return tuple(length_faults(message))
