"""XML signature as all three schema sets declare it; alone, the schema set of SignedInfo."""

from __future__ import annotations

from typing import Final

from pki.v2g.exi.grammar import Root, Schema, compile_type
from pki.v2g.exi.schema import (
    ANY,
    BINARY,
    INTEGER,
    STRING,
    Attribute,
    Complex,
    Element,
    optional,
    repeated,
)

_ID: Final = (Attribute("Id"),)
_ALGORITHM: Final = (Attribute("Algorithm", required=True),)

_METHOD: Final = Complex(_ALGORITHM, (ANY,), mixed=True)
_SIGNATURE_METHOD: Final = Complex(
    _ALGORITHM, (optional("HMACOutputLength", None), ANY), mixed=True
)
# The schema has an unbounded choice of XPath and anything; both are refused, so one turn is enough.
_TRANSFORM: Final = Complex(_ALGORITHM, (optional("XPath", None), ANY), mixed=True)
_REFERENCE: Final = Complex(
    (Attribute("Id"), Attribute("Type"), Attribute("URI")),
    (
        optional("Transforms", repeated("Transform", _TRANSFORM, None)),
        Element("DigestMethod", _METHOD),
        Element("DigestValue", BINARY),
    ),
)
_SIGNED_INFO: Final = Complex(
    _ID,
    (
        Element("CanonicalizationMethod", _METHOD),
        Element("SignatureMethod", _SIGNATURE_METHOD),
        Element("Reference", _REFERENCE, most=None),
    ),
)
SIGNATURE: Final = Complex(
    _ID,
    (
        Element("SignedInfo", _SIGNED_INFO),
        Element("SignatureValue", Complex(_ID, text=BINARY)),
        optional("KeyInfo", None),
        Element("Object", None, least=0, most=None),
    ),
)
ROOT_CERTIFICATE_IDS: Final = repeated(
    "RootCertificateID",
    Complex(content=(Element("X509IssuerName", STRING), Element("X509SerialNumber", INTEGER))),
    20,
)

XMLDSIG: Final = Schema(
    "http://www.w3.org/2000/09/xmldsig#",
    Root(6, 47, {"SignedInfo": (32, compile_type(_SIGNED_INFO))}, end=46),
)
