"""OCSP requests built octet by octet, and answers read by libraries that are not ours."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar

from asn1crypto import core, ocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

TYPE = "application/ocsp-request"
SEQUENCE, INTEGER, OCTETS, OID, BOOLEAN, NULL = 0x30, 0x02, 0x04, 0x06, 0x01, b"\x05\x00"
HASHES = {
    "md5": "2a864886f70d0205",
    "sha1": "2b0e03021a",
    "sha224": "608648016503040204",
    "sha256": "608648016503040201",
    "sha384": "608648016503040202",
    "sha512": "608648016503040203",
}
NONCE = bytes.fromhex("2b0601050507300102")
NONCE_ID, EXTENDED_REVOKE_ID = "1.3.6.1.5.5.7.48.1.2", "1.3.6.1.5.5.7.48.1.9"
ODD = bytes.fromhex("2a030405")
ERRORS = ("malformed_request", "internal_error", "try_later", "sign_required", "unauthorized")


def tlv(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(size))) + size + body


def number(value: int) -> bytes:
    return value.to_bytes((value if value >= 0 else ~value).bit_length() // 8 + 1, signed=True)


def key_octets(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    if isinstance(key, ed448.Ed448PublicKey):
        return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def cert_id(
    issuer: x509.Certificate,
    serial: int | bytes,
    algorithm: str = "sha1",
    *,
    null: bool = True,
    name: bytes | None = None,
    key: bytes | None = None,
) -> bytes:
    """Return a CertID; `name` and `key` replace the hashes, octets the value of the serial."""
    name_hash = hashlib.new(algorithm, issuer.subject.public_bytes()).digest()
    key_hash = hashlib.new(algorithm, key_octets(issuer)).digest()
    return tlv(
        SEQUENCE,
        tlv(SEQUENCE, tlv(OID, bytes.fromhex(HASHES[algorithm])), NULL if null else b""),
        tlv(OCTETS, name_hash if name is None else name),
        tlv(OCTETS, key_hash if key is None else key),
        tlv(INTEGER, serial if isinstance(serial, bytes) else number(serial)),
    )


def extension(oid: bytes, value: bytes, *, critical: bool = False) -> bytes:
    flag = tlv(BOOLEAN, b"\xff") if critical else b""
    return tlv(SEQUENCE, tlv(OID, oid), flag, tlv(OCTETS, value))


def extensions(tag: int, *each: bytes) -> bytes:
    return tlv(tag, tlv(SEQUENCE, *each)) if each else b""


def nonce(octets: bytes) -> bytes:
    """Return the nonce extension of RFC 9654."""
    return extension(NONCE, tlv(OCTETS, octets))


def request(
    *cert_ids: bytes,
    more: tuple[bytes, ...] = (),
    single: tuple[bytes, ...] = (),
    before: bytes = b"",
    behind: bytes = b"",
) -> bytes:
    """
    Return an OCSPRequest.

    `more` are extensions of the request and `single` those of each certificate, `before` stands
    ahead of the list (version, requestorName), `behind` after the TBSRequest (signature).
    """
    listed = [tlv(SEQUENCE, one, extensions(0xA0, *single)) for one in cert_ids]
    tbs = tlv(SEQUENCE, before, tlv(SEQUENCE, *listed), extensions(0xA2, *more))
    return tlv(SEQUENCE, tbs, behind)


def in_path(der: bytes) -> str:
    return base64.b64encode(der).decode()


@dataclass(frozen=True, kw_only=True)
class Single:
    cert_id: bytes
    status: str
    this_update: dt.datetime
    next_update: dt.datetime | None
    revoked_at: dt.datetime | None = None
    reason: str | None = None
    archive_cutoff: dt.datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An OCSPResponse; everything below `response_status` is empty unless that is successful."""

    response_status: str
    der: bytes = b""
    singles: tuple[Single, ...] = ()
    nonce: bytes | None = None
    produced_at: dt.datetime | None = None
    signer: x509.Certificate | None = None
    responder_key: bytes | None = None
    responder_name: bytes | None = None
    extended_revoke: bool = False

    @property
    def single(self) -> Single:
        (only,) = self.singles
        return only

    @property
    def status(self) -> str:
        """The status of the only certificate, or why there is none."""
        return self.single.status if self.singles else self.response_status


def read(der: bytes, ca: x509.Certificate | None = None) -> Answer:
    """
    Read an answer completely; the signature of a successful one must verify.

    With `ca`, that CA itself must have signed, and no certificate be there.
    """
    outer = ocsp.OCSPResponse.load(der, strict=True)
    response_status = outer["response_status"].native
    if response_status != "successful":
        assert len(der) == 5
        return Answer(response_status=response_status, der=der)
    basic = outer["response_bytes"]["response"].parsed
    data = basic["tbs_response_data"]
    included = [x509.load_der_x509_certificate(one.dump()) for one in basic["certs"] or ()]
    (signer,) = [*included, ca] if ca is not None else included
    verify(signer, basic["signature"].native, data.dump())
    found = _extensions(data["response_extensions"])
    return Answer(
        response_status=response_status,
        der=der,
        singles=tuple(_single(item) for item in data["responses"]),
        nonce=found.get(NONCE_ID),
        produced_at=data["produced_at"].native,
        signer=signer,
        responder_key=data["responder_id"].native if _by_key(data) else None,
        responder_name=None if _by_key(data) else data["responder_id"].chosen.untag().dump(),
        extended_revoke=EXTENDED_REVOKE_ID in found,
    )


class _Extension(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """An extension whose value stays as it is: a nonce need not be DER."""

    _fields: ClassVar[list[Any]] = [
        ("extn_id", core.ObjectIdentifier),
        ("critical", core.Boolean, {"default": False}),
        ("extn_value", core.OctetString),
    ]


class _Extensions(core.SequenceOf):  # type: ignore[misc]  # as above
    _child_spec = _Extension


def _extensions(block: Any) -> dict[str, bytes]:
    if isinstance(block, core.Void):
        return {}
    plain = _Extensions.load(tlv(SEQUENCE, block.contents), strict=True)
    return {e["extn_id"].dotted: e["extn_value"].native for e in plain}


def _by_key(data: Any) -> bool:
    return bool(data["responder_id"].name == "by_key")


def _single(item: Any) -> Single:
    status = item["cert_status"]
    revoked = status.name == "revoked"
    cutoff = [
        e["extn_value"].native for e in item["single_extensions"] or () if _is_cutoff(e)
    ]  # fmt: skip
    return Single(
        cert_id=item["cert_id"].dump(),
        status=status.name,
        this_update=item["this_update"].native,
        next_update=item["next_update"].native,
        revoked_at=status.chosen["revocation_time"].native if revoked else None,
        reason=status.chosen["revocation_reason"].native if revoked else None,
        archive_cutoff=cutoff[0] if cutoff else None,
    )


def _is_cutoff(extension: Any) -> bool:
    return bool(extension["extn_id"].native == "archive_cutoff")


def verify(certificate: x509.Certificate, signature: bytes, data: bytes) -> None:
    """Raise InvalidSignature unless the certificate's key signed the data with its own hash."""
    key = certificate.public_key()
    if isinstance(key, ed448.Ed448PublicKey):
        key.verify(signature, data)
        return
    assert isinstance(key, ec.EllipticCurvePublicKey)
    wide = key.curve.name == "secp521r1"
    key.verify(signature, data, ec.ECDSA(hashes.SHA512() if wide else hashes.SHA256()))
