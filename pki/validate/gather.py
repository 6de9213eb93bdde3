"""One read that brings everything a decision needs."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from pki import contracts
from pki.ids import Edition, Emaid, Fingerprint, SerialNumber
from pki.model import (
    CLOCK_SKEW,
    EMAID_TOKEN_TYPE,
    CertificateStatus,
    ContractCheck,
    ContractEvidence,
    DecisionPolicy,
    Evidence,
    HashData,
    Reason,
    Revocation,
    Status,
    Trust,
)
from pki.pkix.certificate import Certificate
from pki.pkix.hashes import identity, issuer_hashes
from pki.ports import Desk, Transaction
from pki.validate import presented
from pki.validate.frame import Frame, blocked_among, concerned, read_frame
from pki.validate.presented import Presented
from pki.validate.profile import emaid_of


@dataclass(slots=True, kw_only=True)
class Statuses:
    """
    What one read found of the status of certificates of ours, for several checks.

    Attributes:
        good: of whatever is not revoked.
        others: of what was presented besides our own CAs.
    """

    frame: Frame
    good: CertificateStatus
    others: Mapping[Fingerprint, CertificateStatus]
    _ours: Mapping[Fingerprint, CertificateStatus] | None = None

    @property
    def ours(self) -> Mapping[Fingerprint, CertificateStatus]:
        """Of our own CAs, and of anchors whose key is blocked."""
        if self._ours is None:
            ours = {name: _status(gone, self.good) for name, gone in self.frame.standing.items()}
            self._ours = ours | dict.fromkeys(self.frame.blocked, _blocked(self.good))
        return self._ours

    def tell_all_of(self, chain: Presented) -> bool:
        """Tell whether every certificate of a chain is ours, so that no evidence counts."""
        held, others = self.frame.standing, self.others
        return all(c.fingerprint in held or c.fingerprint in others for c in chain.certificates)


class Gathered(NamedTuple):
    """
    What one check presented, and what the store says about it.

    Attributes:
        foreign: what fetched evidence says of the presented certificates.
    """

    chain: Presented
    contract: ContractEvidence
    statuses: Statuses
    foreign: Mapping[Fingerprint, CertificateStatus]

    @property
    def evidence(self) -> Evidence:
        """All of it as a decision takes it; one receipt tells nothing of another's leaf."""
        found = self.statuses
        told = {**self.foreign, **found.ours, **_of_chain(self.chain, found.others)}
        return Evidence(
            read_at=found.good.as_of,
            statuses=told,
            contract=self.contract,
            asked_responders=found.frame.asked_responders,
        )


def gather(
    tx: Transaction, check: ContractCheck, now: dt.datetime, desk: Desk | None = None
) -> tuple[Presented, Evidence, Trust, DecisionPolicy]:
    """Read, within one transaction, what the store says about a check; the desk knows some."""
    frame = desk.shared(tx, read_frame, concerned) if desk else read_frame(tx)
    (found,) = gather_many(tx, frame, [check], now)
    return found.chain, found.evidence, frame.trust, frame.policy


def gather_many(
    tx: Transaction, frame: Frame, checks: Sequence[ContractCheck], now: dt.datetime
) -> list[Gathered]:
    """Read what the store says about several checks, with as many queries as for one."""
    chains = [_presented(tx, frame, check) for check in checks]
    emaids = [None if (leaf := chain.leaf) is None else emaid_of(leaf) for chain in chains]
    statuses = _statuses(tx, frame, chains, now)
    named = tx.contracts.named([emaid for emaid in emaids if emaid is not None])
    return [
        Gathered(
            chain,
            _contract(tx, chain, emaid, check, named),
            statuses,
            _foreign_statuses(tx, statuses, chain, now),
        )
        for chain, emaid, check in zip(chains, emaids, checks, strict=True)
    ]


def known_statuses(
    tx: Transaction, frame: Frame, chain: Presented, now: dt.datetime
) -> dict[Fingerprint, CertificateStatus]:
    """Return what is known of the status of a chain, and of every CA of ours."""
    found = _statuses(tx, frame, [chain], now)
    return {**_foreign_statuses(tx, found, chain, now), **found.ours, **found.others}


def _of_chain(
    chain: Presented, statuses: Mapping[Fingerprint, CertificateStatus]
) -> dict[Fingerprint, CertificateStatus]:
    names = [certificate.fingerprint for certificate in chain.certificates]
    return {name: statuses[name] for name in names if name in statuses}


def _presented(tx: Transaction, frame: Frame, check: ContractCheck) -> Presented:
    chain = presented.read(check)
    if chain is presented.NOTHING and check.hash_data:
        return _by_hash(tx, check.hash_data, frame.trust)
    return chain


def _statuses(
    tx: Transaction, frame: Frame, chains: Sequence[Presented], now: dt.datetime
) -> Statuses:
    """
    Return the status of our own CAs, and of what else was presented and is ours.

    A certificate of a blocked key is taken for revoked, whoever issued it.
    """
    held = frame.standing
    others = {c.fingerprint: c for p in chains for c in p.certificates if c.fingerprint not in held}
    revocations = tx.certificates.revocations_of(list(others))
    listed = _listed(tx, frame, others)
    good = CertificateStatus(status=Status.GOOD, source="own", as_of=now)
    found = {name: _status(gone, good) for name, gone in revocations.items()}
    found |= dict.fromkeys(listed, _blocked(good))
    return Statuses(frame=frame, good=good, others=found)


