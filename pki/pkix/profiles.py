"""Certificate profiles of ISO 15118-2 and -20, as data with evidence in `profiles.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Final, Literal, TypeVar, get_args

from cryptography import x509

from pki.errors import NotFound
from pki.ids import Edition
from pki.pkix.suites import Suite


class Kind(StrEnum):
    """What a certificate is for; one profile per kind and edition."""

    V2G_ROOT = "v2g_root"
    MO_ROOT = "mo_root"
    OEM_ROOT = "oem_root"
    PE_ROOT = "pe_root"
    CPO_SUB_CA1 = "cpo_sub_ca1"
    CPO_SUB_CA2 = "cpo_sub_ca2"
    MO_SUB_CA1 = "mo_sub_ca1"
    MO_SUB_CA2 = "mo_sub_ca2"
    OEM_SUB_CA1 = "oem_sub_ca1"
    OEM_SUB_CA2 = "oem_sub_ca2"
    CPS_SUB_CA1 = "cps_sub_ca1"
    CPS_SUB_CA2 = "cps_sub_ca2"
    SECC = "secc"
    CONTRACT = "contract"
    OEM = "oem"
    CPS = "cps"
    VEHICLE = "vehicle"
    OCSP = "ocsp"
    PE_SECC = "pe_secc"
    TLS_ROOT = "tls_root"
    TLS_SUB_CA = "tls_sub_ca"
    STATION = "station"
    CSMS = "csms"


CommonName = Literal["emaid", "secc_id", "pcid", "evcc_id", "station", "host", "name"]
"""Patterns of a CN; `pki.pkix.csr.check_common_name` knows what each means."""

COMMON_NAMES: Final[tuple[CommonName, ...]] = get_args(CommonName)

KEY_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
"""Bits of RFC 5280 4.2.1.3 from bit 0 on, spelt as in `cryptography`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """
    What a certificate of one kind and edition looks like, whatever its CSR says.

    Attributes:
        profile_id: kind and edition, such as `contract.2`.
        suites: what its key may be.
        path_length: pathLenConstraint; None where there is none.
        domain_component: the one DC of the subject, or None.
        country: the subject has a C.
        key_usage: bits by their `cryptography` names, all others are off.
        extended_key_usage: dotted object identifiers; empty means the extension is absent.
        no_check: has id-pkix-ocsp-nocheck.
        server_name: its CN stands in a subjectAltName as well, as a dNSName.
        own_key: a key of one of these is certified for no other name and no other kind.
        ocsp_url: has exactly one OCSP address and may have one CRL address; False: neither.
        alternate_key: where the key is Ed448, an X448 key stands beside it.
        short_key_id: SKI of 8 octets (RFC 5280 4.2.1.2 method 2) in place of 20.
        validity_days: the longest, and the default, time of validity.
        max_size: octets of DER.
        issued_by: kinds that may sign it; empty for a self-signed root.
        common_name: name of the pattern of its CN.
        evidence: per field of the profile the clause it rests on and how well that is known.
    """

    profile_id: str
    kind: Kind
    edition: Edition
    suites: tuple[Suite, ...]
    ca: bool
    path_length: int | None
    domain_component: str | None
    country: bool
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    no_check: bool
    server_name: bool
    own_key: bool
    ocsp_url: bool
    short_key_id: bool
    alternate_key: bool
    validity_days: int
    max_size: int
    issued_by: tuple[Kind, ...]
    common_name: CommonName
    evidence: Mapping[str, str] = field(repr=False, compare=False)

    @property
    def self_signed(self) -> bool:
        """Tell whether the certificate is a root."""
        return not self.issued_by


FIELDS: Final = tuple(
    f.name for f in fields(Profile) if f.name not in ("profile_id", "kind", "edition", "evidence")
)
"""What the file says of every profile."""


