"""The encrypted stream of a backup: nothing is cut off, exchanged or changed unnoticed."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.backup.sealed import SealedReader, SealedWriter
from pki.errors import BadInput

PHRASE = b"correct horse battery staple"
PIECE = 1024 * 1024


def _sealed(*data: bytes) -> bytes:
    out = io.BytesIO()
    writer = SealedWriter(out, PHRASE)
    for part in data:
        writer.write(part)
    writer.finish()
    return out.getvalue()


def _read(sealed: bytes, phrase: bytes = PHRASE) -> bytes:
    return SealedReader(io.BytesIO(sealed), phrase).read()


LONG = _sealed(b"a" * PIECE, b"b" * PIECE, b"c")
SHORT = _sealed(b"the content")


def test_what_was_written_is_read_whatever_its_size() -> None:
    assert _read(LONG) == b"a" * PIECE + b"b" * PIECE + b"c"
    assert _read(_sealed()) == b""
    assert _read(_sealed(b"x" * PIECE)) == b"x" * PIECE
    assert b"the content" not in SHORT
    assert _sealed(b"the content") != SHORT


def test_another_passphrase_opens_nothing() -> None:
    with pytest.raises(BadInput) as caught:
        _read(SHORT, b"another passphrase")
    assert caught.value.code == "backup_unreadable"
    with pytest.raises(BadInput) as short:
        SealedWriter(io.BytesIO(), b"short")
    assert short.value.code == "passphrase_short"


@settings(max_examples=15)
@given(st.integers(0, len(SHORT) - 1))
def test_a_changed_octet_is_noticed(at: int) -> None:
    changed = bytearray(SHORT)
    changed[at] ^= 1
    with pytest.raises(BadInput) as caught:
        _read(bytes(changed))
    assert caught.value.code in {"backup_unreadable", "backup_torn"}


@settings(max_examples=15)
@given(st.integers(0, len(LONG) - 1))
def test_a_stream_that_is_cut_off_anywhere_is_torn(length: int) -> None:
    with pytest.raises(BadInput) as caught:
        _read(LONG[:length])
    assert caught.value.code in {"backup_torn", "backup_unreadable"}


def test_pieces_cannot_be_left_out_or_exchanged() -> None:
    head, piece = 13 + 16 + 7, 4 + PIECE + 16
    one, two, last = LONG[head : head + piece], LONG[head + piece : head + 2 * piece], LONG[-21:]
    for order in ((two, one, last), (one, last), (two, last), (one, two, two, last), (last,)):
        with pytest.raises(BadInput) as caught:
            _read(LONG[:head] + b"".join(order))
        assert caught.value.code == "backup_unreadable"
