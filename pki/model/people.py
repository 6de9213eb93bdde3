"""Who acts: clients, parties, accounts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from pki.ids import ProviderId


class Role(StrEnum):
    """What a client may be."""

    CPO = "cpo"
    EMSP = "emsp"
    OEM = "oem"
    CPS = "cps"
    HUB = "hub"
    ADMIN = "admin"
    AUDITOR = "auditor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """
    An authenticated caller.

    Attributes:
        name: `clientId`, or `cli:<user>` for whoever holds the home directory.
        parties: canonical identifiers the caller may act for (operator, provider ids, WMIs).
        pki: of an eMSP: its own PKI makes its contracts, or ours does; None: as it likes.
        proposal: the approved proposal that is carried out in this name; see `pki.gate`.
    """

    name: str
    role: Role
    parties: tuple[str, ...] = ()
    pki: Literal["own", "hosted"] | None = None
    proposal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A registered caller; its token is known only by its hash (SHA-256 of 256 random bits)."""

    client_id: str
    role: Role
    parties: tuple[str, ...]
    token_hash: bytes
    pki: Literal["own", "hosted"] | None
    created_at: dt.datetime
    disabled_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """
    A registered company; `name` becomes the O of its certificates.

    Attributes:
        party_id: operator id, provider id, WMI; for roaming parties country and party id (OCPI
            `country_code` and `party_id`), which need not begin its EVSE or contract ids.
        hub: party id of the hub through which it is reached, or None.
    """

    party_id: str
    role: Role
    name: str
    created_at: dt.datetime
    hub: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An eMSP account; contracts hang under its provider id."""

    provider_id: ProviderId
    name: str
    created_at: dt.datetime
