"""What a driver shows to charge: cards, keys of an app, key codes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Self

from pki.errors import BadInput
from pki.ids.base import quote

LONGEST_UID: Final = 36
"""Characters; CiString(36) of OCPI, identifierString[36] of OCPP 2.0.1."""

_PRINTABLE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?")
_CARD: Final = re.compile(r"[0-9A-F]{2}(?:[:. -]?[0-9A-F]{2})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialUid:
    """
    The uid of a credential; equal if the folded texts are.

    Attributes:
        value: upper case; of a card's octets in hexadecimal also without separators.
        presented: exactly as it came.
    """

    value: str
    presented: str = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read 1 to 36 printable ASCII characters without outer blanks; case does not matter.

        `04:a2:3b:c1` and `04A23BC1` name the same card.

        Raises:
            BadInput: `invalid_uid`.
        """
        if len(text) > LONGEST_UID or not _PRINTABLE.fullmatch(text):
            raise BadInput(
                "invalid_uid",
                f"{quote(text)} is no uid of a credential.",
                hint=f"Write 1 to {LONGEST_UID} printable ASCII characters.",
            )
        folded = text.upper()
        if _CARD.fullmatch(folded):
            folded = re.sub(r"[:. -]", "", folded)
        return cls(value=folded, presented=text)

    def __str__(self) -> str:
        return self.value


_PREFIX: Final = re.compile(r"[A-Z0-9+*]{1,36}")


def fold_prefix(text: str) -> str:
    """
    Return the head of an EMAID, EVSE id or uid: upper case without `-`, blanks and colons.

    `*` is dropped too, but for the form of DIN SPEC 91286, which begins with `+`.

    Raises:
        BadInput: `invalid_prefix`.
    """
    folded = re.sub(r"[-: ]", "", text).upper() if len(text) <= 2 * LONGEST_UID else ""
    if not folded.startswith("+"):
        folded = folded.replace("*", "")
    if not _PREFIX.fullmatch(folded) or not folded.isascii():
        raise BadInput(
            "invalid_prefix",
            f"{quote(text)} is no head of an identifier.",
            hint="Write letters and digits, such as DE8AAC1 or DE*ABC*E1.",
        )
    return folded
