"""What identifiers are made of: a syntax that refuses, a canonical text, the edition."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pki.errors import BadInput

LONGEST: Final = 64
"""Characters; ub-common-name of RFC 5280. Longer text is refused before a pattern sees it."""


def quote(text: str, limit: int = 40) -> str:
    """
    Write `text` in quotes for a message or a log line: printable ASCII only, on one line.

    At most `limit` characters stand between the quotes; `...` follows where something was cut.
    """
    shown = ascii(text[:limit])
    if len(text) <= limit and len(shown) <= limit + 2:
        return shown
    return f"{shown[: limit + 1]}{shown[0]}..."


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    """What an identifier looks like, and what to say where it does not."""

    pattern: re.Pattern[str]
    code: str
    noun: str
    hint: str
    longest: int = LONGEST

    def match(self, text: str) -> re.Match[str]:
        """Match the whole of `text`. Raises BadInput with the code of this syntax."""
        found = self.pattern.fullmatch(text) if len(text) <= self.longest else None
        if found is None:
            raise self.refusal(text)
        return found

    def refusal(self, text: str) -> BadInput:
        """Return what is said of a text that is none."""
        return BadInput(self.code, f"{quote(text)} is not {self.noun}.", hint=self.hint)


def pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern in which `@` is an ASCII letter, `#` an ASCII letter or digit."""
    return re.compile(text.replace("@", "[A-Za-z]").replace("#", "[A-Za-z0-9]"), re.ASCII)


class Edition(StrEnum):
    """The edition of ISO 15118 that an identifier or a certificate follows."""

    ISO2 = "2"
    ISO20 = "20"


class CheckDigit(StrEnum):
    """What became of the check digit; never a reason to refuse, real contracts carry wrong ones."""

    ABSENT = "absent"
    GOOD = "good"
    WRONG = "wrong"
    NOT_JUDGED = "not_judged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """An identifier that is one canonical text; made by `parse`, equal only within its class."""

    value: str

    def __str__(self) -> str:
        return self.value
