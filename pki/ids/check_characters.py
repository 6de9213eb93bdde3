"""Check characters of contract and -20 identifiers: computed, never demanded."""

from __future__ import annotations

import re
from string import ascii_uppercase, digits
from typing import Final

from pki.ids.base import Syntax

_CHARACTERS: Final = digits + ascii_uppercase

# Method A (ISO 15118-2 Annex H) reads a character as a pair over mod 2 and a pair over mod 3 and
# weights position i with the i-th power of the matrices ((0 1)(1 1)) and ((0 1)(1 2)). By Horner's
# rule, from the last position to the first, that is an automaton with 2*2*3*3 = 36 states.


def _split(value: int) -> tuple[int, int, int, int]:
    return value // 18, value // 9 % 2, value % 9 // 3, value % 3


def _join(q1: int, q2: int, r1: int, r2: int) -> int:
    return 18 * q1 + 9 * q2 + 3 * r1 + r2


def _step(state: int, value: int) -> int:
    """Add the character `value` to `state` and multiply by both matrices once."""
    a1, a2, b1, b2 = (s + c for s, c in zip(_split(state), _split(value), strict=True))
    return _join(a2 % 2, (a1 + a2) % 2, b2 % 3, (b1 + 2 * b2) % 3)


def _close(state: int) -> str:
    """Return the character that brings the sums to zero at position 15."""
    a1, a2, b1, b2 = _split(state)
    return _CHARACTERS[_join(a1, a2, -b2 % 3, (b2 - b1) % 3)]


_STEPS: Final = tuple(
    {character: _step(state, value) for value, character in enumerate(_CHARACTERS)}
    for state in range(len(_CHARACTERS))
)
_CLOSINGS: Final = tuple(_close(state) for state in range(len(_CHARACTERS)))
_EXPANSIONS: Final = {character: str(value) for value, character in enumerate(_CHARACTERS)}
_MOD_11: Final = "0123456789X"
_ISO20_EXPANDED: Final = 28

_KEY_14 = Syntax(
    pattern=re.compile("[A-Z]{2}[A-Z0-9]{12}"),
    code="invalid_identifier",
    noun="the key of an EMAID",
    hint="It has 14 upper-case characters: country, provider (3), instance (9).",
)
_KEY_11 = Syntax(
    pattern=re.compile("[A-Z]{2}[A-Z0-9]{9}"),
    code="invalid_identifier",
    noun="the key of a DIN SPEC 91286 contract id",
    hint="It has 11 upper-case characters: country, provider (3), instance (6).",
)
_KEY_ISO20 = Syntax(
    pattern=re.compile("[A-Z0-9]+"),
    code="invalid_identifier",
    noun="an identifier without separators",
    hint="Use 1 to 255 upper-case letters and digits.",
    longest=255,
)


def check_character(key14: str) -> str:
    """
    Return the check character of a -2 EMAID (ISO 15118-2 Annex H).

    Args:
        key14: country, provider and instance: 14 upper-case characters.

    Raises:
        BadInput: `invalid_identifier`.
    """
    return _annex_h(_KEY_14.match(key14)[0])


def check_character_din(key11: str) -> str:
    """
    Return the check character (0 to 9 or X) of a DIN SPEC 91286 contract id.

    Args:
        key11: country, provider and 6-character instance: 11 upper-case characters.

    Raises:
        BadInput: `invalid_identifier`.
    """
    return _mod_11(_expand(_KEY_11.match(key11)[0]))


def check_character_iso20(text: str) -> str | None:
    """
    Return the check character (0 to 9 or X) of a -20 PCID, EVCCID or SECCID (Annex C).

    None above 28 expanded digits, where public sources contradict each other.

    Args:
        text: the identifier without its check digit, upper case, no separators.

    Raises:
        BadInput: `invalid_identifier`.
    """
    expanded = _expand(_KEY_ISO20.match(text)[0])
    return _mod_11(expanded) if len(expanded) <= _ISO20_EXPANDED else None


def _annex_h(key14: str) -> str:
    state = 0
    for character in reversed(key14):
        state = _STEPS[state][character]
    return _CLOSINGS[state]


def _expand(text: str) -> str:
    """Write every letter as two digits, A=10 to Z=35."""
    return "".join(_EXPANSIONS[character] for character in text)


def _mod_11(expanded: str) -> str:
    return _MOD_11[sum(int(digit) << k for k, digit in enumerate(expanded)) % 11]
