"""The decision at session start: what is asked, known, demanded and answered."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Literal, NamedTuple, NoReturn

from pki.ids import Edition, Emaid, Fingerprint, SerialNumber
from pki.model.certificates import Reason
from pki.model.contracts import Contract
from pki.model.evidence import StaleRule
from pki.model.people import Account
from pki.model.trust import Domain, StatusRule
from pki.quick import quick

EMAID_TOKEN_TYPE: Final = "eMAID"  # noqa: S105 - an OCPP idToken type


@dataclass(frozen=True, slots=True, kw_only=True)
class HashData:
    """OCPP CertificateHashDataType, hashes as bytes, serial canonical."""

    algorithm: Literal["SHA256", "SHA384", "SHA512"]
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: SerialNumber


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class ContractCheck:
    """
    What a station or CSMS asks.

    Attributes:
        chain: DER certificates as presented, leaf first; None where none was presented.
        unreadable: why the presented chain could not be taken apart, or None.
        hash_data: presented hash data; the chain decides where both came.
        token: identifier as presented (idToken or `emaid`), or None.
        token_type: OCPP idToken type; only `eMAID` names a contract.
        edition: for a bare identifier; with a chain the leaf's key decides. None: -2, then -20.
        evse_id, station_id: where the car stands, as presented.
    """

    chain: tuple[bytes, ...] | None = None
    unreadable: str | None = None
    hash_data: tuple[HashData, ...] = ()
    token: str | None = None
    token_type: str = EMAID_TOKEN_TYPE
    edition: Edition | None = None
    evse_id: str | None = None
    station_id: str | None = None


class Status(StrEnum):
    """Revocation status of one certificate, as we know it."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateStatus:
    """
    What is known of one certificate.

    Attributes:
        source: `own` (our store), `foreign` (evidence fetched ahead) or `none`.
        as_of: when that was true.
        next_update: when foreign evidence becomes stale; None for our own store.
    """

    status: Status
    source: Literal["own", "foreign", "none"]
    as_of: dt.datetime
    reason: Reason | None = None
    revoked_at: dt.datetime | None = None
    next_update: dt.datetime | None = None


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class ContractEvidence:
    """
    What the store says about the presented identifier.

    Attributes:
        contract: the contract it names, or None.
        ambiguous: it names two different contracts (as a -2 and as a -20 identifier).
        account: the eMSP account of the contract, or None.
    """

    contract: Contract | None = None
    ambiguous: bool = False
    account: Account | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    Everything that one read brought for one decision.

    Attributes:
        statuses: by certificate fingerprint; absent means we know nothing.
        contract: by the leaf's EMAID where there is a leaf, else by the token.
        asked_responders: identities of foreign CAs whose OCSP responder a job asks; certificates of
            theirs are remembered.
    """

    read_at: dt.datetime
    statuses: Mapping[Fingerprint, CertificateStatus] = field(default_factory=dict)
    contract: ContractEvidence = field(default_factory=ContractEvidence)
    asked_responders: frozenset[bytes] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPolicy:
    """
    What the operator of this service demands.

    Attributes:
        status: rule for foreign certificates per trust domain; a domain without one requires it.
        stale: whether evidence past its nextUpdate counts; a domain without one refuses it.
        ask_contract: False only where no store is at hand (command line, conformance runs).
        strict_check_digit: refuse an EMAID whose check digit is wrong; off by default, since real
            contracts carry wrong ones.
    """

    version: int = 1
    status: Mapping[Domain, StatusRule] = field(default_factory=dict)
    stale: Mapping[Domain, StaleRule] = field(default_factory=dict)
    ask_contract: bool = True
    strict_check_digit: bool = False


class Fault(StrEnum):
    """Why a decision rejects; stable, in the order of the questions."""

    UNREADABLE = "unreadable"
    TOO_MANY_CERTIFICATES = "too_many_certificates"
    DUPLICATE_CERTIFICATE = "duplicate_certificate"
    LEAF_NOT_FIRST = "leaf_not_first"
    HASH_DATA_UNKNOWN = "hash_data_unknown"
    LEAF_IS_CA = "leaf_is_ca"
    NO_PATH = "no_path"
    SIGNATURE_INVALID = "signature_invalid"
    ISSUER_IS_LEAF = "issuer_is_leaf"
    ISSUER_NOT_CA = "issuer_not_ca"
    PATH_LENGTH = "path_length"
    WRONG_ROLE = "wrong_role"
    PROFILE = "profile"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    EMAID_MISMATCH = "emaid_mismatch"
    EMAID_AMBIGUOUS = "emaid_ambiguous"
    REVOKED = "revoked"
    STATUS_MISSING = "status_missing"
    CONTRACT_UNKNOWN = "contract_unknown"
    CONTRACT_BLOCKED = "contract_blocked"
    CONTRACT_SUSPENDED = "contract_suspended"
    CONTRACT_ENDED = "contract_ended"
    ACCOUNT_UNKNOWN = "account_unknown"


class Check(NamedTuple):
    """
    One question of the decision and its answer; a tuple as `PathStatus` is.

    Attributes:
        answer: `yes` (passed), `no` (the fault), `not_asked`, or `note` (a deviation that does not
            refuse).
    """

    question: str
    answer: Literal["yes", "no", "not_asked", "note"]
    detail: str
    clause: str


class PathStatus(NamedTuple):
    """
    Freshness of the status of one certificate of the path, for the verdict.

    A tuple, since every decision makes four of them and a dataclass costs three times as much.
    """

    subject: str
    fingerprint: Fingerprint
    status: CertificateStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What both outcomes share."""

    emaid: Emaid | None
    edition: Edition | None
    checks: tuple[Check, ...]
    path: tuple[PathStatus, ...]
    with_chain: bool
    account: Account | None

    def __bool__(self) -> NoReturn:
        """Refuse: a rejected contract must not pass as true."""
        raise TypeError("match on Accepted and Rejected; a verdict has no truth value")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Verdict):
    """The contract is good here and now."""

    expires_soon: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected(Verdict):
    """The first question that was answered with no."""

    fault: Fault
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A recorded verdict: the receipt."""

    decision_id: str
    decided_at: dt.datetime
    verdict: Accepted | Rejected


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """
    A decision as the store keeps it.

    Attributes:
        decision_id: begins with its second (`pki.ids.first_decision_id`) if it is of today's form.
        record: JSON of the inputs (chain, token, evidence, trust and policy versions) and the
            result; of the receipt that `repeats` names where it names one. Of a usual decision:
            its form and what is its own (`pki.validate.forms`).
        repeats: id of an earlier decision on the same inputs, or None.
    """

    decision_id: str
    decided_at: dt.datetime
    accepted: bool
    fault: str | None
    emaid: str | None
    asked_by: str
    record: str
    repeats: str | None = None


class Repetition(NamedTuple):
    """
    A decision that repeats an earlier one, as the store keeps it.

    Attributes:
        repeats: id of the one that holds the rest.
    """

    decision_id: str
    decided_at: dt.datetime
    repeats: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptForm:
    """
    What receipts of one kind and one day have in common.

    Attributes:
        form_id: begins with the second in which the day began (`pki.ids.first_decision_id`).
        text: JSON with blanks, see `pki.validate.forms`.
    """

    form_id: str
    text: str
