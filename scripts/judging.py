"""What every judge of vectors shares: outcomes, and one case judged within its time."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

Result = Literal["passed", "failed", "skipped"]
Json = dict[str, Any]
TIME_LIMIT: Final = 5.0
"""Seconds that one case may take."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    The result of one case.

    Attributes:
        seen: what was seen; told where the case failed.
        report: a line to print although nothing failed, or empty.
        group: the class that decides how it is scored, or empty.
    """

    case: str
    result: Result
    seen: str = ""
    report: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What our code answered, in the words of the vectors, and why."""

    answer: str
    detail: str


def timed(judge: Callable[[], Verdict]) -> Verdict:
    """Judge one case; a crash, a slow answer or an unprintable one is the answer `broken`."""
    begun = time.monotonic()
    try:
        verdict = judge()
    except Exception as error:  # noqa: BLE001 - anything that escapes is what these vectors look for
        return Verdict("broken", f"{type(error).__name__}: {error}")
    if time.monotonic() - begun > TIME_LIMIT:
        return Verdict("broken", f"took more than {TIME_LIMIT} seconds")
    if not verdict.detail.isprintable():
        return Verdict("broken", "the answer holds control characters")
    return verdict


def octets(folder: Path, item: Json) -> bytes:
    """Return the octets of `{"file": …}` or `{"der": …}`."""
    if "file" in item:
        return (folder / str(item["file"])).read_bytes()
    return base64.b64decode(str(item["der"]))
