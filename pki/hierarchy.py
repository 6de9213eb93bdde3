"""
CA hierarchies from one reviewed TOML file.

Every certificate goes through the same two phases as a leaf, and its twin through the full lint. A
run
that was interrupted goes on where it stopped: what exists is left as it is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from pki import access, trust
from pki.errors import BadInput, Conflict, NotFound, PolicyViolation, Unavailable
from pki.ids import SerialNumber
from pki.issue import Order, carry_out, linted_twin, twin_of, validity_end
from pki.model import Anchor, Domain, Issuer, IssuerState, Principal
from pki.pkix import build, fulllint
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind, Profile, find
from pki.pkix.suites import PublicKey, Suite, generate
from pki.ports import Deployment, Signer
from pki.status import responders

ROOT_DOMAINS: Final[Mapping[Kind, Domain]] = {
    Kind.V2G_ROOT: Domain.V2G,
    Kind.MO_ROOT: Domain.MO,
    Kind.OEM_ROOT: Domain.OEM,
    Kind.PE_ROOT: Domain.PE,
}
"""Roots that a contract decision may end at; that of station TLS is none of them."""
_PROBE_SERIAL: Final = SerialNumber.from_int(1 << 126)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What `create` did with one CA of the plan."""

    issuer: Issuer
    existed: bool


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


def create(
    deployment: Deployment,
    principal: Principal,
    plans: list[IssuerPlan],
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Made]:
    """
    Make every CA of the plan that does not exist yet, its responder and, for roots, its trust
    anchor.

    Args:
        progress: told the name of each CA when it is done.

    Raises:
        PolicyViolation: `lint_failed` before anything of that CA is signed.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    made = []
    for plan in plans:
        made.append(_create_one(deployment, principal, plan))
        progress(plan.name)
    return made


def _create_one(deployment: Deployment, principal: Principal, plan: IssuerPlan) -> Made:
    with deployment.store.read() as tx:
        existing = tx.issuers.get(_id(plan, 1))
        parent = tx.issuers.active(plan.parent) if plan.parent else None
    existed = existing is not None and existing.state is not IssuerState.PENDING
    if not existed and plan.parent and parent is None:
        raise _parent_missing(plan)
    if not existed:
        _make_ca(deployment, principal, plan, parent)
    return Made(issuer=_equip(deployment, principal, plan, _id(plan, 1)), existed=existed)


def next_generation(
    deployment: Deployment, principal: Principal, plan: IssuerPlan, generation: int
) -> Issuer:
    """
    Make a further generation of a CA, which signs status only until `pki.rotate` switches to it.

    What an interrupted run made is taken up.

    Raises:
        Conflict: `issuer_not_active`: the CA above it.
        PolicyViolation: `issuer_expired`, `lint_failed`.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    issuer_id = _id(plan, generation)
    with deployment.store.read() as tx:
        existing = tx.issuers.get(issuer_id)
        parent = tx.issuers.active(plan.parent) if plan.parent else None
    if plan.parent and parent is None:
        raise _parent_missing(plan)
    if existing is None or existing.state is IssuerState.PENDING:
        _make_ca(deployment, principal, plan, parent, generation)
    return _equip(deployment, principal, plan, issuer_id)


def _id(plan: IssuerPlan, generation: int) -> str:
    return f"{plan.name}.g{generation}"


def _parent_missing(plan: IssuerPlan) -> Conflict:
    return Conflict(
        "issuer_not_active",
        f"{plan.name} needs the issuer {plan.parent}, which is not active.",
        hint="`pnc issuer list` shows the states.",
    )


def _equip(
    deployment: Deployment, principal: Principal, plan: IssuerPlan, issuer_id: str
) -> Issuer:
    """Give a CA its trust anchor and its responder, where it has none, and return it."""
    issuer = _stored(deployment, issuer_id)
    if plan.kind in ROOT_DOMAINS:
        _trust_root(deployment, principal, issuer)
    if plan.responder:
        _make_responder(deployment, principal, issuer)
    return issuer


