"""Foreign evidence: sources, CRLs, statuses, certificates seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Row, bindparam, delete, or_, select, update

from pki.errors import Conflict
from pki.ids import Fingerprint
from pki.model import (
    ChangeKind,
    Domain,
    ForeignCrl,
    ForeignStatus,
    Reason,
    SeenCertificate,
    SourceKind,
    StaleRule,
    StatusSource,
)
from pki.store.schema_evidence import (
    domain_stale_rules,
    foreign_crls,
    foreign_statuses,
    seen_certificates,
    status_sources,
)
from pki.store.session import Insert, Session, Upsert


def _replace_crl(insert: Insert) -> Insert:
    names = ("number", "this_update", "next_update")
    return insert.on_conflict_do_update(
        index_elements=["issuer_hash"], set_={name: insert.excluded[name] for name in names}
    )


def _replace_status(insert: Insert) -> Insert:
    names = ("revoked", "reason", "revoked_at", "this_update", "next_update", "response")
    return insert.on_conflict_do_update(
        index_elements=["issuer_hash", "serial", "origin"],
        set_={name: insert.excluded[name] for name in names},
    )


def _see_again(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=["fingerprint"], set_={"seen_at": insert.excluded.seen_at}
    )


def _replace_rule(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=["domain"], set_={"rule": insert.excluded.rule}
    )


_ADD_SOURCE: Final = Upsert.new(status_sources)
_SOURCES: Final = select(status_sources).order_by(
    status_sources.c.added_at, status_sources.c.source_id
)
_REMOVE_SOURCE: Final = delete(status_sources).where(
    status_sources.c.source_id == bindparam("the_source")
)
_FETCHED: Final = (
    update(status_sources)
    .where(status_sources.c.source_id == bindparam("the_source"))
    .values(fetched_at=bindparam("at"), problem=bindparam("told"))
)
_CRL: Final = select(foreign_crls).where(foreign_crls.c.issuer_hash == bindparam("issuer_hash"))
_CRL_ISSUERS: Final = select(foreign_crls.c.issuer_hash)
_STATUS_ISSUERS: Final = select(foreign_statuses.c.issuer_hash).distinct()
_PUT_CRL: Final = Upsert.of(foreign_crls, _replace_crl)
_DROP_LISTED: Final = delete(foreign_statuses).where(
    foreign_statuses.c.issuer_hash == bindparam("the_issuer"),
    foreign_statuses.c.origin == SourceKind.CRL,
)
_PUT_STATUS: Final = Upsert.of(foreign_statuses, _replace_status)
_STATUSES: Final = select(foreign_statuses).where(
    foreign_statuses.c.issuer_hash == bindparam("issuer_hash"),
    foreign_statuses.c.serial == bindparam("serial"),
)
_SEE: Final = Upsert.of(seen_certificates, _see_again)
_SEEN: Final = (
    select(seen_certificates)
    .where(
        seen_certificates.c.issuer_hash == bindparam("issuer_hash"),
        seen_certificates.c.not_after >= bindparam("now"),
    )
    .order_by(seen_certificates.c.seen_at.desc())
    .limit(bindparam("most"))
)
_FORGET: Final = delete(seen_certificates).where(
    or_(
        seen_certificates.c.not_after < bindparam("now"),
        seen_certificates.c.seen_at < bindparam("unseen_since"),
    )
)
_STALE_RULES: Final = select(domain_stale_rules)
_SET_STALE_RULE: Final = Upsert.of(domain_stale_rules, _replace_rule)


_EVIDENCE: Final = (ChangeKind.EVIDENCE, "")


class EvidenceRows:
    """The tables of foreign evidence; see `pki.ports.EvidenceStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add_source(self, source: StatusSource) -> None:
        """Store a source. Raises Conflict (`source_exists`)."""
        row = {
            "source_id": source.source_id,
            "domain": source.domain,
            "kind": source.kind,
            "url": source.url,
            "issuer": source.issuer,
            "issuer_hash": source.issuer_hash,
            "added_at": source.added_at,
            "added_by": source.added_by,
            "fetched_at": source.fetched_at,
            "problem": source.problem,
        }
        if not self._session.put(_ADD_SOURCE, row):
            raise Conflict("source_exists", f"There is a source {source.source_id} already.")
        self._session.note(ChangeKind.EVIDENCE)

    def sources(self) -> list[StatusSource]:
        """Return every source, oldest first."""
        return [_source(row) for row in self._session.rows(_SOURCES)]

    def remove_source(self, source_id: str) -> bool:
        """Forget a source; tell whether it was there."""
        self._session.note(ChangeKind.EVIDENCE)
        return self._session.change(_REMOVE_SOURCE, {"the_source": source_id}) > 0

    def fetched(self, source_id: str, at: dt.datetime, problem: str | None) -> None:
        """Note how the last attempt at a source went."""
        self._session.change(_FETCHED, {"the_source": source_id, "at": at, "told": problem})

    def crl(self, issuer_hash: bytes) -> ForeignCrl | None:
        """Return what is known of a foreign CA's CRL, or None."""
        row = self._session.first(_CRL, {"issuer_hash": issuer_hash})
        return _crl(row) if row else None

    def put_crl(self, crl: ForeignCrl, listed: Iterable[ForeignStatus]) -> None:
        """Replace a foreign CA's CRL and everything that it lists."""
        row = {
            "issuer_hash": crl.issuer_hash,
            "number": None if crl.number is None else str(crl.number),
            "this_update": crl.this_update,
            "next_update": crl.next_update,
        }
        self._session.put(_PUT_CRL, row)
        self._session.note(ChangeKind.EVIDENCE)
        self._session.change(_DROP_LISTED, {"the_issuer": crl.issuer_hash})
        for status in listed:
            self.put_status(status)

    def put_status(self, status: ForeignStatus) -> None:
        """Keep what evidence says of one certificate in place of what it said before."""
        row = {
            "issuer_hash": status.issuer_hash,
            "serial": status.serial,
            "origin": status.origin,
            "revoked": status.revoked,
            "reason": status.reason,
            "revoked_at": status.revoked_at,
            "this_update": status.this_update,
            "next_update": status.next_update,
            "response": status.response,
        }
        self._session.put(_PUT_STATUS, row)
        if _EVIDENCE not in self._session.notes:  # a CRL has many
            self._session.notes.append(_EVIDENCE)

    def statuses(self, issuer_hash: bytes, serial: str) -> list[ForeignStatus]:
        """Return what each kind of source says of one certificate."""
        key = {"issuer_hash": issuer_hash, "serial": serial}
        return [_status(row) for row in self._session.rows(_STATUSES, key)]

    def see(self, certificate: SeenCertificate) -> None:
        """Remember a foreign certificate."""
        row = {
            "fingerprint": certificate.fingerprint.value,
            "issuer_hash": certificate.issuer_hash,
            "der": certificate.der,
            "seen_at": certificate.seen_at,
            "not_after": certificate.not_after,
        }
        self._session.put(_SEE, row)

    def seen(self, issuer_hash: bytes, now: dt.datetime, limit: int) -> list[SeenCertificate]:
        """Return certificates of a foreign CA that are still valid, last seen first."""
        key = {"issuer_hash": issuer_hash, "now": now, "most": limit}
        return [_seen(row) for row in self._session.rows(_SEEN, key)]

    def forget(self, now: dt.datetime, unseen_since: dt.datetime) -> int:
        """Forget certificates that expired or were not seen for long; return how many."""
        return self._session.change(_FORGET, {"now": now, "unseen_since": unseen_since})

    def issuers(self) -> frozenset[bytes]:
        """Return the identities of the CAs about whose certificates there is evidence."""
        rows = (*self._session.rows(_CRL_ISSUERS), *self._session.rows(_STATUS_ISSUERS))
        return frozenset(row.issuer_hash for row in rows)

    def stale_rules(self) -> dict[Domain, StaleRule]:
        """Return the rules that were set; a domain without one refuses."""
        return {Domain(row.domain): StaleRule(row.rule) for row in self._session.rows(_STALE_RULES)}

    def set_stale_rule(self, domain: Domain, rule: StaleRule) -> None:
        """Set the rule of a domain."""
        self._session.put(_SET_STALE_RULE, {"domain": domain, "rule": rule})
        self._session.note(ChangeKind.TRUST)


def _source(row: Row[Any]) -> StatusSource:
    return StatusSource(
        source_id=row.source_id,
        domain=Domain(row.domain),
        kind=SourceKind(row.kind),
        url=row.url,
        issuer=row.issuer,
        issuer_hash=row.issuer_hash,
        added_at=row.added_at,
        added_by=row.added_by,
        fetched_at=row.fetched_at,
        problem=row.problem,
    )


def _crl(row: Row[Any]) -> ForeignCrl:
    return ForeignCrl(
        issuer_hash=row.issuer_hash,
        number=None if row.number is None else int(row.number),
        this_update=row.this_update,
        next_update=row.next_update,
    )


def _status(row: Row[Any]) -> ForeignStatus:
    return ForeignStatus(
        issuer_hash=row.issuer_hash,
        serial=row.serial,
        origin=SourceKind(row.origin),
        revoked=row.revoked,
        reason=Reason(row.reason) if row.reason else None,
        revoked_at=row.revoked_at,
        this_update=row.this_update,
        next_update=row.next_update,
        response=row.response,
    )


def _seen(row: Row[Any]) -> SeenCertificate:
    return SeenCertificate(
        fingerprint=Fingerprint(value=row.fingerprint),
        issuer_hash=row.issuer_hash,
        der=row.der,
        seen_at=row.seen_at,
        not_after=row.not_after,
    )
