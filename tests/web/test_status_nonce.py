"""Nonces: RFC 9654 has 1 to 128 octets (cases 28 to 35 of the conformance list)."""

from __future__ import annotations

import secrets

import pytest

from tests.web import asking
from tests.web.asking import extension, request
from tests.web.authority import Authority, Leaf


@pytest.fixture(scope="module")
def leaf(common: Authority) -> Leaf:
    return common.issue()


@pytest.mark.parametrize("size", [1, 2, 8, 15, 16, 32, 33, 64, 127, 128])
def test_a_nonce_comes_back(common: Authority, leaf: Leaf, size: int) -> None:
    """Cases 28 to 30."""
    octets = secrets.token_bytes(size)
    answer = common.ask(request(leaf.cert_id(), more=(asking.nonce(octets),)))
    assert (answer.status, answer.nonce) == ("good", asking.tlv(asking.OCTETS, octets))


@pytest.mark.parametrize("size", [0, 129, 130, 256, 1000, 60_000])
def test_a_nonce_of_no_or_too_many_octets_is_malformed(
    common: Authority, leaf: Leaf, size: int
) -> None:
    """Case 31."""
    answer = common.ask(request(leaf.cert_id(), more=(asking.nonce(bytes(size)),)))
    assert answer.status == "malformed_request"


@pytest.mark.parametrize("octets", [b"\x00", b"\x04", b"\x04\x05abc", bytes(range(16, 32))])
def test_a_bare_nonce_comes_back_bare(common: Authority, leaf: Leaf, octets: bytes) -> None:
    """Case 32: no OCTET STRING inside, as RFC 2560 could be read."""
    answer = common.ask(request(leaf.cert_id(), more=(extension(asking.NONCE, octets),)))
    assert (answer.status, answer.nonce) == ("good", octets)


def test_a_nonce_twice_is_malformed(common: Authority, leaf: Leaf) -> None:
    """Case 33."""
    twice = (asking.nonce(b"0123456789abcdef"),) * 2
    assert common.ask(request(leaf.cert_id(), more=twice)).status == "malformed_request"


def test_a_critical_nonce_is_understood(common: Authority, leaf: Leaf) -> None:
    octets = asking.tlv(asking.OCTETS, bytes(16))
    answer = common.ask(
        request(leaf.cert_id(), more=(extension(asking.NONCE, octets, critical=True),))
    )
    assert (answer.status, answer.nonce) == ("good", octets)


def test_without_nonce_there_is_none_in_the_answer(common: Authority, leaf: Leaf) -> None:
    """Case 34."""
    assert common.ask(leaf.request).nonce is None


def test_an_answer_with_nonce_is_signed_freshly_and_kept_by_nobody(
    common: Authority, leaf: Leaf
) -> None:
    """Case 35: the same nonce twice has two signatures, no nonce has one answer."""
    der = request(leaf.cert_id(), more=(asking.nonce(bytes(16)),))
    first, second = common.get(der), common.get(der)
    assert first.data != second.data
    for answer in (first, second, common.post(der)):
        assert answer.headers["Cache-Control"] == "no-store"
        assert "ETag" not in answer.headers
        assert "Last-Modified" not in answer.headers
    assert common.get(leaf.request).data == common.post(leaf.request).data


def test_a_nonce_for_several_certificates_comes_back_once(common: Authority, leaf: Leaf) -> None:
    der = request(leaf.cert_id(), leaf.cert_id("sha256"), more=(asking.nonce(bytes(20)),))
    answer = common.ask(der)
    assert (len(answer.singles), answer.nonce) == (2, asking.tlv(asking.OCTETS, bytes(20)))
