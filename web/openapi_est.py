"""The paths of EST in the API description; the protocol itself is RFC 7030."""

from __future__ import annotations

import re
from typing import Any, Final

from web.est import CA_CERTS, CSR_ATTRIBUTES, FORMS, MAX_CSR_BODY, OPERATIONS

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_BASE64: Final[Schema] = {"type": "string", "contentEncoding": "base64"}
_PARAMETERS: Final = {
    "label": "A label of the settings, or a branch as in `ca`.",
    "ca": "cpo, mo (emsp), oem, cps, veh, station or csms, perhaps after a tenant and a hyphen.",
    "iso": "ISO15118-2 or ISO15118-20.",
    "algorithm": "secp256r1, secp521r1 or ed448.",
}
_ANSWERS: Final = {
    "cacerts": ("Sub-CA 2, sub-CA 1 and root, in this order.", CA_CERTS),
    "csrattrs": ("Curve and signature algorithm that a CSR shall have.", CSR_ATTRIBUTES),
    "simpleenroll": ("The certificate alone.", CA_CERTS),
    "simplereenroll": ("The certificate alone.", CA_CERTS),
}
_WAITS: Final = {
    "202": {
        "description": "Somebody must accept it first; send the same CSR again, see Retry-After.",
        "content": {"text/plain": {"schema": _TEXT}},
    }
}
_REFUSALS: Final = {
    "400": "What the path or the CSR asks for cannot be; a line of text says why.",
    "401": "No valid credentials; without a body.",
    "403": "Not for this caller, or no client certificate that could be renewed.",
    "404": "No such label, branch or issuer.",
    "413": "The body is too large.",
    "415": "The body has a Content-Encoding.",
    "429": "The client asks too often; see Retry-After.",
    "500": "A fault of ours.",
    "503": "We cannot act now; see Retry-After.",
}


def paths() -> Schema:
    """Return every form of path with its four operations."""
    found: Schema = {}
    for form, kind in FORMS.items():
        for operation, method in OPERATIONS.items():
            path = re.sub(r"<(\w+)>", r"{\1}", form.format(operation))
            found[path] = {
                "parameters": _parameters(path, kind),
                method.lower(): _operation(operation, method),
            }
    return found


def _parameters(path: str, kind: str) -> list[Schema]:
    named = [
        {"name": name, "in": "path", "required": True, "schema": _TEXT, "description": meaning}
        for name, meaning in _PARAMETERS.items()
        if f"{{{name}}}" in path
    ]
    query = (("caDomain", "ca", True), ("iso15118Version", "iso", False)) if kind == "opnc" else ()
    return named + [
        {
            "name": name,
            "in": "query",
            "required": required,
            "schema": _TEXT,
            "description": _PARAMETERS[like],
        }
        for name, like, required in query
    ]


def _operation(operation: str, method: str) -> Schema:
    meaning, media_type = _ANSWERS[operation]
    found: Schema = {
        "summary": f"EST {operation} (RFC 7030).",
        "tags": ["EST"],
        "security": [{"bearer": []}, {"apiKey": []}, {"client": []}] if method == "POST" else [],
        "responses": {
            **(_WAITS if method == "POST" else {}),
            "200": {"description": meaning, "content": {media_type: {"schema": _BASE64}}},
            **{
                status: {"description": text, "content": {"text/plain": {"schema": _TEXT}}}
                for status, text in _REFUSALS.items()
                if method == "POST" or status in ("400", "404", "500", "503")
            },
        },
    }
    if method == "POST":
        body = {"schema": {**_BASE64, "maxLength": MAX_CSR_BODY}}
        found["requestBody"] = {"required": True, "content": {"application/pkcs10": body}}
    return found
