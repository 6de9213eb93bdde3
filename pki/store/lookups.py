"""
What decisions ask about many keys at once, put to the driver itself.

SQLAlchemy spends several times on such a question what the database does: on the list of keys, on
the rows, on their columns. Its words are the same as those of a statement of ours, compiled once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from pki.clock import UTC
from pki.ids import CheckDigit, Edition, Emaid, Fingerprint, ProviderId, SerialNumber
from pki.model import (
    Account,
    Contract,
    ContractEvidence,
    ContractState,
    Reason,
    Revocation,
    Standing,
    Whitelist,
)
from pki.store.schema import accounts, certificates, contract_identifiers, contracts, revocations
from pki.store.session import Session

_MOST: Final = 1024
"""Keys of one question."""

Row = Sequence[Any]


class Lookup:
    """
    A query for many keys, in the words of each driver.

    It asks for a power of two of them, the last one repeated, so that there are few texts and both
    drivers keep them prepared.

    Args:
        statement: has one expanding parameter, behind the others.
        keys: its name.
        others: the names of the others.
    """

    def __init__(self, statement: Select[Any], keys: str, *others: str) -> None:
        self._statement = statement
        self._keys = keys
        self._others = dict.fromkeys(others, "")
        self._texts: dict[tuple[bool, int], str] = {}

    def rows(
        self, session: Session, keys: Sequence[object], others: tuple[object, ...] = ()
    ) -> list[Row]:
        """Return rows as the driver has them, in no order."""
        found: list[Row] = []
        for at in range(0, len(keys), _MOST):
            some = keys[at : at + _MOST]
            most = 1 << (len(some) - 1).bit_length()
            text = self._texts.get((session.is_sqlite, most)) or self._text(session.is_sqlite, most)
            padding = (some[-1],) * (most - len(some))
            found += session.driver_rows(text, (*others, *some, *padding))
        return found

    def _text(self, is_sqlite: bool, count: int) -> str:  # noqa: FBT001 - half of a key
        dialect = (
            SQLiteDialect_pysqlite(paramstyle="qmark")
            if is_sqlite
            else PGDialect_psycopg(paramstyle="format")  # type: ignore[no-untyped-call]  # SQLAlchemy's
        )
        filled = self._statement.params({**self._others, self._keys: [""] * count})
        text = str(filled.compile(dialect=dialect, compile_kwargs={"render_postcompile": True}))
        self._texts[is_sqlite, count] = text
        return text


_STANDINGS: Final = Lookup(
    select(
        certificates.c.fingerprint,
        certificates.c.issuer_id,
        certificates.c.serial,
        revocations.c.reason,
        revocations.c.revoked_at,
        revocations.c.revoked_by,
        revocations.c.not_after,
        revocations.c.shard,
    )
    .outerjoin(
        revocations,
        and_(
            revocations.c.issuer_id == certificates.c.issuer_id,
            revocations.c.serial == certificates.c.serial,
        ),
    )
    .where(certificates.c.fingerprint.in_(bindparam("fingerprints", expanding=True))),
    "fingerprints",
)

_NAMED: Final = contract_identifiers.alias("named")
_CONTRACTS: Final = Lookup(
    select(
        contracts.c.contract_id,
        contracts.c.account,
        contracts.c.state,
        contracts.c.created_at,
        contracts.c.valid_from,
        contracts.c.valid_until,
        contracts.c.whitelist,
        contract_identifiers.c.edition,
        contract_identifiers.c.key,
        contract_identifiers.c.presented,
        contract_identifiers.c.check_digit,
        contract_identifiers.c.blocked_at,
        accounts.c.name,
        accounts.c.created_at,
    )
    .select_from(_NAMED)
    .join(contracts, contracts.c.contract_id == _NAMED.c.contract_id)
    .join(contract_identifiers, contract_identifiers.c.contract_id == _NAMED.c.contract_id)
    .outerjoin(accounts, accounts.c.provider_id == contracts.c.account)
    .where(_NAMED.c.edition == bindparam("edition"))
    .where(_NAMED.c.key.in_(bindparam("keys", expanding=True))),
    "keys",
    "edition",
)
_EDITIONS: Final = {edition.value: edition for edition in Edition}
_STATES: Final = {state.value: state for state in ContractState}
_DIGITS: Final = {verdict.value: verdict for verdict in CheckDigit}


def standings(session: Session, fingerprints: Sequence[Fingerprint]) -> dict[Fingerprint, Standing]:
    """Return how those of the certificates stand that are ours, with one query."""
    rows = _STANDINGS.rows(session, [fingerprint.value for fingerprint in fingerprints])
    return {Fingerprint(value=row[0]): _standing(row) for row in rows}


def revocations_of(
    session: Session, fingerprints: Sequence[Fingerprint]
) -> dict[Fingerprint, Revocation | None]:
    """Return the revocation, if any, of those of the certificates that are ours."""
    rows = _STANDINGS.rows(session, [fingerprint.value for fingerprint in fingerprints])
    return {
        Fingerprint(row[0]): None if row[3] is None else _standing(row).revocation for row in rows
    }


def _standing(row: Row) -> Standing:
    issuer_id, serial = row[1], SerialNumber(value=row[2])
    if row[3] is None:
        return Standing(issuer_id=issuer_id, serial=serial, revocation=None)
    revocation = Revocation(
        issuer_id=issuer_id,
        serial=serial,
        reason=Reason(row[3]),
        revoked_at=_time(row[4]),
        revoked_by=row[5],
        not_after=_bound(row[6]),
        shard=row[7],
    )
    return Standing(issuer_id=issuer_id, serial=serial, revocation=revocation)


def named(session: Session, emaids: Sequence[Emaid]) -> dict[tuple[Edition, str], ContractEvidence]:
    """Return the contracts that have these identifiers, their accounts too; a query an edition."""
    wanted: dict[Edition, dict[str, None]] = {}
    for emaid in emaids:
        wanted.setdefault(emaid.edition, {})[emaid.key] = None
    by_contract: dict[str, dict[tuple[str, str], Row]] = {}
    for edition, keys in wanted.items():
        for row in _CONTRACTS.rows(session, list(keys), (edition.value,)):
            by_contract.setdefault(row[0], {})[row[7], row[8]] = row
    held: dict[str, Account | None] = {}
    found: dict[tuple[Edition, str], ContractEvidence] = {}
    for identified in by_contract.values():
        rows = [identified[name] for name in sorted(identified)]
        contract = _contract(rows)
        evidence = ContractEvidence(contract=contract, account=_account(rows[0], held))
        for emaid in contract.identifiers:
            found[emaid.edition, emaid.key] = evidence
    return found


def _contract(rows: Sequence[Row]) -> Contract:
    contract_id, account, state, created_at, valid_from, valid_until, rule = rows[0][:7]
    return Contract(
        contract_id=contract_id,
        identifiers=tuple([_emaid(row) for row in rows]),
        account=ProviderId(value=account),
        state=_STATES[state],
        created_at=_time(created_at),
        valid_from=_bound(valid_from),
        valid_until=_bound(valid_until),
        blocked=tuple([_emaid(row) for row in rows if row[11] is not None]),
        whitelist=Whitelist(rule) if rule else None,
    )


def _emaid(row: Row) -> Emaid:
    return Emaid(
        edition=_EDITIONS[row[7]], key=row[8], presented=row[9], check_digit=_DIGITS[row[10]]
    )


def _account(row: Row, held: dict[str, Account | None]) -> Account | None:
    """Return the account of a contract; one group has few of them."""
    provider, name, created_at = row[1], row[12], row[13]
    if provider not in held:
        held[provider] = (
            None
            if name is None
            else Account(
                provider_id=ProviderId(value=provider), name=name, created_at=_time(created_at)
            )
        )
    return held[provider]


def _time(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, UTC)


def _bound(seconds: int | None) -> dt.datetime | None:
    return None if seconds is None else _time(seconds)
