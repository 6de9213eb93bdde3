"""
What a station or a CSMS asks, from JSON to a `ContractCheck`.

A body that breaks the interface raises. Whatever is wrong inside the certificates is a verdict: it
travels in `ContractCheck.unreadable` as `fault: detail`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from pki.errors import BadInput
from pki.ids import Edition, EvseId, SerialNumber
from pki.model import ContractCheck, Fault, HashData
from pki.pkix import pem
from web.parsing import (
    MAX_CERTIFICATES,
    MAX_HASH_DATA,
    Fields,
    station_header,
)

_BODY: Final = frozenset(
    ("certificateChain", "certificateHashData", "emaid", "evseId", "edition"),
)
_HASH_DATA: Final = frozenset(
    ("hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber", "responderURL"),
)
_HASH_OCTETS: Final = {"SHA256": 32, "SHA384": 48, "SHA512": 64}
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+={0,2}", re.ASCII)
_DECIMAL: Final = re.compile(r"[0-9]{1,49}", re.ASCII)  # 20 octets

Presented = tuple[tuple[bytes, ...] | None, str | None]
"""DER as presented (or None), and why it could not be taken apart (or None)."""


def contract_check_from_v1(body: dict[str, object]) -> ContractCheck:
    """
    Read the body of `POST /v1/contracts/validate`.

    Raises:
        BadInput: `nothing_to_validate`, `unknown_field`, `wrong_type`, `too_long`, `invalid_value`,
            `invalid_characters`, `field_missing`, `invalid_hash_data`, `invalid_evse_id`.
    """
    fields = Fields.of(body, _BODY)
    chain, unreadable = _chain(fields)
    hash_data = _hash_data_v1(fields)
    token = fields.text("emaid")
    evse = fields.text("evseId")
    check = ContractCheck(
        chain=chain,
        unreadable=unreadable,
        hash_data=hash_data,
        token=token,
        edition=fields.choice("edition", Edition, tuple(Edition)),
        evse_id=EvseId.parse(evse).value if evse is not None else None,
    )
    if chain is None and unreadable is None and not hash_data and token is None:
        raise BadInput(
            "nothing_to_validate",
            "There is nothing to validate.",
            hint="Give certificateChain, certificateHashData or emaid.",
        )
    return check


def contract_check_from_ocpp(
    body: dict[str, Any],
    headers: Mapping[str, str],
    *,
    variant: bool = False,
    chain: tuple[bytes, ...] | None = None,
) -> ContractCheck:
    """
    Read an AuthorizeRequest that its schema has passed, and where the car stands.

    Args:
        variant: as in `hash_data`.
        chain: its certificates, where these were read already.

    Raises:
        BadInput: `invalid_header`.
    """
    certificate = body.get("certificate")
    unreadable = None
    if chain is None and certificate is not None:
        chain, unreadable = _from_pem(certificate)
    hash_data: tuple[HashData, ...] = ()
    if chain is None and unreadable is None:  # when both come, the chain decides
        items = body.get("iso15118CertificateHashData", [])
        hash_data, unreadable = _hash_data_ocpp(items, variant=variant)
    return ContractCheck(
        chain=chain,
        unreadable=unreadable,
        hash_data=hash_data,
        token=body["idToken"]["idToken"],
        token_type=body["idToken"]["type"],
        evse_id=station_header(headers, "X-Evse-Id"),
        station_id=station_header(headers, "X-Station-Id"),
    )


# --- certificates --------------------------------------------------------------------------------


def _chain(fields: Fields) -> Presented:
    match fields.values.get("certificateChain"):
        case None if "certificateChain" not in fields.values:
            return _nothing()
        case str(text):
            return _from_pem(text)
        case list(items) if all(isinstance(item, str) for item in items):
            return _from_base64(items)
        case _:
            raise BadInput(
                "wrong_type",
                "certificateChain is neither PEM nor a list of base64 strings.",
                data={"field": "certificateChain"},
            )


def _nothing() -> Presented:
    return None, None


def _from_pem(text: str) -> Presented:
    try:
        return pem.certificates(text, limit=MAX_CERTIFICATES), None
    except BadInput as error:
        return None, f"{error.code}: {error.message.rstrip('.')}"


def _from_base64(items: list[str]) -> Presented:
    if not items:
        return None, f"{Fault.UNREADABLE}: no certificate was presented"
    if len(items) > MAX_CERTIFICATES:
        count = f"{len(items)} certificates, more than {MAX_CERTIFICATES}"
        return None, f"{Fault.TOO_MANY_CERTIFICATES}: {count}"
    try:
        return (_octets(items[0]), *map(_octets_again, items[1:])), None
    except ValueError:
        return None, f"{Fault.UNREADABLE}: a certificate is not base64"


def _octets(item: str) -> bytes:
    """Read base64. Raises ValueError."""
    return binascii.a2b_base64(item, strict_mode=True)


def _octets_again(item: str) -> bytes:
    """Read the base64 of a CA certificate, which comes again and again. Raises ValueError."""
    return _known_octets(item) if len(item) < _LONG else _octets(item)


_LONG: Final = 8192
"""Characters of a certificate that is not kept."""

_known_octets: Final = lru_cache(maxsize=256)(_octets)


# --- hash data -----------------------------------------------------------------------------------


def _hash_data_v1(fields: Fields) -> tuple[HashData, ...]:
    name = "certificateHashData"
    if name not in fields.values:
        return ()
    items = fields.values[name]
    if not isinstance(items, list):
        raise BadInput("wrong_type", f"{name} is not a list.", data={"field": name})
    if not 1 <= len(items) <= MAX_HASH_DATA:
        raise _invalid(f"{name} has 1 to {MAX_HASH_DATA} entries.")
    return tuple(_hash_data_entry(item, f"{name}[{at}].") for at, item in enumerate(items))


def _hash_data_entry(item: object, where: str) -> HashData:
    fields = Fields.of(item, _HASH_DATA, where)
    fields.text("responderURL", longest=2000)  # judged as text and ignored: never fetched
    needed = {name: fields.needed(name) for name in sorted(_HASH_DATA - {"responderURL"})}
    value = hash_data(needed)
    if value is None:
        raise _invalid(f"{where.rstrip('.')} does not hold hexadecimal hashes of its algorithm.")
    return value


def _hash_data_ocpp(
    items: list[dict[str, Any]], *, variant: bool
) -> tuple[tuple[HashData, ...], str | None]:
    """Return the hash data; what is no hash names no certificate, which is a verdict."""
    values = [hash_data(item, variant=variant) for item in items]
    known = tuple(value for value in values if value is not None)
    if len(known) < len(values):
        return (), f"{Fault.HASH_DATA_UNKNOWN}: they are not hexadecimal hashes of their algorithm"
    return known, None


def hash_data(item: dict[str, Any], *, variant: bool = False) -> HashData | None:
    """
    Return the hash data of OCPP or of our own API, or None where they can name nothing.

    Args:
        variant: what is not hexadecimal is read as one deployed station stack writes it: hashes in
            base64url, the serial number in decimal (`ocpp.base64url_hash_data`). No hash can be
            read both ways, since its length differs; so neither can the serial number beside it.
    """
    found = _read(item, _hex, SerialNumber.parse)
    return _read(item, _base64url, _decimal) if found is None and variant else found


def _read(
    item: dict[str, Any], hashed: Callable[[str], bytes], number: Callable[[str], SerialNumber]
) -> HashData | None:
    algorithm = item["hashAlgorithm"]
    octets = _HASH_OCTETS.get(algorithm)
    name_hash, key_hash = hashed(item["issuerNameHash"]), hashed(item["issuerKeyHash"])
    if octets is None or {len(name_hash), len(key_hash)} != {octets}:
        return None
    try:
        serial = number(item["serialNumber"])
    except BadInput:
        return None
    return HashData(
        algorithm=algorithm,
        issuer_name_hash=name_hash,
        issuer_key_hash=key_hash,
        serial=serial,
    )


def _hex(text: str) -> bytes:
    """Return the octets, or none of them for anything but hexadecimal digits."""
    try:
        return binascii.unhexlify(text)
    except (binascii.Error, ValueError):
        return b""


def _base64url(text: str) -> bytes:
    """Return the octets of base64url with or without padding, or none of them."""
    if not _BASE64URL.fullmatch(text):
        return b""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        return b""


def _decimal(text: str) -> SerialNumber:
    """Return a serial number in decimal. Raises BadInput."""
    if not _DECIMAL.fullmatch(text):
        raise _invalid("A serial number is not decimal.")
    return SerialNumber.from_int(int(text))


def _invalid(message: str) -> BadInput:
    return BadInput(
        "invalid_hash_data",
        message,
        hint="SHA256, SHA384 or SHA512 as OCPP's OCSPRequestDataType has them.",
        data={"field": "certificateHashData"},
    )


__all__ = ["contract_check_from_ocpp", "contract_check_from_v1", "hash_data"]
