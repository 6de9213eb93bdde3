"""What a backup says of itself, and what stands in a restored home until it is confirmed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pki.clock import format_time, parse_time
from pki.errors import BadInput
from pki.ports import Description, Transaction

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The first entry of a backup."""

    created_at: dt.datetime
    public_url: str
    mode: str
    database: Description

    def json(self) -> bytes:
        """Return it as it is written."""
        body = {
            "format": FORMAT,
            "createdAt": format_time(self.created_at),
            "publicUrl": self.public_url,
            "mode": self.mode,
            "database": self.database.kind,
            "revision": self.database.revision,
            "tables": {name: list(columns) for name, columns in self.database.tables.items()},
        }
        return json.dumps(body).encode()


def read_manifest(data: bytes) -> Manifest:
    """Read the first entry. Raises BadInput (`backup_unreadable`)."""
    try:
        body = json.loads(data)
        if body["format"] != FORMAT:
            raise _unreadable()
        return Manifest(
            created_at=parse_time(body["createdAt"]),
            public_url=str(body["publicUrl"]),
            mode=str(body["mode"]),
            database=Description(
                kind=str(body["database"]),
                revision=str(body["revision"]),
                tables={str(k): tuple(map(str, v)) for k, v in body["tables"].items()},
            ),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable() from error


def _unreadable() -> BadInput:
    return BadInput("backup_unreadable", "The backup is of another version of this program.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """
    What the state that was saved holds: the last entry of a backup.

    Attributes:
        heads: sequence and hash (hex) of every audit chain.
        issued: certificates of each issuer.
        crl_numbers: highest number of each issuer.
    """

    heads: Mapping[str, tuple[int, str]]
    issued: Mapping[str, int]
    crl_numbers: Mapping[str, int]

    def json(self) -> bytes:
        """Return it as it is written."""
        body = {
            "heads": {chain: list(head) for chain, head in self.heads.items()},
            "issued": dict(self.issued),
            "crlNumbers": dict(self.crl_numbers),
        }
        return json.dumps(body).encode()


def read_contents(data: bytes) -> Contents:
    """Read the last entry. Raises BadInput (`backup_unreadable`)."""
    try:
        body: dict[str, Any] = json.loads(data)
        return Contents(
            heads={chain: (int(n), str(digest)) for chain, (n, digest) in body["heads"].items()},
            issued={name: int(n) for name, n in body["issued"].items()},
            crl_numbers={name: int(n) for name, n in body["crlNumbers"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unreadable() from error


def contents_of(tx: Transaction) -> Contents:
    """Return what a state holds."""
    issuers = [issuer.issuer_id for issuer in tx.issuers.all()]
    return Contents(
        heads={chain: (n, digest.hex()) for chain, (n, digest) in tx.audit.heads().items()},
        issued={name: tx.certificates.count(name) for name in issuers},
        crl_numbers={name: tx.status.crl_number(name) for name in issuers},
    )
