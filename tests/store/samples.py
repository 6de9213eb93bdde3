"""Rows to store: one builder per value, every argument a field that a test wants to see."""

from __future__ import annotations

import datetime as dt
import hashlib

from pki.ids import Edition, Emaid, Fingerprint, ProviderId, SerialNumber
from pki.model import (
    Anchor,
    AuditEntry,
    CertificateRecord,
    Client,
    Contract,
    ContractState,
    Domain,
    Intent,
    IntentState,
    Issuer,
    IssuerState,
    Reason,
    Revocation,
    Role,
)
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite

NOW = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
DE8AA = ProviderId(value="DE8AA")


def sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def issuer(
    name: str = "mo-sub2",
    generation: int = 1,
    *,
    state: IssuerState = IssuerState.ACTIVE,
    parent_id: str | None = None,
    created_at: dt.datetime = NOW,
) -> Issuer:
    return Issuer(
        issuer_id=f"{name}.g{generation}",
        name=name,
        generation=generation,
        kind=Kind.MO_SUB_CA2,
        edition=Edition.ISO2,
        suite=Suite.P256,
        state=state,
        certificate=b"" if state is IssuerState.PENDING else b"\x30\x00\xff",
        parent_id=parent_id,
        key_label=f"{name}-{generation}",
        owner="",
        demo=True,
        created_at=created_at,
    )


def intent(
    serial: int = 0xABC,
    *,
    issuer_id: str = "mo-sub2.g1",
    state: IntentState = IntentState.OPEN,
    contract_id: str | None = None,
    created_at: dt.datetime = NOW,
    intent_id: str | None = None,
) -> Intent:
    return Intent(
        intent_id=intent_id or f"intent-{issuer_id}-{serial}",
        issuer_id=issuer_id,
        serial=SerialNumber.from_int(serial),
        profile="contract-2",
        kind=Kind.CONTRACT,
        edition=Edition.ISO2,
        suite=Suite.P256,
        tbs=b"\x30\x03\x00\x01\xff",
        owner="DE8AA",
        requested_by="emsp-1",
        state=state,
        created_at=created_at,
        contract_id=contract_id,
    )


def certificate(
    serial: int = 0xABC,
    *,
    issuer_id: str = "mo-sub2.g1",
    kind: Kind = Kind.CONTRACT,
    owner: str = "DE8AA",
    common_name: str = "DE8AACA2B3C4D5",
    key: str = "key",
    contract_id: str | None = None,
) -> CertificateRecord:
    der = f"{issuer_id} {serial}".encode()
    return CertificateRecord(
        fingerprint=Fingerprint.of(der),
        issuer_id=issuer_id,
        serial=SerialNumber.from_int(serial),
        der=der,
        kind=kind,
        edition=Edition.ISO2,
        suite=Suite.P256,
        subject=f"CN={common_name}, O=Zürich Mobilité",
        common_name=common_name,
        not_before=NOW,
        not_after=dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC),
        owner=owner,
        spki_sha256=sha256(key),
        intent_id=f"intent-{issuer_id}-{serial}",
        issued_at=NOW,
        contract_id=contract_id,
    )


def revocation(serial: int = 0xABC, *, issuer_id: str = "mo-sub2.g1") -> Revocation:
    return Revocation(
        issuer_id=issuer_id,
        serial=SerialNumber.from_int(serial),
        reason=Reason.KEY_COMPROMISE,
        revoked_at=NOW,
        revoked_by="cli:admin",
    )


def emaid(text: str, edition: Edition = Edition.ISO2) -> Emaid:
    return Emaid.parse(text, edition)


def contract(contract_id: str, *identifiers: Emaid, account: ProviderId = DE8AA) -> Contract:
    return Contract(
        contract_id=contract_id,
        identifiers=identifiers,
        account=account,
        state=ContractState.ACTIVE,
        created_at=NOW,
    )


def anchor(der: bytes = b"root", *, domain: Domain = Domain.V2G) -> Anchor:
    return Anchor(
        fingerprint=Fingerprint.of(der),
        domain=domain,
        der=der,
        added_at=NOW,
        added_by="cli:admin",
    )


def client(client_id: str = "cpo-1", *, token: str) -> Client:
    return Client(
        client_id=client_id,
        role=Role.CPO,
        parties=("DEABC", "DEXYZ"),
        token_hash=sha256(token),
        pki=None,
        created_at=NOW,
    )


def entry(after: AuditEntry | None = None, *, chain: str = "admin") -> AuditEntry:
    sequence = after.sequence + 1 if after else 1
    return AuditEntry(
        chain=chain,
        sequence=sequence,
        at=NOW,
        actor="cli:admin",
        action="test",
        subject="",
        details='{"a":1}',
        previous_hash=after.entry_hash if after else bytes(32),
        entry_hash=sha256(f"{chain} {sequence}"),
    )
