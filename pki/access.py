"""Who may do what: one table, asked inside the verbs; an empty list denies."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from pki.errors import BadInput, NotAllowed, Unauthenticated
from pki.ids import OperatorId, ProviderId, Wmi, quote
from pki.model import Principal, Role, Viewer
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction

TOKEN_PREFIX: Final = "pnc_"  # noqa: S105 - marks our tokens for secret scanners
_PARTY: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9*._-]{0,34}[A-Za-z0-9])?", re.ASCII)


class Action(StrEnum):
    """What a verb does, as the permission table names it."""

    ISSUE_SECC = "issue_secc"
    ISSUE_CONTRACT = "issue_contract"
    ISSUE_OEM = "issue_oem"
    ISSUE_CPS = "issue_cps"
    ISSUE_OCSP = "issue_ocsp"
    ISSUE_TLS = "issue_tls"
    REVOKE = "revoke"
    VALIDATE = "validate"
    AUTHORIZE = "authorize"
    READ_CERTIFICATES = "read_certificates"
    KEEP_CONTRACTS = "keep_contracts"
    KEEP_PARTIES = "keep_parties"
    KEEP_TRUST = "keep_trust"
    KEEP_CLIENTS = "keep_clients"
    KEEP_PARTNERS = "keep_partners"
    ANSWER_COMMANDS = "answer_commands"
    SEND_COMMANDS = "send_commands"
    KEEP_HIERARCHY = "keep_hierarchy"
    READ_ROOTS = "read_roots"
    KEEP_VEHICLES = "keep_vehicles"
    READ_VEHICLES = "read_vehicles"
    READ_CPS = "read_cps"
    SIGN_BUNDLE = "sign_bundle"
    GENERATE_BUNDLE = "generate_bundle"
    STORE_BUNDLE = "store_bundle"
    READ_BUNDLES = "read_bundles"
    KEEP_BUNDLES = "keep_bundles"
    READ_OWN_CAR = "read_own_car"
    INSTALL = "install"
    KEEP_STATIONS = "keep_stations"
    READ_STATIONS = "read_stations"
    ACCEPT_ENROLMENTS = "accept_enrolments"
    READ_ENROLMENTS = "read_enrolments"
    KEEP_WEBHOOKS = "keep_webhooks"
    KEEP_ROAMING = "keep_roaming"
    READ_ROAMING = "read_roaming"
    KEEP_EMSP = "keep_emsp"
    READ_AUDIT = "read_audit"
    READ_PROPOSALS = "read_proposals"
    APPROVE = "approve"
    READ_METRICS = "read_metrics"


SUBSCRIBERS: Final = frozenset((Role.CPO, Role.EMSP, Role.OEM, Role.CPS))

GRANTS: Final[Mapping[Action, frozenset[Role]]] = {
    Action.ISSUE_SECC: frozenset((Role.CPO,)),
    Action.ISSUE_CONTRACT: frozenset((Role.EMSP,)),
    Action.ISSUE_OEM: frozenset((Role.OEM,)),
    Action.ISSUE_CPS: frozenset((Role.CPS,)),
    Action.ISSUE_OCSP: frozenset(),
    Action.ISSUE_TLS: frozenset((Role.CPO,)),
    Action.REVOKE: SUBSCRIBERS,
    Action.VALIDATE: frozenset((Role.CPO, Role.EMSP)),
    Action.AUTHORIZE: frozenset((Role.CPO,)),
    Action.READ_CERTIFICATES: SUBSCRIBERS | {Role.AUDITOR},
    Action.KEEP_CONTRACTS: frozenset((Role.EMSP,)),
    Action.KEEP_PARTIES: frozenset(),
    Action.KEEP_TRUST: frozenset(),
    Action.KEEP_CLIENTS: frozenset(),
    Action.KEEP_PARTNERS: frozenset(),
    Action.ANSWER_COMMANDS: frozenset((Role.CPO,)),
    Action.SEND_COMMANDS: frozenset((Role.EMSP,)),
    Action.KEEP_HIERARCHY: frozenset(),
    # the access matrix of the pools; what is written of roots and CPS is the operator's alone
    Action.READ_ROOTS: SUBSCRIBERS | {Role.AUDITOR},
    Action.KEEP_VEHICLES: frozenset((Role.OEM,)),
    Action.READ_VEHICLES: frozenset((Role.OEM, Role.EMSP, Role.CPS)),
    Action.READ_CPS: SUBSCRIBERS | {Role.AUDITOR},
    Action.SIGN_BUNDLE: frozenset((Role.EMSP,)),
    Action.GENERATE_BUNDLE: frozenset((Role.EMSP,)),
    Action.STORE_BUNDLE: frozenset((Role.CPS, Role.EMSP)),
    Action.READ_BUNDLES: frozenset((Role.EMSP,)),
    Action.KEEP_BUNDLES: frozenset((Role.EMSP,)),
    Action.READ_OWN_CAR: frozenset((Role.OEM,)),
    Action.INSTALL: frozenset((Role.CPO, Role.OEM)),
    Action.KEEP_STATIONS: frozenset((Role.CPO,)),
    Action.READ_STATIONS: frozenset((Role.CPO, Role.AUDITOR)),
    Action.ACCEPT_ENROLMENTS: frozenset(),
    Action.READ_ENROLMENTS: SUBSCRIBERS | {Role.AUDITOR},
    Action.KEEP_WEBHOOKS: SUBSCRIBERS,
    Action.KEEP_ROAMING: frozenset(),
    Action.KEEP_EMSP: frozenset((Role.EMSP,)),
    Action.READ_ROAMING: frozenset((Role.CPO, Role.EMSP, Role.HUB, Role.AUDITOR)),
    Action.READ_AUDIT: frozenset((Role.AUDITOR,)),
    Action.READ_PROPOSALS: frozenset((Role.AUDITOR,)),
    Action.APPROVE: frozenset(),
    Action.READ_METRICS: frozenset((Role.AUDITOR,)),
}
"""An administrator may do everything; nobody else anything that is not listed."""

ISSUE_ACTIONS: Final[Mapping[Kind, Action]] = {
    Kind.SECC: Action.ISSUE_SECC,
    Kind.PE_SECC: Action.ISSUE_SECC,
    Kind.CONTRACT: Action.ISSUE_CONTRACT,
    Kind.OEM: Action.ISSUE_OEM,
    Kind.VEHICLE: Action.ISSUE_OEM,
    Kind.CPS: Action.ISSUE_CPS,
    Kind.OCSP: Action.ISSUE_OCSP,
    Kind.STATION: Action.ISSUE_TLS,
    Kind.CSMS: Action.ISSUE_TLS,
}


def require(principal: Principal, action: Action, party: str | None = None) -> None:
    """
    Return if `principal` may do `action`, for `party` where one is named.

    Raises:
        NotAllowed: `role_not_allowed`, `party_not_allowed`.
    """
    if principal.role is Role.ADMIN:
        return
    if principal.role not in GRANTS[action]:
        may = sorted(role.value for role in GRANTS[action] | {Role.ADMIN})
        raise NotAllowed(
            "role_not_allowed",
            f"The role {principal.role.value} may not {action}.",
            hint=f"It takes a client with the role {' or '.join(may)}.",
        )
    if party is not None and principal.role in SUBSCRIBERS and party not in principal.parties:
        raise NotAllowed(
            "party_not_allowed",
            f"This client may not act for {party}.",
            hint="An administrator makes a client that may: pnc client add --party.",
        )


OWNER_ROLE: Final[Mapping[Kind, Role]] = {
    Kind.SECC: Role.CPO,
    Kind.PE_SECC: Role.CPO,
    Kind.CONTRACT: Role.EMSP,
    Kind.OEM: Role.OEM,
    Kind.VEHICLE: Role.OEM,
    Kind.CPS: Role.CPS,
    Kind.STATION: Role.CPO,
    Kind.CSMS: Role.CPO,
}
"""Whose a certificate is. Operator ids, provider ids and WMIs share one string space, so that an
owner means nothing without the role; what is not listed belongs to the operator of this PKI."""


def require_owner(principal: Principal, action: Action, kind: Kind, owner: str) -> None:
    """
    Return if `principal` may do `action` to a certificate of this kind and owner.

    Raises:
        NotAllowed: `role_not_allowed`, `party_not_allowed`.
    """
    require(principal, action)
    if not sees(principal, kind, owner):
        raise NotAllowed(
            "party_not_allowed", "This certificate belongs to somebody else than this client."
        )


def sees(principal: Principal, kind: Kind, owner: str) -> bool:
    """Tell whether a certificate is the caller's, or the caller sees all."""
    if principal.role in (Role.ADMIN, Role.AUDITOR):
        return True
    return OWNER_ROLE.get(kind) is principal.role and owner in principal.parties


