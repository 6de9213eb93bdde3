"""
Bodies of `POST /v1/contracts/validate` in which only the leaf is new.

Of such a body nearly all is certificates, and all of these but the leaf come with every leaf of a
CA. What stands behind the leaf, to the end of the list, is compared octet by octet with what was
read before. The rest, with a mark in the place of the list, is read as every body is, and that is
remembered too. Whatever is unusual in a body is left to `web.checks`, which reads them all.
"""

from __future__ import annotations

import binascii
import secrets
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from pki.errors import BadInput
from pki.model import ContractCheck
from pki.pkix.recent import Recent
from web.checks import contract_check_from_v1
from web.parsing import MAX_BODY, object_of

MOST: Final = 256
"""Ends of chains, and rests of bodies, that one process remembers."""

LONGEST_END: Final = 16 * 1024
LONGEST_REST: Final = 512
"""Octets of each."""

_FIELD: Final = "certificateChain"
_OPEN: Final = b'["'
_CLOSE: Final = b'"]'
_NAMED: Final = 96
"""Octets by which an end is looked up; the serial of its first certificate is among them."""

_MARK: Final = secrets.token_hex(16)
"""Stands for the list; nobody outside of this process can know it."""


@dataclass(frozen=True, slots=True)
class _End:
    """What stands behind the leaf in a body, and the certificates in it."""

    octets: bytes
    issuers: tuple[bytes, ...]


class _Cut(NamedTuple):
    """A body taken apart: its chain, and the rest with a mark in place of that."""

    chain: tuple[bytes, ...]
    rest: bytes


class Bodies:
    """What one process remembers of bodies; safe to share between threads."""

    def __init__(self) -> None:
        self._ends: Recent[bytes, _End] = Recent(MOST)
        self._rests: Recent[bytes, ContractCheck] = Recent(MOST)

    def read(self, body: bytes) -> ContractCheck | None:
        """
        Return what `contract_check_from_v1` does; None where that is to be asked.

        So it is for everything that it would refuse.
        """
        cut = self._cut(body) if len(body) <= MAX_BODY else None
        if cut is None:
            return None
        like = self._rests.get(cut.rest) or self._read_rest(cut.rest)
        if like is None:
            return None
        return ContractCheck(
            chain=cut.chain, token=like.token, edition=like.edition, evse_id=like.evse_id
        )

    def learn(self, body: bytes, check: ContractCheck) -> None:
        """Remember how the chain of a body ends from which a check was read."""
        begin = body.find(_OPEN)
        end = body.find(b'"', begin + len(_OPEN))
        close = body.find(_CLOSE, end) + len(_CLOSE)
        octets = body[end:close]
        if begin < 0 or check.chain is None or not _NAMED <= len(octets) <= LONGEST_END:
            return
        try:
            first, *others = orjson.loads(_OPEN + octets)
            issuers = tuple(binascii.a2b_base64(item, strict_mode=True) for item in others)
        except (TypeError, ValueError):
            return
        if first == "" and issuers == check.chain[1:]:
            self._ends.put(octets[:_NAMED], _End(octets, issuers))

    def _cut(self, body: bytes) -> _Cut | None:
        begin = body.find(_OPEN) + len(_OPEN)
        end = body.find(b'"', begin)
        known = self._ends.get(body[end : end + _NAMED])
        if known is None or begin < len(_OPEN) or not body.startswith(known.octets, end):
            return None
        try:
            leaf = binascii.a2b_base64(body[begin:end], strict_mode=True)
        except binascii.Error:
            return None
        behind = end + len(known.octets) - len(_CLOSE)
        rest = b"".join((body[:begin], _MARK.encode(), body[behind:]))
        return _Cut((leaf, *known.issuers), rest)

    def _read_rest(self, rest: bytes) -> ContractCheck | None:
        """Read a body whose list is cut out, if that was its chain and it asks nothing unusual."""
        try:
            values = object_of(rest, MAX_BODY)
            if values.get(_FIELD) != [_MARK]:
                return None
            check = contract_check_from_v1(values | {_FIELD: []})
        except BadInput:
            return None
        if check.hash_data:
            return None
        if len(rest) <= LONGEST_REST:
            self._rests.put(rest, check)
        return check
