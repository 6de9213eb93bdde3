"""What makes an answer on demand quick gives the very octets of the long way."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki.clock import UTC
from pki.pkix import ocsp
from pki.pkix.ocsp import CertStatus, SingleAnswer
from pki.pkix.suites import PublicKey, Suite, generate
from pki.status import templates
from pki.status.openings import Openings
from tests.web import asking

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = NOW + dt.timedelta(days=7)
RESPONDER = ocsp.responder_by_name(bytes.fromhex("3000"))
CERTIFICATE = bytes.fromhex("30030a0b0c")
OCTETS = st.binary(min_size=16, max_size=300)
NAME, KEY = bytes(range(20)), bytes(range(20, 40))


@dataclass(frozen=True)
class Hand:
    """A signer whose signatures are short and say what was signed."""

    suite: Suite = Suite.P256

    quick = True

    @property
    def public_key(self) -> PublicKey:
        return generate(self.suite).public_key()

    def sign(self, data: bytes) -> bytes:
        return hashlib.sha256(data).digest()


@given(
    several=st.lists(st.tuples(OCTETS, OCTETS), min_size=1, max_size=4),
    suite=st.sampled_from(Suite),
)
def test_a_filled_sheet_is_what_would_have_been_written(
    several: list[tuple[bytes, bytes]], suite: Suite
) -> None:
    hand = Hand(suite)
    sheet = templates.Sheet(
        hand, responder=RESPONDER, certificate=CERTIFICATE, now=NOW, next_update=LATER
    )
    for cert_id, nonce in several:
        answer = SingleAnswer(
            cert_id=cert_id, status=CertStatus.GOOD, this_update=NOW, next_update=LATER
        )
        tbs = ocsp.response_data(
            responder=RESPONDER, produced_at=NOW, answers=(answer,), nonce=nonce
        )
        written = ocsp.assemble(tbs, suite, hand.sign(tbs), (CERTIFICATE,))
        assert sheet.signed(cert_id, nonce) == written


def test_too_small_a_gap_is_refused() -> None:
    sheet = templates.Sheet(
        Hand(), responder=RESPONDER, certificate=CERTIFICATE, now=NOW, next_update=LATER
    )
    with pytest.raises(ValueError, match="16 octets"):
        sheet.signed(b"x" * 15, bytes(16))


def request(nonce: bytes, *, bare: bool = False, serial: int = 77) -> bytes:
    cert_id = asking.tlv(
        asking.SEQUENCE,
        asking.tlv(asking.SEQUENCE, asking.tlv(asking.OID, bytes.fromhex(asking.HASHES["sha1"]))),
        asking.tlv(asking.OCTETS, NAME),
        asking.tlv(asking.OCTETS, KEY),
        asking.tlv(asking.INTEGER, asking.number(serial)),
    )
    extension = asking.extension(asking.NONCE, nonce) if bare else asking.nonce(nonce)
    return asking.request(cert_id, more=(extension,))


@given(kept=st.binary(min_size=1, max_size=40), asked=st.binary(min_size=1, max_size=40))
def test_what_is_found_is_what_reading_gives(kept: bytes, asked: bytes) -> None:
    openings = Openings()
    openings.keep(request(kept), ocsp.parse_request(request(kept)))
    found = openings.find(request(asked))
    parsed = ocsp.parse_request(request(asked))
    assert (found is not None) == (len(kept) == len(asked) and len(asked) in (16, 32))
    assert found is None or found == (parsed.cert_ids[0], parsed.nonce)


@given(kept=st.binary(min_size=1, max_size=40), data=st.data())
def test_no_other_octets_are_taken_for_one_that_was_read(kept: bytes, data: st.DataObject) -> None:
    openings = Openings()
    for der in (request(kept), request(bytes(16)), request(bytes(32), bare=True)):
        openings.keep(der, ocsp.parse_request(der))
    damaged = bytearray(request(bytes(data.draw(st.sampled_from([16, 32])))))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    found = openings.find(bytes(damaged))
    if found is not None:
        parsed = ocsp.parse_request(bytes(damaged))
        assert found == (parsed.cert_ids[0], parsed.nonce)


def test_an_overlong_request_is_not_kept() -> None:
    openings = Openings()
    der = request(bytes(32), serial=1 << 2000)
    openings.keep(der, ocsp.parse_request(der))
    assert openings.find(der) is None
