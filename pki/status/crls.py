"""
CRLs (RFC 5280 5): built from a stream, signed after a committed intent, kept in chunks.

The number of a CRL comes from the intents, so that it never goes back.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import mmap
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from pki import access, audit, sign
from pki.errors import Conflict, NotFound, PkiError, Unavailable
from pki.model import CrlIntent, CrlRecord, IntentState, Issuer, IssuerState, Principal
from pki.pkix import crl
from pki.pkix.certificate import Certificate, load
from pki.pkix.profiles import Kind
from pki.pkix.suites import verifies
from pki.ports import Deployment, Transaction
from pki.status import crl_draft
from pki.status.policy import StatusPolicy

_OUTAGES: Final = frozenset(("store_unavailable", "store_busy"))
_OVERTAKEN: Final = frozenset((crl_draft.TAKEN, "intent_spent"))
_SIGNING: Final = frozenset((IssuerState.ACTIVE, IssuerState.STATUS_ONLY))


def publish_due(deployment: Deployment, principal: Principal, policy: StatusPolicy) -> int:
    """
    Build every CRL that is missing, outdated or half through its life; return how many.

    Raises:
        PkiError: the first failure, after every other CRL had its turn; at once where the store is
            out of reach.
    """
    with deployment.store.read() as tx:
        issuers = tx.issuers.all()
        due = [(i, *one) for i in issuers for one in _due(deployment, tx, issuers, i, policy)]
    made = 0
    failure: PkiError | None = None
    for issuer, shard, after in due:
        try:
            publish(deployment, principal, issuer, shard, policy, after=after)
            made += 1
        except PkiError as error:
            if error.code in _OUTAGES:
                raise
            if error.code not in _OVERTAKEN:  # what another runner builds is no failure
                failure = failure or error
    if failure is not None:
        raise failure
    return made


def _due(
    deployment: Deployment,
    tx: Transaction,
    issuers: Sequence[Issuer],
    issuer: Issuer,
    policy: StatusPolicy,
) -> Iterator[tuple[int, int]]:
    """Yield shard and newest number of the CRLs that are due; none of a CA that may not sign."""
    now = deployment.clock.now()
    if issuer.state not in _SIGNING or issuer.kind is Kind.PE_ROOT or issuer.offline:
        return
    certificate = load(issuer.certificate)
    if certificate.not_after <= now:
        return
    last = tx.status.sequence()
    for shard in range(issuer.crl_shards + 1):
        newest = tx.status.crl(issuer.issuer_id, shard)
        if newest is None:
            yield shard, 0
        elif not newest.this_update <= now < _renewal(newest, certificate, policy) or (
            newest.sequence < last and _changed(tx, issuers, issuer, newest)
        ):
            yield shard, newest.number


def _changed(tx: Transaction, issuers: Sequence[Issuer], issuer: Issuer, newest: CrlRecord) -> bool:
    """Tell whether a status changed of which a CRL speaks; other shards' do not concern a shard."""
    covered = crl_draft.scope(issuers, issuer, newest.shard)
    shard = newest.shard or None
    return any(tx.status.changed(one, newest.sequence, shard) for one in covered)


def _renewal(newest: CrlRecord, issuer: Certificate, policy: StatusPolicy) -> dt.datetime:
    """Return when half of a CRL's life is over, whatever the policy was when it was made."""
    life = policy.crl_validity
    if newest.next_update < issuer.not_after:  # else its life was cut, and would be again
        life = min(life, newest.next_update - newest.this_update)
    return newest.this_update + life / 2


