"""What is known of public keys: whether they are blocked, and whose certificates they stand in."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import BindParameter, Row, bindparam, null, select, union_all

from pki.ids import Edition
from pki.model import Holder
from pki.pkix.profiles import Kind
from pki.store.hot import hot
from pki.store.schema import blocked_keys, certificates
from pki.store.session import Session

_ASKED: Final[BindParameter[bytes]] = bindparam("spki_sha256s", expanding=True)
_KNOWN: Final = hot(
    union_all(
        select(
            certificates.c.spki_sha256,
            certificates.c.kind,
            certificates.c.edition,
            certificates.c.common_name,
            certificates.c.owner,
        ).where(certificates.c.spki_sha256.in_(_ASKED)),
        # a blocked key has no kind
        select(blocked_keys.c.spki_sha256, null(), null(), null(), null()).where(
            blocked_keys.c.spki_sha256.in_(_ASKED)
        ),
    )
)


def known(session: Session, keys: list[bytes]) -> tuple[set[bytes], list[tuple[bytes, Holder]]]:
    """Return those of the keys that are blocked, and whose certificates they stand in."""
    rows = session.rows(_KNOWN, {"spki_sha256s": keys}) if keys else []
    held = [(bytes(row.spki_sha256), _holder(row)) for row in rows if row.kind is not None]
    return {bytes(row.spki_sha256) for row in rows if row.kind is None}, held


def _holder(row: Row[Any]) -> Holder:
    return Holder(
        kind=Kind(row.kind),
        edition=Edition(row.edition),
        common_name=row.common_name,
        owner=row.owner,
    )
