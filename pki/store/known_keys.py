"""What is known of public keys: whether they are blocked, and whose certificates they stand in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import BindParameter, Row, bindparam, null, select, union_all

from pki.ids import Edition
from pki.model import Holder
from pki.pkix.profiles import Kind
from pki.store.hot import hot
from pki.store.schema import blocked_keys, certificates
from pki.store.schema_entities import claims
from pki.store.session import Session

_ASKED: Final[BindParameter[bytes]] = bindparam("spki_sha256s", expanding=True)
_HELD: Final = select(
    certificates.c.spki_sha256,
    certificates.c.kind,
    certificates.c.edition,
    certificates.c.common_name,
    certificates.c.owner,
).where(certificates.c.spki_sha256.in_(_ASKED))
_KNOWN: Final = hot(
    union_all(
        _HELD,
        # a blocked key has no kind
        select(blocked_keys.c.spki_sha256, null(), null(), null(), null()).where(
            blocked_keys.c.spki_sha256.in_(_ASKED)
        ),
    )
)
_IN_USE: Final = hot(
    union_all(
        _HELD,
        # nor has a claim
        select(null(), null(), null(), claims.c.name, null()).where(
            claims.c.name.in_(bindparam("names", expanding=True))
        ),
    )
)


def known(session: Session, keys: list[bytes]) -> tuple[set[bytes], list[tuple[bytes, Holder]]]:
    """Return those of the keys that are blocked, and whose certificates they stand in."""
    rows = session.rows(_KNOWN, {"spki_sha256s": keys}) if keys else []
    return {bytes(row.spki_sha256) for row in rows if row.kind is None}, _held(rows)


def in_use(
    session: Session, keys: list[bytes], names: list[str]
) -> tuple[set[str], list[tuple[bytes, Holder]]]:
    """Return those of the names that are claimed, and whose certificates the keys stand in."""
    asked = {"spki_sha256s": keys, "names": names}
    rows = session.rows(_IN_USE, asked) if keys else []
    return {row.common_name for row in rows if row.kind is None}, _held(rows)


def _held(rows: Sequence[Row[Any]]) -> list[tuple[bytes, Holder]]:
    return [(bytes(row.spki_sha256), _holder(row)) for row in rows if row.kind is not None]


def _holder(row: Row[Any]) -> Holder:
    return Holder(
        kind=Kind(row.kind),
        edition=Edition(row.edition),
        common_name=row.common_name,
        owner=row.owner,
    )