def publish(  # noqa: PLR0913 - whose CRL, by whom, after which
    deployment: Deployment,
    principal: Principal,
    issuer: Issuer,
    shard: int,
    policy: StatusPolicy,
    *,
    after: int | None = None,
) -> CrlRecord:
    """
    Build, lint, compare, sign, prove and store one CRL.

    Args:
        after: number of the predecessor (0: none) that was found due; another one is a conflict.

    Raises:
        NotAllowed: `role_not_allowed`.
        PolicyViolation: `crl_differs`: an entry would leave without leave; `lint_failed`;
            `issuer_expired`.
        Conflict: `crl_number_taken`: somebody else builds it.
        Unavailable: store or key out of reach.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    with tempfile.TemporaryFile() as tbs_file, tempfile.TemporaryFile() as whole:
        draft = crl_draft.write(deployment, issuer, shard, policy, tbs_file)
        if after is not None and after != (draft.before.number if draft.before else 0):
            raise Conflict(crl_draft.TAKEN, "Somebody else has built this CRL meanwhile.")
        crl_draft.lint(draft)
        with mmap.mmap(tbs_file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            tbs = bytes(mapped)
        # compared before anything is committed or signed, as the twin of a certificate is linted
        crl.assemble_crl(whole, tbs, issuer.suite, b"")
        crl_draft.compare(deployment, draft, whole)
        intent = _commit_intent(deployment, principal, issuer, draft, tbs)
        try:
            size = _sign(deployment, issuer, intent, tbs, whole)
            del tbs
            return _commit(deployment, principal, intent, draft, whole, size)
        except PkiError:
            _abandon(deployment, intent)
            raise


def _sign(
    deployment: Deployment, issuer: Issuer, intent: CrlIntent, tbs: bytes, whole: BinaryIO
) -> int:
    """Write the signed CRL in place of its twin, and prove it; return its octets."""
    signature = sign.sign_crl(deployment, intent.intent_id, tbs)
    if not verifies(load(issuer.certificate).public_key, signature, tbs):
        raise Unavailable("signature_not_proven", "The CRL's signature does not verify.")
    whole.seek(0)
    whole.truncate()
    size = crl.assemble_crl(whole, tbs, issuer.suite, signature)
    whole.flush()
    return size


def _abandon(deployment: Deployment, intent: CrlIntent) -> None:
    """Close an intent that came to nothing; after a crash the next CRL of its shard does."""
    with suppress(PkiError), deployment.store.write() as tx:
        for state in (IntentState.OPEN, IntentState.SIGNING):
            tx.status.move_crl_intent(intent.intent_id, state, IntentState.ABANDONED)


def _commit_intent(
    deployment: Deployment, principal: Principal, issuer: Issuer, draft: crl_draft.Draft, tbs: bytes
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
        sign.refuse_restored(tx)
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


def _commit(  # noqa: PLR0913 - what was made, and of what
    deployment: Deployment,
    principal: Principal,
    intent: CrlIntent,
    draft: crl_draft.Draft,
    whole: BinaryIO,
    size: int,
) -> CrlRecord:
    with mmap.mmap(whole.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        digest = hashlib.sha256(mapped).digest()
    record = CrlRecord(
        issuer_id=intent.issuer_id,
        shard=intent.shard,
        number=intent.number,
        this_update=draft.facts.this_update,
        next_update=draft.facts.next_update,
        entries=draft.entries,
        octets=size,
        sha256=digest,
        sequence=draft.sequence,
    )
    whole.seek(0)
    with deployment.store.write() as tx:
        moved = tx.status.move_crl_intent(
            intent.intent_id, IntentState.SIGNING, IntentState.COMPLETED
        )
        if not moved or not tx.status.put_crl(record, crl.chunks(whole)):
            raise Conflict(
                crl_draft.TAKEN, f"A newer CRL took the place of number {intent.number}."
            )
        _record(tx, principal, intent, "crl.issue")
    return record


# --- publication -----------------------------------------------------------------------------


def published(tx: Transaction, name: str) -> Issuer | None:
    """Return the CA whose CRL and certificate are published under a name or its id, or None."""
    found = (i for i in tx.issuers.all() if name in (i.published_as, i.issuer_id))
    return next((issuer for issuer in found if issuer.certificate), None)


def current(deployment: Deployment, published_as: str, shard: int) -> CrlRecord:
    """
    Return the newest CRL of an issuer, by the last part of the address that certificates name.

    Raises:
        NotFound: `crl_unknown`.
        Unavailable: the store is out of reach.
    """
    with deployment.store.read() as tx:
        issuer = published(tx, published_as)
        record = tx.status.crl(issuer.issuer_id, shard) if issuer else None
    if record is None:
        raise NotFound("crl_unknown", f"There is no CRL of {published_as} here.")
    return record


def file_of(deployment: Deployment, record: CrlRecord, directory: Path) -> Path:
    """
    Return the file of a CRL on this host, fetched from the store once.

    The file before it stays: somebody may be about to send it.

    Raises:
        Unavailable: `crl_incomplete`: it was pruned while it was fetched, or the disk is full.
    """
    stem = f"{record.issuer_id}.{record.shard}"
    path = directory / f"{stem}.{record.number}.{record.sha256.hex()[:16]}.crl"
    if not path.exists():
        _fetch(deployment, record, path)
        numbered = sorted((int(f.suffixes[-3][1:]), f) for f in directory.glob(f"{stem}.*.crl"))
        for _, older in numbered[:-2]:
            older.unlink(missing_ok=True)
    return path


def _fetch(deployment: Deployment, record: CrlRecord, path: Path) -> None:
    digest = hashlib.sha256()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with temporary.open("xb") as file, deployment.store.read() as tx:
            for chunk in tx.status.crl_chunks(record):
                digest.update(chunk)
                file.write(chunk)
        if digest.digest() != record.sha256:
            raise Unavailable("crl_incomplete", "The CRL changed while it was being fetched.")
        temporary.replace(path)
    except OSError as error:
        raise Unavailable("crl_incomplete", "The CRL cannot be written on this host.") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
