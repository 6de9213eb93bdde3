"""Ids of decisions: their second in eight hexadecimal digits, then sixteen random ones."""

from __future__ import annotations

from typing import Final

_SECONDS: Final = 0xFFFFFFFF


def first_decision_id(second: int) -> str:
    """Return what every id of that second of 1970 to 2106 begins with, and none before it."""
    return f"{second & _SECONDS:08x}"
