"""The statements of `pki.store.status`."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    SmallInteger,
    bindparam,
    delete,
    func,
    or_,
    select,
    tuple_,
    type_coerce,
    update,
)

from pki.model import ChangeKind, IntentState
from pki.store.columns import Line
from pki.store.schema import revocations
from pki.store.schema_status import (
    change_sequence,
    changes,
    crl_chunks,
    crl_intents,
    crls,
    ocsp_answers,
    responders,
)
from pki.store.session import Insert, Upsert

PAGE: Final = 2000
"""Rows that a stream keeps in memory."""


def _count_up(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=["id"], set_={"sequence": change_sequence.c.sequence + 1}
    )


def _replace_answer(insert: Insert) -> Insert:
    names = ("der", "this_update", "next_update", "refresh_at")
    return insert.on_conflict_do_update(
        index_elements=["cert_id_hash"], set_={name: insert.excluded[name] for name in names}
    )


COUNT_FROM: Final = Upsert.new(change_sequence)
COUNT_UP: Final = Upsert.of(change_sequence, _count_up)
SEQUENCE: Final = select(change_sequence.c.sequence)
HOLD: Final = SEQUENCE.with_for_update(read=True)
"""Shared, and against COUNT_UP; SQLite has but one writer anyway."""
TURN: Final = SEQUENCE.with_for_update()
ADD_CHANGE: Final = Upsert.new(changes)
CHANGES: Final = (
    select(changes)
    .where(changes.c.sequence > bindparam("behind"))
    .order_by(changes.c.sequence)
    .limit(bindparam("most"))
)
CHANGED: Final = (
    select(changes.c.sequence)
    .where(
        changes.c.issuer_id == bindparam("issuer_id"),
        changes.c.kind.in_((ChangeKind.REVOKED, ChangeKind.RELEASED)),
        changes.c.sequence > bindparam("behind"),
    )
    .limit(1)
)
CHANGED_SHARD: Final = CHANGED.where(changes.c.shard == bindparam("shard"))
RELEASED: Final = select(changes).where(
    changes.c.issuer_id == bindparam("issuer_id"),
    changes.c.kind == ChangeKind.RELEASED,
    changes.c.sequence > bindparam("behind"),
)
ADD_RESPONDER: Final = Upsert.new(responders)
RESPONDERS: Final = select(responders).order_by(responders.c.issuer_id, responders.c.not_before)
ANSWER: Final = select(ocsp_answers).where(ocsp_answers.c.cert_id_hash == bindparam("cert_id_hash"))
PUT_ANSWER: Final = Upsert.of(ocsp_answers, _replace_answer)
DROP_EVERY_ANSWER: Final = delete(ocsp_answers)
DROP_ANSWERS: Final = delete(ocsp_answers).where(
    ocsp_answers.c.issuer_id == bindparam("the_issuer"),
    ocsp_answers.c.serial == bindparam("the_serial"),
)
DUE: Final = (
    select(ocsp_answers)
    .where(ocsp_answers.c.refresh_at <= bindparam("now"))
    .order_by(ocsp_answers.c.refresh_at)
    .limit(bindparam("most"))
)
ADD_CRL: Final = Upsert.new(crls)
ADD_CRL_INTENT: Final = Upsert.new(crl_intents)
CRL_INTENT: Final = select(crl_intents).where(crl_intents.c.intent_id == bindparam("intent_id"))
UNFINISHED_CRL_INTENTS: Final = (
    select(crl_intents)
    .where(crl_intents.c.state.in_((IntentState.OPEN, IntentState.SIGNING)))
    .order_by(crl_intents.c.created_at, crl_intents.c.intent_id)
)
MOVE_CRL_INTENT: Final = (
    update(crl_intents)
    .where(
        crl_intents.c.intent_id == bindparam("the_intent"),
        crl_intents.c.state == bindparam("before"),
    )
    .values(state=bindparam("after"))
)
ABANDON_CRL_INTENTS: Final = (
    update(crl_intents)
    .where(
        crl_intents.c.issuer_id == bindparam("the_issuer"),
        crl_intents.c.shard == bindparam("the_shard"),
        crl_intents.c.number > bindparam("before"),
        crl_intents.c.number < bindparam("newest"),
        crl_intents.c.state.in_((IntentState.OPEN, IntentState.SIGNING)),
    )
    .values(state=IntentState.ABANDONED)
)
NEWEST_CRL: Final = (
    select(crls)
    .where(crls.c.issuer_id == bindparam("issuer_id"), crls.c.shard == bindparam("shard"))
    .order_by(crls.c.number.desc())
    .limit(1)
)
HIGHEST_NUMBER: Final = select(func.max(crl_intents.c.number).label("number")).where(
    crl_intents.c.issuer_id == bindparam("issuer_id")
)
ADD_CHUNK: Final = Upsert.new(crl_chunks)
CHUNK: Final = select(crl_chunks.c.data).where(
    crl_chunks.c.issuer_id == bindparam("issuer_id"),
    crl_chunks.c.shard == bindparam("shard"),
    crl_chunks.c.number == bindparam("number"),
    crl_chunks.c.position == bindparam("position"),
)
PRUNE: Final = tuple(
    delete(table).where(
        table.c.issuer_id == bindparam("the_issuer"),
        table.c.shard == bindparam("the_shard"),
        table.c.number < bindparam("before"),
    )
    for table in (crl_chunks, crls)
)
REVOKED: Final = (
    select(
        revocations.c.serial,
        revocations.c.reason,
        type_coerce(revocations.c.revoked_at, BigInteger).label("revoked_at"),
        revocations.c.shard,
    )
    .where(
        revocations.c.issuer_id == bindparam("issuer_id"),
        tuple_(revocations.c.shard, revocations.c.serial)
        > tuple_(bindparam("shard", type_=SmallInteger), bindparam("behind", type_=Line)),
        revocations.c.shard <= bindparam("last_shard"),
        or_(
            revocations.c.not_after.is_(None),
            revocations.c.not_after >= bindparam("ended_before"),
        ),
    )
    .order_by(revocations.c.shard, revocations.c.serial)
    .limit(PAGE)
)
"""A page from the index alone; times as the seconds that they are kept as."""
