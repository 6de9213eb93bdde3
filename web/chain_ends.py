"""
Bodies in which only the leaf is new.

Of a body that presents a chain nearly all is certificates, and all of these but the leaf come with
every leaf of a CA. What stands behind the leaf, to the end of the list or of the PEM text, is
compared octet by octet with what was read before. The rest, with a mark in the place of the chain,
is read as every body is. Whatever is unusual in a body is left to `web.checks`, which reads them
all.
"""

from __future__ import annotations

import binascii
import secrets
from dataclasses import dataclass
from typing import Final, NamedTuple

import orjson

from pki.errors import BadInput
from pki.model import ContractCheck
from pki.pkix import pem
from pki.pkix.recent import Recent
from web.checks import contract_check_from_v1
from web.parsing import MAX_BODY, MAX_CERTIFICATES, object_of

MOST: Final = 256
"""Ends of chains, and rests of bodies, that one process remembers."""

LONGEST_END: Final = 16 * 1024
LONGEST_REST: Final = 512
"""Octets of each."""

_FIELD: Final = "certificateChain"
_NAMED: Final = 160
"""Octets by which an end is looked up; the serial of its first certificate is among them."""

_MARK: Final = secrets.token_hex(16)
"""Stands for the chain; nobody outside of this process can know it."""

_BEGIN: Final = "-----BEGIN CERTIFICATE-----\n"
_FEED: Final = b"\\n"
"""A line feed as it stands in a text of JSON."""


@dataclass(frozen=True, slots=True)
class _Notation:
    """
    How a chain stands in JSON.

    Attributes:
        opens: stands before the leaf.
        ends: the beginning of what stands behind it, by which it is found.
        closes: the end of that.
        marked: what stands there in place of the chain.
    """

    opens: bytes
    ends: bytes
    closes: bytes
    marked: list[str] | str


_LIST: Final = _Notation(b'["', b'"', b'"]', [_MARK])
_PEM: Final = _Notation(b'"' + orjson.dumps(_BEGIN)[1:-1], b"-----END ", b'"', _MARK)


@dataclass(frozen=True, slots=True)
class _End:
    """
    What stands behind the leaf in a body, and the certificates in it.

    Attributes:
        characters: of its text, where it is one.
    """

    octets: bytes
    issuers: tuple[bytes, ...]
    characters: int


class Cut(NamedTuple):
    """
    A body taken apart.

    Attributes:
        rest: has `marked` in the place of the chain if that is what was cut out.
        characters: of the PEM text; 0 for a list.
    """

    chain: tuple[bytes, ...]
    rest: bytes
    marked: list[str] | str
    characters: int


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
        cut = self.cut(body) if len(body) <= MAX_BODY else None
        if cut is None:
            return None
        like = self._rests.get(cut.rest) or self._read_rest(cut)
        if like is None:
            return None
        return ContractCheck(
            chain=cut.chain, token=like.token, edition=like.edition, evse_id=like.evse_id
        )

    def cut(self, body: bytes) -> Cut | None:
        """Take apart a body whose chain ends as one that was read before, whatever its leaf is."""
        begin, how = _opening(body)
        leaf = begin + len(how.opens)
        end = body.find(how.ends, leaf)
        known = self._ends.get(body[end : end + _NAMED])
        if known is None or begin < 0 or not body.startswith(known.octets, end):
            return None
        text, characters = body[leaf:end], 0
        if how is _PEM:
            feeds = text.count(_FEED)
            characters = len(_BEGIN) + len(text) - feeds + known.characters
            text = text.replace(_FEED, b"")
        try:
            der = binascii.a2b_base64(text, strict_mode=True)
        except binascii.Error:
            return None
        rest = (body[:begin], orjson.dumps(how.marked), body[end + len(known.octets) :])
        return Cut((der, *known.issuers), b"".join(rest), how.marked, characters) if der else None

    def learn(self, body: bytes, check: ContractCheck) -> None:
        """Remember how the chain of a body ends from which a check was read."""
        begin, how = _opening(body)
        end = body.find(how.ends, begin + len(how.opens))
        close = body.find(how.closes, end) + len(how.closes)
        octets = body[end:close]
        if begin < 0 or check.chain is None or not _NAMED <= len(octets) <= LONGEST_END:
            return
        try:
            found = _of_pem(octets) if how is _PEM else _of_list(octets)
        except (BadInput, TypeError, ValueError):
            return
        if found.issuers == check.chain[1:]:
            self._ends.put(octets[:_NAMED], found)

    def _read_rest(self, cut: Cut) -> ContractCheck | None:
        """Read a body whose chain is cut out, if it was that, and nothing unusual is asked."""
        try:
            values = object_of(cut.rest, MAX_BODY)
            if values.get(_FIELD) != cut.marked:
                return None
            check = contract_check_from_v1(values | {_FIELD: []})
        except BadInput:
            return None
        if check.hash_data:
            return None
        if len(cut.rest) <= LONGEST_REST:
            self._rests.put(cut.rest, check)
        return check


def _opening(body: bytes) -> tuple[int, _Notation]:
    """Return where a chain may begin, or -1, and how it is written."""
    begin = body.find(_LIST.opens)
    return (begin, _LIST) if begin >= 0 else (body.find(_PEM.opens), _PEM)


def _of_list(octets: bytes) -> _End:
    """
    Read the end of a list of base64, from the quotation mark behind the leaf.

    Raises:
        TypeError, ValueError: it is none.
    """
    first, *others = orjson.loads(_LIST.opens + octets)
    if first != "":
        raise ValueError(first)
    issuers = [binascii.a2b_base64(item, strict_mode=True) for item in others]
    return _End(octets, tuple(issuers), 0)


def _of_pem(octets: bytes) -> _End:
    """
    Read the end of a PEM text, from the armour behind the leaf.

    Raises:
        BadInput, TypeError, ValueError: it is none.
    """
    text: str = orjson.loads(b'"' + octets)
    first, *others = pem.certificates(f"{_BEGIN}AAAA\n{text}", limit=MAX_CERTIFICATES)
    if first != bytes(3):
        raise ValueError(text)
    return _End(octets, tuple(others), len(text))
