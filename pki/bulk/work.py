"""Rows to certificates: judged without a trace, then issued in groups under their own intents."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import x448

from pki.bulk.keys import KeyPlace, RowKeys
from pki.bulk.rows import Fault, Row
from pki.errors import BadInput, Conflict, PkiError
from pki.ids import Edition
from pki.issue import UNFINISHED, Issued, IssueRequest, abandon, issue_many, place_many
from pki.model import CertificateRecord, IntentState, Principal
from pki.pkix import csr
from pki.pkix.profiles import Kind, find
from pki.pkix.suites import Suite
from pki.ports import Deployment

_ID_DIGITS: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """
    What every row of a job is to be.

    Attributes:
        edition, suite: that the keys of CSRs must have; None: any.
    """

    kind: Kind
    edition: Edition | None = None
    suite: Suite | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """
    A row that may be issued.

    Attributes:
        keys: that its CSR proved to be held, or that were made here.
    """

    line: int
    name: str
    not_after: dt.datetime | None
    keys: RowKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """
    What a row got.

    Attributes:
        before: an earlier run issued it.
    """

    line: int
    record: CertificateRecord
    before: bool


def prepare_rows(
    deployment: Deployment,
    principal: Principal,
    form: Form,
    rows: Sequence[Row],
    keys: KeyPlace | None,
) -> list[Ready | Fault]:
    """
    Judge rows as `pki.issue.issue` would; nothing is stored but keys made for them.

    Args:
        keys: where keys are made for rows without a CSR; None where there is no place for them.
    """
    asked = [_ready_or_fault(form.kind, row, keys) for row in rows]
    ready = [each for each in asked if isinstance(each, Ready)]
    placed = place_many(deployment, [(principal, _request(form, each)) for each in ready])
    wrong = {
        each.line: Fault.of(each.line, found)
        for each, found in zip(ready, placed, strict=True)
        if isinstance(found, PkiError)
    }
    return [wrong.get(each.line, each) for each in asked]


def _ready_or_fault(kind: Kind, row: Row, keys: KeyPlace | None) -> Ready | Fault:
    try:
        found = _keys(kind, row, keys)
    except PkiError as error:
        return Fault.of(row.line, error)
    return Ready(
        line=row.line,
        name=row.name,
        not_after=row.not_after,
        keys=found,
    )


def _keys(kind: Kind, row: Row, keys: KeyPlace | None) -> RowKeys:
    if row.csr is not None:
        parsed = csr.parse(row.csr)
        profile = find(kind, parsed.suite.edition)
        written = parsed.common_name
        if written != row.name and csr.check_common_name(profile, written) != (
            csr.check_common_name(profile, row.name)
        ):
            raise BadInput(
                "common_name_mismatch", f"The CSR names {parsed.common_name}, the row {row.name}."
            )
        other = parsed.alternate_key.public_bytes_raw() if parsed.alternate_key else None
        return RowKeys(parsed.spki, other)
    if keys is None:
        raise BadInput(
            "csr_missing",
            "The row has no CSR, and there is no place for a key made here.",
            hint="Name a directory with --out and, outside demo mode, a --passphrase-file.",
        )
    profile = find(kind, keys.suite.edition)
    csr.check_common_name(profile, row.name)  # no key for a wrong name
    return keys.of(row.name, profile)


def issue_rows(
    deployment: Deployment, principal: Principal, job: str, kind: Kind, rows: Sequence[Ready]
) -> list[Done | Fault]:
    """
    Issue what was judged, except rows that an earlier run issued; one commit serves all.

    Raises:
        Unavailable: the store is out of reach.
    """
    had, identifiers = _standing(deployment, principal, job, rows)
    new = [row for row in rows if row.line not in had]
    form = Form(kind=kind)
    requests = [(principal, _request(form, row, identifiers[row.line])) for row in new]
    outcomes = issue_many(deployment, requests) if requests else []
    made = {row.line: outcome for row, outcome in zip(new, outcomes, strict=True)}
    return [
        _had(row, had[row.line]) if row.line in had else _done(row.line, made[row.line])
        for row in rows
    ]


def _had(row: Ready, record: CertificateRecord) -> Done | Fault:
    if record.spki_sha256 != hashlib.sha256(row.keys.spki).digest():
        error = Conflict(
            "issued_before", f"An earlier run issued {row.name} for another key; it was kept there."
        )
        return Fault.of(row.line, error)
    return Done(line=row.line, record=record, before=True)


def _done(line: int, outcome: Issued | PkiError) -> Done | Fault:
    if isinstance(outcome, PkiError):
        return Fault.of(line, outcome)
    return Done(line=line, record=outcome.record, before=False)


def _request(form: Form, row: Ready, intent_id: str | None = None) -> IssueRequest:
    spki, alternate = row.keys
    return IssueRequest(
        kind=form.kind,
        edition=form.edition,
        suite=form.suite,
        spki=spki,
        alternate_key=x448.X448PublicKey.from_public_bytes(alternate) if alternate else None,
        common_name=row.name,
        not_after=row.not_after,
        intent_id=intent_id,
    )


def _identifier(job: str, line: int, attempt: int) -> str:
    told = f"{job}:{line}:{attempt}".encode()
    return hashlib.sha256(told).hexdigest()[:_ID_DIGITS]


def _standing(
    deployment: Deployment, principal: Principal, job: str, rows: Sequence[Ready]
) -> tuple[dict[int, CertificateRecord], dict[int, str]]:
    """
    Return what rows got by earlier runs, and for the others the identifier of their next intent.

    An intent that a killed run left behind is closed before the next one: whoever may still sign
    it cannot store its certificate any more.
    """
    had: dict[int, CertificateRecord] = {}
    free: dict[int, str] = {}
    attempt, asked = 0, {row.line for row in rows}
    while asked:
        named = {_identifier(job, line, attempt): line for line in asked}
        with deployment.store.read() as tx:
            found = tx.intents.several(list(named))
            completed = [i for i in found.values() if i.state is IntentState.COMPLETED]
            records = tx.certificates.by_intents([intent.intent_id for intent in completed])
        abandon(deployment, principal, [i for i in found.values() if i.state in UNFINISHED])
        had |= {named[record.intent_id]: record for record in records}
        free |= {line: each for each, line in named.items() if each not in found}
        asked = {named[each] for each, i in found.items() if i.state is not IntentState.COMPLETED}
        attempt += 1
    return had, free
