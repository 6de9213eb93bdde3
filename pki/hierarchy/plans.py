"""A hierarchy file: read completely, every fault told at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pki.errors import BadInput, NotFound
from pki.pkix.profiles import Kind, Profile, find
from pki.pkix.suites import Suite


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerPlan:
    """One CA of a hierarchy file, for one edition."""

    name: str
    kind: Kind
    suite: Suite
    parent: str | None
    common_name: str
    organization: str
    country: str
    responder: bool
    crl_url: bool
    crl_shards: int


def read(text: str) -> list[IssuerPlan]:
    """
    Read a hierarchy file completely.

    Raises:
        BadInput: `invalid_hierarchy`, with every fault in `data["faults"]`.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid([f"not TOML: {error}"]) from error
    return read_document(document)


def read_document(document: dict[str, Any]) -> list[IssuerPlan]:
    """Read the tables of a hierarchy; errors as `read`."""
    faults: list[str] = []
    plans = list(_plans(document, faults))
    faults.extend(_structure_faults(plans))
    if faults:
        raise _invalid(faults)
    return plans


def _invalid(faults: list[str]) -> BadInput:
    return BadInput(
        "invalid_hierarchy",
        f"The hierarchy file has {len(faults)} faults: " + "; ".join(faults) + ".",
        data={"faults": faults},
    )


_KEYS: Final = {
    "": {"operator", "edition", "issuer"},
    "operator": {"organization", "country"},
    "edition": {"suffix", "suite"},
    "issuer": {"name", "kind", "parent", "common_name", "responder", "crl_url", "crl_shards"},
}
_TYPES: Final[Mapping[str, type]] = {"responder": bool, "crl_url": bool, "crl_shards": int}
_MAX_SHARDS: Final = 999
_NEEDED: Final = {
    "operator": {"organization", "country"},
    "edition": {"suffix", "suite"},
    "issuer": {"name", "kind", "common_name"},
}


def _plans(document: dict[str, Any], faults: list[str]) -> Iterator[IssuerPlan]:
    faults.extend(f"unknown table {key!r}" for key in sorted(set(document) - _KEYS[""]))
    operator = _table(document.get("operator"), "operator", faults)
    editions = [_table(item, "edition", faults) for item in document.get("edition", [])]
    issuers = [_table(item, "issuer", faults) for item in document.get("issuer", [])]
    if not editions or not issuers:
        faults.append("at least one [[edition]] and one [[issuer]] are needed")
    if faults:
        return
    for edition in editions:
        for issuer in issuers:
            plan = _plan(operator, edition, issuer, faults)
            if plan is not None:
                yield plan


def _table(value: object, name: str, faults: list[str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        faults.append(f"the table {name} is missing")
        return {}
    faults.extend(f"unknown key {name}.{key}" for key in sorted(set(value) - _KEYS[name]))
    faults.extend(f"{name}.{key} is missing" for key in sorted(_NEEDED[name] - set(value)))
    for key, item in value.items():
        wanted = _TYPES.get(key, str)
        if type(item) is not wanted:
            faults.append(f"{name}.{key} is no {wanted.__name__}")
    return value


def _plan(
    operator: dict[str, Any], edition: dict[str, Any], issuer: dict[str, Any], faults: list[str]
) -> IssuerPlan | None:
    unfit = [
        f"{value!r} is no {what}"
        for value, what, known in (
            (issuer["kind"], "kind of certificate", list(Kind)),
            (edition["suite"], "suite", list(Suite)),
        )
        if value not in known
    ]
    if unfit:
        faults.extend(fault for fault in unfit if fault not in faults)
        return None
    kind, suite = Kind(issuer["kind"]), Suite(edition["suite"])
    parent = issuer.get("parent")
    return IssuerPlan(
        name=f"{issuer['name']}-{edition['suffix']}",
        kind=kind,
        suite=suite,
        parent=f"{parent}-{edition['suffix']}" if parent else None,
        common_name=f"{issuer['common_name']} {edition['suffix']}",
        organization=operator["organization"],
        country=operator["country"],
        responder=issuer.get("responder", True),
        crl_url=issuer.get("crl_url", False),
        crl_shards=issuer.get("crl_shards", 0),
    )


_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,30}", re.ASCII)
_COUNTRY: Final = re.compile(r"[A-Z]{2}", re.ASCII)
_MAX_ATTRIBUTE: Final = 64


def _text_faults(plan: IssuerPlan) -> Iterator[str]:
    """Judge what would fail only when a certificate is made, or break an address."""
    if not _NAME.fullmatch(plan.name):
        yield f"{plan.name!r} is no name of lower-case letters, digits and hyphens"
    if not _COUNTRY.fullmatch(plan.country):
        yield f"{plan.country!r} is no country code of two capital letters"
    for text in (plan.common_name, plan.organization):
        if not 0 < len(text) <= _MAX_ATTRIBUTE or not text.isprintable():
            yield f"{text!r} does not fit into a certificate's subject"


def _structure_faults(plans: list[IssuerPlan]) -> Iterator[str]:
    kinds: dict[str, Kind] = {}
    for plan in plans:
        yield from _text_faults(plan)
        if plan.name in kinds:
            yield f"{plan.name} stands twice"
        if not 0 <= plan.crl_shards <= _MAX_SHARDS:
            yield f"{plan.name} has crl_shards outside 0 to {_MAX_SHARDS}"
        try:
            profile = find(plan.kind, plan.suite.edition)
        except NotFound as error:
            yield f"{plan.name}: {error.message}"
        else:
            yield from _profile_faults(plan, profile, kinds)
        kinds[plan.name] = plan.kind


def _profile_faults(plan: IssuerPlan, profile: Profile, kinds: Mapping[str, Kind]) -> Iterator[str]:
    if not profile.ca:
        yield f"{plan.name} is of kind {plan.kind}, which is no CA"
    if profile.self_signed and plan.parent is not None:
        yield f"{plan.name} is a root and has a parent"
    elif not profile.self_signed and kinds.get(plan.parent or "") not in profile.issued_by:
        yield f"{plan.name} needs a parent, listed before it, of kind " + " or ".join(
            profile.issued_by
        )
