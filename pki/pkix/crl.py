"""
Full CRLs and shards of them, as we publish them (RFC 5280 5).

`crl_write` writes them as a stream, `crl_read` reads our own to compare them with successors.
"""

from __future__ import annotations

from pki.pkix.crl_read import (
    MAX_NAMED,
    CrlEntry,
    compare,
    number_of,
    read_entries,
    read_facts,
)
from pki.pkix.crl_write import (
    CrlFacts,
    EntryWriter,
    assemble_crl,
    build_tbs,
    chunks,
    entry,
    spool,
    write_tbs,
)

__all__ = [
    "MAX_NAMED",
    "CrlEntry",
    "CrlFacts",
    "EntryWriter",
    "assemble_crl",
    "build_tbs",
    "chunks",
    "compare",
    "entry",
    "number_of",
    "read_entries",
    "read_facts",
    "shard_of",
    "spool",
    "write_tbs",
]


def shard_of(serial: int, shards: int) -> int:
    """
    Return which CRL of its issuer a certificate belongs to: 0 without shards, else 1 to `shards`.

    Serials are random, so their remainder spreads them. The number of an issuer's shards can never
    change, because its certificates name the address of theirs.
    """
    return 1 + serial % shards if shards else 0
