"""Frozen values, made quickly."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any, Final, NoReturn, TypeVar

Value = TypeVar("Value")

_UNSET: Final = object()


def quick(cls: type[Value]) -> type[Value]:
    """
    Have a frozen dataclass of keywords set its fields as any other class does.

    `dataclass` sets each by a call of a function, which every decision would pay for fifty fields.
    Here a value is of a class of its own, whose fields can be set, until it has all of them. Such a
    class is not inherited from.

    Raises:
        TypeError: the class has something that is done behind `__init__`.
    """
    if hasattr(cls, "__post_init__") or not all(each.init for each in fields(cls)):  # type: ignore[arg-type]  # it is one
        raise TypeError(f"{cls.__name__} cannot be made quickly")
    names: dict[str, Any] = {"become": object.__setattr__, "whole": cls, "unset": _UNSET}
    names["open"] = type(
        f"_Open{cls.__name__}",
        (cls,),
        {"__slots__": (), "__setattr__": object.__setattr__, "__delattr__": object.__delattr__},
    )
    takes, sets = [], []
    for each in fields(cls):  # type: ignore[arg-type]  # it is one
        take, value = _parameter(each, names)
        takes.append(take)
        sets.append(f" self.{each.name} = {value}\n")
    text = (
        f"def __init__(self, *, {', '.join(takes)}):\n"
        f" become(self, '__class__', open)\n{''.join(sets)} self.__class__ = whole\n"
    )
    exec(text, names)  # noqa: S102 - names of our fields, as `dataclass` does it
    cls.__init__ = names["__init__"]  # type: ignore[method-assign]  # what `dataclass` made
    cls.__init_subclass__ = classmethod(_refuse)  # type: ignore[assignment]  # mypy knows no other
    return cls


def _parameter(each: Field[Any], names: dict[str, Any]) -> tuple[str, str]:
    """Return how a field is taken, and what it is set to."""
    name = each.name
    if each.default is not MISSING:
        names[f"default_{name}"] = each.default
        return f"{name}=default_{name}", name
    if each.default_factory is not MISSING:
        names[f"make_{name}"] = each.default_factory
        return f"{name}=unset", f"make_{name}() if {name} is unset else {name}"
    return name, name


def _refuse(cls: type) -> NoReturn:
    raise TypeError(f"{cls.__name__} inherits from a class of values that are made quickly")
