"""
Changes of our tokens, told to partners once and after their commit.

A job follows the change log and the time of the last change of each credential. It moves its mark
before it sends, so that a crash loses a push and never repeats one: partners that miss one find it
by `date_from`.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote as escape

from pki.clock import format_time, parse_time
from pki.errors import PkiError
from pki.model import ChangeKind, Credential, Partner
from pki.partners import tokens
from pki.partners.network import PartnerNetwork, call, endpoint
from pki.ports import Transaction
from pki.roaming.ocpi.parties import PartyKey, Routing
from pki.roaming.ocpi.tokens import Token
from pki.roaming.ocpi.versions import InterfaceRole, Module

MOST: Final = 500
"""Tokens pushed at a time; what changes in larger numbers is left to the partners' next pull."""

_LOG: Final = logging.getLogger(__name__)
_MARK: Final = "ocpi_pushed"
_SETTLED: Final = dt.timedelta(seconds=1)
"""Changes of this very second may still be under way."""

_CHANGES: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """Up to where changes were told: number in the change log, time of credentials."""

    sequence: int
    until: dt.datetime

    @classmethod
    def read(cls, text: str) -> _Mark:
        """Read what `write` wrote."""
        values = json.loads(text)
        return cls(sequence=int(values["sequence"]), until=parse_time(values["until"]))

    def write(self) -> str:
        """Return the mark as the store keeps it."""
        return json.dumps({"sequence": self.sequence, "until": format_time(self.until)})


def push_due(network: PartnerNetwork) -> int:
    """Tell partners of the tokens that changed since the last time; return how many were told."""
    changed = _changed(network)
    if not changed:
        return 0
    told = 0
    for credential in changed:
        for each in _partners(network, credential):
            told += _tell(network, each, credential)
    return told


def _changed(network: PartnerNetwork) -> list[Credential]:
    """Move the mark and return what changed behind it; nothing where too much did."""
    now = network.deployment.clock.now()
    end = now - _SETTLED
    with network.deployment.store.write() as tx:
        held = tx.setting(_MARK)
        if held is None:  # what was before the first time is there to be pulled
            _move(tx, _Mark(sequence=tx.status.sequence(), until=end))
            return []
        mark = _Mark.read(held)
        sequence = _touch(tx, mark.sequence, now)
        if end <= mark.until:
            _move(tx, _Mark(sequence=sequence, until=mark.until))
            return []
        _move(tx, _Mark(sequence=sequence, until=end))
        found = tx.credentials.search(
            emsps=_told_emsps(tx),
            changed_from=mark.until,
            changed_to=end,
            limit=MOST + 1,
        )
    if len(found) > MOST:
        _LOG.warning("more than %d tokens changed at once; partners will pull them", MOST)
        return []
    return found


def _move(tx: Transaction, mark: _Mark) -> None:
    tx.put_setting(_MARK, mark.write())


def _told_emsps(tx: Transaction) -> tuple[str, ...]:
    """Return the providers that some partner wants to hear of."""
    found: dict[str, None] = {}
    for partner in tx.partners.all():
        if _receives(partner):
            found |= dict.fromkeys(tokens.own_providers(tx, partner))
    return tuple(found)


def _receives(partner: Partner) -> bool:
    place = endpoint(partner, Module.TOKENS, InterfaceRole.RECEIVER)
    return place is not None and partner.sealed_token is not None


def _touch(tx: Transaction, behind: int, now: dt.datetime) -> int:
    """Have the tokens of contracts that changed count as changed; return the last number seen."""
    changes = tx.status.changes(behind, _CHANGES)
    contracts = {c.issuer_id for c in changes if c.kind is ChangeKind.CONTRACT}
    for contract_id in sorted(contracts):
        tx.credentials.touch(contract_id, now)
    return changes[-1].sequence if changes else behind


def _partners(network: PartnerNetwork, credential: Credential) -> list[tuple[Partner, Token]]:
    now = network.deployment.clock.now()
    with network.deployment.store.read() as tx:
        found: list[tuple[Partner, Token]] = []
        for partner in tx.partners.all():
            if not _receives(partner):
                continue
            shown = tokens.to_tokens(tx, partner, [credential], now)
            found += [(partner, token) for token in shown]
        return found


def _tell(network: PartnerNetwork, told: tuple[Partner, Token], credential: Credential) -> bool:
    """Send a token once; a failure is logged and dropped."""
    partner, token = told
    url = (endpoint(partner, Module.TOKENS, InterfaceRole.RECEIVER) or "").rstrip("/")
    owner = token.owner
    kind = tokens.type_for(partner, credential.kind)
    uid = escape(token.uid, safe="")
    place = f"{url}/{owner.country_code}/{owner.party_id}/{uid}?type={kind}"
    to = PartyKey.parse(partner.hub) if partner.hub else None  # a hub hands it to everybody
    try:
        answer = call(
            network,
            network.link(partner),
            "PUT",
            place,
            body=tokens.shown(partner, token),
            routing=Routing(to=to, sender=owner),
        )
    except PkiError as error:
        _LOG.warning("a token was not pushed to %s: %s", partner.partner_id, error.code)
        return False
    if not answer.envelope.good:
        _LOG.warning("a token was refused by %s: %d", partner.partner_id, answer.envelope.status)
    return answer.envelope.good
