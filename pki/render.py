"""What verbs return, as JSON: one form for the command line and for HTTP, keys in camelCase."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.hazmat.primitives.serialization import NoEncryption

from pki.audit import ChainReport
from pki.clock import format_time
from pki.issue import Issued
from pki.lookup import Found
from pki.model import (
    Account,
    Anchor,
    CertificateRecord,
    Client,
    Contract,
    CrlIntent,
    Expiring,
    Intent,
    Issuer,
    Party,
    Revocation,
    StatusSource,
)
from pki.pkix import pem
from pki.pkix.certificate import load
from pki.revoke import ReleaseReport, RevocationReport

Json = dict[str, Any]


# --- certificates ------------------------------------------------------------------------------


def certificate_json(record: CertificateRecord, chain: Iterable[bytes]) -> Json:
    """
    Return a certificate of ours.

    Args:
        chain: DER, leaf first, root not included; becomes PEM.
    """
    return {
        "serialNumber": record.serial.value,
        "fingerprint": record.fingerprint.value,
        "subject": record.subject,
        "commonName": record.common_name,
        "issuer": record.issuer_id,
        "kind": record.kind.value,
        "edition": record.edition.value,
        "suite": record.suite.value,
        "notBefore": format_time(record.not_before),
        "notAfter": format_time(record.not_after),
        "owner": record.owner,
        "issuedAt": format_time(record.issued_at),
        "certificateChain": chain_pem(chain),
    }


def expiring_json(expiring: Expiring) -> Json:
    """Return a certificate that ends soon; `renewed`: one of its kind and name ends later."""
    record = expiring.record
    return {
        "serialNumber": record.serial.value,
        "fingerprint": record.fingerprint.value,
        "commonName": record.common_name,
        "kind": record.kind.value,
        "issuer": record.issuer_id,
        "owner": record.owner,
        "notAfter": format_time(record.not_after),
        "renewed": expiring.renewed,
    }


def certificates_json(
    records: Iterable[CertificateRecord], issuers: Iterable[Issuer]
) -> list[Json]:
    """Return a page of certificates, their chains completed from the CAs given."""
    known = {issuer.issuer_id: issuer for issuer in issuers}
    return [certificate_json(record, _chain(record, known)) for record in records]


def _chain(record: CertificateRecord, known: Mapping[str, Issuer]) -> list[bytes]:
    chain = [record.der]
    issuer = known.get(record.issuer_id)
    while issuer is not None and issuer.parent_id is not None:
        chain.append(issuer.certificate)
        issuer = known.get(issuer.parent_id)
    return chain


def chain_pem(chain: Iterable[bytes]) -> str:
    """Write certificates one after the other as PEM."""
    return "".join(pem.encode(der) for der in chain)


def issued_json(issued: Issued, *, with_key: bool) -> Json:
    """
    Return what was issued.

    Args:
        with_key: add `privateKey` (PKCS#8 PEM, not encrypted) where the key was made here; for the
            one answer to whoever asked, in demo mode only.
    """
    told = certificate_json(issued.record, issued.chain) | {"ignored": list(issued.ignored)}
    if with_key and issued.private_key is not None:
        told["privateKey"] = issued.private_pem(NoEncryption()).decode("ascii")
    return told


def found_json(found: Found) -> Json:
    """Return a certificate with its `status` (`good`, `revoked`) and `revocation` (or null)."""
    return certificate_json(found.record, found.chain) | {
        "status": "revoked" if found.revocation else "good",
        "revocation": revocation_json(found.revocation) if found.revocation else None,
    }


def revocation_json(revocation: Revocation) -> Json:
    """Return when, why and by whom a certificate was revoked."""
    return {
        "reason": revocation.reason.value,
        "revokedAt": format_time(revocation.revoked_at),
        "revokedBy": revocation.revoked_by,
    }


def revocation_report_json(report: RevocationReport) -> Json:
    """Return what a revocation did, or with `dryRun` would do."""
    return {
        "dryRun": report.dry_run,
        "serialNumber": report.revocation.serial.value,
        "subject": report.subject,
        "issuer": report.issuer_id,
        **revocation_json(report.revocation),
        "siblings": list(report.siblings),
        "issuersBelow": list(report.issuers_below),
        "certificatesBelow": report.certificates_below,
        "keyBlocked": report.key_blocked,
        "fromIntent": report.from_intent,
    }


def release_report_json(report: ReleaseReport) -> Json:
    """Return what a release from hold did, or with `dryRun` would do."""
    return {
        "dryRun": report.dry_run,
        "serialNumber": report.serial.value,
        "subject": report.subject,
        "issuer": report.issuer_id,
        "heldSince": format_time(report.held_since),
    }


def source_json(source: StatusSource) -> Json:
    """Return where foreign status is fetched, and how the last attempt went."""
    return {
        "sourceId": source.source_id,
        "domain": source.domain.value,
        "kind": source.kind.value,
        "url": source.url,
        "issuer": load(source.issuer).subject_text,
        "addedAt": format_time(source.added_at),
        "addedBy": source.added_by,
        "fetchedAt": format_time(source.fetched_at) if source.fetched_at else None,
        "problem": source.problem,
    }


def issuer_json(issuer: Issuer) -> Json:
    """Return a CA of ours without its key; a pending one has no certificate yet."""
    certificate = load(issuer.certificate) if issuer.certificate else None
    return {
        "issuerId": issuer.issuer_id,
        "name": issuer.name,
        "generation": issuer.generation,
        "kind": issuer.kind.value,
        "edition": issuer.edition.value,
        "suite": issuer.suite.value,
        "state": issuer.state.value,
        "parent": issuer.parent_id,
        "owner": issuer.owner,
        "demo": issuer.demo,
        "createdAt": format_time(issuer.created_at),
        "serialNumber": certificate.serial_number.value if certificate else None,
        "fingerprint": certificate.fingerprint.value if certificate else None,
        "subject": certificate.subject_text if certificate else None,
        "notBefore": format_time(certificate.not_before) if certificate else None,
        "notAfter": format_time(certificate.not_after) if certificate else None,
        "certificate": pem.encode(certificate.der) if certificate else None,
    }


def intent_json(intent: Intent) -> Json:
    """Return an issuance that is not completed."""
    return {
        "intentId": intent.intent_id,
        "serialNumber": intent.serial.value,
        "issuer": intent.issuer_id,
        "profile": intent.profile,
        "kind": intent.kind.value,
        "edition": intent.edition.value,
        "suite": intent.suite.value,
        "owner": intent.owner,
        "requestedBy": intent.requested_by,
        "state": intent.state.value,
        "createdAt": format_time(intent.created_at),
    }


def crl_intent_json(intent: CrlIntent) -> Json:
    """Return a CRL that was begun and not finished; `shard` 0 is the full one."""
    return {
        "intentId": intent.intent_id,
        "issuer": intent.issuer_id,
        "profile": "crl",
        "shard": intent.shard,
        "number": intent.number,
        "state": intent.state.value,
        "createdAt": format_time(intent.created_at),
    }


# --- contracts, companies, callers -------------------------------------------------------------


def contract_json(contract: Contract) -> Json:
    """Return a contract; `emaid` and `edition` are those of its first identifier."""
    first = contract.identifiers[0]
    return {
        "contractId": contract.contract_id,
        "emaid": first.key,
        "edition": first.edition.value,
        "identifiers": [
            {"emaid": emaid.key, "edition": emaid.edition.value} for emaid in contract.identifiers
        ],
        "account": contract.account.value,
        "state": contract.state.value,
        "validFrom": _time(contract.valid_from),
        "validUntil": _time(contract.valid_until),
        "whitelist": contract.whitelist.value if contract.whitelist else None,
        "createdAt": format_time(contract.created_at),
    }


def account_json(account: Account) -> Json:
    """Return an eMSP account."""
    return {
        "providerId": account.provider_id.value,
        "name": account.name,
        "createdAt": format_time(account.created_at),
    }


def party_json(party: Party) -> Json:
    """Return a registered company."""
    return {
        "partyId": party.party_id,
        "role": party.role.value,
        "name": party.name,
        "hub": party.hub,
        "createdAt": format_time(party.created_at),
    }


def client_json(client: Client, token: str | None = None) -> Json:
    """Return a caller, and its token only where it was made just now."""
    told: Json = {
        "clientId": client.client_id,
        "role": client.role.value,
        "parties": list(client.parties),
        "pki": client.pki,
        "createdAt": format_time(client.created_at),
        "disabledAt": _time(client.disabled_at),
    }
    return told if token is None else told | {"token": token}


# --- trust and audit ---------------------------------------------------------------------------


def anchor_json(anchor: Anchor) -> Json:
    """Return a trust anchor with its certificate as PEM."""
    certificate = load(anchor.der)
    return {
        "fingerprint": anchor.fingerprint.value,
        "domain": anchor.domain.value,
        "subject": certificate.subject_text,
        "notAfter": format_time(certificate.not_after),
        "addedAt": format_time(anchor.added_at),
        "addedBy": anchor.added_by,
        "removedAt": _time(anchor.removed_at),
        "certificate": pem.encode(anchor.der),
    }


def chain_report_json(report: ChainReport) -> Json:
    """Return what the check of one audit chain found; `ok` tells whether it holds."""
    return {
        "chain": report.chain,
        "ok": report.problem is None,
        "entries": report.entries,
        "head": report.head.hex(),
        "brokenAt": report.broken_at,
        "problem": report.problem,
    }


def _time(value: dt.datetime | None) -> str | None:
    return format_time(value) if value else None