def _stored(deployment: Deployment, issuer_id: str) -> Issuer:
    with deployment.store.read() as tx:
        issuer = tx.issuers.get(issuer_id)
    if issuer is None:
        raise Unavailable("store_unavailable", f"The issuer {issuer_id} was not kept.")
    return issuer


def _make_ca(
    deployment: Deployment,
    principal: Principal,
    plan: IssuerPlan,
    parent: Issuer | None,
    generation: int = 1,
) -> None:
    issuer_id = _id(plan, generation)
    signer = _key(deployment, issuer_id, plan.suite)
    issuer = Issuer(
        issuer_id=issuer_id,
        name=plan.name,
        generation=generation,
        kind=plan.kind,
        edition=plan.suite.edition,
        suite=plan.suite,
        state=IssuerState.PENDING,
        certificate=b"",
        parent_id=parent.issuer_id if parent else None,
        key_label=issuer_id,
        owner="",
        demo=deployment.demo,
        created_at=deployment.clock.now(),
        crl_url=plan.crl_url,
        crl_shards=plan.crl_shards,
    )
    order = _order(deployment, plan, parent or issuer, signer.public_key)
    order = replace(
        order, new_issuer=issuer if parent is not None else None, prepared=generation > 1
    )
    lint_fully(deployment, order)
    carry_out(deployment, principal, order)


def _key(deployment: Deployment, label: str, suite: Suite) -> Signer:
    """Make the key, or take the one that an interrupted run left behind uncertified."""
    try:
        return deployment.keys.create(label, suite)
    except Conflict:
        return deployment.keys.signer(label)


def _order(
    deployment: Deployment,
    plan: IssuerPlan,
    issuer: Issuer,
    public_key: PublicKey,
) -> Order:
    profile = find(plan.kind, plan.suite.edition)
    certificate = load(issuer.certificate) if issuer.certificate else None
    now = deployment.clock.now()
    return Order(
        profile=profile,
        issuer=issuer,
        issuer_certificate=certificate,
        public_key=public_key,
        suite=plan.suite,
        subject=build.subject_name(
            profile,
            common_name=plan.common_name,
            organization=plan.organization,
            country=plan.country,
        ),
        common_name=plan.common_name,
        owner="",
        not_before=now,
        not_after=validity_end(profile, certificate, now, None),
    )


def lint_fully(deployment: Deployment, order: Order) -> None:
    """Run our lints and pkilint over a twin before a key is used for the first time."""
    linted_twin(deployment, order, _PROBE_SERIAL)
    findings = fulllint.unwaived(twin_of(deployment, order, _PROBE_SERIAL), order.profile)
    if findings:
        raise PolicyViolation(
            "lint_failed",
            f"pkilint refuses {order.profile.profile_id}: " + ", ".join(findings) + ".",
            data={"findings": list(findings)},
        )


def _trust_root(deployment: Deployment, principal: Principal, issuer: Issuer) -> None:
    certificate = load(issuer.certificate)
    anchor = Anchor(
        fingerprint=certificate.fingerprint,
        domain=ROOT_DOMAINS[issuer.kind],
        der=certificate.der,
        added_at=deployment.clock.now(),
        added_by=principal.name,
    )
    with deployment.store.write() as tx:
        # an anchor that an administrator removed stays removed
        if not tx.trust.was_anchor(anchor.fingerprint, anchor.domain):
            trust.put(tx, anchor, certificate)


def _make_responder(deployment: Deployment, principal: Principal, issuer: Issuer) -> None:
    """Certify a delegated OCSP signer unless the CA has one."""
    with deployment.store.read() as tx:
        if any(r.issuer_id == issuer.issuer_id for r in tx.status.responders()):
            return
    public_key = generate(issuer.suite).public_key()
    lint_fully(deployment, responders.order(deployment, issuer, public_key))
    responders.make(deployment, principal, issuer)
