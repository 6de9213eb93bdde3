"""The pools of provisioning: roots, provisioning chains, CPS signers, contract bundles."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pki.ids import Edition, Emaid, Fingerprint, Pcid, ProviderId
from pki.model.trust import Domain
from pki.pkix.suites import Suite


class TrustList(StrEnum):
    """Certificate trust lists that a root stands on, as OPNC names them."""

    EUROPEAN = "European CTL"
    AMERICAN = "American CTL"
    NONE = "No CTL"


@dataclass(frozen=True, slots=True, kw_only=True)
class RootNote:
    """
    What the root pool keeps of a root besides its trust anchor.

    Attributes:
        trust_lists: none is the same as `No CTL`.
    """

    fingerprint: Fingerprint
    domain: Domain
    trust_lists: tuple[TrustList, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossCertificate:
    """A certificate by which another root vouches for the key of root `certified`."""

    fingerprint: Fingerprint
    certified: Fingerprint
    der: bytes
    added_at: dt.datetime
    added_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningChain:
    """
    The provisioning certificate of a car for one suite, with its sub-CAs.

    Attributes:
        sub_cas: DER, the issuer of the leaf first; without the root.
        root: the OEM (or V2G) anchor that the chain ended at when it was deposited.
        spki_sha256: of the leaf's key; bundles are encrypted for it (P-256, P-521) or for the X448
            key beside it.
        v2g_root_key_ids: key identifiers of the V2G roots that the car holds, upper-case hex.
    """

    pcid: Pcid
    suite: Suite
    fingerprint: Fingerprint
    certificate: bytes
    sub_cas: tuple[bytes, ...]
    root: Fingerprint
    spki_sha256: bytes
    v2g_root_key_ids: tuple[str, ...]
    not_after: dt.datetime
    deposited_at: dt.datetime
    deposited_by: str

    @property
    def edition(self) -> Edition:
        """The edition whose contracts this certificate can receive."""
        return self.suite.edition


@dataclass(frozen=True, slots=True, kw_only=True)
class CpsSigner:
    """
    A leaf of our provisioning service with its chain.

    Attributes:
        chain: DER, leaf first; without the root.
        root: the V2G root at its end.
    """

    fingerprint: Fingerprint
    key_label: str
    suite: Suite
    chain: tuple[bytes, ...]
    root: Fingerprint
    root_der: bytes
    not_before: dt.datetime
    not_after: dt.datetime
    created_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """
    A signed contract bundle in the pool: one per car, contract, suite and V2G root.

    Attributes:
        message: EXI of the complete response; session id, time and remaining count are set anew
            when it is handed out. The contract's key is in it only as encrypted for the car.
        vehicle_key: `ProvisioningChain.spki_sha256` that it was encrypted for.
        certificate: the contract leaf.
        cps: the leaf that signed.
        metadata: text of the caller's own, given back unread.
        update_message: EXI of the response to a CertificateUpdateReq, its key encrypted for the
            contract certificate that this one replaces; empty where there is none.
        replaced_key: SHA-256 of that certificate's SubjectPublicKeyInfo; empty with it.
        delivered_session: hex of the session that got it last; tells a -20 car's next request for
            the remaining contracts from a new one.
    """

    bundle_id: str
    pcid: Pcid
    contract_id: str
    emaid: Emaid
    suite: Suite
    root: Fingerprint
    message: bytes
    vehicle_key: bytes
    certificate: Fingerprint
    cps: Fingerprint
    not_before: dt.datetime
    not_after: dt.datetime
    created_at: dt.datetime
    created_by: str
    metadata: str = ""
    update_message: bytes = b""
    replaced_key: bytes = b""
    delivered_at: dt.datetime | None = None
    delivered_session: str | None = None

    @property
    def provider(self) -> ProviderId:
        """The eMSP."""
        return self.emaid.provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """
    A row of the outbox.

    Attributes:
        type: as OPCP names it, such as `mo.prov.cert.updated`.
        party: provider id, WMI or operator id that it concerns; "" for everybody.
        payload: JSON object.
    """

    event_id: str
    type: str
    party: str
    payload: str
    created_at: dt.datetime


LIMIT_OCPP_201: Final = 5625
"""Octets of EXI that `exiResponse` of the current OCPP 2.0.1 schema holds (7,500 of base64)."""
LIMIT_OCPP_21: Final = 12750
"""The same for OCPP 2.1 (17,000 of base64)."""
LIMIT_OLD_STATIONS: Final = 4200
"""The same for the older OCPP 2.0.1 schema, still deployed (5,600 of base64)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """
    How many octets of EXI a response may have.

    Attributes:
        warning: above it a bundle is made, and whoever made it is told.
        refusal: of -2 bundles, which stations of OCPP 2.0.1 pass on.
        refusal_iso20: of -20 bundles, which need OCPP 2.1.
    """

    warning: int = LIMIT_OLD_STATIONS
    refusal: int = LIMIT_OCPP_201
    refusal_iso20: int = LIMIT_OCPP_21

    def limit(self, edition: Edition) -> int:
        """Return what a bundle of this edition must not exceed."""
        return self.refusal_iso20 if edition is Edition.ISO20 else self.refusal
