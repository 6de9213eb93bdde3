"""
OCPI tokens and our credentials: the same thing in two languages.

Where a partner speaks 2.2.1, which knows no EMAID type, an EMAID travels under the partner's type
for it. Coming in, OTHER with the form of an EMAID is one, and RFID as well unless it could be the
hexadecimal uid of a card.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable
from typing import Any, Final

from pki.errors import BadInput
from pki.ids import CredentialUid, Edition, Emaid
from pki.model import (
    Contract,
    ContractState,
    Credential,
    CredentialKind,
    CredentialState,
    Partner,
    Whitelist,
)
from pki.partners.network import version_of
from pki.ports import Transaction
from pki.roaming.ocpi.parties import PartyKey, PartyRole
from pki.roaming.ocpi.tokens import Token, TokenType
from pki.roaming.ocpi.tokens import Whitelist as OcpiWhitelist

_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]+", re.ASCII)
_KINDS: Final = {
    TokenType.RFID.value: CredentialKind.RFID,
    TokenType.APP_USER.value: CredentialKind.APP_USER,
    TokenType.AD_HOC_USER.value: CredentialKind.AD_HOC_USER,
    TokenType.EMAID.value: CredentialKind.EMAID,
}
TYPES: Final = {
    CredentialKind.EMAID: TokenType.EMAID,
    CredentialKind.RFID: TokenType.RFID,
    CredentialKind.APP_USER: TokenType.APP_USER,
    CredentialKind.AD_HOC_USER: TokenType.AD_HOC_USER,
}
"""Kinds that OCPI has a type for; the others are OTHER."""

_MORE: Final = ("energy_contract", "default_profile_type")


def providers_of(tx: Transaction, party: str) -> tuple[str, ...]:
    """Return the provider ids of the eMSP accounts that are this party in OCPI."""
    named = {e.provider_id.value: e.party_id for e in tx.roaming.emsps() if e.party_id}
    known = (account.provider_id.value for account in tx.contracts.accounts())
    return tuple(p for p in known if named.get(p, p) == party)


def own_providers(tx: Transaction, partner: Partner) -> dict[str, str]:
    """Return the providers that a partner deals with, each with its party in OCPI."""
    parties = {own.party for own in partner.own if own.role == PartyRole.EMSP}
    return {provider: party for party in parties for provider in providers_of(tx, party)}


def emaid_of(uid: str) -> Emaid | None:
    """Return the EMAID that a uid has the form of, or None."""
    try:
        return Emaid.parse(uid, Edition.ISO2)
    except BadInput:
        return None


def kinds_of(token_type: str, uid: str) -> tuple[CredentialKind, ...]:
    """Return what a token of that type and uid may be here, the likeliest first."""
    plain = _KINDS.get(token_type, CredentialKind.OTHER)
    if emaid_of(uid) is None or plain is CredentialKind.EMAID:
        return (plain,)
    if plain is CredentialKind.OTHER:
        return (CredentialKind.EMAID, plain)
    if plain is CredentialKind.RFID and not _HEXADECIMAL.fullmatch(uid):
        return (CredentialKind.EMAID, plain)
    return (plain, CredentialKind.EMAID) if plain is CredentialKind.RFID else (plain,)


def uid_of(kind: CredentialKind, text: str) -> str:
    """Return the folded uid. Raises BadInput (`invalid_uid`)."""
    if kind is CredentialKind.EMAID:
        emaid = emaid_of(text)
        return emaid.key if emaid else CredentialUid.parse(text).value.replace("-", "")
    return CredentialUid.parse(text).value


def to_credential(token: Token, credential_id: str, now: dt.datetime) -> Credential:
    """Return what we keep of a partner's token. Raises BadInput (`invalid_uid`)."""
    kind = kinds_of(token.type, token.uid)[0]
    beyond: dict[str, object] = {n: token.more[n] for n in _MORE if n in token.more}
    beyond |= {"type": token.type, "last_updated": format_micros(token.last_updated)}

    def text(name: str) -> str | None:
        value = token.more.get(name)
        return value if isinstance(value, str) else None

    return Credential(
        credential_id=credential_id,
        emsp=str(token.owner),
        kind=kind,
        uid=uid_of(kind, token.uid),
        presented=token.uid,
        contract_id=None,
        contract=token.contract_id,
        state=CredentialState.ACTIVE if token.valid else CredentialState.BLOCKED,
        created_at=now,
        updated_at=now,
        whitelist=Whitelist(token.whitelist.value),
        visual_number=text("visual_number"),
        issuer=token.issuer,
        group_id=text("group_id"),
        language=text("language"),
        partner=True,
        more=json.dumps(beyond, sort_keys=True, separators=(",", ":")),
    )


