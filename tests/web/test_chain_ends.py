"""Whatever is read by what was read before is what the reader of all bodies reads."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pki.errors import BadInput
from pki.model import ContractCheck
from pki.pkix.pem import encode
from web.chain_ends import LONGEST_END, LONGEST_REST, Bodies
from web.checks import contract_check_from_v1
from web.parsing import MAX_BODY, object_of

SUB_CAS = (b"sub-CA 2" * 60, b"sub-CA 1" * 50)
OTHERS = (b"sub-CA 3" * 60, b"sub-CA 1" * 50)
EMAID = "DEMOAC00000001"


def b64(der: bytes) -> str:
    return base64.b64encode(der).decode()


def body(leaf: bytes | str, issuers: tuple[bytes, ...] = SUB_CAS, **more: Any) -> bytes:
    first = leaf if isinstance(leaf, str) else b64(leaf)
    return json.dumps({"certificateChain": [first, *map(b64, issuers)]} | more).encode()


def in_pem(leaf: bytes | str, issuers: tuple[bytes, ...] = SUB_CAS, **more: Any) -> bytes:
    """Return a body whose chain is a PEM text, as OCPP has it."""
    first = encode(leaf) if isinstance(leaf, bytes) else encode(b"").replace("\n", f"\n{leaf}\n", 1)
    return json.dumps({"certificateChain": "".join((first, *map(encode, issuers)))} | more).encode()


def by_all(octets: bytes) -> ContractCheck | None:
    """Return what the reader of all bodies reads, or None where it refuses."""
    try:
        return contract_check_from_v1(object_of(octets, MAX_BODY))
    except BadInput:
        return None


def learnt(*bodies: bytes) -> Bodies:
    """Return what remembers these bodies, and those that were read by memory among them."""
    kept = Bodies()
    for each in bodies:
        check = by_all(each)
        if check is not None and kept.read(each) is None:
            kept.learn(each, check)
    return kept


@pytest.mark.parametrize("body", [body, in_pem])
def test_another_leaf_under_the_same_sub_cas_is_read_by_memory(
    body: Callable[..., bytes],
) -> None:
    kept = learnt(body(b"first"))
    others: list[dict[str, Any]] = [{}, {"emaid": EMAID}, {"evseId": "DE*CPA*E1", "edition": "2"}]
    for more in others:
        for leaf in (b"second", b"third one"):
            other = body(leaf, **more)
            found = kept.read(other)
            assert found is not None
            assert found == by_all(other)


@pytest.mark.parametrize(
    "other",
    [
        body(b"second", OTHERS),
        body(b"second", SUB_CAS[:1]),
        body(b"second", SUB_CAS[::-1]),
        body(b"second", (*SUB_CAS, b"one more")),
        body("AA=A"),
        body("A-_A"),
        body("AAA\\u0041"),
        body("AA AA"),
        body(b"second", emaid=EMAID, wrong=1),
        body(b"second", emaid=1),
        body(b"second", certificateHashData=[]),
        body(b"second") + b"}",
        body(b"second").replace(b'"]', b'"] '),
        b'{"certificateChain": ["AAAA"], ' + body(b"second")[1:],
        b'{"emaid": "DEMOAC00000001", "emaid": "DEMOAC00000002", ' + body(b"second")[1:],
        body(b"second").replace(b"certificateChain", b"emaid"),
        b"[" + body(b"second") + b"]",
        body(b"second", evseId=" " * MAX_BODY),
        body(b"second", evseId="x" * LONGEST_REST),
        in_pem(b"second", OTHERS),
        in_pem(b"second", SUB_CAS[:1]),
        in_pem(b"second", (*SUB_CAS, b"one more")),
        in_pem(""),
        in_pem("AA=A"),
        in_pem("A A A A"),
        in_pem("AAAA\\"),
        in_pem("AAAA\r\n"),
        in_pem(b"second").replace(b"\\n", b"\n"),
        in_pem(b"second").replace(b"\\n", b"\\r\\n"),
        in_pem(b"second").replace(b"\\n", b"\\\\n"),
        in_pem(b"second").replace(b"BEGIN CERT", b"BEGIN X509 CERT", 1),
        in_pem(b"second") + in_pem(b"second"),
        in_pem(b"second").replace(b"certificateChain", b"emaid"),
        b"",
    ],
)
def test_what_is_not_quite_like_what_was_read_before_is_not_misread(other: bytes) -> None:
    kept = learnt(body(b"first"), body(b"first", emaid=EMAID), in_pem(b"first"))
    for _ in range(2):
        found = kept.read(other)
        assert found is None or found == by_all(other)


def test_an_end_that_is_too_long_is_not_kept() -> None:
    long = tuple(bytes([at]) * 2000 for at in range(LONGEST_END // 2000))
    assert learnt(body(b"first", long)).read(body(b"second", long)) is None


_PIECES = st.sampled_from(
    [b'["', b'"]', b'", "', b'"', b'"emaid": "', b"DEMOAC00000001", b"\\u0041", b"\\", b"{", b"}"]
    + [b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----", b"\\n", b"\\r\\n", b"-----"]
    + [bytes([octet]) for octet in b",:A= []\n\x00\xff"]
)


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Bodies, some of them cut, spliced and changed here and there."""
    more = draw(
        st.fixed_dictionaries(
            {}, optional={"emaid": st.just(EMAID), "evseId": st.text(max_size=20)}
        )
    )
    issuers = draw(st.sampled_from([SUB_CAS, OTHERS, SUB_CAS[:1], ()]))
    written = draw(st.sampled_from([body, in_pem]))
    octets: bytes = written(draw(st.binary(max_size=60)), issuers, **more)
    if draw(st.booleans()):
        octets = json.dumps(dict(reversed(json.loads(octets).items()))).encode()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(octets)))
        gone = draw(st.integers(0, 30))
        octets = octets[:at] + draw(_PIECES) + octets[at + gone :]
    return octets


@given(st.lists(bodies(), max_size=3), bodies(), st.binary(max_size=40))
@example([body(b"first")], body("").replace(b'["', b'["' * 2), b"")
@example([body(b"first")], b'{"emaid": "["' + body(b"second")[19:], b"")
def test_any_body_is_read_as_by_the_reader_of_all(
    before: list[bytes], octets: bytes, leaf: bytes
) -> None:
    kept = learnt(body(b"first"), in_pem(b"first"), *before, octets)
    others = (octets, body(leaf), in_pem(leaf))
    for other in others:
        found = kept.read(other)
        assert found is None or found == by_all(other)
