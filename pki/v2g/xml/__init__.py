"""
The messages as XML: the form in which OPCP hands signed contracts around.

What is signed is EXI, never this text: whoever reads a message here and wants its signature checked
writes it as EXI first. Reading is strict: the very elements of the schema, in order, in their
namespaces; no document type, no entities, no comments, nothing fetched.
"""

from __future__ import annotations

import re
from typing import Final

from lxml import etree

from pki.errors import BadInput
from pki.ids import Edition
from pki.v2g import exi, messages
from pki.v2g.exi.grammar import END, Event, Grammar, Production
from pki.v2g.exi.schema import TEXT, Simple, Tree, Value
from pki.v2g.messages import Message
from pki.v2g.xml import values
from pki.v2g.xml.names import PREFIXES, XSI, Place

__all__ = ["MAX_XML", "read", "write"]

MAX_XML: Final = 96 * 1024
"""Octets; three times the longest stream."""
_SPACE: Final = " \t\r\n"
_NAME: Final = re.compile(r"(?:\{([^}]*)\})?(.+)", re.DOTALL)


def write(message: Message) -> bytes:
    """Return a message as UTF-8 XML. Raises BadInput (`exi_unencodable`)."""
    root, tree = messages.to_document(message)
    schema = messages.schema_of(message)
    exi.encode_document(schema, root, tree)  # the one judge of what the schema allows
    place = Place.root(messages.edition_of(message), root)
    element = etree.Element(place.tag, nsmap=PREFIXES[place.edition])
    _fill(element, place, _grammar(schema, root), tree)
    return etree.tostring(element, xml_declaration=True, encoding="UTF-8")


def read(data: bytes, edition: Edition) -> Message:
    """
    Return the message in an XML document.

    Raises:
        BadInput: `xml_too_large`, `xml_malformed`, `xml_doctype`, `xml_invalid`, `exi_no_message`,
            and `exi_unencodable` for values that no message can hold.
    """
    element = _parse(data)
    schema = exi.ISO20 if edition is Edition.ISO20 else exi.ISO2
    root = _split(str(element.tag))[1]
    if schema.document is None or root not in schema.document.elements:
        raise _invalid(f"The root element {root[:40]!r} is no message of this edition")
    place = Place.root(edition, root)
    if element.tag != place.tag:
        raise _invalid(f"The root element is not in the namespace {place.namespace}")
    tree = _tree(element, place, _grammar(schema, root))
    exi.encode_document(schema, root, tree)
    return messages.from_document(root, tree, edition)


def _grammar(schema: exi.Schema, root: str) -> Grammar:
    if schema.document is None:
        raise ValueError(f"{schema.namespace} has no documents")
    return schema.document.elements[root][1]


# --- writing -------------------------------------------------------------------------------------


def _fill(element: etree._Element, place: Place, grammar: Grammar, tree: Tree) -> None:
    productions = {
        production.name: production
        for state in grammar.states
        for production in state.by_code.values()
    }
    for name in grammar.names:
        if name not in tree:
            continue
        production, value = productions[name], tree[name]
        if production.event is Event.ATTRIBUTE:
            element.set(place.attribute(name), str(value))
        elif production.event is Event.TEXT:
            element.text = _written(production, value)
        else:
            for each in value if isinstance(value, list) else [value]:
                _append(element, place.child(name), production, each)


def _append(parent: etree._Element, place: Place, production: Production, value: Value) -> None:
    element = etree.SubElement(parent, place.tag)
    if isinstance(production.type, Grammar) and isinstance(value, dict):
        _fill(element, place, production.type, value)
    else:
        element.text = _written(production, value)


def _written(production: Production, value: Value) -> str:
    if not isinstance(production.type, Simple):
        raise TypeError(f"{production.name} has no text")
    return values.write(production.name, value)


# --- reading -------------------------------------------------------------------------------------


def _parse(data: bytes) -> etree._Element:
    if len(data) > MAX_XML:
        raise BadInput(
            "xml_too_large",
            f"The document has {len(data)} octets, more than {MAX_XML}.",
            data={"limit": MAX_XML},
        )
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise _doctype()
    parser = etree.XMLParser(
        encoding="utf-8",  # whatever the document says of itself
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        no_network=True,
        huge_tree=False,
        recover=False,
    )
    try:
        element = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BadInput("xml_malformed", f"The document is no XML: {_line(error)}.") from error
    if getattr(element.getroottree().docinfo, "doctype", None):  # the stubs do not know it
        raise _doctype()
    if any(not isinstance(node.tag, str) for node in element.iter()) or _has_siblings(element):
        raise _invalid("Comments, processing instructions and entities are refused")
    return element


def _has_siblings(root: etree._Element) -> bool:
    return root.getprevious() is not None or root.getnext() is not None


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0][:120]


def _tree(element: etree._Element, place: Place, grammar: Grammar) -> Tree:
    """Walk the states of the grammar, as the codec does; the depth is the schema's."""
    tree: Tree = {}
    state = grammar.states[0]
    for name, part in _parts(element, place, grammar):
        found = state.by_name.get(name)
        if found is None:
            raise _invalid(f"{place.name} cannot have {name[:40]!r} in that number or place")
        production = found[1]
        value = _value(part, place, production)
        if production.many:
            items = tree.setdefault(name, [])
            if isinstance(items, list):
                items.append(value)
        else:
            tree[name] = value
        state = grammar.states[production.target]
    if END not in state.by_name:
        raise _invalid(f"{place.name} ends too early")
    return tree


def _parts(
    element: etree._Element, place: Place, grammar: Grammar
) -> list[tuple[str, etree._Element | str]]:
    """Return attributes, characters and children under their local names, in reading order."""
    found: list[tuple[str, etree._Element | str]] = []
    for key, text in sorted(element.attrib.items(), key=lambda item: _split(str(item[0]))[1]):
        namespace, name = _split(str(key))
        if namespace == XSI:
            continue  # schemaLocation: never followed
        if namespace is not None and str(key) != place.attribute(name):
            raise _invalid(f"{place.name} has an attribute of a strange namespace")
        found.append((name, str(text)))
    if TEXT in grammar.names:
        if len(element):
            raise _invalid(f"{place.name} has characters only")
        return [*found, (TEXT, element.text or "")]
    around = [element.text, *(child.tail for child in element)]
    if any(text and text.strip(_SPACE) for text in around):
        raise _invalid(f"{place.name} has characters among its elements")
    for child in element:
        name = _split(str(child.tag))[1]
        if child.tag != place.child(name).tag:
            raise _invalid(f"{name[:40]!r} is not in its namespace")
        found.append((name, child))
    return found


def _value(part: etree._Element | str, place: Place, production: Production) -> Value:
    match production.type:
        case Grammar() as grammar if not isinstance(part, str):
            return _tree(part, place.child(production.name), grammar)
        case Simple() as simple:
            return values.read(production.name, simple, _text(part, production.name))
        case _:
            raise _invalid(f"{production.name[:40]!r} is refused here")


def _text(part: etree._Element | str, name: str) -> str:
    if isinstance(part, str):
        return part
    if len(part) or any(_split(str(key))[0] != XSI for key in part.attrib):
        raise _invalid(f"{name} has characters only")
    return part.text or ""


def _split(key: str) -> tuple[str | None, str]:
    found = _NAME.fullmatch(key)
    return (found[1], found[2]) if found else (None, key)


def _invalid(what: str) -> BadInput:
    return BadInput("xml_invalid", f"{what}.")


def _doctype() -> BadInput:
    return BadInput("xml_doctype", "A document type is refused.")
