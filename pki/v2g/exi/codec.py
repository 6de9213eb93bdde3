"""
Streams to trees and back, along the grammar of a schema set.

The options are those of ISO 15118: header octet 0x80, bit-packed, schema-informed and not strict,
no string table. What a conforming encoder writes for these messages is read; undeclared content
is refused, save one form: an empty simple value written as the escape to the undeclared end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, cast

from pki.errors import BadInput
from pki.v2g.exi import values
from pki.v2g.exi.bits import BitReader, BitWriter
from pki.v2g.exi.grammar import (
    END,
    MAX_REPEATS,
    Event,
    Grammar,
    Production,
    Root,
    Schema,
    State,
)
from pki.v2g.exi.schema import Simple, Tree, Value

MAX_STREAM: Final = 32 * 1024
"""Octets; OCPP 2.1 carries at most 12,750."""
_HEADER: Final = 0x80
_HEADER_BITS: Final = 8
_UNDECLARED_BITS: Final = 3
_UNDECLARED_END: Final = 0


class Span(NamedTuple):
    """Where the content of an element lies: first bit behind its event code, and behind its EE."""

    begin: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """
    What a stream said.

    Attributes:
        root: name of the root element.
        tree: its content.
        spans: place of every element with content by name; the first one of a name counts.
        data: the stream itself.
    """

    root: str
    tree: Tree
    spans: Mapping[str, Span]
    data: bytes


def decode_document(schema: Schema, data: bytes) -> Decoded:
    """
    Read a whole document of one of the known messages.

    Raises:
        BadInput: `exi_too_large`, `exi_header`, `exi_truncated`, `exi_invalid_event` (a code
            without meaning), `exi_unsupported` (a meaning that is refused), `exi_length`,
            `exi_integer`, `exi_string_table`, `exi_character`, `exi_enumeration`, `exi_too_many`,
            `exi_trailing` (octets behind the end; padding bits are not looked at).
    """
    if schema.document is None:
        raise ValueError(f"{schema.namespace} has no documents")
    return _decode(schema.document, data)


def decode_fragment(schema: Schema, data: bytes) -> Decoded:
    """Read a fragment that holds one known element. Raises as `decode_document`."""
    return _decode(schema.fragment, data)


def encode_document(schema: Schema, root: str, tree: Tree) -> bytes:
    """Write a document. Raises BadInput (`exi_unencodable`) where the tree breaks the schema."""
    if schema.document is None:
        raise ValueError(f"{schema.namespace} has no documents")
    return _encode(schema.document, root, tree)


def encode_fragment(schema: Schema, root: str, tree: Tree) -> bytes:
    """Write a fragment of one element. Raises as `encode_document`."""
    return _encode(schema.fragment, root, tree)


def wire_fragment(schema: Schema, decoded: Decoded, name: str) -> bytes | None:
    """
    Return an element of a stream as a fragment of `schema`, with the very bits of the sender.

    None where the stream has no such element, or where a fragment writes it otherwise. The result
    is what the sender digested even when its numbers were not in their shortest form.
    """
    span = decoded.spans.get(name)
    if span is None or name in schema.ambiguous:
        return None
    reader = BitReader(decoded.data)
    reader.position = span.begin
    width = span.end - span.begin
    root = schema.fragment
    writer = _begin(root, root.elements[name][0])
    writer.bits(reader.bits(width), width)
    return _finish(root, writer)


def _decode(root: Root, data: bytes) -> Decoded:
    if len(data) > MAX_STREAM:
        raise BadInput(
            "exi_too_large",
            f"The stream has {len(data)} octets, more than {MAX_STREAM}.",
            data={"limit": MAX_STREAM},
        )
    reader = BitReader(data)
    if reader.bits(_HEADER_BITS) != _HEADER:
        raise reader.fault("exi_header", "The header octet is not 0x80")
    code = reader.bits(root.bits)
    name = next((name for name, (known, _) in root.elements.items() if known == code), None)
    if name is None:
        raise _no_root(reader, root, code)
    decoder = _Decoder(reader)
    tree = decoder.marked(name, root.elements[name][1])
    if root.end is not None and reader.bits(root.bits) != root.end:
        raise reader.fault("exi_invalid_event", "The fragment does not end behind its element")
    if reader.left >= _HEADER_BITS:
        raise reader.fault("exi_trailing", "Octets follow the end of the message")
    return Decoded(root=name, tree=tree, spans=decoder.spans, data=data)


def _no_root(reader: BitReader, root: Root, code: int) -> BadInput:
    if code < root.codes:
        return reader.fault("exi_unsupported", f"Root element number {code} is not read here")
    return reader.fault("exi_invalid_event", f"There is no root element number {code}")


class _Decoder:
    """Walks grammars; the depth is the schema's, so the recursion is bounded."""

    def __init__(self, reader: BitReader) -> None:
        self._reader = reader
        self.spans: dict[str, Span] = {}

    def marked(self, name: str, grammar: Grammar) -> Tree:
        """Read an element with content and note where it lies."""
        begin = self._reader.position
        tree = self._element(grammar)
        self.spans.setdefault(name, Span(begin, self._reader.position))
        return tree

    def _element(self, grammar: Grammar) -> Tree:
        tree: Tree = {}
        state = grammar.states[0]
        while True:
            production = self._event(state)
            if production is None:
                return self._empty(state, tree)
            if production.event is Event.END:
                return tree
            self._store(tree, production)
            state = grammar.states[production.target]

    def _event(self, state: State) -> Production | None:
        """Read a code; None for the escape."""
        code = self._reader.bits(state.bits)
        production = state.by_code.get(code)
        if production is None and code != state.size:
            known = code < state.size
            raise self._reader.fault(
                "exi_unsupported" if known else "exi_invalid_event",
                f"Event {code} is {'not read' if known else 'not defined'} here",
            )
        return production

    def _store(self, tree: Tree, production: Production) -> None:
        value = self._value(production)
        if not production.many:
            tree[production.name] = value
            return
        items = cast("list[Value]", tree.setdefault(production.name, []))
        if len(items) == MAX_REPEATS:
            raise self._reader.fault("exi_too_many", f"More than {MAX_REPEATS} {production.name}")
        items.append(value)

    def _value(self, production: Production) -> Value:
        match production.type:
            case None:
                raise self._reader.fault("exi_unsupported", f"{production.name} is refused here")
            case Grammar() as grammar:
                return self.marked(production.name, grammar)
            case Simple() as simple:
                if production.event is Event.ELEMENT:
                    return self._simple(simple)
                return values.read(self._reader, simple)

    def _simple(self, kind: Simple) -> Value:
        """Read characters and end, each a code of one bit; or the escape of an empty value."""
        if self._reader.bits(1):
            return self._undeclared_end(kind)
        value = values.read(self._reader, kind)
        if self._reader.bits(1):
            raise self._undeclared()
        return value

    def _empty(self, state: State, tree: Tree) -> Tree:
        """Read the end of an element whose characters are left out."""
        for production in state.by_code.values():
            if production.event is Event.TEXT and isinstance(production.type, Simple):
                tree[production.name] = self._undeclared_end(production.type)
                return tree
        raise self._undeclared()

    def _undeclared_end(self, kind: Simple) -> Value:
        value = values.empty(kind)
        if value is None or self._reader.bits(_UNDECLARED_BITS) != _UNDECLARED_END:
            raise self._undeclared()
        return value

    def _undeclared(self) -> BadInput:
        return self._reader.fault("exi_unsupported", "Content that no schema declares is refused")