def _listed(
    tx: Transaction, frame: Frame, others: Mapping[Fingerprint, Certificate]
) -> list[Fingerprint]:
    """Return those of the certificates whose key is blocked."""
    if frame.listed is not None and not frame.listed:
        return []
    keys = {name: hashlib.sha256(c.spki).digest() for name, c in others.items()}
    listed = blocked_among(tx, frame.listed, list(keys.values()))
    return [name for name, key in keys.items() if key in listed]


def _blocked(good: CertificateStatus) -> CertificateStatus:
    return replace(good, status=Status.REVOKED, reason=Reason.KEY_COMPROMISE)


def _status(revocation: Revocation | None, good: CertificateStatus) -> CertificateStatus:
    if revocation is None:
        return good
    return replace(
        good,
        status=Status.REVOKED,
        reason=revocation.reason,
        revoked_at=revocation.revoked_at,
    )


def _foreign_statuses(
    tx: Transaction, own: Statuses, chain: Presented, now: dt.datetime
) -> Mapping[Fingerprint, CertificateStatus]:
    """
    Return what fetched evidence says of the presented certificates.

    Evidence is kept under the identity of an issuer that an administrator configured, so a twin of
    that issuer finds none. Where two CAs of one name could be meant, both must answer.
    """
    frame = own.frame
    if not frame.evidence_issuers or own.tell_all_of(chain):
        return _NO_STATUSES
    issuers = (
        *chain.certificates[1:],
        *(anchor.certificate for anchor in frame.trust.anchors),
        *(own.certificate for own in frame.trust.pool),
    )
    found: dict[Fingerprint, CertificateStatus] = {}
    for certificate in chain.certificates:
        serial = f"{certificate.serial:x}"
        told = [
            _foreign_status(tx, who, serial, now) if who in frame.evidence_issuers else None
            for who in _meant(certificate, issuers)
        ]
        known = [status for status in told if status is not None]
        revoked = [status for status in known if status.status is Status.REVOKED]
        if revoked or (known and len(known) == len(told)):
            found[certificate.fingerprint] = (revoked or known)[0]
    return found


def _meant(certificate: Certificate, issuers: tuple[Certificate, ...]) -> frozenset[bytes]:
    """
    Return the identities of the CAs that could have issued a certificate.

    The key identifier is the word of whoever signed it, so it decides where it fits.
    """
    named = [c for c in issuers if c.normal_subject == certificate.normal_issuer]
    exact = [c for c in named if c.key_id is not None and c.key_id == certificate.authority_key_id]
    return frozenset(identity(issuer) for issuer in exact or named)


def _foreign_status(
    tx: Transaction, issuer: bytes, serial: str, now: dt.datetime
) -> CertificateStatus | None:
    """Return *revoked* if any evidence says so, else *good* by the freshest, else None."""
    known = tx.evidence.statuses(issuer, serial)
    for status in known:
        if status.revoked:
            return CertificateStatus(
                status=Status.REVOKED,
                source="foreign",
                as_of=status.this_update,
                reason=status.reason,
                revoked_at=status.revoked_at,
                next_update=status.next_update,
            )
    crl = tx.evidence.crl(issuer)
    times = [(s.next_update, s.this_update) for s in known]
    if crl is not None:
        times.append((crl.next_update, crl.this_update))
    times = [(until, since) for until, since in times if since <= now + CLOCK_SKEW]
    if not times:
        return None
    until, since = max(times)
    return CertificateStatus(status=Status.GOOD, source="foreign", as_of=since, next_update=until)


def _contract(
    tx: Transaction,
    chain: Presented,
    emaid: Emaid | None,
    check: ContractCheck,
    named: dict[tuple[Edition, str], ContractEvidence],
) -> ContractEvidence:
    """Return the contract that a leaf names, with its account, or else a token."""
    if chain.leaf is not None:
        return named.get((emaid.edition, emaid.key), _NO_CONTRACT) if emaid else _NO_CONTRACT
    if check.token is None or check.token_type != EMAID_TOKEN_TYPE:
        return _NO_CONTRACT
    return contracts.resolve(tx, check.token, check.edition)


_NO_CONTRACT: Final = ContractEvidence()
_NO_STATUSES: Final[Mapping[Fingerprint, CertificateStatus]] = {}


# --- certificates named by hash data (RFC 6960 CertID, OCPP CertificateHashDataType) ---


def _by_hash(tx: Transaction, hash_data: tuple[HashData, ...], trust: Trust) -> Presented:
    """Return the certificates that hash data name, all of them known here, leaf first."""
    named = [_named(tx, item, trust) for item in hash_data]
    known = [der for der in named if der is not None]
    if len(known) < len(named):
        return presented.unknown_hash("a certificate that it names was never seen here")
    return presented.of_known(tuple(dict.fromkeys(known)))


def _named(tx: Transaction, item: HashData, trust: Trust) -> bytes | None:
    for own in trust.pool:
        if _issued_under(own.certificate, item):
            record = tx.certificates.by_issuer_serial(own.issuer_id, item.serial)
            if record is not None:
                return record.der
    for anchor in trust.anchors:
        if _issued_under(anchor.certificate, item) and _has_serial(anchor.certificate, item.serial):
            return anchor.certificate.der
    return None


def _issued_under(issuer: Certificate, item: HashData) -> bool:
    hashes = issuer_hashes(issuer, item.algorithm.lower())
    return hashes == (item.issuer_name_hash, item.issuer_key_hash)


def _has_serial(certificate: Certificate, serial: SerialNumber) -> bool:
    return certificate.serial == serial.as_int
