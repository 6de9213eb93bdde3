"""Roaming: who is reached where, with whom one may roam, credentials, sessions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pki.ids import ProviderId
from pki.model.people import Role

EVERY: Final = "*"
"""In an agreement: every CPO, or every eMSP, that is registered here."""


class Whitelist(StrEnum):
    """
    When the eMSP is asked about a credential (OCPI WhitelistType).

    ALWAYS: never ask. ALLOWED: the CPO may choose; we do not ask. ALLOWED_OFFLINE: ask, and go by
    what is kept here if the eMSP cannot be reached. NEVER: ask, also about a credential that is
    marked invalid, and refuse if the eMSP cannot be reached.
    """

    ALWAYS = "ALWAYS"
    ALLOWED = "ALLOWED"
    ALLOWED_OFFLINE = "ALLOWED_OFFLINE"
    NEVER = "NEVER"


class CredentialKind(StrEnum):
    """
    What a driver shows.

    `emaid` is a contract certificate or its EMAID; `rfid`, `app_user`, `ad_hoc_user` and `other`
    are OCPI's TokenTypes; `key_code`, `central` and `local` are known to OCPP alone.
    """

    EMAID = "emaid"
    RFID = "rfid"
    APP_USER = "app_user"
    AD_HOC_USER = "ad_hoc_user"
    OTHER = "other"
    KEY_CODE = "key_code"
    CENTRAL = "central"
    LOCAL = "local"


class RangeKind(StrEnum):
    """What begins with the prefix of a range."""

    EMAID = "emaid"
    RFID = "rfid"
    EVSE = "evse"


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRange:
    """
    Identifiers that begin alike, and the party they belong to from some time on.

    Attributes:
        prefix: upper case, no separators, such as `DE8AAC1`.
        role: EMSP for contracts and RFID cards, CPO for EVSEs.
        party_id: provider id of the eMSP account, or operator id.
        valid_until: None: until another range takes over.
        ported_from: whose it was before, where it was handed over.
    """

    kind: RangeKind
    prefix: str
    role: Role
    party_id: str
    valid_from: dt.datetime
    valid_until: dt.datetime | None = None
    ported_from: str | None = None

    def holds(self, at: dt.datetime) -> bool:
        """Tell whether the range is in force at a time; the end is exclusive."""
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)


class AgreementState(StrEnum):
    """Life of an agreement; each change is a new version."""

    ACTIVE = "active"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    What two parties agreed on.

    Attributes:
        cpo, emsp: operator and provider id, or `*` for every one that is registered here.
        valid_until: exclusive; None: until it is withdrawn.
        countries: of the EVSE, ISO 3166-1 alpha-2; none: everywhere.
        operators: operator ids at the head of the EVSE id; none: every one of the CPO.
        evse_groups: EVSE ids that begin so, canonical; none: all of them.
        kinds: credentials that may be used; none: every kind.
        sessions: that one contract may have at a time under this agreement; None: any number.
        tariff: reference of the tariff agreed on.
    """

    cpo: str
    emsp: str
    valid_from: dt.datetime
    valid_until: dt.datetime | None = None
    countries: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    evse_groups: tuple[str, ...] = ()
    kinds: tuple[CredentialKind, ...] = ()
    sessions: int | None = None
    tariff: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """One version of an agreement; the newest counts, older ones are kept."""

    agreement_id: str
    version: int
    state: AgreementState
    terms: Terms
    created_at: dt.datetime
    created_by: str


