"""
What is fuzzed: every door through which hostile octets enter, one function each.

A target takes any octets. It returns, or raises what is no answer: anything but a PkiError, and
whatever an assertion finds out about the answer. Nothing here knows the fuzzer, so that tests can
call targets as well.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
from flask import Flask, request

from pki.errors import BadInput, PkiError, PolicyViolation
from pki.ids import (
    CpsName,
    DinEvcoId,
    Edition,
    Emaid,
    EvccId,
    EvseId,
    OperatorId,
    Pcid,
    ProviderId,
    SeccId,
    SerialNumber,
    Wmi,
)
from pki.model import ContractCheck
from pki.pkix import crl_check, csr, ocsp, ocsp_check, pem
from pki.pkix.certificate import Certificate, load
from pki.pkix.leaves import Leaves, same
from pki.trust import anchor_certificate
from pki.v2g import exi, messages
from pki.v2g.signature import SignatureFault, verify
from pki.validate import without_store
from pki.validate.render import to_json
from web.checks import contract_check_from_ocpp, contract_check_from_v1
from web.ocpp import check_request
from web.parsing import json_object
from web.status import request_in_path

SEEDS: Final = Path(__file__).parent / "seeds"
NOW: Final = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
PEM_LIMIT: Final = 10


class _Text(Protocol):
    """An identifier that prints in its canonical form."""

    def __str__(self) -> str:
        """Return the canonical form."""


_APP: Final = Flask("fuzz")
_ANCHOR: Final[Certificate] = load((SEEDS / "certificate" / "root.der").read_bytes())
_ISSUER: Final[Certificate] = load((SEEDS / "certificate" / "issuer.der").read_bytes())
_LEAF: Final[Certificate] = load((SEEDS / "certificate" / "leaf.der").read_bytes())
_LEAVES: Final = Leaves()
for _model in sorted((SEEDS / "leaf").iterdir()):
    _LEAVES.keep(load(_model.read_bytes()))


def certificate(data: bytes) -> None:
    """Decide on the octets as on a contract certificate, and read them as a trust anchor."""
    _decide(ContractCheck(chain=(data, _ISSUER.der), token="DEMOAC12345678"))  # noqa: S106 - EMAID
    _tried(lambda: anchor_certificate(data))


def leaf_by_cutting(data: bytes) -> None:
    """Read a leaf by cutting, after others of its shape, and completely: both say the same."""
    quick, slow = _reading(_LEAVES.read, data), _reading(load, data)
    if (quick is None) != (slow is None):
        raise AssertionError("one reader accepts what the other refuses")
    if quick is not None and slow is not None and not same(quick, slow):
        raise AssertionError("two readers differ")


def _reading(read: Callable[[bytes], Certificate], data: bytes) -> Certificate | None:
    try:
        return read(data)
    except BadInput as error:
        _assert_told(error)
        return None


def pem_text(data: bytes) -> None:
    """Read a file or a body of PEM, and a single object in PEM or DER."""
    text = data.decode("utf-8", "replace")
    _tried(lambda: pem.certificates(text, limit=PEM_LIMIT))
    _tried(lambda: pem.one(data, "CERTIFICATE REQUEST"))


def request_of_a_certificate(data: bytes) -> None:
    """Read a CSR."""
    _tried(lambda: csr.parse(data))


def crl(data: bytes) -> None:
    """Read a CRL, check it against an issuer and ask it."""
    try:
        read = crl_check.read(data)
    except PkiError as error:
        _assert_told(error)
        return
    checked = crl_check.check(read, (_ISSUER,), at=NOW, max_age=dt.timedelta(days=3650))
    crl_check.CrlIndex(crl=read, signer=_ISSUER).status_of(_LEAF)
    if isinstance(checked, crl_check.CrlRefused):
        _assert_printable(checked.detail)


def ocsp_request(data: bytes) -> None:
    """Read an OCSP request, from a body and from a path."""
    _tried(lambda: ocsp.parse_request(data))
    _tried(lambda: ocsp.parse_request(request_in_path(data.decode("latin-1"))))


def ocsp_answer(data: bytes) -> None:
    """Ask what an OCSP answer is worth."""
    target = ocsp_check.Target.of(_LEAF)
    answer = ocsp_check.check(data, target, _ISSUER, at=NOW, max_age=dt.timedelta(days=3650))
    _assert_printable(answer.detail)


def exi_stream(data: bytes) -> None:
    """
    Decode a stream, as the first octet says; what was decoded is encoded and decoded again.

    A message of either edition is read as a message, and its signature verified.
    """
    kinds = (exi.ISO2, exi.ISO20, exi.XMLDSIG)
    first, stream = data[:1] or b"\0", data[1:]
    kind, fragment = kinds[first[0] % 3], first >= b"\x80"
    decode = exi.decode_fragment if fragment or kind is exi.XMLDSIG else exi.decode_document
    encode = exi.encode_fragment if decode is exi.decode_fragment else exi.encode_document
    try:
        decoded = decode(kind, stream)
    except PkiError as error:
        _assert_told(error)
        return
    exi.to_json(decoded.tree)
    again = decode(kind, encode(kind, decoded.root, decoded.tree))
    if (again.root, again.tree) != (decoded.root, decoded.tree):
        raise AssertionError("what was decoded encodes to something else")
    if decode is exi.decode_document:
        _tried(lambda: _message(stream, Edition.ISO2 if kind is exi.ISO2 else Edition.ISO20))


def _message(stream: bytes, edition: Edition) -> None:
    received = messages.decode(stream, edition)
    messages.schema_faults(received.message)
    try:
        verify(received, _LEAF.public_key)
    except SignatureFault:
        return


def identifiers(data: bytes) -> None:
    """Parse a text as every identifier; the canonical form of each must parse to itself."""
    text = data.decode("utf-8", "replace")
    for edition in Edition:
        _same(partial(Emaid.parse, edition=edition), text)
        _same(partial(Pcid.parse, edition=edition), text)
    for kind in (DinEvcoId, EvseId, SeccId, EvccId, OperatorId, ProviderId, Wmi, CpsName):
        _same(kind.parse, text)
    _same(SerialNumber.parse, text)


def validate_body(data: bytes) -> None:
    """Read a body as `POST /v1/contracts/validate` does, and decide."""
    body = _body(data)
    if body is not None:
        _tried(lambda: _decide(contract_check_from_v1(body)))


def authorize_body(data: bytes) -> None:
    """Read a body as an AuthorizeRequest of OCPP 2.0.1 and 2.1, and decide."""
    body = _body(data)
    if body is not None:
        for version in ("2.0.1", "2.1"):
            _tried(partial(_authorize, version, body))


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "certificate": certificate,
    "leaf": leaf_by_cutting,
    "pem": pem_text,
    "csr": request_of_a_certificate,
    "crl": crl,
    "ocsp-request": ocsp_request,
    "ocsp-answer": ocsp_answer,
    "exi": exi_stream,
    "ids": identifiers,
    "validate-body": validate_body,
    "authorize-body": authorize_body,
}
"""By the name that the command and the folders of seeds use."""

# ----------------------------------------------------------------------


def _authorize(version: str, body: dict[str, Any]) -> None:
    check_request(version, "Authorize", body)
    with _APP.test_request_context("/"):
        _decide(
            contract_check_from_ocpp(
                body, {name.lower(): value for name, value in request.headers.items()}, variant=True
            )
        )


def _body(data: bytes) -> dict[str, Any] | None:
    with _APP.test_request_context("/", data=data, content_type="application/json"):
        try:
            return dict(json_object(request))
        except PkiError as error:
            _assert_told(error)
            return None


def _decide(check: ContractCheck) -> None:
    """A verdict can be told: as JSON, and without a character that spoils a log or a page."""
    told = to_json(without_store(check, (_ANCHOR,), NOW))
    orjson.dumps(told)
    _assert_printable(told["explanation"])


def _same(parse: Callable[[str], _Text], text: str) -> None:
    def twice() -> None:
        first = parse(text)
        if parse(str(first)) != first:
            raise AssertionError(f"{text!r} becomes {first}, which is something else")

    _tried(twice)


def _tried(work: Callable[[], object]) -> None:
    try:
        work()
    except PkiError as error:
        _assert_told(error)


def _assert_told(error: PkiError) -> None:
    """A refusal has a sentence, and whatever is refused is the sender's fault."""
    if not isinstance(error, BadInput | PolicyViolation):
        raise AssertionError(f"{error.code} is no fault of what was read") from error  # noqa: TRY004 - a finding
    _assert_printable(error.message)


def _assert_printable(text: str) -> None:
    if not text.isprintable():
        raise AssertionError(f"control characters in {text!r}")
