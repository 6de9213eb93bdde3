"""The real-time question to an eMSP that is an OCPI partner, or is reached through a hub."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final
from urllib.parse import quote as escape

from pki.errors import BadInput, NotFound, Unavailable
from pki.model import (
    Allowed,
    EmspAnswer,
    EmspQuestion,
    Partner,
    PartnerParty,
    PartnerState,
)
from pki.partners import tokens
from pki.partners.hub import CONNECTED
from pki.partners.network import PartnerNetwork, call, endpoint, good_data, one
from pki.roaming.ocpi.parties import PartyKey, PartyRole, Routing
from pki.roaming.ocpi.tokens import AuthorizationInfo
from pki.roaming.ocpi.versions import InterfaceRole, Module

FRESH: Final = 5.0
"""Seconds for which a process believes what it knows of the partners."""

_EMSP: Final = PartyRole.EMSP.value
Way = tuple[Partner, PartnerParty | None]
"""A partner, and the eMSP as the partner knows it; None: the hub must find out (open routing)."""


class OcpiAsk:
    """
    Asks by `POST …/tokens/{uid}/authorize`; see `pki.ports.AskEmsp`. Safe to share between threads.

    Args:
        monotonic: gives seconds that never run backwards.
    """

    def __init__(
        self, network: PartnerNetwork, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._network = network
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read_at = float("-inf")
        self._direct: dict[str, Way] = {}
        self._hubs: dict[str, tuple[Partner, dict[str, PartnerParty]]] = {}

    def reaches(self, emsp: str, hub: str | None) -> bool:
        """Tell whether a partner, or the hub before it, offers to be asked."""
        return self._way(emsp, hub) is not None

    def ask(self, question: EmspQuestion, seconds: float) -> EmspAnswer:
        """
        Ask, and wait for `seconds` at the most.

        Raises:
            Unavailable: `partner_unreachable`, `partner_offline`, `partner_garbage`,
                `partner_refused`, and those of `outbound`.
            NotFound: `token_unknown`.
        """
        way = self._way(question.emsp, question.hub)
        if way is None:
            raise Unavailable("partner_unreachable", f"No partner leads to {question.emsp}.")
        partner, party = way
        if party is not None and party.status != CONNECTED:
            raise Unavailable("partner_offline", f"{question.emsp} is {party.status}.")
        url = endpoint(partner, Module.TOKENS, InterfaceRole.SENDER) or ""
        kind = tokens.type_for(partner, question.kind)
        place = f"{url.rstrip('/')}/{escape(question.uid, safe='')}/authorize?type={kind}"
        answer = call(
            self._network,
            self._network.link(partner),
            "POST",
            place,
            routing=_routing(question, party),
            seconds=seconds,
        )
        if answer.http == HTTPStatus.NOT_FOUND:  # with status 2004 or another
            raise NotFound("token_unknown", "The partner does not know this token.")
        try:
            info = AuthorizationInfo.parse(one(good_data(answer)))
        except BadInput as error:
            raise Unavailable("partner_garbage", error.message) from error
        return EmspAnswer(
            allowed=Allowed(info.allowed.value),
            reference=info.authorization_reference,
            info=info.info,
        )

    def _way(self, emsp: str, hub: str | None) -> Way | None:
        self._look()
        if hub is None:
            return self._direct.get(emsp)
        found = self._hubs.get(hub)
        return (found[0], found[1].get(emsp)) if found else None

    def _look(self) -> None:
        """Read the partners anew where what is known is old; the others do not wait meanwhile."""
        if self._monotonic() - self._read_at < FRESH or not self._lock.acquire(blocking=False):
            return
        try:
            direct: dict[str, Way] = {}
            hubs: dict[str, tuple[Partner, dict[str, PartnerParty]]] = {}
            with self._network.deployment.store.read() as tx:
                for partner in tx.partners.all():
                    if not _can_be_asked(partner):
                        continue
                    emsps = {p.party: p for p in tx.partners.parties(partner.partner_id)
                             if p.role == _EMSP}  # fmt: skip
                    if partner.hub is not None:
                        hubs[partner.hub] = (partner, emsps)
                    for party in emsps.values():
                        if not party.behind_hub or party.party not in direct:
                            direct[party.party] = (partner, party)
            self._direct, self._hubs = direct, hubs
            self._read_at = self._monotonic()
        finally:
            self._lock.release()


def _can_be_asked(partner: Partner) -> bool:
    registered = partner.state is PartnerState.REGISTERED
    return registered and endpoint(partner, Module.TOKENS, InterfaceRole.SENDER) is not None


def _routing(question: EmspQuestion, party: PartnerParty | None) -> Routing:
    """Name who asks and whom; a hub that is to find the eMSP by the EMAID is told nobody."""
    return Routing(
        to=PartyKey.parse(party.party) if party is not None else None,
        sender=PartyKey.parse(question.cpo) if question.cpo else None,
    )
