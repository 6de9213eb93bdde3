"""
CRLs (RFC 5280 5): built from a stream, signed after a committed intent, kept in chunks.

A CRL is compared with its predecessor before it is published: an entry leaves only after its
certificate expired or was released from hold. Its number comes from the intents, so that it never
goes back.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import mmap
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pki import audit, sign
from pki.errors import NotFound, PolicyViolation, Unavailable
from pki.ids import SerialNumber
from pki.issue import crl_address
from pki.model import CrlIntent, CrlRecord, IntentState, Issuer, IssuerState, Principal
from pki.pkix import crl
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import verifies
from pki.ports import Deployment, Transaction
from pki.status.policy import StatusPolicy

_SIGNING: Final = frozenset((IssuerState.ACTIVE, IssuerState.STATUS_ONLY))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    facts: crl.CrlFacts
    shard: int
    sequence: int
    before: CrlRecord | None


def publish_due(deployment: Deployment, principal: Principal, policy: StatusPolicy) -> int:
    """Build every CRL that is missing, outdated or half through its life; return how many."""
    made = 0
    with deployment.store.read() as tx:
        issuers = [i for i in tx.issuers.all() if i.state in _SIGNING and i.kind != Kind.PE_ROOT]
    for issuer in issuers:
        for shard in range(issuer.crl_shards + 1):
            if _is_due(deployment, issuer, shard, policy):
                publish(deployment, principal, issuer, shard, policy)
                made += 1
    return made


def _is_due(deployment: Deployment, issuer: Issuer, shard: int, policy: StatusPolicy) -> bool:
    with deployment.store.read() as tx:
        newest = tx.status.crl(issuer.issuer_id, shard)
        if newest is None or tx.status.changed(issuer.issuer_id, newest.sequence):
            return True
    return deployment.clock.now() >= newest.this_update + policy.crl_validity / 2


def publish(
    deployment: Deployment,
    principal: Principal,
    issuer: Issuer,
    shard: int,
    policy: StatusPolicy,
) -> CrlRecord:
    """
    Build, sign, prove and store one CRL.

    Raises:
        PolicyViolation: `crl_differs`: an entry would leave without leave.
        Conflict: `crl_number_taken`: somebody else builds it.
        Unavailable: store or key out of reach.
    """
    with tempfile.TemporaryFile() as tbs_file, tempfile.TemporaryFile() as whole:
        draft = _write_tbs(deployment, issuer, shard, policy, tbs_file)
        with mmap.mmap(tbs_file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            tbs = bytes(mapped)
        intent = _commit_intent(deployment, principal, issuer, draft, tbs)
        signature = sign.sign_crl(deployment, intent.intent_id, tbs)
        if not verifies(load(issuer.certificate).public_key, signature, tbs):
            raise Unavailable("signature_not_proven", "The CRL's signature does not verify.")
        size = crl.assemble_crl(whole, tbs, issuer.suite, signature)
        del tbs
        _compare(deployment, issuer, draft, whole)
        return _commit(deployment, principal, intent, draft, whole, size)


def _write_tbs(
    deployment: Deployment, issuer: Issuer, shard: int, policy: StatusPolicy, out: BinaryIO
) -> _Draft:
    certificate = load(issuer.certificate)
    now = deployment.clock.now()
    with deployment.store.read() as tx, tempfile.TemporaryFile() as scratch:
        before = tx.status.crl(issuer.issuer_id, shard)
        draft = _Draft(
            facts=crl.CrlFacts(
                issuer=certificate.subject,
                suite=issuer.suite,
                authority_key_id=certificate.key_id or b"",
                number=tx.status.crl_number(issuer.issuer_id) + 1,
                this_update=now,
                next_update=min(now + policy.crl_validity, certificate.not_after),
                distribution_point=_distribution_point(deployment, issuer, shard),
            ),
            shard=shard,
            sequence=tx.status.sequence(),
            before=before,
        )
        # RFC 5280 5: an entry stays until one CRL after the end of its certificate
        ended_before = before.this_update if before else now
        entries = _entries(tx, issuer, shard, ended_before)
        crl.build_tbs(out, draft.facts, entries=entries, scratch=scratch)
    out.flush()
    return draft


def _distribution_point(deployment: Deployment, issuer: Issuer, shard: int) -> str | None:
    return crl_address(deployment.public_url, issuer.name, shard) if shard else None


def _entries(
    tx: Transaction, issuer: Issuer, shard: int, ended_before: dt.datetime
) -> Iterator[bytes]:
    for revocation in tx.status.revoked(issuer.issuer_id, ended_before):
        serial = revocation.serial.as_int
        if not shard or crl.shard_of(serial, issuer.crl_shards) == shard:
            yield crl.entry(serial, revocation.revoked_at, revocation.reason.value)


def _commit_intent(
    deployment: Deployment, principal: Principal, issuer: Issuer, draft: _Draft, tbs: bytes
) -> CrlIntent:
    intent = CrlIntent(
        intent_id=secrets.token_hex(12),
        issuer_id=issuer.issuer_id,
        shard=draft.shard,
        number=draft.facts.number,
        tbs_sha256=hashlib.sha256(tbs).digest(),
        state=IntentState.OPEN,
        created_at=deployment.clock.now(),
    )
    with deployment.store.write() as tx:
        tx.status.add_crl_intent(intent)
        _record(tx, principal, intent, "crl.intend")
    return intent


def _record(tx: Transaction, principal: Principal, intent: CrlIntent, action: str) -> None:
    audit.record(
        tx,
        chain=intent.issuer_id,
        at=intent.created_at,
        actor=principal.name,
        action=action,
        subject=f"crl {intent.shard}/{intent.number}",
        details={"intent": intent.intent_id, "tbsSha256": intent.tbs_sha256.hex()},
    )


def _compare(deployment: Deployment, issuer: Issuer, draft: _Draft, whole: BinaryIO) -> None:
    """Refuse a CRL from which an entry of its predecessor vanished without reason."""
    if draft.before is None:
        return
    before = draft.before
    with tempfile.TemporaryFile() as old, deployment.store.read() as tx:
        for chunk in tx.status.crl_chunks(before):
            old.write(chunk)
        old.flush()
        whole.flush()
        released = tx.status.released(issuer.issuer_id, before.sequence)

        def may_leave(serial: int) -> bool:
            number = SerialNumber.from_int(serial)
            record = tx.certificates.by_issuer_serial(issuer.issuer_id, number)
            ended = record is not None and record.not_after < before.this_update
            return ended or number in released

        with (
            mmap.mmap(old.fileno(), 0, access=mmap.ACCESS_READ) as one,
            mmap.mmap(whole.fileno(), 0, access=mmap.ACCESS_READ) as other,
        ):
            problems = crl.compare(one, other, may_leave=may_leave)
    if problems:
        raise PolicyViolation("crl_differs", problems[0], data={"findings": list(problems)})


def _commit(  # noqa: PLR0913 - what was made, and of what
    deployment: Deployment,
    principal: Principal,
    intent: CrlIntent,
    draft: _Draft,
    whole: BinaryIO,
    size: int,
) -> CrlRecord:
    whole.flush()
    with mmap.mmap(whole.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        digest = hashlib.sha256(mapped).digest()
        entries = sum(1 for _ in crl.read_entries(mapped))
    record = CrlRecord(
        issuer_id=intent.issuer_id,
        shard=intent.shard,
        number=intent.number,
        this_update=draft.facts.this_update,
        next_update=draft.facts.next_update,
        entries=entries,
        octets=size,
        sha256=digest,
        sequence=draft.sequence,
    )
    whole.seek(0)
    with deployment.store.write() as tx:
        tx.status.put_crl(record, crl.chunks(whole))
        tx.status.move_crl_intent(intent.intent_id, IntentState.SIGNING, IntentState.COMPLETED)
        _record(tx, principal, intent, "crl.issue")
    return record


# --- publication -----------------------------------------------------------------------------


def current(deployment: Deployment, issuer_name: str, shard: int) -> CrlRecord:
    """
    Return the newest CRL of the newest generation of an issuer.

    Raises:
        NotFound: `crl_unknown`.
        Unavailable: the store is out of reach.
    """
    with deployment.store.read() as tx:
        named = [i for i in tx.issuers.all() if i.name == issuer_name and i.certificate]
        record = tx.status.crl(named[-1].issuer_id, shard) if named else None
    if record is None:
        raise NotFound("crl_unknown", f"There is no CRL of {issuer_name} here.")
    return record


def file_of(deployment: Deployment, record: CrlRecord, directory: Path) -> Path:
    """
    Return the file of a CRL on this host, fetched from the store once.

    Raises:
        Unavailable: `crl_incomplete`: it was pruned while it was fetched.
    """
    path = directory / f"{record.issuer_id}.{record.shard}.{record.number}.crl"
    if path.exists():
        return path
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with (
        tempfile.NamedTemporaryFile(dir=directory, delete=False) as file,
        deployment.store.read() as tx,
    ):
        for chunk in tx.status.crl_chunks(record):
            digest.update(chunk)
            file.write(chunk)
    temporary = Path(file.name)
    if digest.digest() != record.sha256:
        temporary.unlink()
        raise Unavailable("crl_incomplete", "The CRL changed while it was being fetched.")
    temporary.replace(path)
    for older in directory.glob(f"{record.issuer_id}.{record.shard}.*.crl"):
        if older != path:
            older.unlink(missing_ok=True)
    return path
