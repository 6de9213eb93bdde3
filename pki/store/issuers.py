"""CAs of ours, every generation."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Row, bindparam, select, update

from pki.errors import Conflict, NotFound
from pki.ids import Edition
from pki.model import Issuer, IssuerState
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.store.hot import hot
from pki.store.schema import issuers
from pki.store.session import Session, Upsert

_ADD: Final = Upsert.new(issuers)
_GET: Final = hot(select(issuers).where(issuers.c.issuer_id == bindparam("issuer_id")))
_ACTIVE: Final = (
    select(issuers)
    .where(issuers.c.name == bindparam("name"), issuers.c.state == IssuerState.ACTIVE)
    .order_by(issuers.c.generation.desc())
    .limit(1)
)
_ALL: Final = hot(
    select(issuers).order_by(issuers.c.created_at, issuers.c.generation, issuers.c.issuer_id)
)
_ACTIVATE: Final = (
    update(issuers)
    .where(issuers.c.issuer_id == bindparam("the_issuer"), issuers.c.state == IssuerState.PENDING)
    .values(certificate=bindparam("der"), state=IssuerState.ACTIVE)
)
_SET_STATE: Final = (
    update(issuers)
    .where(issuers.c.issuer_id == bindparam("the_issuer"))
    .values(state=bindparam("after"))
)


class IssuerRows:
    """The table of issuers; see `pki.ports.Issuers`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, issuer: Issuer) -> None:
        """Store a new generation. Raises Conflict (`issuer_exists`)."""
        row = {
            "issuer_id": issuer.issuer_id,
            "name": issuer.name,
            "generation": issuer.generation,
            "kind": issuer.kind,
            "edition": issuer.edition,
            "suite": issuer.suite,
            "state": issuer.state,
            "certificate": issuer.certificate,
            "parent_id": issuer.parent_id,
            "key_label": issuer.key_label,
            "owner": issuer.owner,
            "demo": issuer.demo,
            "created_at": issuer.created_at,
            "crl_url": issuer.crl_url,
            "crl_shards": issuer.crl_shards,
        }
        if not self._session.put(_ADD, row):
            raise Conflict("issuer_exists", f"There is an issuer {issuer.issuer_id} already.")

    def get(self, issuer_id: str) -> Issuer | None:
        """Return the issuer, or None."""
        row = self._session.first(_GET, {"issuer_id": issuer_id})
        return _issuer(row) if row else None

    def active(self, name: str) -> Issuer | None:
        """Return the newest active generation of the issuer called `name`, or None."""
        row = self._session.first(_ACTIVE, {"name": name})
        return _issuer(row) if row else None

    def all(self) -> list[Issuer]:
        """Return every issuer, oldest first."""
        return [_issuer(row) for row in self._session.rows(_ALL)]

    def activate(self, issuer_id: str, certificate: bytes) -> None:
        """Give a pending issuer its certificate. Raises Conflict (`issuer_not_pending`)."""
        row = {"the_issuer": issuer_id, "der": certificate}
        if not self._session.change(_ACTIVATE, row):
            raise Conflict("issuer_not_pending", f"{issuer_id} does not wait for a certificate.")

    def set_state(self, issuer_id: str, state: IssuerState) -> None:
        """Change the state. Raises NotFound (`issuer_unknown`)."""
        if not self._session.change(_SET_STATE, {"the_issuer": issuer_id, "after": state}):
            raise NotFound("issuer_unknown", f"There is no issuer {issuer_id}.")


def _issuer(row: Row[Any]) -> Issuer:
    return Issuer(
        issuer_id=row.issuer_id,
        name=row.name,
        generation=row.generation,
        kind=Kind(row.kind),
        edition=Edition(row.edition),
        suite=Suite(row.suite),
        state=IssuerState(row.state),
        certificate=row.certificate,
        parent_id=row.parent_id,
        key_label=row.key_label,
        owner=row.owner,
        demo=row.demo,
        created_at=row.created_at,
        crl_url=row.crl_url,
        crl_shards=row.crl_shards,
    )
