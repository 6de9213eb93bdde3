"""What partners changed while nobody told us: pulled by `date_from`, hub directories whole."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Final

from pki import access
from pki.clock import format_time, parse_time
from pki.errors import PkiError
from pki.model import Partner, PartnerState, Principal
from pki.partners import exchange, hub
from pki.partners.network import PartnerNetwork, endpoint, needed
from pki.roaming.ocpi.versions import InterfaceRole, Module

_LOG: Final = logging.getLogger(__name__)
_OVERLAP: Final = dt.timedelta(minutes=10)
"""Clocks differ: what changed shortly before the last pull is read again."""


def sync(
    network: PartnerNetwork, principal: Principal, partner_id: str, *, whole: bool = False
) -> int:
    """
    Read a partner's tokens and, of a hub, its directory; return how much was news.

    Args:
        whole: all tokens, not only those that changed since the last time.

    Raises:
        NotFound: `partner_unknown`.
        PolicyViolation: `partner_not_registered`.
        Unavailable: the partner is out of reach, refuses, or answers with garbage.
    """
    access.require(principal, access.Action.KEEP_PARTNERS)
    with network.deployment.store.read() as tx:
        partner = needed(tx, partner_id)
    network.link(partner)
    return _sync(network, partner, whole=whole)


def sync_due(network: PartnerNetwork) -> int:
    """Do so with every registered partner; one that fails is logged and does not hold up others."""
    with network.deployment.store.read() as tx:
        found = [p for p in tx.partners.all() if p.state is PartnerState.REGISTERED]
    news = 0
    for partner in found:
        try:
            news += _sync(network, partner, whole=False)
        except PkiError as error:
            _LOG.warning("partner %s was not read: %s", partner.partner_id, error.code)
    return news


def _sync(network: PartnerNetwork, partner: Partner, *, whole: bool) -> int:
    begun = network.deployment.clock.now()
    mark = f"ocpi_pulled:{partner.partner_id}"
    with network.deployment.store.read() as tx:
        held = tx.setting(mark)
    since = parse_time(held) - _OVERLAP if held and not whole else None
    news = exchange.pull(network, partner, since)
    if endpoint(partner, Module.HUB_CLIENT_INFO, InterfaceRole.SENDER) is not None:
        news += hub.pull(network, partner)
    with network.deployment.store.write() as tx:
        tx.put_setting(mark, format_time(begun))
    return news
