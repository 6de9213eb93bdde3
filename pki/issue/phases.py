"""
The two phases of an issuance, for leaves, CAs and responders alike, for one order or for many.

Many orders share the commits: one of all intents, which spends them as well unless a process of
its own signs, and one of all certificates. Where one of them cannot be kept, each is tried alone,
so that its fault is its own.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from pki import audit, contracts, sign
from pki.errors import Conflict, PkiError, PolicyViolation, Unavailable
from pki.ids import Emaid, Fingerprint, SerialNumber
from pki.issue import claims, proof
from pki.issue.telling import tell_issued
from pki.issue.twins import linted_tbs
from pki.issue.values import Beside, Order
from pki.model import (
    CertificateRecord,
    ChangeKind,
    Intent,
    IntentState,
    IssuerState,
    Principal,
)
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction

UNFINISHED: Final = (IntentState.OPEN, IntentState.SIGNING)
_OF_THE_STORE: Final = frozenset(("certificate_exists", "constraint_violated"))
"""Conflicts that no rule of ours explains; what was signed then stays listed."""

_SERIAL_OCTETS: Final = 16
_SERIAL_TRIES: Final = 3

Result = TypeVar("Result")


@dataclass(slots=True)
class _Work:
    """
    One order on its way.

    Attributes:
        outcome: None as long as there is something to be done.
    """

    principal: Principal
    order: Order
    intent: Intent
    beside: Beside | None = None
    der: bytes = b""
    outcome: CertificateRecord | PkiError | None = None

    def claim(self) -> claims.Claim:
        """Return what it claims."""
        intent_id = self.intent.intent_id
        return claims.Claim(principal=self.principal, order=self.order, intent_id=intent_id)


def carry_out(
    deployment: Deployment, principal: Principal, order: Order, beside: Beside | None = None
) -> CertificateRecord:
    """Take an order through both phases; also used for roots, sub-CAs and responders."""
    work = _Work(principal, order, _intent(deployment, principal, order), beside)
    _carry_out(deployment, [work])
    if isinstance(work.outcome, CertificateRecord):
        return work.outcome
    raise work.outcome or _unfinished()


def carry_out_many(
    deployment: Deployment, orders: Sequence[tuple[Principal, Order]]
) -> list[CertificateRecord | PkiError]:
    """Take orders through both phases together; one that fails leaves the others alone."""
    begun = [_begin(deployment, principal, order) for principal, order in orders]
    _carry_out(deployment, [work for work in begun if isinstance(work, _Work)])
    return [work if isinstance(work, PkiError) else work.outcome or _unfinished() for work in begun]


def _carry_out(deployment: Deployment, batch: Sequence[_Work]) -> None:
    apart = deployment.signer is not None
    for step in (_store_intents, _sign) if apart else (_store_and_sign,):
        _together(deployment, batch, step)
    signed = [work for work in batch if work.outcome is None]
    _together(deployment, batch, _store_certificates)
    _drop(deployment, [work for work in signed if _is_refused(work.outcome)])
    failed = [work for work in batch if isinstance(work.outcome, PkiError)]
    if apart:
        _close_unspent(deployment, failed)
    if any(work.order.claims for work in failed):
        _give_back(deployment, failed)


def _close_unspent(deployment: Deployment, failed: Sequence[_Work]) -> None:
    """Close intents that were refused before a key was used; those that were spent stay listed."""
    if failed:
        with suppress(PkiError), deployment.store.write() as tx:
            ids = [work.intent.intent_id for work in failed]
            tx.intents.move_many(ids, IntentState.OPEN, IntentState.ABANDONED)


def _is_refused(outcome: object) -> bool:
    return isinstance(outcome, Conflict | PolicyViolation) and outcome.code not in _OF_THE_STORE


def _drop(deployment: Deployment, refused: Sequence[_Work]) -> None:
    """Close the intents of certificates that were signed and then forgotten, before anybody saw."""
    with suppress(PkiError):
        for work in refused:
            abandon(deployment, work.principal, [work.intent])


def abandon(deployment: Deployment, principal: Principal, left: Sequence[Intent]) -> None:
    """Close unfinished intents: whoever still works on one cannot store its certificate."""
    if not left:
        return
    named = [intent.intent_id for intent in left]
    acts = [
        audit.Act(i.issuer_id, principal.name, i.serial.value, {"intent": i.intent_id})
        for i in left
    ]
    with deployment.store.write() as tx:
        moved = [tx.intents.move_many(named, each, IntentState.ABANDONED) for each in UNFINISHED]
        if any(moved):
            audit.record_batch(tx, "certificate.abandon", deployment.clock.now(), acts)


def _give_back(deployment: Deployment, failed: Sequence[_Work]) -> None:
    """Let others have the names of what was not issued; else they wait until nobody holds them."""
    with suppress(PkiError), deployment.store.write() as tx:
        for work in failed:
            for name in work.order.claims:
                tx.entities.free(name, work.intent.intent_id)


def _unfinished() -> PkiError:
    return Unavailable("store_unavailable", "The certificate was not issued.")


def _begin(deployment: Deployment, principal: Principal, order: Order) -> _Work | PkiError:
    try:
        return _Work(principal, order, _intent(deployment, principal, order))
    except PkiError as error:
        return error


def _together(deployment: Deployment, batch: Sequence[_Work], step: Step) -> None:
    """Do a step for all at once, or for each alone where one of them cannot be done."""
    going = [work for work in batch if work.outcome is None]
    if not going:
        return
    try:
        step(deployment, going)
    except Unavailable as error:  # nobody would fare better alone
        for work in going:
            work.outcome = error
    except PkiError as error:
        if len(going) == 1:
            going[0].outcome = error
            return
        for work in going:
            _together(deployment, [work], step)


Step = Callable[[Deployment, Sequence[_Work]], None]


# --- the intent ----------------------------------------------------------------------------------


def _intent(deployment: Deployment, principal: Principal, order: Order) -> Intent:
    serial = SerialNumber.from_int(_random_serial())
    return Intent(
        intent_id=order.intent_id or secrets.token_hex(12),
        issuer_id=order.issuer.issuer_id,
        serial=serial,
        profile=order.profile.profile_id,
        kind=order.profile.kind,
        edition=order.profile.edition,
        suite=order.suite,
        tbs=linted_tbs(deployment, order, serial),
        owner=order.owner,
        requested_by=principal.name,
        state=IntentState.OPEN if deployment.signer else IntentState.SIGNING,
        created_at=deployment.clock.now(),
    )


def _random_serial() -> int:
    """Return 126 random bits behind a leading one: 16 octets, positive (RFC 5280 4.1.2.2)."""
    bits = 8 * _SERIAL_OCTETS - 2
    return (1 << bits) | secrets.randbits(bits)


def _store_intents(deployment: Deployment, batch: Sequence[_Work]) -> None:
    _with_free_serials(deployment, batch, lambda: _commit_intents(deployment, batch))


def _commit_intents(deployment: Deployment, batch: Sequence[_Work]) -> None:
    intents = [work.intent for work in batch]
    with deployment.store.write() as tx:
        sign.refuse_restored(tx)
        _store_first(deployment, tx, batch)
        tx.intents.add_many(intents)
        audit.record_batch(
            tx, "certificate.intend", deployment.clock.now(), map(sign.told_of, intents)
        )


def _with_free_serials(
    deployment: Deployment, batch: Sequence[_Work], work: Callable[[], Result]
) -> Result:
    """Do some work; where the serial of a single intent is taken, once more with another."""
    for _ in range(_SERIAL_TRIES - 1):
        try:
            return work()
        except Conflict as taken:
            if taken.code != "serial_taken" or len(batch) > 1:
                raise
            batch[0].intent = _intent(deployment, batch[0].principal, batch[0].order)
    return work()


def _store_first(deployment: Deployment, tx: Transaction, batch: Sequence[_Work]) -> None:
    """Store what has to be there before the intents."""
    if any(work.order.claims for work in batch):
        claims.take(deployment, tx, [work.claim() for work in batch])
    for work in batch:
        issuer = work.order.issuer
        if issuer.state is IssuerState.PENDING and tx.issuers.get(issuer.issuer_id) is None:
            tx.issuers.add(issuer)


# --- the signature -------------------------------------------------------------------------------


def _sign(deployment: Deployment, batch: Sequence[_Work]) -> None:
    ids = [work.intent.intent_id for work in batch]
    _prove_all(deployment, batch, sign.sign_intents(deployment, ids))


def _store_and_sign(deployment: Deployment, batch: Sequence[_Work]) -> None:
    def stored_and_signed() -> list[bytes]:
        orders = [(work.intent, work.order.issuer) for work in batch]
        return sign.commit_and_sign(
            deployment, orders, lambda tx: _store_first(deployment, tx, batch)
        )

    _prove_all(deployment, batch, _with_free_serials(deployment, batch, stored_and_signed))


def _prove_all(deployment: Deployment, batch: Sequence[_Work], signatures: Sequence[bytes]) -> None:
    signed = [
        proof.Signed(work.order, work.intent, signature)
        for work, signature in zip(batch, signatures, strict=True)
    ]
    for work, der in zip(batch, proof.proven(deployment, signed), strict=True):
        work.der = der


# --- the certificate -----------------------------------------------------------------------------


def _store_certificates(deployment: Deployment, batch: Sequence[_Work]) -> None:
    now = deployment.clock.now()
    # by owner, so that two groups lock accounts in the same order
    work_by_owner = sorted(batch, key=lambda work: work.order.owner)
    wanted = [work.claim() for work in batch]
    besides = [(work, work.beside) for work in batch if work.beside is not None]
    for work, beside in besides:
        beside.ready(_new_record(work, now))
    with deployment.store.write() as tx:
        for _, beside in besides:
            beside.hold(tx)
        claims.require_lone_keys(deployment, tx, wanted)
        records = [_attached(tx, work, _new_record(work, now)) for work in work_by_owner]
        for work in work_by_owner:
            _store_issuer(tx, work)
        ids = [record.intent_id for record in records]
        if tx.intents.move_many(ids, IntentState.SIGNING, IntentState.COMPLETED) != len(ids):
            raise Conflict("intent_spent", "The intent was closed while it was being signed.")
        tell_issued(tx, records, now)
        tx.certificates.add_many(records)
        _store_besides(tx, work_by_owner, records)
        audit.record_batch(tx, "certificate.issue", now, map(_issued, work_by_owner, records))
        if any(work.order.claims for work in batch):
            claims.free(tx, wanted)
        for work in work_by_owner:
            if _brings_issuer(work.order):  # a CA came, which decisions know by name
                tx.status.add_change(ChangeKind.TRUST, work.intent.issuer_id, None, now)
    for work, record in zip(work_by_owner, records, strict=True):
        work.outcome = record


def _store_besides(
    tx: Transaction, batch: Sequence[_Work], records: Sequence[CertificateRecord]
) -> None:
    for work, record in zip(batch, records, strict=True):
        if work.beside is not None:
            work.beside.store(tx, record)


def _new_record(work: _Work, now: dt.datetime) -> CertificateRecord:
    order, intent = work.order, work.intent
    return CertificateRecord(
        fingerprint=Fingerprint.of(work.der),
        issuer_id=intent.issuer_id,
        serial=intent.serial,
        der=work.der,
        kind=intent.kind,
        edition=intent.edition,
        suite=intent.suite,
        subject=order.subject.text,
        common_name=order.common_name,
        not_before=order.not_before,
        not_after=order.not_after,
        owner=order.owner,
        spki_sha256=hashlib.sha256(order.spki).digest(),
        intent_id=intent.intent_id,
        issued_at=now,
    )


def _attached(tx: Transaction, work: _Work, record: CertificateRecord) -> CertificateRecord:
    """Return the record with its contract, which is registered where it is new."""
    if record.kind is not Kind.CONTRACT:
        return record
    emaid = Emaid.parse(record.common_name, record.edition)
    contract = contracts.attach(tx, emaid, record.issued_at, work.principal.name)
    return replace(record, contract_id=contract.contract_id)


def _brings_issuer(order: Order) -> bool:
    return order.issuer.state is IssuerState.PENDING or order.new_issuer is not None


def _store_issuer(tx: Transaction, work: _Work) -> None:
    """Give life to the CA that this certificate is of, where it is one's first."""
    order, intent = work.order, work.intent
    state = IssuerState.STATUS_ONLY if order.prepared else IssuerState.ACTIVE
    if order.issuer.state is IssuerState.PENDING:
        tx.issuers.activate(intent.issuer_id, work.der)
        tx.issuers.set_state(intent.issuer_id, state)
    if order.new_issuer is not None:
        tx.issuers.add(replace(order.new_issuer, certificate=work.der, state=state))
        audit.record(  # its chain begins with it, whatever is made of it later
            tx,
            chain=order.new_issuer.issuer_id,
            at=order.new_issuer.created_at,
            actor=intent.requested_by,
            action="issuer.add",
            subject=order.new_issuer.issuer_id,
            details={"state": state.value, "serial": intent.serial.value},
        )


def _issued(work: _Work, record: CertificateRecord) -> audit.Act:
    details = {"intent": record.intent_id, "fingerprint": record.fingerprint.value}
    return audit.Act(record.issuer_id, work.principal.name, record.serial.value, details)