def visible_owners(principal: Principal) -> tuple[str, ...] | None:
    """Return the owners whose objects the caller may see; None means all."""
    return None if principal.role in (Role.ADMIN, Role.AUDITOR) else principal.parties


def viewer(tx: Transaction, principal: Principal) -> Viewer | None:
    """Return whose list of roaming a caller is shown; None: everything."""
    owners = visible_owners(principal)
    if owners is None:
        return None
    ways = [tx.roaming.emsp(ProviderId(value=o)) for o in owners if principal.role is Role.EMSP]
    others = (way.party_id for way in ways if way is not None and way.party_id is not None)
    return Viewer(role=principal.role, names=tuple(dict.fromkeys((*owners, *others))))


def visible_kinds(principal: Principal) -> tuple[Kind, ...] | None:
    """Return the kinds of certificates that the caller's role owns; None means all."""
    if principal.role in (Role.ADMIN, Role.AUDITOR):
        return None
    return tuple(kind for kind, role in OWNER_ROLE.items() if role is principal.role)


def party_id(role: Role, text: str) -> str:
    """
    Return the canonical identifier of a party of that role.

    Raises:
        BadInput: `invalid_operator_id`, `invalid_provider_id`, `invalid_wmi`, `invalid_party_id`.
    """
    match role:
        case Role.CPO:
            return OperatorId.parse(text).value
        case Role.EMSP:
            return ProviderId.parse(text).value
        case Role.OEM:
            return Wmi.parse(text).value
        case _:
            if not _PARTY.fullmatch(text):
                raise BadInput("invalid_party_id", f"{quote(text)} is no party identifier.")
            return text.upper()


def token_hash(token: str) -> bytes:
    """Return what is stored of a token: SHA-256, enough for 256 random bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def authenticate(deployment: Deployment, token: str) -> Principal:
    """
    Return whose token this is.

    Raises:
        Unauthenticated: `token_invalid`.
    """
    wanted = token_hash(token)
    with deployment.store.read() as tx:
        client = tx.clients.by_token_hash(wanted)
    known = client is not None and hmac.compare_digest(client.token_hash, wanted)
    if client is None or not known or client.disabled_at is not None:
        raise Unauthenticated("token_invalid", "The bearer token is not valid.")
    return Principal(
        name=client.client_id, role=client.role, parties=client.parties, pki=client.pki
    )