def _begin(root: Root, code: int) -> BitWriter:
    writer = BitWriter()
    writer.bits(_HEADER, _HEADER_BITS)
    writer.bits(code, root.bits)
    return writer


def _finish(root: Root, writer: BitWriter) -> bytes:
    if root.end is not None:
        writer.bits(root.end, root.bits)
    return writer.finish()


def _encode(root: Root, name: str, tree: Tree) -> bytes:
    if name not in root.elements:
        values.unencodable(f"{name} is no root element here")
    code, grammar = root.elements[name]
    writer = _begin(root, code)
    _write_element(writer, grammar, tree, name)
    return _finish(root, writer)


def _write_element(writer: BitWriter, grammar: Grammar, tree: Tree, parent: str) -> None:
    strangers = tree.keys() - set(grammar.names)
    if strangers:
        values.unencodable(f"{parent} has no {min(strangers)}")
    state = grammar.states[0]
    for name in grammar.names:
        for value in _items(tree, name):
            production = _write_event(writer, state, name, parent)
            _write_value(writer, production, value)
            state = grammar.states[production.target]
    _write_event(writer, state, END, parent)


def _items(tree: Tree, name: str) -> list[Value]:
    if name not in tree:
        return []
    value = tree[name]
    return value if isinstance(value, list) else [value]


def _write_event(writer: BitWriter, state: State, name: str, parent: str) -> Production:
    found = state.by_name.get(name)
    if found is None:
        what = "end already" if name == END else f"have {name} in that number or place"
        values.unencodable(f"{parent} cannot {what}")
    code, production = found
    writer.bits(code, state.bits)
    return production


def _write_value(writer: BitWriter, production: Production, value: Value) -> None:
    match production.type:
        case Grammar() as grammar if isinstance(value, dict):
            _write_element(writer, grammar, value, production.name)
        case Simple() as simple if production.event is Event.ELEMENT:
            writer.bits(0, 1)
            values.write(writer, simple, value, production.name)
            writer.bits(0, 1)
        case Simple() as simple:
            values.write(writer, simple, value, production.name)
        case _:
            values.unencodable(f"{production.name} cannot be written")
