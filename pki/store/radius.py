"""What falls with a CA: counts over certificates, bundles and provisioning chains."""

from __future__ import annotations

import datetime as dt
from typing import Final

from sqlalchemy import and_, bindparam, exists, func, select

from pki.ids import Fingerprint
from pki.model import Living, Reason
from pki.pkix.profiles import Kind
from pki.store.schema import certificates, revocations
from pki.store.schema_provisioning import bundles, provisioning_chains
from pki.store.session import Session

_OURS: Final = certificates.c.issuer_id.in_(bindparam("issuer_ids", expanding=True))
_REVOKED: Final = exists().where(
    and_(
        revocations.c.issuer_id == certificates.c.issuer_id,
        revocations.c.serial == certificates.c.serial,
        revocations.c.reason != Reason.CERTIFICATE_HOLD,
    )
)
_TOUCHED: Final = (
    select(
        certificates.c.kind,
        certificates.c.owner,
        func.count(certificates.c.common_name.distinct()).label("names"),
        func.count().label("certificates"),
        func.max(certificates.c.not_after).label("last"),
    )
    .where(_OURS, certificates.c.not_after > bindparam("now"), ~_REVOKED)
    .group_by(certificates.c.kind, certificates.c.owner)
    .order_by(certificates.c.kind, certificates.c.owner)
)
_CARS: Final = (
    select(func.count(bundles.c.pcid.distinct()).label("cars"))
    .select_from(bundles)
    .join(certificates, certificates.c.fingerprint == bundles.c.certificate)
    .where(_OURS)
)
_CHAINS_UNDER: Final = select(
    func.count(provisioning_chains.c.pcid.distinct()).label("cars")
).where(provisioning_chains.c.root == bindparam("root"))
_BUNDLES_UNDER: Final = select(func.count().label("found")).where(
    bundles.c.root == bindparam("root")
)


class RadiusRows:
    """Read only; see `pki.ports.Radius`."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def touched(self, issuer_ids: list[str], now: dt.datetime) -> list[Living]:
        """Return what lives under some issuers and is not revoked, by kind and owner."""
        if not issuer_ids:
            return []
        rows = self._session.rows(_TOUCHED, {"issuer_ids": issuer_ids, "now": now})
        return [
            Living(
                kind=Kind(row.kind),
                owner=row.owner,
                count=row.certificates,
                names=row.names,
                last=row.last,
            )
            for row in rows
        ]

    def cars_under(self, issuer_ids: list[str]) -> int:
        """Return for how many cars a bundle waits whose contract one of these issuers signed."""
        if not issuer_ids:
            return 0
        row = self._session.first(_CARS, {"issuer_ids": issuer_ids})
        return int(row.cars) if row else 0

    def under_root(self, root: Fingerprint) -> tuple[int, int]:
        """Return how many cars have a provisioning chain, and how many bundles end, at a root."""
        cars = self._session.first(_CHAINS_UNDER, {"root": root.value})
        held = self._session.first(_BUNDLES_UNDER, {"root": root.value})
        return int(cars.cars) if cars else 0, int(held.found) if held else 0
