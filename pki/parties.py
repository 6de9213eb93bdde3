"""Companies and eMSP accounts in their first form: identifier to registered name."""

from __future__ import annotations

from pki import access, audit
from pki.errors import BadInput, JsonValue, NotFound
from pki.ids import ProviderId, quote
from pki.model import Account, Party, Principal, Role
from pki.ports import Deployment

_MAX_NAME = 64  # RFC 5280 upper bound of organizationName


def add_party(
    deployment: Deployment, principal: Principal, role: Role, text: str, name: str
) -> Party:
    """
    Register a company; `name` becomes the O of its certificates.

    Raises:
        BadInput: `invalid_…` for the identifier, `invalid_name`.
        Conflict: `party_exists`.
    """
    access.require(principal, access.Action.KEEP_PARTIES)
    now = deployment.clock.now()
    party = Party(
        party_id=access.party_id(role, text), role=role, name=checked_name(name), created_at=now
    )
    with deployment.store.write() as tx:
        tx.contracts.add_party(party)
        tx.roaming.changed(now)
        audit.record(
            tx,
            chain=audit.ADMIN,
            at=now,
            actor=principal.name,
            action="party.add",
            subject=party.party_id,
            details={"role": role.value, "name": party.name},
        )
    return party


def add_emsp(deployment: Deployment, principal: Principal, text: str, name: str | None) -> Account:
    """
    Open an eMSP account: contracts of this provider id hang under it.

    Raises:
        BadInput: `invalid_provider_id`, `invalid_name`.
        Conflict: `account_exists`.
    """
    access.require(principal, access.Action.KEEP_PARTIES)
    provider = ProviderId.parse(text)
    now = deployment.clock.now()
    account = Account(
        provider_id=provider, name=checked_name(name or provider.value), created_at=now
    )
    with deployment.store.write() as tx:
        tx.contracts.add_account(account)
        tx.roaming.changed(now)
        if tx.contracts.party(Role.EMSP, provider.value) is None:
            tx.contracts.add_party(
                Party(party_id=provider.value, role=Role.EMSP, name=account.name, created_at=now)
            )
        details: dict[str, JsonValue] = {"name": account.name}
        audit.record(
            tx,
            chain=audit.ADMIN,
            at=now,
            actor=principal.name,
            action="emsp.add",
            subject=provider.value,
            details=details,
        )
    return account


def set_hub(
    deployment: Deployment, principal: Principal, role: Role, text: str, hub: str | None
) -> Party:
    """
    Say through which hub a party is reached; None: directly.

    Raises:
        BadInput: `invalid_…` for the identifiers.
        NotFound: `party_unknown`: the party, or the hub, is not registered.
    """
    access.require(principal, access.Action.KEEP_PARTIES)
    now = deployment.clock.now()
    party = access.party_id(role, text)
    through = access.party_id(Role.HUB, hub) if hub is not None else None
    with deployment.store.write() as tx:
        known = through is None or tx.contracts.party(Role.HUB, through) is not None
        if not known or not tx.contracts.set_hub(role, party, through):
            raise NotFound(
                "party_unknown",
                f"{quote(party if known else through or '')} is not registered.",
                hint="`pnc party list` shows the registered companies.",
            )
        tx.roaming.changed(now)
        audit.record(
            tx,
            chain=audit.ADMIN,
            at=now,
            actor=principal.name,
            action="party.set",
            subject=party,
            details={"role": role.value, "hub": through},
        )
        changed = tx.contracts.party(role, party)
    if changed is None:
        raise NotFound("party_unknown", f"The party {quote(party)} has gone.")
    return changed


def accounts(deployment: Deployment, principal: Principal) -> list[Account]:
    """Return every eMSP account."""
    access.require(principal, access.Action.KEEP_PARTIES)
    with deployment.store.read() as tx:
        return tx.contracts.accounts()


def parties(deployment: Deployment, principal: Principal) -> list[Party]:
    """Return every registered company."""
    access.require(principal, access.Action.KEEP_PARTIES)
    with deployment.store.read() as tx:
        return tx.contracts.parties()


def checked_name(name: str) -> str:
    """Return a name fit for a certificate's O. Raises BadInput (`invalid_name`)."""
    clean = " ".join(name.split())
    if not clean or len(clean) > _MAX_NAME or not clean.isprintable():
        raise BadInput(
            "invalid_name", f"{quote(name)} is no name of 1 to {_MAX_NAME} printable characters."
        )
    return clean
