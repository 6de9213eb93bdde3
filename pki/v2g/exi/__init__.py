"""
EXI for the certificate messages of ISO 15118 (facts: EXI 1.0, the public schemas).

`decode_…` and `encode_…` translate between streams and trees; `ISO2`, `ISO20` and `XMLDSIG` are the
schema sets. A decoder takes any octets and returns a tree or raises BadInput, in bounded time and
memory.
"""

from pki.v2g.exi.codec import (
    MAX_STREAM,
    Decoded,
    Span,
    decode_document,
    decode_fragment,
    encode_document,
    encode_fragment,
    wire_fragment,
)
from pki.v2g.exi.grammar import Schema
from pki.v2g.exi.iso2 import ISO2
from pki.v2g.exi.iso20 import ISO20
from pki.v2g.exi.json_form import Json, from_json, to_json
from pki.v2g.exi.schema import TEXT, Tree, Value
from pki.v2g.exi.xmldsig import XMLDSIG

__all__ = [
    "ISO2",
    "ISO20",
    "MAX_STREAM",
    "TEXT",
    "XMLDSIG",
    "Decoded",
    "Json",
    "Schema",
    "Span",
    "Tree",
    "Value",
    "decode_document",
    "decode_fragment",
    "encode_document",
    "encode_fragment",
    "from_json",
    "to_json",
    "wire_fragment",
]
