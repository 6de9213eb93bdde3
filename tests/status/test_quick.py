"""What makes an answer on demand quick gives the very octets of the long way."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki.clock import UTC
from pki.pkix import ocsp
from pki.pkix.ocsp import CertStatus, SingleAnswer
from pki.pkix.suites import Suite
from pki.status import templates
from pki.status.openings import Openings
from tests.web import asking

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = NOW + dt.timedelta(days=7)
RESPONDER = ocsp.responder_by_name(bytes.fromhex("3000"))
OCTETS = st.binary(min_size=16, max_size=300)
NAME, KEY = bytes(range(20)), bytes(range(20, 40))


@given(cert_id=OCTETS, nonce=OCTETS)
def test_a_filled_template_is_what_would_have_been_written(cert_id: bytes, nonce: bytes) -> None:
    answer = SingleAnswer(
        cert_id=cert_id, status=CertStatus.GOOD, this_update=NOW, next_update=LATER
    )
    written = ocsp.response_data(
        responder=RESPONDER, produced_at=NOW, answers=(answer,), nonce=nonce
    )
    filled = templates.good(cert_id, nonce, responder=RESPONDER, now=NOW, next_update=LATER)
    assert filled == written


@given(tbs=OCTETS, signature=OCTETS, certificate=OCTETS, suite=st.sampled_from(Suite))
def test_a_filled_frame_is_what_would_have_been_assembled(
    tbs: bytes, signature: bytes, certificate: bytes, suite: Suite
) -> None:
    assembled = ocsp.assemble(tbs, suite, signature, (certificate,))
    assert templates.framed(tbs, suite, signature, certificate) == assembled


def test_too_small_a_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="16 octets"):
        templates.good(b"x" * 15, bytes(16), responder=RESPONDER, now=NOW, next_update=LATER)


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
