"""
The only code that uses a CA private key, in this process or in the signer's.

It takes the id of a committed intent, or commits a new one itself; never bytes: what is signed is
what the store holds, and each intent is signed at most once (I1).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from pki import audit, limits
from pki.errors import Conflict, NotFound, Unavailable
from pki.model import (
    ANSWER,
    CRL,
    RESTORED,
    CrlIntent,
    Held,
    Intent,
    IntentState,
    Issuer,
    IssuerState,
)
from pki.pkix.ocsp import ResponseData
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Signer, Transaction

_STATUS_STATES = frozenset((IssuerState.ACTIVE, IssuerState.STATUS_ONLY))
_ROOTS = frozenset((Kind.V2G_ROOT, Kind.MO_ROOT, Kind.OEM_ROOT, Kind.PE_ROOT, Kind.TLS_ROOT))


def _nothing(*_: object) -> None:
    """Judge no further."""


def sign_intent(deployment: Deployment, intent_id: str) -> bytes:
    """
    Spend an open intent and return the issuer's signature over its to-be-signed bytes.

    Raises:
        NotFound: `intent_unknown`.
        Conflict: `intent_spent`, `issuer_not_active`.
        PolicyViolation: `key_kind_not_allowed`.
        Unavailable: `key_unavailable`, `key_missing`, `demo_key`, `store_unavailable`,
            `clock_disagrees`, `key_rate_limit`, `key_daily_limit`.
    """
    (signature,) = sign_intents(deployment, [intent_id])
    return signature


def sign_intents(
    deployment: Deployment,
    intent_ids: Sequence[str],
    judge: Callable[[Intent, Issuer], None] = _nothing,
) -> list[bytes]:
    """
    Spend open intents, all or none, and return the signatures in the same order.

    Args:
        judge: raises unless those very bytes may be signed: a signer that trusts nobody.

    Raises: as `sign_intent`, for the first that cannot be signed.
    """
    if deployment.signer is not None:
        return deployment.signer.sign_intents(intent_ids)
    return _signatures(deployment, _spend(deployment, intent_ids, judge))


def commit_and_sign(
    deployment: Deployment,
    orders: Sequence[tuple[Intent, Issuer]],
    before: Callable[[Transaction], None] = _nothing,
) -> list[bytes]:
    """
    Commit new intents that are spent from the beginning, all or none, and sign them.

    One commit in place of two, for whoever has no signer of another process. Not before it is
    durable is a key used: after a crash the intents stay listed, signed or not.

    Args:
        orders: intents in state `signing`, each with the CA that signs it.
        before: what has to be stored before them.

    Raises:
        Conflict: `serial_taken`, `issuer_not_active`; otherwise as `sign_intent`.
    """
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        before(tx)
        held = _count(deployment, tx, orders)
        for intent, issuer in orders:
            if not _may_sign(issuer, held[issuer.issuer_id].state, intent):
                raise _not_active(intent)
            _refuse_demo_key(deployment, issuer)
        if any(each.restored for each in held.values()):
            raise _unconfirmed()
        intents = [intent for intent, _ in orders]
        tx.intents.add_many(intents)
        audit.record_batch(tx, "certificate.sign", now, map(told_of, intents))
    return _signatures(deployment, orders)


def told_of(intent: Intent) -> audit.Act:
    """Return what the audit log keeps of a new intent: what will be signed."""
    details = {
        "intent": intent.intent_id,
        "profile": intent.profile,
        "tbsSha256": hashlib.sha256(intent.tbs).hexdigest(),
    }
    return audit.Act(intent.issuer_id, intent.requested_by, intent.serial.value, details)


def _signatures(deployment: Deployment, spent: Sequence[tuple[Intent, Issuer]]) -> list[bytes]:
    signers = {issuer.issuer_id: _signer(deployment, issuer) for _, issuer in spent}
    return [signers[issuer.issuer_id].sign(intent.tbs) for intent, issuer in spent]


def signs_here(deployment: Deployment, issuer: Issuer) -> bool:
    """Tell whether an issuer's key is software in this very process, and of P-256."""
    return deployment.signer is None and _signer(deployment, issuer).quick


def _signer(deployment: Deployment, issuer: Issuer) -> Signer:
    signer = deployment.keys.signer(issuer.key_label)
    if signer.suite is not issuer.suite:
        raise Unavailable("key_unavailable", f"The key of {issuer.issuer_id} is of another suite.")
    return signer


def _spend(
    deployment: Deployment, intent_ids: Sequence[str], judge: Callable[[Intent, Issuer], None]
) -> list[tuple[Intent, Issuer]]:
    with deployment.store.write() as tx:
        # Where power is lost before this is on disk, an intent is open again although it was
        # signed. No harm: the signature was in memory alone, as no certificate was stored since.
        tx.commit_lazily()
        refuse_restored(tx)
        intents = tx.intents.several(list(intent_ids))
        issuers = {issuer.issuer_id: issuer for issuer in tx.issuers.all()}
        for each in intent_ids:
            if each not in intents:
                raise NotFound("intent_unknown", f"There is no intent {each}.")
        spent = [_checked(deployment, intents[each], issuers) for each in intent_ids]
        for intent, issuer in spent:
            judge(intent, issuer)
        _count(deployment, tx, spent)
        moved = tx.intents.move_many(list(intent_ids), IntentState.OPEN, IntentState.SIGNING)
        if moved != len(intent_ids):
            raise Conflict("intent_spent", "An intent was signed or closed before.")
        acts = [
            audit.Act(
                issuer.issuer_id,
                intent.requested_by,
                intent.serial.value,
                {"intent": intent.intent_id},
            )
            for intent, issuer in spent
        ]
        audit.record_batch(tx, "certificate.sign", deployment.clock.now(), acts)
    return spent


