"""
Shapes of OCPI objects, as data: which fields there are, of what kind and how long.

Fields that are not listed are let through, as OCPI 2.3.0 demands. A fault names the field by its
path, such as `cdr_token.uid`; every one of them is told as status 2001.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from pki.errors import BadInput
from pki.ids import quote
from pki.roaming.ocpi.text import parse_time

Check = Callable[[object, str], None]
"""Takes a value and the path of its field; raises BadInput."""

Json = Mapping[str, object]

_CI: Final = re.compile(r"[ -~]+")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LARGEST: Final = 1e12
MAX_URL: Final = 255
MAX_ITEMS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object; one that is not `needed` may be absent or null."""

    name: str
    check: Check
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Shape:
    """An object and its fields."""

    fields: tuple[Field, ...]

    def check(self, value: object, where: str = "", *, partial: bool = False) -> None:
        """
        Return if `value` has this shape.

        Args:
            where: path of the object within the body.
            partial: of a PATCH: what is absent stays as it is.

        Raises:
            BadInput: `ocpi_wrong_type`, `ocpi_field_missing`, or of the field's own check.
        """
        if not isinstance(value, dict):
            raise wrong_type(where or "data", "an object")
        for field in self.fields:
            path = f"{where}.{field.name}" if where else field.name
            inner = value.get(field.name)
            if inner is not None:
                field.check(inner, path)
            elif field.needed and not (partial and field.name not in value):
                raise missing(path)

    def __call__(self, value: object, where: str) -> None:
        """Check, as the kind of a field."""
        self.check(value, where)

    def with_fields(self, *fields: Field) -> Shape:
        """Return a shape in which these fields are added, or stand in for those of their names."""
        names = {field.name for field in fields}
        return Shape((*(f for f in self.fields if f.name not in names), *fields))


def missing(field: str) -> BadInput:
    """Return the error of an absent field."""
    return BadInput("ocpi_field_missing", f"The field {field} is missing.", data={"field": field})


def wrong_type(field: str, wanted: str) -> BadInput:
    """Return the error of a field of another type."""
    return BadInput("ocpi_wrong_type", f"{field} is not {wanted}.", data={"field": field})


def _too_long(field: str, limit: int) -> BadInput:
    return BadInput(
        "ocpi_too_long",
        f"{field} has more than {limit} characters.",
        data={"field": field, "limit": limit},
    )


def ci(longest: int, shortest: int = 1) -> Check:
    """Take a CiString: printable ASCII."""

    def check(value: object, where: str) -> None:
        text = _text(value, where, longest)
        if len(text) < shortest or not _CI.fullmatch(text):
            raise BadInput(
                "ocpi_invalid_characters",
                f"{where} is {quote(text)}, not {shortest} to {longest} printable ASCII "
                "characters.",
                data={"field": where},
            )

    return check


def string(longest: int) -> Check:
    """Take a string of printable characters, perhaps none."""

    def check(value: object, where: str) -> None:
        if _CONTROL.search(_text(value, where, longest)):
            raise BadInput(
                "ocpi_invalid_characters",
                f"{where} holds control characters.",
                data={"field": where},
            )

    return check


def _text(value: object, where: str, longest: int) -> str:
    if not isinstance(value, str):
        raise wrong_type(where, "a string")
    if len(value) > longest:
        raise _too_long(where, longest)
    return value


def url(value: object, where: str) -> None:
    """Take a URL of at most 255 characters; whether it may be called is asked elsewhere."""
    text = _text(value, where, MAX_URL)
    if not re.match(r"https?://[!-~]+\Z", text):
        raise BadInput(
            "ocpi_invalid_url", f"{where} is no http or https URL.", data={"field": where}
        )


def time(value: object, where: str) -> None:
    """Take a DateTime."""
    parse_time(_text(value, where, MAX_URL), where)


def number(value: object, where: str) -> None:
    """Take a JSON number; text that looks like one is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(where, "a number")
    if not math.isfinite(value) or abs(value) > _LARGEST:
        raise BadInput(
            "ocpi_number_too_large", f"{where} is out of any range.", data={"field": where}
        )


def integer(value: object, where: str) -> None:
    """Take a whole number."""
    number(value, where)
    if not isinstance(value, int):
        raise wrong_type(where, "a whole number")


def flag(value: object, where: str) -> None:
    """Take true or false."""
    if not isinstance(value, bool):
        raise wrong_type(where, "true or false")


def any_object(value: object, where: str) -> None:
    """Take any object."""
    if not isinstance(value, dict):
        raise wrong_type(where, "an object")


def one_of(values: Iterable[str]) -> Check:
    """Take a member of a closed enumeration."""
    known = frozenset(values)

    def check(value: object, where: str) -> None:
        if not isinstance(value, str):
            raise wrong_type(where, "a string")
        if value not in known:
            raise BadInput(
                "ocpi_invalid_value",
                f"{quote(value)} is no value of {where}.",
                hint="One of: " + ", ".join(sorted(known)) + ".",
                data={"field": where},
            )

    return check


def many(check: Check, *, least: int = 0, most: int = MAX_ITEMS) -> Check:
    """Take a list of things that pass `check`."""

    def check_all(value: object, where: str) -> None:
        if not isinstance(value, list):
            raise wrong_type(where, "a list")
        if not least <= len(value) <= most:
            raise BadInput(
                "ocpi_wrong_count",
                f"{where} has {len(value)} entries, not {least} to {most}.",
                data={"field": where},
            )
        for index, item in enumerate(value):
            check(item, f"{where}[{index}]")

    return check_all


def matching(pattern: str, wanted: str) -> Check:
    """Take text of a pattern."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: object, where: str) -> None:
        if not compiled.fullmatch(_text(value, where, MAX_URL)):
            raise BadInput("ocpi_invalid_value", f"{where} is not {wanted}.", data={"field": where})

    return check


def shape(needed: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Shape:
    """Return the shape with these fields."""
    return Shape(
        (
            *(Field(name, check) for name, check in needed.items()),
            *(Field(name, check, needed=False) for name, check in (optional or {}).items()),
        )
    )


def text_of(values: Json, name: str) -> str | None:
    """Return a field that was checked to be text, or None."""
    value = values.get(name)
    return value if isinstance(value, str) else None


def needed_text(values: Json, name: str) -> str:
    """Return a field that was checked to be there. Raises BadInput (`ocpi_field_missing`)."""
    value = text_of(values, name)
    if value is None:
        raise missing(name)
    return value
