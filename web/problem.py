"""What is told of an error, whatever protocol it is told in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pki.errors import JsonValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is told of an error, before it takes the form of a protocol."""

    status: int
    code: str
    detail: str
    hint: str | None = None
    data: Mapping[str, JsonValue] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
