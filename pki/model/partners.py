"""Platforms that we speak OCPI with, and what they told us of their parties."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum


class PartnerState(StrEnum):
    """
    How far a partner is.

    INVITED: holds a token for versions and credentials only. REGISTERED: both sides hold tokens.
    SUSPENDED: refused for now, credentials kept. REMOVED: credentials gone, its objects kept.
    """

    INVITED = "invited"
    REGISTERED = "registered"
    SUSPENDED = "suspended"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerEndpoint:
    """Where one end of a module of a partner answers."""

    identifier: str
    role: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class OwnParty:
    """A party of this home as a partner sees it: `CPO` or `EMSP`, five characters, a name."""

    role: str
    party: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerParty:
    """
    A party of a partner's platform, or behind a partner that is a hub.

    Attributes:
        party: country code and party id, five upper-case characters.
        status: CONNECTED, or what a hub says of it.
        behind_hub: learned from a hub's directory rather than from credentials.
        updated: microseconds since 1970 of the newest word about it.
    """

    partner_id: str
    role: str
    party: str
    name: str
    status: str = "CONNECTED"
    behind_hub: bool = False
    updated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """
    A platform that speaks OCPI.

    Attributes:
        own: the parties of this home that it deals with; nothing of others is shown to it.
        token_hash: of what it sends us; None where it holds nothing.
        sealed_token: what we send it, encrypted; None before registration.
        raw_token: it wants our token as it is, not in base64.
        emaid_type: token type that stands for EMAID where it speaks 2.2.1.
        hub: party of the hub that it is, or None.
    """

    partner_id: str
    name: str
    state: PartnerState
    own: tuple[OwnParty, ...]
    created_at: dt.datetime
    token_hash: bytes | None = field(default=None, repr=False)
    sealed_token: bytes | None = field(default=None, repr=False)
    raw_token: bool = False
    emaid_type: str = "OTHER"
    version: str | None = None
    versions_url: str | None = None
    endpoints: tuple[PartnerEndpoint, ...] = ()
    hub: str | None = None
    registered_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PageMark:
    """
    What stood how far into a partner's pull of our tokens.

    Attributes:
        pull: what was asked for: the bounds in time.
        position: objects before it, those up to the mark's own included.
        updated, key: time of change and id of the object; the pull goes on behind it.
        total: objects of the whole pull, counted when it began.
    """

    partner_id: str
    pull: str
    position: int
    updated: dt.datetime
    key: str
    total: int
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerObject:
    """
    An object that a partner owns and keeps with us: session, CDR or tariff.

    Attributes:
        party: the owner, five characters.
        key: the object's id, folded.
        updated: `last_updated` in microseconds since 1970.
        document: the object as JSON.
        reference: of the authorisation of ours that a session or CDR belongs to, or None.
        sequence: version of a tariff, from 1; else 1.
        deleted: a tariff that was withdrawn.
    """

    kind: str
    party: str
    key: str
    partner_id: str
    updated: int
    received_at: dt.datetime
    document: str
    reference: str | None = None
    sequence: int = 1
    deleted: bool = False


class CommandState(StrEnum):
    """What became of a command."""

    OPEN = "open"
    ANSWERED = "answered"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerCommand:
    """
    A remote start or stop.

    Attributes:
        inbound: a partner asks our CPO; else our eMSP asks a partner.
        party: our party: the CPO that is asked, or the eMSP that asks.
        response_url: where the later answer of an inbound command goes.
        result: the later answer, once there is one.
    """

    command_id: str
    inbound: bool
    kind: str
    partner_id: str
    party: str
    response_url: str
    document: str
    created_at: dt.datetime
    expires_at: dt.datetime
    state: CommandState = CommandState.OPEN
    result: str | None = None
