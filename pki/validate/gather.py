"""One read that brings everything a decision needs."""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import lru_cache

from pki import contracts
from pki.ids import Fingerprint, SerialNumber
from pki.model import (
    CLOCK_SKEW,
    EMAID_TOKEN_TYPE,
    Anchor,
    CertificateStatus,
    ContractCheck,
    ContractEvidence,
    DecisionPolicy,
    Domain,
    Evidence,
    HashData,
    Issuer,
    OwnIssuer,
    Reason,
    SourceKind,
    Status,
    Trust,
    TrustAnchor,
)
from pki.pkix.certificate import Certificate, load
from pki.pkix.hashes import identity, issuer_hashes
from pki.ports import Transaction
from pki.validate import presented
from pki.validate.presented import Presented
from pki.validate.profile import emaid_of

_parsed = lru_cache(maxsize=1024)(load)


def gather(
    tx: Transaction, check: ContractCheck, now: dt.datetime
) -> tuple[Presented, Evidence, Trust, DecisionPolicy]:
    """Read, within one transaction, what the store says about a check."""
    trust = trusted(tx)
    chain = presented.read(check)
    if chain is presented.NOTHING and check.hash_data:
        chain = _by_hash(tx, check.hash_data, trust)
    evidence = Evidence(
        read_at=now,
        statuses=known_statuses(tx, chain, trust, now),
        contract=_contract(tx, chain, check),
        asked_responders=frozenset(
            source.issuer_hash for source in tx.evidence.sources() if source.kind is SourceKind.OCSP
        ),
    )
    policy = DecisionPolicy(
        version=trust.version, status=tx.trust.rules(), stale=tx.evidence.stale_rules()
    )
    return chain, evidence, trust, policy


def known_statuses(
    tx: Transaction, chain: Presented, trust: Trust, now: dt.datetime
) -> dict[Fingerprint, CertificateStatus]:
    """Return what is known of the status of a chain, and of every CA of ours."""
    return (
        _foreign_statuses(tx, chain, trust, now)
        | _statuses(tx, chain, trust, now)
        | _blocked(tx, chain, now)
    )


def trusted(tx: Transaction) -> Trust:
    """Return anchors and own CAs in force, parsed."""
    domains: dict[Fingerprint, set[Domain]] = {}
    anchors: dict[Fingerprint, Anchor] = {}
    for anchor in tx.trust.anchors():
        anchors[anchor.fingerprint] = anchor
        domains.setdefault(anchor.fingerprint, set()).add(anchor.domain)
    return Trust(
        version=tx.trust.version(),
        anchors=tuple(
            TrustAnchor(certificate=_parsed(a.der), domains=frozenset(domains[a.fingerprint]))
            for a in anchors.values()
        ),
        pool=tuple(_own(issuer) for issuer in tx.issuers.all() if issuer.certificate),
    )


def _own(issuer: Issuer) -> OwnIssuer:
    return OwnIssuer(
        issuer_id=issuer.issuer_id, kind=issuer.kind, certificate=_parsed(issuer.certificate)
    )


def _statuses(
    tx: Transaction, chain: Presented, trust: Trust, now: dt.datetime
) -> dict[Fingerprint, CertificateStatus]:
    """Return the status of every certificate of ours that a path could contain."""
    wanted = {c.fingerprint for c in chain.certificates}
    wanted |= {own.certificate.fingerprint for own in trust.pool}
    records = tx.certificates.by_fingerprints(sorted(wanted, key=str))
    keys = [(record.issuer_id, record.serial) for record in records.values()]
    revoked = tx.certificates.revocations(keys)
    return {
        fingerprint: CertificateStatus(
            status=Status.REVOKED if revocation else Status.GOOD,
            source="own",
            as_of=now,
            reason=revocation.reason if revocation else None,
            revoked_at=revocation.revoked_at if revocation else None,
        )
        for fingerprint, record in records.items()
        for revocation in (revoked.get((record.issuer_id, record.serial)),)
    }


def _blocked(
    tx: Transaction, chain: Presented, now: dt.datetime
) -> dict[Fingerprint, CertificateStatus]:
    """Take a certificate of a blocked key for revoked, whoever issued it."""
    keys = {c.fingerprint: hashlib.sha256(c.spki).digest() for c in chain.certificates}
    blocked = tx.certificates.keys_blocked(list(keys.values()))
    return {
        fingerprint: CertificateStatus(
            status=Status.REVOKED, source="own", as_of=now, reason=Reason.KEY_COMPROMISE
        )
        for fingerprint, key in keys.items()
        if key in blocked
    }


def _foreign_statuses(
    tx: Transaction, chain: Presented, trust: Trust, now: dt.datetime
) -> dict[Fingerprint, CertificateStatus]:
    """
    Return what fetched evidence says of the presented certificates.

    Evidence is kept under the identity of an issuer that an administrator configured, so a twin of
    that issuer finds none. Where two CAs of one name could be meant, both must answer.
    """
    issuers = (
        *chain.certificates[1:],
        *(anchor.certificate for anchor in trust.anchors),
        *(own.certificate for own in trust.pool),
    )
    found: dict[Fingerprint, CertificateStatus] = {}
    for certificate in chain.certificates:
        serial = f"{certificate.serial:x}"
        told = [_foreign_status(tx, who, serial, now) for who in _meant(certificate, issuers)]
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


def _contract(tx: Transaction, chain: Presented, check: ContractCheck) -> ContractEvidence:
    if chain.leaf is not None:
        emaid = emaid_of(chain.leaf)
        return contracts.resolve(tx, emaid.key, emaid.edition) if emaid else ContractEvidence()
    if check.token is None or check.token_type != EMAID_TOKEN_TYPE:
        return ContractEvidence()
    return contracts.resolve(tx, check.token, check.edition)


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
