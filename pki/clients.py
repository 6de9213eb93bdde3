"""Who calls: registered, with a token of which only the hash is kept, and removed again."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from dataclasses import asdict, dataclass
from typing import Final, Literal

from pki import access, audit, gate
from pki.clock import format_time
from pki.errors import BadInput, Conflict, NotFound, PolicyViolation
from pki.ids import quote
from pki.model import Client, Party, Principal, Role
from pki.ports import Deployment, Transaction

_CLIENT_ID: Final = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClient:
    """
    A caller who is to be registered.

    Attributes:
        parties: canonical identifiers.
        token_hash: of a token that only its holder knows.
        name: of its parties, where they are new.
    """

    client_id: str
    role: Role
    parties: tuple[str, ...]
    token_hash: bytes
    name: str | None = None
    pki: Literal["own", "hosted"] | None = None


def new(  # noqa: PLR0913 - what is told of a caller
    role: Role,
    parties: tuple[str, ...],
    token_hash: bytes,
    *,
    client_id: str | None = None,
    name: str | None = None,
    pki: Literal["own", "hosted"] | None = None,
) -> NewClient:
    """
    Judge what is said of a caller; without an id it gets one.

    Raises:
        BadInput: `party_missing` (a subscriber role without a party), `invalid_client_id`,
            invalid identifiers.
    """
    if role in access.SUBSCRIBERS and not parties:
        raise BadInput("party_missing", f"A {role.value} client acts for at least one party.")
    if client_id is not None and not _CLIENT_ID.fullmatch(client_id):
        raise BadInput(
            "invalid_client_id",
            f"{quote(client_id)} is no client id of lower-case letters, digits and hyphens.",
        )
    return NewClient(
        client_id=client_id or f"{role.value}-{secrets.token_hex(6)}",
        role=role,
        parties=tuple(dict.fromkeys(access.party_id(role, text) for text in parties)),
        token_hash=token_hash,
        name=name,
        pki=pki,
    )


def new_token() -> str:
    """Return a token: 256 random bits, marked for secret scanners."""
    return access.TOKEN_PREFIX + secrets.token_urlsafe(32)


def require_own_token(deployment: Deployment) -> None:
    """
    Refuse that one administrator makes the token of another, who would then be no other person.

    Raises:
        PolicyViolation: `token_hash_missing`.
    """
    if not gate.alone(deployment):
        raise PolicyViolation(
            "token_hash_missing",
            "The token of an administrator is made by that person alone.",
            hint="That person runs `pnc client token`, keeps the token and tells you the hash "
            "for --token-hash.",
        )


def add(  # noqa: PLR0913 - the columns of a client
    deployment: Deployment,
    principal: Principal,
    role: Role,
    parties: tuple[str, ...],
    *,
    name: str | None = None,
    pki: Literal["own", "hosted"] | None = None,
) -> tuple[Client, str]:
    """Register a caller under a new token, which is shown this once; errors as `register`."""
    token = new_token()
    wanted = new(role, parties, access.token_hash(token), name=name, pki=pki)
    return register(deployment, principal, wanted), token


def register(deployment: Deployment, principal: Principal, wanted: NewClient) -> Client:
    """
    Register a caller; a party that is not registered yet is, by `name` or its identifier.

    Raises:
        ApprovalNeeded: `approval_needed`, where nobody acts alone.
        Conflict: `client_exists`.
    """
    access.require(principal, access.Action.KEEP_CLIENTS)
    gate.enter(
        deployment,
        principal,
        "client.add",
        {**asdict(wanted), "token_hash": wanted.token_hash.hex()},
    )
    now = deployment.clock.now()
    client = Client(
        client_id=wanted.client_id,
        role=wanted.role,
        parties=wanted.parties,
        token_hash=wanted.token_hash,
        pki=wanted.pki,
        created_at=now,
    )
    details = {"role": wanted.role.value, "parties": list(wanted.parties)}
    with deployment.store.write() as tx:
        for each in wanted.parties:
            name = wanted.name or each
            _register(tx, Party(party_id=each, role=wanted.role, name=name, created_at=now))
        tx.clients.add(client)
        audit.note(tx, now, principal.name, "client.add", client.client_id, details)
        _begin_two_people(deployment, tx, now)
    return client


def _begin_two_people(deployment: Deployment, tx: Transaction, now: dt.datetime) -> None:
    """From the moment on at which there are enough people, nobody acts alone any more."""
    policy = deployment.approvals
    if policy.required and tx.setting(gate.BEGUN) is None and gate.begun(tx, policy):
        tx.put_setting(gate.BEGUN, format_time(now))
        people = sorted(gate.people(tx))
        audit.note(tx, now, "two-people", "two_people.begin", "", {"people": people})


def _register(tx: Transaction, party: Party) -> None:
    if tx.contracts.party(party.role, party.party_id) is None:
        tx.contracts.add_party(party)
        tx.roaming.changed(party.created_at)


def disable(deployment: Deployment, principal: Principal, client_id: str) -> None:
    """
    Refuse a client's token from now on.

    Raises:
        NotFound: `client_unknown`.
        Conflict: `people_needed`: too few administrators would be left to approve anything.
        ApprovalNeeded: `approval_needed`, for an administrator where nobody acts alone.
    """
    access.require(principal, access.Action.KEEP_CLIENTS)
    with deployment.store.read() as tx:
        administers = client_id in gate.people(tx)
    if administers:
        gate.enter(deployment, principal, "client.remove", {"client": client_id})
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        audit.hold(tx, audit.ADMIN)  # two removals at once must see each other
        if administers:
            _keep_enough_people(deployment, tx)
        if not tx.clients.disable(client_id, now):
            raise NotFound("client_unknown", f"There is no enabled client {quote(client_id)}.")
        audit.note(tx, now, principal.name, "client.remove", client_id)


def _keep_enough_people(deployment: Deployment, tx: Transaction) -> None:
    required = deployment.approvals.required
    if required and gate.begun(tx, deployment.approvals) and len(gate.people(tx)) <= required + 1:
        raise Conflict(
            "people_needed",
            f"With fewer than {required + 1} administrators nothing could be approved any more.",
            hint="Add another administrator first.",
        )


def registered(deployment: Deployment, principal: Principal) -> list[Client]:
    """Return every client, disabled ones included."""
    access.require(principal, access.Action.KEEP_CLIENTS)
    with deployment.store.read() as tx:
        return tx.clients.all()
