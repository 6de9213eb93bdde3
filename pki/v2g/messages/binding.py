"""
Dataclasses to trees and back, by what stands beside each field.

A field says where its value stands (`At`) and how long the schema lets it be (`Length`). Lengths
are not part of reading: real messages break them, so `length_faults` reports and the caller
decides.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import Field, dataclass, fields, is_dataclass
from enum import StrEnum
from functools import cache
from typing import (
    Annotated,
    Any,
    ClassVar,
    Protocol,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from pki.errors import BadInput
from pki.v2g.exi import TEXT, Tree, Value

T = TypeVar("T")


class DataclassInstance(Protocol):
    """Any dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]


@dataclass(frozen=True, slots=True)
class At:
    """Name of the attribute or element; with `inner`, the child of that element that counts."""

    name: str
    inner: str = ""


@dataclass(frozen=True, slots=True)
class Length:
    """Octets or characters that the schema allows, of each item where the field is a tuple."""

    most: int
    least: int = 0


@dataclass(frozen=True, slots=True)
class _Field:
    """A bound field: `kind` is the type of one item."""

    attribute: str
    at: At
    kind: type
    many: bool
    optional: bool
    length: Length | None


@cache
def _bound(owner: type[DataclassInstance]) -> tuple[_Field, ...]:
    hints = get_type_hints(owner, include_extras=True)
    return tuple(_bind(field.name, hints[field.name]) for field in fields(owner))


def _bind(attribute: str, hint: object) -> _Field:
    annotated, *extras = get_args(hint)
    at = next(extra for extra in extras if isinstance(extra, At))
    length = next((extra for extra in extras if isinstance(extra, Length)), None)
    many, optional, kind = False, False, annotated
    if get_origin(annotated) is tuple:
        many, kind = True, get_args(annotated)[0]
    elif get_origin(annotated) in (types.UnionType, Union):
        optional, kind = True, get_args(annotated)[0]
    return _Field(attribute, at, kind, many, optional, length)


def to_tree(value: DataclassInstance) -> Tree:
    """Return the tree of a message or a part of one; what is None or empty is left out."""
    tree: Tree = {}
    for field in _bound(type(value)):
        item = getattr(value, field.attribute)
        if item is None or (field.many and not item):
            continue
        content = [_out(each) for each in item] if field.many else _out(item)
        tree[field.at.name] = {field.at.inner: content} if field.at.inner else content
    return tree


def _out(value: object) -> Value:
    return (
        to_tree(value)
        if is_dataclass(value) and not isinstance(value, type)
        else cast("Value", value)
    )


def from_tree(owner: type[T], tree: Tree) -> T:
    """
    Return the value that a tree stands for.

    Raises:
        BadInput: `exi_incomplete`, where the tree is not one that the schema allows.
    """
    bound = _bound(cast("type[DataclassInstance]", owner))
    return owner(**{field.attribute: _read(field, tree) for field in bound})


def _read(field: _Field, tree: Tree) -> object:
    content = tree.get(field.at.name)
    if field.at.inner and isinstance(content, dict):
        content = content.get(field.at.inner)
    if content is None:
        if field.many:
            return ()
        if field.optional:
            return None
        raise BadInput("exi_incomplete", f"{field.at.name} is missing.")
    if field.many:
        return tuple(_in(field.kind, each) for each in cast("list[Value]", content))
    return _in(field.kind, content)


def _in(kind: type, value: Value) -> object:
    if isinstance(value, dict):
        return from_tree(kind, value)
    return kind(str(value)) if issubclass(kind, StrEnum) else value


def length_faults(value: DataclassInstance, name: str = "") -> Iterator[str]:
    """Yield one sentence for every value that is longer or shorter than its schema allows."""
    for field in _bound(type(value)):
        item = getattr(value, field.attribute)
        own = name if field.at.name == TEXT else field.at.inner or field.at.name
        for each in item if field.many else (item,):
            if is_dataclass(each) and not isinstance(each, type):
                yield from length_faults(each, own)
            elif field.length is not None and each is not None:
                yield from _length_fault(own, field.length, len(each))


def _length_fault(name: str, length: Length, size: int) -> Iterator[str]:
    if not length.least <= size <= length.most:
        allowed = f"{length.least} to {length.most}" if length.least < length.most else length.most
        yield f"{name} has a length of {size}, the schema allows {allowed}."


Id = Annotated[str, At("Id")]
OptionalId = Annotated[str | None, At("Id")]