def _checked(
    deployment: Deployment, intent: Intent, issuers: Mapping[str, Issuer]
) -> tuple[Intent, Issuer]:
    issuer = issuers.get(intent.issuer_id)
    if issuer is None or not _may_sign(issuer, issuer.state, intent):
        raise _not_active(intent)
    _refuse_demo_key(deployment, issuer)
    return intent, issuer


def _not_active(intent: Intent) -> Conflict:
    return Conflict("issuer_not_active", f"The issuer {intent.issuer_id} may not sign.")


def _count(
    deployment: Deployment, tx: Transaction, spent: Sequence[tuple[Intent, Issuer]]
) -> dict[str, Held]:
    """Count the signatures of each CA, in one order for everybody: whoever waits holds no other."""
    kinds: dict[str, list[str]] = defaultdict(list)
    issuers = {issuer.issuer_id: issuer for _, issuer in spent}
    for intent, issuer in spent:
        kinds[issuer.issuer_id].append(intent.kind.value)
    return {
        issuer_id: limits.count(deployment, tx, issuers[issuer_id], kinds[issuer_id])
        for issuer_id in sorted(kinds)
    }


def refuse_restored(tx: Transaction) -> None:
    """Return unless a restored backup waits to be confirmed. Raises Unavailable."""
    if tx.setting(RESTORED):
        raise _unconfirmed()


def _unconfirmed() -> Unavailable:
    return Unavailable(
        "restore_unconfirmed",
        "This installation was restored from a backup and signs nothing until that is confirmed.",
        hint="`pnc restore confirm` shows serials and audit heads, and confirms them.",
    )


def _refuse_demo_key(deployment: Deployment, issuer: Issuer) -> None:
    if issuer.demo and not deployment.demo:
        raise Unavailable("demo_key", f"{issuer.issuer_id} holds a demo key, this is production.")


def _may_sign(issuer: Issuer, state: IssuerState, intent: Intent) -> bool:
    if state is IssuerState.ACTIVE:
        return True
    if state is IssuerState.STATUS_ONLY:  # who answers for what it once issued
        return intent.kind is Kind.OCSP
    own_root = intent.kind is issuer.kind and issuer.kind in _ROOTS
    return state is IssuerState.PENDING and own_root


def sign_crl(
    deployment: Deployment,
    intent_id: str,
    tbs: bytes,
    judge: Callable[[CrlIntent, Issuer], None] = _nothing,
) -> bytes:
    """
    Spend an open CRL intent and return the issuer's signature over its to-be-signed octets.

    The octets come from the file that the intent's digest describes; others are refused.

    Raises:
        NotFound: `intent_unknown`.
        Conflict: `intent_spent`, `issuer_not_active`, `crl_differs`.
        Unavailable: as `sign_intent`.
    """
    if deployment.signer is not None:
        return deployment.signer.sign_crl(intent_id, tbs)
    with deployment.store.write() as tx:
        refuse_restored(tx)
        intent = tx.status.crl_intent(intent_id)
        if intent is None:
            raise NotFound("intent_unknown", f"There is no CRL intent {intent_id}.")
        if hashlib.sha256(tbs).digest() != intent.tbs_sha256:
            raise Conflict("crl_differs", "These are not the octets of the committed intent.")
        issuer = tx.issuers.get(intent.issuer_id)
        if issuer is None or issuer.state not in _STATUS_STATES:
            raise Conflict("issuer_not_active", f"The issuer {intent.issuer_id} may not sign.")
        _refuse_demo_key(deployment, issuer)
        judge(intent, issuer)
        limits.count(deployment, tx, issuer, [CRL])
        if not tx.status.move_crl_intent(intent_id, IntentState.OPEN, IntentState.SIGNING):
            raise Conflict("intent_spent", f"The intent {intent_id} was signed or closed before.")
    signer = deployment.keys.signer(issuer.key_label)
    return signer.sign(tbs)


def sign_answer(
    deployment: Deployment,
    issuer_id: str,
    data: ResponseData,
    judge: Callable[[Transaction, Issuer], None] = _nothing,
) -> tuple[bytes, bytes]:
    """
    Return the octets of an OCSP answer and the CA's own signature over them.

    Only for installations that chose to have no delegated responders. The octets are written here
    from what they say, so that no caller can have anything else signed; nobody could take them
    for a certificate or a CRL, which begin otherwise (RFC 6960 4.2.1, RFC 5280 4.1, 5.1). They
    have no intent; `pki.status.tally` tells the audit log how many there were.

    Raises:
        Conflict: `issuer_not_active`.
        Unavailable: as `sign_intent`.
    """
    if deployment.signer is not None:
        return deployment.signer.sign_answer(issuer_id, data)
    with deployment.store.read() as tx:
        refuse_restored(tx)
        issuer = tx.issuers.get(issuer_id)
        if issuer is None or issuer.state not in _STATUS_STATES:
            raise Conflict("issuer_not_active", f"The issuer {issuer_id} may not sign.")
        _refuse_demo_key(deployment, issuer)
        judge(tx, issuer)
        limits.check(deployment, tx, issuer, [ANSWER])
    if limits.limit_of(deployment, issuer) is not None:
        with deployment.store.write() as tx:
            limits.count(deployment, tx, issuer, [ANSWER])
    tbs = data.der()
    return tbs, deployment.keys.signer(issuer.key_label).sign(tbs)
