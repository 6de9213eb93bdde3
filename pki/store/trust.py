"""Trust anchors and status rules per domain; every change of them raises one version number."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

from sqlalchemy import Row, bindparam, select, update

from pki.errors import Conflict
from pki.ids import Fingerprint
from pki.model import Anchor, ChangeKind, Domain, StatusRule
from pki.store.schema import anchors, domain_rules, trust_version
from pki.store.session import Insert, Session, Upsert


def _come_back(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=["fingerprint", "domain"],
        set_={
            name: insert.excluded[name] for name in ("der", "added_at", "added_by", "removed_at")
        },
        where=anchors.c.removed_at.is_not(None),
    )


def _change_rule(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=["domain"],
        set_={"rule": insert.excluded.rule},
        where=domain_rules.c.rule != insert.excluded.rule,
    )


def _count_up(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=["id"], set_={"version": trust_version.c.version + 1}
    )


_ADD: Final = Upsert.of(anchors, _come_back)
_REMOVE: Final = (
    update(anchors)
    .where(
        anchors.c.fingerprint == bindparam("the_anchor"),
        anchors.c.domain == bindparam("the_domain"),
        anchors.c.removed_at.is_(None),
    )
    .values(removed_at=bindparam("at"))
)
_ANCHORS: Final = (
    select(anchors)
    .where(anchors.c.removed_at.is_(None))
    .order_by(anchors.c.domain, anchors.c.fingerprint)
)
_EVER: Final = select(anchors.c.domain).where(
    anchors.c.fingerprint == bindparam("fingerprint"), anchors.c.domain == bindparam("domain")
)
_DER: Final = select(anchors.c.der).where(anchors.c.fingerprint == bindparam("fingerprint"))
_SET_RULE: Final = Upsert.of(domain_rules, _change_rule)
_RULES: Final = select(domain_rules)
_VERSION: Final = select(trust_version.c.version)
_RAISE_VERSION: Final = Upsert.of(trust_version, _count_up)


class TrustRows:
    """Anchors, rules and their version; see `pki.ports.TrustStore`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def version(self) -> int:
        """Return how many changes there were; 0 before the first."""
        row = self._session.first(_VERSION)
        return int(row.version) if row else 0

    def add_anchor(self, anchor: Anchor) -> None:
        """Store an anchor; one that was removed comes back. Raises Conflict (`anchor_exists`)."""
        row = {
            "fingerprint": anchor.fingerprint.value,
            "domain": anchor.domain,
            "der": anchor.der,
            "added_at": anchor.added_at,
            "added_by": anchor.added_by,
            "removed_at": anchor.removed_at,
        }
        if not self._session.put(_ADD, row):
            raise Conflict(
                "anchor_exists", f"This certificate is an anchor of {anchor.domain.value} already."
            )
        self._raise_version()

    def remove_anchor(self, fingerprint: Fingerprint, domain: Domain, at: dt.datetime) -> bool:
        """Mark an anchor removed; tell whether it was in force."""
        key = {"the_anchor": fingerprint.value, "the_domain": domain, "at": at}
        removed = self._session.change(_REMOVE, key) > 0
        if removed:
            self._raise_version()
        return removed

    def anchors(self) -> list[Anchor]:
        """Return the anchors in force, by domain and fingerprint."""
        return [_anchor(row) for row in self._session.rows(_ANCHORS)]

    def was_anchor(self, fingerprint: Fingerprint, domain: Domain) -> bool:
        """Tell whether an anchor is in force, or was once and was removed."""
        key = {"fingerprint": fingerprint.value, "domain": domain}
        return self._session.first(_EVER, key) is not None

    def anchor_der(self, fingerprint: Fingerprint) -> bytes | None:
        """Return the certificate of an anchor, in force or removed."""
        row = self._session.first(_DER, {"fingerprint": fingerprint.value})
        return row.der if row else None

    def set_rule(self, domain: Domain, rule: StatusRule) -> None:
        """Set the rule of a domain; the version grows only if that is a change."""
        if self._session.put(_SET_RULE, {"domain": domain, "rule": rule}):
            self._raise_version()

    def rules(self) -> dict[Domain, StatusRule]:
        """Return the rules that were set."""
        return {Domain(row.domain): StatusRule(row.rule) for row in self._session.rows(_RULES)}

    def _raise_version(self) -> None:
        self._session.put(_RAISE_VERSION, {"id": 1, "version": 1})
        self._session.note(ChangeKind.TRUST)


def _anchor(row: Row[Any]) -> Anchor:
    return Anchor(
        fingerprint=Fingerprint(value=row.fingerprint),
        domain=Domain(row.domain),
        der=row.der,
        added_at=row.added_at,
        added_by=row.added_by,
        removed_at=row.removed_at,
    )