def format_micros(value: dt.datetime) -> str:
    """Write a time to the microsecond, so that two can be told apart."""
    return value.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def updated_of(credential: Credential) -> dt.datetime:
    """Return `last_updated` of a partner's token as its owner said it."""
    more: dict[str, Any] = json.loads(credential.more)
    text = str(more.get("last_updated", ""))
    try:
        return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    except ValueError:
        return credential.updated_at


def from_partner(credential: Credential) -> Token:
    """Return a partner's token as the partner gave it."""
    more: dict[str, Any] = json.loads(credential.more)
    known = TYPES.get(credential.kind, TokenType.OTHER).value
    return _token(
        credential,
        PartyKey.parse(credential.emsp),
        token_type=str(more.get("type", known)),
        uid=credential.presented,
        valid=credential.state is CredentialState.ACTIVE,
        whitelist=credential.whitelist or Whitelist.ALLOWED,
        updated=updated_of(credential),
    )


def _token(  # noqa: PLR0913 - what differs between a partner's token and one of ours
    credential: Credential,
    owner: PartyKey,
    *,
    token_type: str,
    uid: str,
    valid: bool,
    whitelist: Whitelist,
    updated: dt.datetime,
    issuer: str = "",
) -> Token:
    more: dict[str, Any] = json.loads(credential.more)
    optional: dict[str, object | None] = {
        "visual_number": credential.visual_number,
        "group_id": credential.group_id,
        "language": credential.language,
        **{name: more.get(name) for name in _MORE},
    }
    return Token(
        owner=owner,
        uid=uid,
        type=token_type,
        contract_id=credential.contract,
        issuer=credential.issuer or issuer,
        valid=valid,
        whitelist=OcpiWhitelist(whitelist.value),
        last_updated=updated,
        more={name: value for name, value in optional.items() if value is not None},
    )


def to_tokens(
    tx: Transaction, partner: Partner, found: Iterable[Credential], now: dt.datetime
) -> list[Token]:
    """
    Return our credentials as tokens that a partner may hold, with few queries however many.

    A token is valid while its credential and its contract are.
    """
    page = list(found)
    own = own_providers(tx, partner)
    contracts = tx.contracts.several([c.contract_id for c in page if c.contract_id])
    rules = {e.provider_id.value: e.whitelist for e in tx.roaming.emsps()}
    names = {a.provider_id.value: a.name for a in tx.contracts.accounts()}
    return [
        _token(
            credential,
            PartyKey.parse(own[credential.emsp]),
            token_type=TYPES.get(credential.kind, TokenType.OTHER).value,
            uid=credential.uid,
            valid=_valid(credential, contracts.get(credential.contract_id or ""), now),
            whitelist=_rule(credential, contracts, rules.get(credential.emsp)),
            updated=credential.updated_at,
            issuer=names.get(credential.emsp, credential.emsp),
        )
        for credential in page
        if credential.emsp in own
    ]


def _valid(credential: Credential, contract: Contract | None, now: dt.datetime) -> bool:
    active = contract is None or contract.state_at(now) is ContractState.ACTIVE
    return credential.state is CredentialState.ACTIVE and active


def _rule(
    credential: Credential, contracts: dict[str, Contract], of_emsp: Whitelist | None
) -> Whitelist:
    contract = contracts.get(credential.contract_id or "")
    own = credential.whitelist or (contract.whitelist if contract else None)
    return own or of_emsp or Whitelist.ALLOWED


def type_for(partner: Partner, kind: CredentialKind) -> str:
    """Return the token type that a partner knows a kind by."""
    known = TYPES.get(kind, TokenType.OTHER)
    if known is TokenType.EMAID and version_of(partner) == "2.2.1":
        return partner.emaid_type
    return known.value


def shown(partner: Partner, token: Token) -> dict[str, Any]:
    """Return a token in the version of a partner."""
    return dict(token.to_json(version_of(partner), TokenType(partner.emaid_type)))
