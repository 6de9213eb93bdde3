"""
The files that travel between an installation and its offline root: JSON, small enough to be read.

Both carry public things only. What they are is told by `format`; who brings them compares their
SHA-256, which both sides print.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Final

from pki.errors import BadInput
from pki.hierarchy import IssuerPlan
from pki.pkix import pem
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite

MAX_OCTETS: Final = 256 * 1024
_REQUEST: Final = "pnc-ceremony-request-1"
_ANSWER: Final = "pnc-ceremony-answer-1"
_MAX_SHARDS: Final = 999


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    What an offline CA is asked to sign.

    Attributes:
        parent: name of the CA that shall sign.
        ca: SubjectPublicKeyInfo (DER) of the new CA's key; that it is held shows when it signs.
        responder: the same of a delegated OCSP signer for the offline CA.
    """

    plan: IssuerPlan
    generation: int
    parent: str
    ca: bytes
    responder: bytes

    def text(self) -> str:
        """Return the file."""
        body = {
            "format": _REQUEST,
            "plan": asdict(self.plan),
            "generation": self.generation,
            "parent": self.parent,
            "caKey": pem.encode(self.ca, "PUBLIC KEY"),
            "responderKey": pem.encode(self.responder, "PUBLIC KEY"),
        }
        return json.dumps(body, indent=1, sort_keys=True) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """
    What an offline CA signed.

    Attributes:
        request: SHA-256 (hex) of the request's file; empty where a root only introduces itself.
        issuer_id: of the offline CA, and `issuer` its certificate, DER.
        plan: of the new CA; of the offline one where it only introduces itself.
        certificate, responder: DER, or empty.
        crl: DER of its newest CRL, or empty.
    """

    request: str
    plan: IssuerPlan
    issuer_id: str
    issuer: bytes
    certificate: bytes = b""
    responder: bytes = b""
    crl: bytes = b""

    def text(self) -> str:
        """Return the file."""
        body = {
            "format": _ANSWER,
            "request": self.request,
            "plan": asdict(self.plan),
            "issuerId": self.issuer_id,
            "issuer": pem.encode(self.issuer),
            "certificate": pem.encode(self.certificate) if self.certificate else "",
            "responder": pem.encode(self.responder) if self.responder else "",
            "crl": pem.encode(self.crl, "X509 CRL") if self.crl else "",
        }
        return json.dumps(body, indent=1, sort_keys=True) + "\n"


def read_request(text: str) -> Request:
    """Read the file that asks. Raises BadInput (`invalid_ceremony_file`)."""
    body = _body(text, _REQUEST)
    try:
        return Request(
            plan=_plan(body["plan"]),
            generation=_positive(body["generation"]),
            parent=_word(body["parent"]),
            ca=pem.one(_word(body["caKey"]).encode(), "PUBLIC KEY"),
            responder=pem.one(_word(body["responderKey"]).encode(), "PUBLIC KEY"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid() from error


def read_answer(text: str) -> Answer:
    """Read the file that answers. Raises BadInput (`invalid_ceremony_file`)."""
    body = _body(text, _ANSWER)
    try:
        return Answer(
            request=_word(body["request"]),
            plan=_plan(body["plan"]),
            issuer_id=_word(body["issuerId"]),
            issuer=pem.one(_word(body["issuer"]).encode(), "CERTIFICATE"),
            certificate=_part(body["certificate"], "CERTIFICATE"),
            responder=_part(body["responder"], "CERTIFICATE"),
            crl=_part(body["crl"], "X509 CRL"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _invalid() from error


def _body(text: str, wanted: str) -> dict[str, Any]:
    if len(text) > MAX_OCTETS:
        raise _invalid()
    try:
        body = json.loads(text)
    except ValueError as error:
        raise _invalid() from error
    if not isinstance(body, dict) or body.get("format") != wanted:
        raise _invalid()
    return body


def _plan(found: dict[str, Any]) -> IssuerPlan:
    plan = IssuerPlan(
        name=_word(found["name"]),
        kind=Kind(found["kind"]),
        suite=Suite(found["suite"]),
        parent=_word(found["parent"]) if found["parent"] is not None else None,
        common_name=_word(found["common_name"]),
        organization=_word(found["organization"]),
        country=_word(found["country"]),
        responder=bool(found["responder"]),
        crl_url=bool(found["crl_url"]),
        crl_shards=int(found["crl_shards"]),
    )
    if not 0 <= plan.crl_shards <= _MAX_SHARDS:
        raise ValueError("shards")
    return plan


def _word(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _positive(value: object) -> int:
    if type(value) is not int or value < 1:
        raise ValueError("no number")
    return value


def _part(value: object, label: str) -> bytes:
    text = _word(value)
    return pem.one(text.encode(), label) if text else b""


def _invalid() -> BadInput:
    return BadInput(
        "invalid_ceremony_file",
        "The file is no request or answer of a ceremony.",
        hint="`pnc ceremony request` and `pnc ceremony sign` make them.",
    )
