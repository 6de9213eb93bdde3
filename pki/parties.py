"""Companies and eMSP accounts in their first form: identifier to registered name."""

from __future__ import annotations

import re
from dataclasses import replace

from pki import access, audit
from pki.errors import BadInput, JsonValue, NotFound, PolicyViolation
from pki.ids import ProviderId, quote
from pki.model import Account, Emsp, Party, Principal, Role, Whitelist
from pki.outbound import check_address
from pki.ports import Deployment

_TOKEN = re.compile(r"[!-~]{1,512}", re.ASCII)
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
        audit.note(
            tx,
            now,
            principal.name,
            "party.add",
            party.party_id,
            {"role": role.value, "name": party.name},
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
        audit.note(tx, now, principal.name, "emsp.add", provider.value, details)
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
        audit.note(
            tx, now, principal.name, "party.set", party, {"role": role.value, "hub": through}
        )
        changed = tx.contracts.party(role, party)
    if changed is None:
        raise NotFound("party_unknown", f"The party {quote(party)} has gone.")
    return changed


def set_emsp(  # noqa: PLR0913 - one keyword per fact
    deployment: Deployment,
    principal: Principal,
    text: str,
    *,
    party_id: str | None = None,
    realtime_url: str | None = None,
    realtime_token: str | None = None,
    whitelist: Whitelist | None = None,
) -> Emsp:
    """
    Say how an eMSP is called in roaming, asked in real time, and by which rule if no other holds.

    What is None is taken away: the party id is the provider id then, and nobody is asked.

    Args:
        realtime_token: sent to `realtime_url` as a bearer token; kept encrypted, shown to nobody.

    Raises:
        BadInput: `invalid_provider_id`, `invalid_address`, `invalid_token`.
        PolicyViolation: `account_unknown`.
    """
    provider = ProviderId.parse(text)
    access.require(principal, access.Action.KEEP_EMSP, provider.value)
    if realtime_url is not None:
        check_address(realtime_url)
    if realtime_token is not None:
        _check_token(realtime_token, realtime_url)
    emsp = Emsp(
        provider_id=provider,
        party_id=ProviderId.parse(party_id).value if party_id is not None else None,
        realtime_url=realtime_url,
        whitelist=whitelist,
    )
    if realtime_token is not None:
        sealed = deployment.vault.seal(realtime_token.encode(), emsp.context)
        emsp = replace(emsp, sealed_token=sealed)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        if tx.contracts.account(provider, lock=True) is None:
            raise PolicyViolation(
                "account_unknown", f"There is no eMSP account for {provider.value}."
            )
        tx.roaming.put_emsp(emsp)
        tx.roaming.changed(now)
        audit.note(
            tx,
            now,
            principal.name,
            "emsp.set",
            provider.value,
            {
                "party": emsp.party_id,
                "realTime": realtime_url is not None,
                "token": realtime_token is not None,
                "whitelist": whitelist.value if whitelist else None,
            },
        )
    return emsp


def _check_token(token: str, url: str | None) -> None:
    if url is None:
        raise BadInput("invalid_token", "A token for the hook needs the address of the hook.")
    if not _TOKEN.fullmatch(token):
        raise BadInput(
            "invalid_token", "The hook's token has 1 to 512 printable characters, and no blank."
        )


def emsps(
    deployment: Deployment, principal: Principal, *, after: str | None = None, limit: int = 100
) -> list[tuple[Account, Emsp]]:
    """Return a page of accounts that the caller may see, and how they are asked, by provider id."""
    access.require(principal, access.Action.READ_ROAMING)
    owners = access.visible_owners(principal) if principal.role is Role.EMSP else None
    with deployment.store.read() as tx:
        return tx.lists.emsps(owners, after=after, limit=limit)


def emsp(deployment: Deployment, principal: Principal, text: str) -> tuple[Account, Emsp]:
    """
    Return an account that the caller may see, and how it is asked.

    Raises:
        BadInput: `invalid_provider_id`.
        PolicyViolation: `account_unknown`, also for what the caller may not see.
    """
    provider = ProviderId.parse(text)
    access.require(principal, access.Action.READ_ROAMING)
    owners = access.visible_owners(principal) if principal.role is Role.EMSP else None
    with deployment.store.read() as tx:
        account = tx.contracts.account(provider)
        known = tx.roaming.emsp(provider)
    if account is None or (owners is not None and provider.value not in owners):
        raise PolicyViolation("account_unknown", f"There is no eMSP account for {provider.value}.")
    return account, known or Emsp(provider_id=provider)


def search(
    deployment: Deployment,
    principal: Principal,
    *,
    after: tuple[str, str] | None = None,
    limit: int = 100,
) -> list[Party]:
    """
    Return a page of companies that concern the caller, by role and identifier.

    That is whoever it has an agreement with, the hubs before these, and itself; a hub is shown
    whoever is reached through it.
    """
    access.require(principal, access.Action.READ_ROAMING)
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        viewer = access.viewer(tx, principal)
        return tx.lists.parties(viewer, now, after=after, limit=limit)


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
