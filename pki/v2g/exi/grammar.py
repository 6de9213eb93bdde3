"""
Event codes, derived from the tables of a schema by the rules of EXI 1.0.

Every state offers a list of productions numbered from 0, in this order: attributes up to the first
required one, children that may come next, the end, untyped characters. With n productions a code
takes ceil(log2(n + 1)) bits, because value n is the escape to undeclared content (strict is off).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache
from typing import Final

from pki.v2g.exi.schema import STRING, TEXT, Attribute, Choice, Complex, Element, Simple

END: Final = "/"
"""Name under which a state lists its end; no element can have it."""
MAX_REPEATS: Final = 64
"""Elements of one name under one parent where the schema sets no limit."""


class Event(Enum):
    """What a production stands for."""

    ATTRIBUTE = auto()
    ELEMENT = auto()
    TEXT = auto()
    END = auto()


@dataclass(frozen=True, slots=True, eq=False)
class Production:
    """
    One event that a state allows.

    Attributes:
        type: of the value; None for what is declared and refused.
        target: index of the state that follows.
        many: the element goes into a list.
    """

    event: Event
    name: str
    type: Simple | Grammar | None
    target: int
    many: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """
    What may come at one place.

    Attributes:
        size: number of productions; the code with this value is the escape.
        by_code: productions that are used; the relaxed grammar leaves most of its codes out.
    """

    size: int
    by_code: dict[int, Production]
    by_name: dict[str, tuple[int, Production]]
    bits: int

    @classmethod
    def of(cls, size: int, by_code: dict[int, Production]) -> State:
        """Return a state of `size` productions."""
        names = {production.name: (code, production) for code, production in by_code.items()}
        return cls(size, by_code, names, size.bit_length())


@dataclass(frozen=True, slots=True, eq=False)
class Grammar:
    """
    The states of one type; the first is where an element begins.

    Attributes:
        names: attributes, children and `TEXT` in the order in which they are written.
    """

    states: tuple[State, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Place:
    """How far an element has come: attributes passed, children passed, repeats of the next one."""

    attribute: int = 0
    child: int = 0
    count: int = 0
    text_done: bool = False


@dataclass(slots=True)
class _Builder:
    type: Complex
    places: dict[_Place, int] = field(default_factory=dict)

    def build(self) -> Grammar:
        self._index(_Place())
        states: list[State] = []
        while len(states) < len(self.places):
            place = list(self.places)[len(states)]
            productions = list(self._productions(place))
            states.append(State.of(len(productions), dict(enumerate(productions))))
        return Grammar(tuple(states), tuple(_names(self.type)))

    def _index(self, place: _Place) -> int:
        return self.places.setdefault(place, len(self.places))

    def _productions(self, place: _Place) -> Iterator[Production]:
        for index in range(place.attribute, len(self.type.attributes)):
            attribute = self.type.attributes[index]
            yield self._attribute(attribute, index)
            if attribute.required:
                return
        if self.type.text is not None and not place.text_done:
            after = _Place(attribute=len(self.type.attributes), text_done=True)
            yield Production(Event.TEXT, TEXT, self.type.text, self._index(after))
            return
        yield from self._children(place)

    def _attribute(self, attribute: Attribute, index: int) -> Production:
        target = self._index(_Place(attribute=index + 1))
        return Production(Event.ATTRIBUTE, attribute.name, STRING, target)

    def _children(self, place: _Place) -> Iterator[Production]:
        count = place.count
        for index in range(place.child, len(self.type.content)):
            particle = self.type.content[index]
            elements, least, most = _bounds(particle)
            if most is None or count < most:
                target = self._target(index, count + 1, least, most)
                for element in elements:
                    yield _element(element, target)
            if count < least:
                return
            count = 0
        yield Production(Event.END, END, None, 0)
        if self.type.mixed:
            yield Production(Event.TEXT, TEXT, None, 0)

    def _target(self, index: int, count: int, least: int, most: int | None) -> int:
        """Return the state behind one more of particle `index`; all beyond `least` are alike."""
        if most is None:
            count = min(count, max(least, 1))
        return self._index(_Place(len(self.type.attributes), index, count))


def _bounds(particle: Element | Choice) -> tuple[tuple[Element, ...], int, int | None]:
    if isinstance(particle, Choice):
        return particle.elements, 0 if particle.optional else 1, 1
    return (particle,), particle.least, particle.most


def _element(element: Element, target: int) -> Production:
    kind = compile_type(element.type) if isinstance(element.type, Complex) else element.type
    return Production(Event.ELEMENT, element.name, kind, target, many=element.most != 1)


def _names(type_: Complex) -> Iterator[str]:
    yield from (attribute.name for attribute in type_.attributes)
    if type_.text is not None:
        yield TEXT
    for particle in type_.content:
        yield from (element.name for element in _bounds(particle)[0])


@cache
def compile_type(type_: Complex) -> Grammar:
    """Return the grammar of a type; each is built once."""
    return _Builder(type_).build()


def relaxed(attribute: str, attribute_code: int, attributes: int, elements: int) -> Grammar:
    """
    Return the relaxed element fragment grammar (EXI 1.0 8.5.3), for a string with one attribute.

    It serves a name that the schema declares with several types. Its first state lists all
    attribute names of the schema set, a wildcard attribute, all element names, a wildcard element,
    the end and characters; the second the same without attributes.
    """
    first = attributes + 1 + elements + 3
    second = elements + 3
    text = Production(Event.TEXT, TEXT, STRING, 2)
    end = Production(Event.END, END, None, 0)
    name = Production(Event.ATTRIBUTE, attribute, STRING, 1)
    states = (
        State.of(first, {attribute_code: name}),
        State.of(first, {first - 1: text}),
        State.of(second, {second - 2: end}),
    )
    return Grammar(states, (attribute, TEXT))


@dataclass(frozen=True, slots=True, eq=False)
class Root:
    """
    Where a stream begins: the elements that we know of many.

    Attributes:
        bits: width of the root's code.
        codes: number of codes in use; there is no escape here.
        end: code of the end of a fragment; a document has none.
    """

    bits: int
    codes: int
    elements: dict[str, tuple[int, Grammar]]
    end: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Schema:
    """
    One schema set: what its documents and fragments begin with.

    Attributes:
        ambiguous: names whose content is written otherwise in a fragment than in a document.
    """

    namespace: str
    fragment: Root
    document: Root | None = None
    ambiguous: frozenset[str] = frozenset()