class CredentialState(StrEnum):
    """Whether a credential may be used; OCPI's `valid`."""

    ACTIVE = "active"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """
    What a driver shows to charge, on a contract kept here or at a partner (an OCPI Token).

    Attributes:
        emsp: provider id of the account, or `country_code` + `party_id` of the OCPI partner.
        uid: folded (see `pki.ids.CredentialUid`); unique with kind and eMSP.
        presented: as it came, at most 36 characters.
        contract_id: of a contract kept here, or None.
        contract: identifier of the contract as the eMSP writes it (OCPI `contract_id`).
        whitelist: None: the rule of the contract.
        partner: it was pushed or pulled over OCPI; its eMSP changes it, nobody here.
        more: JSON of what a protocol has beyond (energy_contract, default_profile_type).
    """

    credential_id: str
    emsp: str
    kind: CredentialKind
    uid: str
    presented: str
    contract_id: str | None
    contract: str
    state: CredentialState
    created_at: dt.datetime
    updated_at: dt.datetime
    whitelist: Whitelist | None = None
    visual_number: str | None = None
    issuer: str | None = None
    group_id: str | None = None
    language: str | None = None
    partner: bool = False
    more: str = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emsp:
    """
    How an eMSP account is asked in real time.

    Attributes:
        party_id: its party id in OCPI and OICP; None: the provider id.
        realtime_url: address of its real-time hook, or None.
        whitelist: rule of contracts that have none; None: ALLOWED.
        sealed_token: bearer token that the hook wants of us, encrypted; None: none.
    """

    provider_id: ProviderId
    party_id: str | None = None
    realtime_url: str | None = None
    whitelist: Whitelist | None = None
    sealed_token: bytes | None = field(default=None, repr=False)

    @property
    def context(self) -> str:
        """What its token is sealed for."""
        return f"emsp:{self.provider_id.value}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """
    Who looks at a list, where it does not show everything.

    Attributes:
        names: every identifier that agreements may call the company by.
    """

    role: Role
    names: tuple[str, ...]


class SessionProtocol(StrEnum):
    """How a session came to be known."""

    OCPP = "ocpp"
    OCPI = "ocpi"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """
    A charging session, tied to the authorisation that let it begin.

    Attributes:
        reference: of an authorisation of ours, given to this CPO; None where none is known.
        external_id: transaction id of the station, or OCPI session id; unique with protocol, CPO
            and station.
        station_id: empty where it is not known.
        contract_id: of a contract kept here, or None.
        contract: what identifies the contract elsewhere.
        others: sessions of the same contract that were running when this one began.
        unconfirmed: an `authorization_reference` that the CPO named and we never gave to it, or for
            another contract.
    """

    session_id: str
    reference: str | None
    protocol: SessionProtocol
    cpo: str
    station_id: str
    external_id: str
    emsp: str | None
    contract_id: str | None
    contract: str | None
    evse_id: str | None
    started_at: dt.datetime
    stopped_at: dt.datetime | None = None
    energy_wh: int | None = None
    stop_reason: str | None = None
    others: int = 0
    unconfirmed: str | None = None


class Allowed(StrEnum):
    """Answer to the question whether a driver may charge (OCPI AllowedType)."""

    ALLOWED = "ALLOWED"
    BLOCKED = "BLOCKED"
    EXPIRED = "EXPIRED"
    NO_CREDIT = "NO_CREDIT"
    NOT_ALLOWED = "NOT_ALLOWED"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmspQuestion:
    """
    What an eMSP is asked in real time.

    Attributes:
        emsp: its party id (country and party).
        hub: party id of the hub through which it is reached, or None.
        uid, presented: of the credential, folded and as it came; an EMAID has 14 characters.
        contract: identifier of the contract where it is known.
        reference: ours; an eMSP may answer with one of its own.
    """

    emsp: str
    hub: str | None
    kind: CredentialKind
    uid: str
    presented: str
    contract: str | None
    cpo: str
    evse_id: str | None
    station_id: str | None
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmspAnswer:
    """What an eMSP answered; `reference` is its `authorization_reference`, or None."""

    allowed: Allowed
    reference: str | None = None
    info: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """
    The answer to a request that carried an idempotency key.

    Attributes:
        request: SHA-256 of method, path and body.
        answer: JSON.
    """

    client: str
    key: str
    request: bytes
    status: int
    answer: str
    created_at: dt.datetime
