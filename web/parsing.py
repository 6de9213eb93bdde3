"""Bytes to values: every limit on size and count, and bodies of our own API read strictly."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, Self, TypeVar

import orjson
from flask import Request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from pki.errors import BadInput
from pki.ids import quote

MAX_BODY: Final = 256 * 1024
"""Octets of any body; 50 certificates fit, so that they can be answered with a verdict."""

MAX_OCPP_BODY: Final = 64 * 1024
"""Octets; four times what the longest AuthorizeRequest of OCPP 2.1 needs."""

MAX_FILE: Final = 2 * 1024 * 1024
"""Octets of a CSV file; ten thousand agreements have half of it."""

MAX_DISCARDED: Final = 32 * 1024 * 1024
"""Octets that are read and thrown away so that an answer can be heard."""

MAX_DEPTH: Final = 32
"""Levels of JSON; no body of ours has more than three, customData of OCPP may have some."""

MAX_TEXT: Final = 255
MAX_CERTIFICATES: Final = 10
MAX_HASH_DATA: Final = 4
MAX_STATION_ID: Final = 64
MAX_BEARER_TOKEN: Final = 4096
DEFAULT_PAGE: Final = 100
MAX_PAGE: Final = 500

_CHUNK: Final = 64 * 1024
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_STATION_ID: Final = re.compile(rf"[ -~]{{1,{MAX_STATION_ID}}}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Choice = TypeVar("Choice", bound=StrEnum)


class ContentEncoded(UnsupportedMediaType):
    """A body is compressed, or coded in another way (RFC 7694 3)."""

    description = "The body has a Content-Encoding, which nothing here reads."


def json_object(request: Request, limit: int = MAX_BODY) -> dict[str, object]:
    """
    Return the body of a request, a JSON object of at most `limit` octets.

    Raises:
        UnsupportedMediaType: the body is not declared as plain `application/json`.
        RequestEntityTooLarge: told by Content-Length, before anything is read, or while reading.
        BadInput: `json_invalid`, `body_not_object`, `json_too_deep`, `json_name_repeated`.
    """
    # one octet more: of a chunked body, werkzeug hands out the limit and drops the rest in silence
    _require_json(request.mimetype, request.headers.get("Content-Encoding"))
    request.max_content_length = limit + 1
    return object_of(request.get_data(cache=False), limit)


def csv_text(request: Request) -> str:
    """
    Return the body of a request, a CSV file of at most MAX_FILE octets in UTF-8.

    Raises:
        UnsupportedMediaType: the body is not declared as plain `text/csv`.
        RequestEntityTooLarge: as `json_object`.
        BadInput: `invalid_csv`.
    """
    require_plain(request.headers.get("Content-Encoding"))
    if request.mimetype != "text/csv":
        raise UnsupportedMediaType
    request.max_content_length = MAX_FILE + 1
    body = request.get_data(cache=False)
    if len(body) > MAX_FILE:
        raise RequestEntityTooLarge
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadInput("invalid_csv", "The file is not UTF-8.") from error


def json_of(headers: Mapping[str, str], body: bytes, limit: int) -> dict[str, object]:
    """Return what `json_object` does, of header fields in lower case and a body."""
    require_json(headers)
    return object_of(body, limit)


def require_json(headers: Mapping[str, str]) -> None:
    """Return if header fields in lower case declare JSON. Raises UnsupportedMediaType."""
    declared = headers.get("content-type", "").partition(";")[0].strip().lower()
    _require_json(declared, headers.get("content-encoding"))


def require_plain(encoding: str | None) -> None:
    """Return if a body stands there as it is. Raises ContentEncoded."""
    if encoding is not None and encoding.lower() != "identity":
        raise ContentEncoded


def _require_json(declared: str, encoding: str | None) -> None:
    require_plain(encoding)
    if declared != "application/json":
        raise UnsupportedMediaType


def object_of(body: bytes, limit: int) -> dict[str, object]:
    """Return a body, a JSON object of at most `limit` octets. Raises as `json_object`."""
    if len(body) > limit:
        raise RequestEntityTooLarge
    value = _json(body)
    if not isinstance(value, dict):
        raise BadInput("body_not_object", "The body is not a JSON object.")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise BadInput("json_too_deep", f"The body has more than {MAX_DEPTH} levels.")
    if _could_repeat(body, value):
        json.loads(body, object_pairs_hook=_named_once, parse_int=str, parse_float=str)
    return value


def _could_repeat(body: bytes, value: dict[str, object]) -> bool:
    """
    Tell whether an object of the body may name a member twice, of which the parser keeps the last.

    A body without repetition has one colon for each member and those inside of its strings; only
    where the sum differs, or a colon may hide in an escape, is it worth a second, slower reading.
    """
    inner = (len(member) for member in value.values() if type(member) is dict)
    if body.count(b":") == len(value) + sum(inner):
        return False  # each member has its colon, and there are no others
    if b"\\u003" in body:
        return True
    colons = 0
    waiting: list[object] = [value]
    while waiting:
        match waiting.pop():
            case str(text):
                colons += text.count(":")
            case list(items):
                waiting += items
            case dict(members):
                colons += len(members)
                waiting += members.keys()
                waiting += members.values()
            case _:
                pass
    return colons != body.count(b":")


def _named_once(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) < len(members):
        counts = Counter(name for name, _ in members)
        twice = next(name for name, count in counts.items() if count > 1)
        raise BadInput(
            "json_name_repeated",
            f"An object of the body names {quote(twice)} twice.",
            hint="Two readers of such a body may see two different requests (RFC 8259 4).",
        )
    return found


def discard_rest(request: Request) -> None:
    """
    Read what a refused caller still sends, within bounds.

    One who sends before reading would see a reset connection in place of the answer.
    """
    if not request.environ.get("wsgi.input_terminated"):
        return  # where the body ends is known to the server alone
    stream, left = request.environ["wsgi.input"], MAX_DISCARDED
    try:
        while left > 0 and (data := stream.read(min(left, _CHUNK))):
            left -= len(data)
    except OSError:
        return  # the caller is gone, or stalls


def _json(body: bytes) -> object:
    try:
        value: object = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadInput("json_invalid", f"The body is not JSON: {error.msg} ({where}).") from error
    return value


def _deeper_than(value: object, limit: int) -> bool:
    """Walk level by level: recursion would hand the caller our stack."""
    level = [value]
    for _ in range(limit):
        level = [inner for item in level for inner in _children(item)]
        if not level:
            return False
    return True


def _children(value: object) -> Collection[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


@dataclass(frozen=True, slots=True)
class Fields:
    """
    An object of our own API: nothing unknown in it, every value of the type that is asked for.

    Args:
        where: prefix of field names in messages.
    """

    values: Mapping[str, object]
    where: str = ""

    @classmethod
    def of(cls, value: object, known: Collection[str], where: str = "") -> Self:
        """
        Take an object whose fields are all among `known`.

        Raises:
            BadInput: `wrong_type`, `unknown_field`.
        """
        if not isinstance(value, dict):
            raise _wrong_type(where.rstrip("."), "an object")
        for name in value:
            if name not in known:
                raise BadInput(
                    "unknown_field",
                    f"There is no field {quote(where + name)} here.",
                    hint="Known fields: " + ", ".join(sorted(known)) + ".",
                    data={"field": quote(where + name).strip("'\"")},
                )
        return cls(value, where)

    def text(self, name: str, *, longest: int = MAX_TEXT) -> str | None:
        """
        Return a line of text, or None where the field is absent.

        Raises:
            BadInput: `wrong_type`, `too_long`, `invalid_characters` (control characters).
        """
        if name not in self.values:
            return None
        value = self.lines(name, longest=longest)
        if value is not None and _CONTROL.search(value):
            raise BadInput(
                "invalid_characters",
                f"{self.where}{name} holds control characters.",
                data={"field": self.where + name},
            )
        return value

    def lines(self, name: str, *, longest: int) -> str | None:
        """Return text that may have lines, such as PEM; errors as `text`."""
        value = self.values.get(name)
        if name not in self.values:
            return None
        if not isinstance(value, str):
            raise _wrong_type(self.where + name, "a string")
        if len(value) > longest:
            raise BadInput(
                "too_long",
                f"{self.where}{name} has more than {longest} characters.",
                data={"field": self.where + name, "limit": longest},
            )
        return value

    def needed(self, name: str) -> str:
        """Return a line of text that must be there. Raises as `text`, and `field_missing`."""
        value = self.text(name)
        if value is None:
            raise BadInput(
                "field_missing",
                f"The field {self.where}{name} is missing.",
                data={"field": self.where + name},
            )
        return value

    def choice(self, name: str, kind: type[Choice], known: Collection[Choice]) -> Choice | None:
        """Return one of the known values, or None. Raises as `text`, and `invalid_value`."""
        number = self.values.get(name)
        # `"edition": 20` means the same as `"edition": "20"`
        value = str(number) if type(number) is int else self.text(name)
        if value is None:
            return None
        return one_of(self.where + name, value, kind, known)

    def flag(self, name: str) -> bool:
        """Return a boolean, false where it is absent. Raises BadInput (`wrong_type`)."""
        value = self.values.get(name, False)
        if not isinstance(value, bool):
            raise _wrong_type(self.where + name, "true or false")
        return value


def one_of(name: str, value: str, kind: type[Choice], known: Collection[Choice]) -> Choice:
    """Return the member that `value` names. Raises BadInput (`invalid_value`)."""
    if value in known:
        return kind(value)
    raise BadInput(
        "invalid_value",
        f"{quote(value)} is no value of {name}.",
        hint="One of: " + ", ".join(member.value for member in known) + ".",
        data={"field": name},
    )


def query(request: Request, known: Collection[str]) -> Fields:
    """
    Return the query parameters.

    Raises:
        BadInput: `unknown_parameter`, `parameter_repeated`.
    """
    for name, values in request.args.lists():
        if name not in known:
            raise BadInput(
                "unknown_parameter",
                f"There is no parameter {quote(name)} here.",
                hint="Known parameters: " + ", ".join(sorted(known)) + ".",
            )
        if len(values) > 1:
            raise BadInput("parameter_repeated", f"The parameter {name} stands twice.")
    return Fields(request.args.to_dict())


def page_size(fields: Fields) -> int:
    """Return `limit`, 1 to MAX_PAGE. Raises BadInput (`invalid_limit`)."""
    text = fields.text("limit", longest=MAX_TEXT)
    if text is None:
        return DEFAULT_PAGE
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= MAX_PAGE:
        raise BadInput("invalid_limit", f"limit is a number from 1 to {MAX_PAGE}.")
    return int(text)


def days_of(fields: Fields, default: int = 30) -> int:
    """Return `days`. Raises BadInput (`invalid_days`)."""
    text = fields.text("days", longest=MAX_TEXT)
    if text is None:
        return default
    if not re.fullmatch("[0-9]{1,4}", text):
        raise BadInput("invalid_days", "days is a number of days.")
    return int(text)


def request_id(request: Request) -> str | None:
    """Return the caller's X-Request-Id where it is fit for logs, else None."""
    return fit_request_id(request.headers.get("X-Request-Id", ""))


def fit_request_id(given: str) -> str | None:
    """Return an id that a caller gave where it is fit for logs, else None."""
    return given if _REQUEST_ID.fullmatch(given) else None


class HeaderFields(Protocol):
    """Header fields as Flask has them, or by names in lower case."""

    def get(self, key: str, /) -> str | None:
        """Return a field, or None."""


def station_header(headers: HeaderFields, name: str) -> str | None:
    """Return a header that says where the car stands. Raises BadInput (`invalid_header`)."""
    value = headers.get(name.lower())
    return value if value is None else station_text(name, value)


def station_text(name: str, value: str) -> str:
    """Return what names a station or EVSE. Raises BadInput (`invalid_header`)."""
    if _STATION_ID.fullmatch(value):
        return value
    raise BadInput(
        "invalid_header",
        f"{name} has 1 to {MAX_STATION_ID} printable ASCII characters.",
        data={"header": name},
    )


def _wrong_type(field: str, wanted: str) -> BadInput:
    return BadInput(
        "wrong_type",
        f"{field or 'The body'} is not {wanted}.",
        data={"field": field},
    )
