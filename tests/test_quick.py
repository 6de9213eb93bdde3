"""Values that are made quickly are those that `dataclass` makes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import FrozenInstanceError, dataclass, field, replace
from inspect import signature
from typing import Any

import pytest

from pki.quick import quick


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    name: str
    number: int = 7
    more: Mapping[str, int] = field(default_factory=dict)
    said: str = field(default="", compare=False)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    name: str
    number: int = 7
    more: Mapping[str, int] = field(default_factory=dict)
    said: str = field(default="", compare=False)


@pytest.mark.parametrize(
    "given", [{"name": "a"}, {"name": "a", "number": 1, "more": {"b": 1}, "said": "c"}]
)
def test_a_value_says_what_that_of_a_dataclass_says(given: dict[str, Any]) -> None:
    one, other = Quick(**given), Plain(**given)
    assert type(one) is Quick
    assert repr(one) == repr(other).replace("Plain", "Quick")
    assert one == Quick(**given)
    assert one == replace(one, said="else")
    assert one != replace(one, name="else")
    assert copy(one) == one
    assert Quick(name="a").more is not Quick(name="a").more


def test_it_cannot_be_changed_and_has_no_further_fields() -> None:
    made = Quick(name="a")
    with pytest.raises(FrozenInstanceError):
        made.name = "b"  # type: ignore[misc]  # it is frozen
    with pytest.raises(FrozenInstanceError):
        del made.name
    assert not hasattr(made, "__dict__")


@pytest.mark.parametrize("given", [{}, {"name": "a", "other": 1}])
def test_what_a_dataclass_does_not_take_it_does_not_take(given: dict[str, Any]) -> None:
    for cls in (Quick, Plain):
        with pytest.raises(TypeError):
            cls(**given)


def test_its_fields_are_keywords() -> None:
    assert [str(p.kind) for p in signature(Quick).parameters.values()] == [
        str(p.kind) for p in signature(Plain).parameters.values()
    ]


def test_nothing_inherits_from_it() -> None:
    with pytest.raises(TypeError, match="Further inherits"):
        type("Further", (Quick,), {})


def test_what_does_more_behind_its_fields_is_refused() -> None:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Judged:
        name: str

        def __post_init__(self) -> None:
            raise ValueError(self.name)

    with pytest.raises(TypeError, match="Judged"):
        quick(Judged)
