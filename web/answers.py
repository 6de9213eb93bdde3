"""Values to bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from flask import Response

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"

_NO_HEADERS: Final[Mapping[str, str]] = {}


def json_answer(
    body: dict[str, Any],
    status: int = 200,
    *,
    headers: Mapping[str, str] = _NO_HEADERS,
    media_type: str = JSON,
) -> Response:
    """Return a JSON answer."""
    return Response(orjson.dumps(body), status, dict(headers), content_type=media_type)


def json_list(body: list[dict[str, Any]]) -> Response:
    """Return a JSON answer that is a list."""
    return Response(orjson.dumps(body), content_type=JSON)
