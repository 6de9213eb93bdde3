"""
What OPCP and OPNC have in common: how they write certificates, times, editions and names.

Bodies are read tolerantly, as the clients of the field send more than the documents list: unknown
members are passed over, null is the same as absent.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Iterable
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID
from flask import request

from pki.clock import UTC, format_time
from pki.errors import BadInput
from pki.ids import Edition, Fingerprint, quote
from pki.pkix import pem
from pki.pkix.certificate import Certificate, load
from pki.ports import Deployment
from pki.provision import cps, rcp
from pki.provision.ccp import Held
from pki.v2g import messages
from pki.v2g.messages import iso2, iso20
from pki.v2g.namespaces import edition_of
from web import auth
from web.parsing import Fields, json_object

MAX_BINARY: Final = 8 * 1024
"""Characters of a certificate or key; PEM in base64 takes twice the octets."""
MAX_MESSAGE: Final = 160 * 1024
MAX_KEY_IDS: Final = 40
_MAX_METADATA: Final = 4096
_PEM: Final = b"-----BEGIN"
_ORDER: Final = (
    (NameOID.COMMON_NAME, "CN"),
    (NameOID.DOMAIN_COMPONENT, "DC"),
    (NameOID.ORGANIZATION_NAME, "O"),
    (NameOID.ORGANIZATIONAL_UNIT_NAME, "OU"),
    (NameOID.COUNTRY_NAME, "C"),
)
_TRUE: Final = frozenset(("true", "1", "yes"))


# --- reading -------------------------------------------------------------------------------------


def body() -> Fields:
    """Return the members of the JSON body."""
    return Fields(_present(json_object(request)))


def part(fields: Fields, name: str) -> Fields:
    """Return an object inside a body. Raises BadInput (`field_missing`, `wrong_type`)."""
    value = fields.values.get(name)
    if value is None:
        raise missing(fields.where + name)
    if not isinstance(value, dict):
        raise BadInput("wrong_type", f"{fields.where}{name} is not an object.")
    return Fields(_present(value), f"{fields.where}{name}.")


def _present(values: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def missing(name: str) -> BadInput:
    """Return the error that a member is not there."""
    return BadInput("field_missing", f"The field {name} is missing.", data={"field": name})


def octets(fields: Fields, name: str, *, longest: int = MAX_BINARY) -> bytes:
    """Return base64 that must be there, with or without line breaks."""
    text = fields.lines(name, longest=longest)
    if not text:
        raise missing(fields.where + name)
    return decoded(text, fields.where + name)


def decoded(text: str, name: str) -> bytes:
    """Return what base64 stands for. Raises BadInput (`not_base64`)."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput("not_base64", f"{name} is not base64.", data={"field": name}) from error


def certificate(fields: Fields, *names: str) -> bytes | None:
    """
    Return the DER of a certificate under the first of several names, or None.

    It may be DER in base64, PEM in base64, or PEM. Raises BadInput (`invalid_certificate`).
    """
    for name in names:
        text = fields.lines(name, longest=MAX_BINARY)
        if not text:
            continue
        data = text.encode() if text.lstrip().startswith("-----") else decoded(text, name)
        try:
            return pem.one(data, "CERTIFICATE") if data.lstrip().startswith(_PEM) else data
        except BadInput as error:
            raise BadInput(
                "invalid_certificate", f"Invalid certificate format on {name}"
            ) from error
    return None


def chain(fields: Fields, leaf: str, sub1: str, sub2: str) -> tuple[bytes, ...]:
    """Return leaf, sub-CA 2 and sub-CA 1, as far as they are there; the issuer of the leaf next."""
    found = (certificate(fields, name) for name in (leaf, sub2, sub1))
    first, *others = found
    if first is None:
        raise missing(fields.where + leaf)
    return (first, *(der for der in others if der is not None))


def edition(fields: Fields, name: str = "xsdMsgDefNamespace") -> Edition:
    """Return the edition that a body names."""
    return edition_of(fields.needed(name))


def asked_edition() -> Edition | None:
    """Return the edition that the query names, or None."""
    label = request.args.get("xsdMsgDefNamespace")
    return edition_of(label) if label else None


def fingerprint(text: str | None) -> Fingerprint | None:
    """Return a SHA-256 fingerprint, or None."""
    return Fingerprint.parse(text) if text else None


def asked_root() -> Fingerprint | None:
    """Return the V2G root that the query names, or None."""
    return fingerprint(request.args.get("cpsV2GRootCertificateFingerprint"))


def time(text: str) -> dt.datetime:
    """Read an ISO date or time; without an offset it is UTC. Raises BadInput (`invalid_time`)."""
    try:
        found = dt.datetime.fromisoformat(text)
        aware = found.replace(tzinfo=UTC) if found.utcoffset() is None else found
        return aware.astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as error:
        raise BadInput("invalid_time", f"{quote(text)} is no time of ISO 8601.") from error


