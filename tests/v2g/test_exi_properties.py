"""Any tree of the grammars comes back; any octets give a tree or BadInput."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pki.errors import BadInput
from pki.ids import Edition
from pki.v2g import exi, messages
from pki.v2g.exi.grammar import END, Grammar, Production, Root, State
from pki.v2g.exi.schema import Encoding, Simple
from tests.v2g import samples

_ROOTS: list[tuple[exi.Schema, bool, str]] = [
    (schema, root is schema.document, name)
    for schema in (exi.ISO2, exi.ISO20, exi.XMLDSIG)
    for root in (schema.document, schema.fragment)
    if isinstance(root, Root)
    for name in root.elements
]
_LONGEST_LIST = 4

_SIMPLE: dict[Encoding, st.SearchStrategy[Any]] = {
    Encoding.BINARY: st.binary(max_size=150),
    Encoding.STRING: st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=70),
    Encoding.INTEGER: st.integers(-(2**304), 2**304 - 1),
    Encoding.UNSIGNED: st.integers(0, 2**64 - 1),
    Encoding.OCTET: st.integers(0, 255),
}


def _value(kind: Simple) -> st.SearchStrategy[Any]:
    return st.sampled_from(kind.names) if kind.names else _SIMPLE[kind.encoding]


def _choices(state: State, tree: dict[str, Any]) -> list[Production]:
    usable = [p for p in state.by_code.values() if p.name == END or p.type is not None]
    short = [p for p in usable if not p.many or len(tree.get(p.name, [])) < _LONGEST_LIST]
    return short or usable


@st.composite
def trees(draw: st.DrawFn, grammar: Grammar) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    state = grammar.states[0]
    while True:
        production = draw(st.sampled_from(_choices(state, tree)))
        if production.name == END:
            return tree
        kind = production.type
        assert kind is not None
        value = draw(trees(kind) if isinstance(kind, Grammar) else _value(kind))
        if production.many:
            tree.setdefault(production.name, []).append(value)
        else:
            tree[production.name] = value
        state = grammar.states[production.target]


@pytest.mark.parametrize(("schema", "document", "name"), _ROOTS)
@settings(max_examples=25)
@given(data=st.data())
def test_any_tree_comes_back(
    data: st.DataObject,
    schema: exi.Schema,
    document: bool,  # noqa: FBT001 - a case's parameter
    name: str,
) -> None:
    root = schema.document if document else schema.fragment
    assert root is not None
    grammar = root.elements[name][1]
    tree = data.draw(trees(grammar))
    encode, decode = (
        (exi.encode_document, exi.decode_document)
        if document
        else (exi.encode_fragment, exi.decode_fragment)
    )
    stream = encode(schema, name, tree)
    assert (decode(schema, stream).root, decode(schema, stream).tree) == (name, tree)
    assert exi.from_json(grammar, exi.to_json(tree)) == tree


def _mutations(stream: bytes) -> st.SearchStrategy[bytes]:
    size = len(stream)

    def flip(places: list[int]) -> bytes:
        changed = bytearray(stream)
        for place in places:
            changed[place // 8] ^= 0x80 >> place % 8
        return bytes(changed)

    return st.one_of(
        st.lists(st.integers(8, 8 * size - 1), min_size=1, max_size=4).map(flip),
        st.integers(0, size).map(lambda n: stream[:n]),
        st.tuples(st.integers(1, size), st.binary(max_size=12)).map(
            lambda t: stream[: t[0]] + t[1] + stream[t[0] :]
        ),
    )


_STREAMS = [(messages.edition_of(make()), messages.encode(make())) for make in samples.EVERY]


@settings(max_examples=500)
@given(data=st.data())
def test_a_mutated_stream_is_read_or_refused(data: st.DataObject) -> None:
    edition, stream = data.draw(st.sampled_from(_STREAMS))
    _read_or_refuse(data.draw(_mutations(stream)), edition)


@settings(max_examples=300)
@given(st.binary(max_size=400), st.sampled_from(Edition))
def test_any_octets_are_read_or_refused(noise: bytes, edition: Edition) -> None:
    _read_or_refuse(b"\x80" + noise, edition)


@settings(max_examples=300)
@given(st.binary(max_size=200), st.sampled_from((exi.ISO2, exi.ISO20, exi.XMLDSIG)), st.data())
def test_any_content_of_a_fragment_is_read_or_refused(
    noise: bytes, schema: exi.Schema, data: st.DataObject
) -> None:
    code = data.draw(st.sampled_from([code for code, _ in schema.fragment.elements.values()]))
    begin = (0x80 << schema.fragment.bits | code) << (16 - schema.fragment.bits)
    try:
        decoded = exi.decode_fragment(schema, begin.to_bytes(3) + noise)
    except BadInput:
        return
    again = exi.encode_fragment(schema, decoded.root, decoded.tree)
    assert exi.decode_fragment(schema, again).tree == decoded.tree


def _read_or_refuse(stream: bytes, edition: Edition) -> None:
    try:
        received = messages.decode(stream, edition)
    except BadInput:
        return
    again = messages.encode(received.message)
    assert messages.decode(again, edition).message == received.message