def find(kind: Kind, edition: Edition) -> Profile:
    """
    Return the profile of a kind.

    Raises:
        NotFound: `profile_unknown`; vehicle certificates exist in -20 only.
    """
    profile = _profiles().get((kind, edition))
    if profile is None:
        raise NotFound(
            "profile_unknown",
            f"ISO 15118-{edition.value} has no {kind.value} certificates.",
            hint="Ask for the other edition.",
        )
    return profile


def all_profiles() -> tuple[Profile, ...]:
    """Return every profile, in the order of the file."""
    return tuple(_profiles().values())


@cache
def _profiles() -> Mapping[tuple[Kind, Edition], Profile]:
    text = resources.files("pki.pkix").joinpath("profiles.toml").read_text(encoding="utf-8")
    return MappingProxyType({(p.kind, p.edition): p for p in read(text)})


# --- reading the file ----------------------------------------------------------------------------

Table = Mapping[str, object]
_T = TypeVar("_T")


class ProfileError(ValueError):
    """The profile file is wrong; says where."""


def read(text: str) -> tuple[Profile, ...]:
    """
    Read profiles from TOML in the form that `profiles.toml` explains in its head.

    Raises:
        ProfileError: unknown or missing tables, fields, values, or a value without evidence.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(str(error)) from error
    _only(document, {"edition", "shape", "kind"}, "the file")
    kinds = _table(document, "kind", "the file")
    _only(kinds, set(Kind), "kind")
    profiles = tuple(_read_kinds(document, kinds))
    missing = sorted(set(Kind) - {profile.kind for profile in profiles})
    if missing:
        raise ProfileError(f"no profile for {', '.join(missing)}")
    return profiles


def _read_kinds(document: Table, kinds: Table) -> Iterator[Profile]:
    shapes = _table(document, "shape", "the file")
    editions = _table(document, "edition", "the file")
    _only(editions, set(Edition), "edition")
    for name in kinds:
        own = _table(kinds, name, "kind")
        shape_name = _text(own.get("shape"), f"kind.{name}.shape")
        shape = _table(shapes, shape_name, "shape")
        wanted = own.get("editions", [edition.value for edition in Edition])
        for edition in _list(wanted, Edition, f"kind.{name}.editions"):
            layers = (
                _fields(_table(editions, edition, "edition"), f"edition.{edition}"),
                *_layers(shape, edition, f"shape.{shape_name}"),
                *_layers(own, edition, f"kind.{name}"),
            )
            merged = {key: value for layer in layers for key, value in layer.items()}
            yield _profile(Kind(name), edition, merged)


def _layers(table: Table, edition: Edition, where: str) -> tuple[Table, Table]:
    editions = _table(table, "edition", where) if "edition" in table else {}
    _only(editions, set(Edition), f"{where}.edition")
    special = _table(editions, edition, where) if edition in editions else {}
    common = {k: v for k, v in table.items() if k not in ("edition", "editions", "shape")}
    return _fields(common, where), _fields(special, f"{where}.edition.{edition}")


def _fields(table: Table, where: str) -> Table:
    _only(table, FIELDS, where)
    for name in table:
        entry = _table(table, name, where)
        _only(entry, {"is", "by"}, f"{where}.{name}")
        if "is" not in entry or not _text(entry.get("by"), f"{where}.{name}.by").strip():
            raise ProfileError(f"{where}.{name} needs both a value and its evidence")
    return table


def _profile(kind: Kind, edition: Edition, merged: Table) -> Profile:
    entries = _Entries(profile_id=f"{kind.value}.{edition.value}", table=merged)
    profile = Profile(
        profile_id=entries.profile_id,
        kind=kind,
        edition=edition,
        suites=entries.items("suites", Suite),
        ca=entries.truth("ca"),
        path_length=entries.count_or_none("path_length"),
        domain_component=entries.text_or_none("domain_component"),
        country=entries.truth("country"),
        key_usage=entries.items("key_usage", _key_usage),
        extended_key_usage=entries.items("extended_key_usage", _dotted),
        no_check=entries.truth("no_check"),
        server_name=entries.truth("server_name"),
        own_key=entries.truth("own_key"),
        ocsp_url=entries.truth("ocsp_url"),
        short_key_id=entries.truth("short_key_id"),
        alternate_key=entries.truth("alternate_key"),
        validity_days=entries.count("validity_days"),
        max_size=entries.count("max_size"),
        issued_by=entries.items("issued_by", Kind),
        common_name=entries.common_name("common_name"),
        evidence=MappingProxyType({name: entries.evidence(name) for name in FIELDS}),
    )
    _contradictions(profile)
    return profile


def _contradictions(profile: Profile) -> None:
    """Refuse what no certificate can be."""
    wrong = {
        "a path length needs ca": profile.path_length is not None and not profile.ca,
        "key_cert_sign and ca go together": profile.ca != ("key_cert_sign" in profile.key_usage),
        "a suite belongs to the other edition": any(
            suite.edition is not profile.edition for suite in profile.suites
        ),
        "suites and key usages must not be empty": not (profile.suites and profile.key_usage),
    }
    for message, applies in wrong.items():
        if applies:
            raise ProfileError(f"{profile.profile_id}: {message}")


# --- values --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entries:
    """The merged entries of one profile, read field by field."""

    profile_id: str
    table: Table

    def truth(self, name: str) -> bool:
        value = self._value(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "must be true or false")
        return value

    def count(self, name: str) -> int:
        value = self._value(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(name, "must be a number")
        return value

    def count_or_none(self, name: str) -> int | None:
        return None if self._value(name) == "none" else self.count(name)

    def text_or_none(self, name: str) -> str | None:
        text = _text(self._value(name), self._where(name))
        return None if text == "none" else text

    def items(self, name: str, item: Callable[[str], _T]) -> tuple[_T, ...]:
        return _list(self._value(name), item, self._where(name))

    def common_name(self, name: str) -> CommonName:
        value = self._value(name)
        for pattern in COMMON_NAMES:
            if value == pattern:
                return pattern
        raise self._wrong(name, f"must be one of {', '.join(COMMON_NAMES)}")

    def evidence(self, name: str) -> str:
        return _text(self._entry(name)["by"], self._where(name))

    def _value(self, name: str) -> object:
        return self._entry(name)["is"]

    def _entry(self, name: str) -> Table:
        if name not in self.table:
            raise self._wrong(name, "is missing")
        return _table(self.table, name, self.profile_id)

    def _where(self, name: str) -> str:
        return f"{self.profile_id}.{name}"

    def _wrong(self, name: str, what: str) -> ProfileError:
        return ProfileError(f"{self._where(name)} {what}")


def _only(table: Table, allowed: Container[str], where: str) -> None:
    unknown = sorted(key for key in table if key not in allowed)
    if unknown:
        raise ProfileError(f"unknown in {where}: {', '.join(unknown)}")


def _table(table: Table, name: str, where: str) -> Table:
    found = table.get(name)
    if not isinstance(found, dict):
        raise ProfileError(f"{where} lacks a table {name}")
    return found


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise ProfileError(f"{where} must be a string")
    return value


def _list(value: object, item: Callable[[str], _T], where: str) -> tuple[_T, ...]:
    if not isinstance(value, list):
        raise ProfileError(f"{where} must be a list")
    try:
        items = tuple(item(_text(entry, where)) for entry in value)
    except ProfileError:
        raise
    except ValueError as error:
        raise ProfileError(f"{where}: {error}") from error
    if len(set(items)) != len(items):
        raise ProfileError(f"{where} names something twice")
    return items


def _key_usage(text: str) -> str:
    if text not in KEY_USAGES:
        raise ValueError(f"{text!r} is no key usage")
    return text


def _dotted(text: str) -> str:
    return x509.ObjectIdentifier(text).dotted_string