def texts(fields: Fields, name: str, most: int) -> tuple[str, ...] | None:
    """Return a list of texts, or None. Raises BadInput (`wrong_type`, `too_many`)."""
    value = fields.values.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadInput("wrong_type", f"{fields.where}{name} is not a list of texts.")
    if len(value) > most:
        raise BadInput("too_many", f"{fields.where}{name} has more than {most} items.")
    return tuple(str(item) for item in value)


def metadata(fields: Fields) -> str:
    """Return a caller's own text, whichever way it is spelt; an object as JSON."""
    for name in ("metaData", "metadata"):
        value = fields.values.get(name)
        if value is not None:
            found = value if isinstance(value, str) else json.dumps(value)
            if len(found) > _MAX_METADATA:
                raise BadInput("too_long", f"{name} has more than {_MAX_METADATA} characters.")
            return found
    return ""


def header_flag(name: str, *, default: bool) -> bool:
    """Return a header that says yes or no."""
    value = request.headers.get(name)
    return default if value is None else value.strip().lower() in _TRUE


def session_id(text: str | None) -> bytes:
    """Return a session id. Raises BadInput (`invalid_session_id`)."""
    try:
        return bytes.fromhex(text or "")
    except ValueError as error:
        raise BadInput("invalid_session_id", "sessionID is not hexadecimal.") from error


# --- writing -------------------------------------------------------------------------------------


def text(data: bytes) -> str:
    """Return octets as base64 on one line."""
    return base64.b64encode(data).decode("ascii")


def name_of(subject: x509.Name) -> str:
    """Return a distinguished name as the documents write it: CN, DC, O, OU, C."""
    pairs = [
        f"{label}={attribute.value!s}"
        for oid, label in _ORDER
        for attribute in subject.get_attributes_for_oid(oid)
    ]
    return ", ".join(pairs)


def organization(subject: x509.Name) -> str:
    """Return the O, or the CN where there is none."""
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in subject.get_attributes_for_oid(oid):
            return str(attribute.value)
    return ""


def colons(data: bytes | None) -> str | None:
    """Return octets as upper-case hexadecimal with colons."""
    return data.hex(":").upper() if data else None


def without_none(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what there is not: clients know absent better than null."""
    return {name: value for name, value in values.items() if value is not None}


def roots_by_fingerprint(deployment: Deployment) -> dict[Fingerprint, Certificate]:
    """Return the roots that the caller may name in an answer."""
    found = rcp.roots(deployment, auth.principal(deployment))
    return {root.certificate.fingerprint: root.certificate for root in found}


def cps_root_name(deployment: Deployment, root: Fingerprint) -> str | None:
    """Return the name of the V2G root at the end of a CPS chain."""
    principal = auth.principal(deployment)
    for signer in cps.signers(deployment, principal, ended=True):
        if signer.root == root:
            return name_of(load(signer.root_der).x509.subject)
    return None


def sub_cas(ders: Iterable[bytes], sub1: str, sub2: str) -> dict[str, str]:
    """Return sub-CAs, issuer of the leaf first, under their names; a single one is sub-CA 1."""
    found = list(ders)
    named = {sub1: text(found[-1])} if found else {}
    if len(found) > 1:
        named[sub2] = text(found[0])
    return named


def contract_leaf(held: Held) -> bytes:
    """Return the contract certificate in a bundle."""
    message = messages.decode(held.bundle.message, held.bundle.emaid.edition).message
    if isinstance(message, iso2.CertificateInstallationRes):
        return message.contract_chain.certificate
    if isinstance(message, iso20.CertificateInstallationRes):
        return message.installation_data.contract_chain.certificate
    raise TypeError("the pool holds installation responses only")


def contract_data(held: Held, namespace: str) -> dict[str, Any]:
    """Return what both documents say of a bundle alike."""
    bundle = held.bundle
    return {
        "pcid": bundle.pcid.value,
        "emaid": bundle.emaid.normalised,
        "xsdMsgDefNamespace": namespace,
        "contractCertificate": text(contract_leaf(held)),
        "defaultContract": held.is_default,
        "certValidFrom": format_time(bundle.not_before),
        "certValidTo": format_time(bundle.not_after),
        "cpsV2GRootCertificateFingerprint": bundle.root.value,
    }


def selected(held: list[Held]) -> list[Held]:
    """Return the bundles that the query's edition and root leave."""
    wanted, root = asked_edition(), asked_root()
    return [
        each
        for each in held
        if wanted in (None, each.bundle.emaid.edition) and root in (None, each.bundle.root)
    ]
