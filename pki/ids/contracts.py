"""Contract identifiers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Self

from pki.ids.base import CheckDigit, Edition, Syntax, pattern
from pki.ids.check_characters import check_character, check_character_din
from pki.ids.parties import ProviderId
from pki.quick import quick

_EMAID_2 = Syntax(
    pattern=pattern("(@{2})-?(#{3})-?(#{9})(?:-?(#))?"),
    code="invalid_emaid",
    noun="an EMAID of ISO 15118-2",
    hint="Write 14 or 15 letters and digits, such as DE-8AA-CA2B3C4D5-L.",
)
_USUAL: Final = re.compile("[A-Z]{2}[A-Z0-9]{12,13}")
"""Of the former, as nearly all certificates have it."""
_KEY: Final = 14
_ISO2: Final = Edition.ISO2
_ABSENT: Final = CheckDigit.ABSENT
"""Looking up a member of an enumeration takes a while."""

_EMAID_20 = Syntax(
    pattern=pattern("(@{2})-?(#{3})-?(#{8,30})-?(#)"),
    code="invalid_emaid",
    noun="an EMAID of ISO 15118-20",
    hint="Write 14 to 36 letters and digits, country and provider first.",
)


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Emaid:
    """
    A contract identifier; two are equal if edition and key are.

    Attributes:
        key: canonical. -2: 14 upper-case characters, check digit cut off. -20: the whole
            identifier, upper case without separators, 14 to 36 characters, never cut.
        presented: exactly as it came.
        check_digit: verdict over the presented check digit; -20 is not judged.
    """

    edition: Edition
    key: str
    presented: str = field(compare=False)
    check_digit: CheckDigit = field(compare=False)

    @classmethod
    def parse(cls, text: str, edition: Edition) -> Self:
        """
        Read an EMAID; each separator `-` is optional on its own, case does not matter.

        Raises:
            BadInput: `invalid_emaid`.
        """
        if edition is _ISO2 and _USUAL.fullmatch(text):
            key, last = text[:_KEY], text[_KEY:]
            verdict = _judge(last, check_character(key)) if last else _ABSENT
            return cls(edition=edition, key=key, presented=text, check_digit=verdict)
        syntax = _EMAID_2 if edition is Edition.ISO2 else _EMAID_20
        country, provider, instance, last = syntax.match(text).groups(default="")
        key = f"{country}{provider}{instance}".upper()
        if edition is Edition.ISO20:
            key, verdict = key + last.upper(), CheckDigit.NOT_JUDGED
        else:
            verdict = _judge(last.upper(), check_character(key)) if last else CheckDigit.ABSENT
        return cls(edition=edition, key=key, presented=text, check_digit=verdict)

    @property
    def provider(self) -> ProviderId:
        """Country and provider: whose contract it is."""
        return ProviderId(value=self.key[:5])

    @property
    def normalised(self) -> str:
        """As presented, in upper case without separators: 14 or 15 characters, -20 the key."""
        return self.presented.upper().replace("-", "")

    @property
    def check_character(self) -> str | None:
        """What belongs to the key; None for -20, whose method is not settled."""
        return check_character(self.key) if self.edition is Edition.ISO2 else None

    @property
    def with_check_character(self) -> str:
        """The key and its check character, 15 characters; for -20 the key."""
        return self.key + (self.check_character or "")

    @property
    def display(self) -> str:
        """With separators and, for -2, the computed check character: `DE-8AA-CA2B3C4D5-L`."""
        parts = [self.key[:2], self.key[2:5], self.key[5:], self.check_character]
        return "-".join(part for part in parts if part)

    def __str__(self) -> str:
        return self.normalised


def _judge(given: str, computed: str) -> CheckDigit:
    if not given:
        return CheckDigit.ABSENT
    return CheckDigit.GOOD if given == computed else CheckDigit.WRONG


_EVCO_ID = Syntax(
    pattern=pattern("(@{2})[*-]?(#{3})[*-]?(#{6})(?:[*-]?([0-9Xx]))?"),
    code="invalid_evco_id",
    noun="a contract id of DIN SPEC 91286",
    hint="Write it as NL-TNM-012204-5.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DinEvcoId:
    """
    A contract identifier in the legacy form of DIN SPEC 91286.

    Attributes:
        key: 12 upper-case characters: country, provider, instance (6) and the check digit, the
            presented one even if it is wrong (it becomes part of the newer identifiers), else
            the computed one.
        presented: exactly as it came.
        check_digit: verdict over the presented check digit.
    """

    key: str
    presented: str = field(compare=False)
    check_digit: CheckDigit = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read the form with 6-character instance, separators `-` or `*`, check digit 0-9 or X.

        Raises:
            BadInput: `invalid_evco_id`.
        """
        country, provider, instance, last = _EVCO_ID.match(text).groups(default="")
        key11, given = f"{country}{provider}{instance}".upper(), last.upper()
        computed = check_character_din(key11)
        return cls(
            key=key11 + (given or computed), presented=text, check_digit=_judge(given, computed)
        )

    @property
    def provider(self) -> ProviderId:
        """Country and provider."""
        return ProviderId(value=self.key[:5])

    def to_iso(self) -> Emaid:
        """Return the -2 EMAID, instance filled up with `00`, new check character."""
        return self._filled_up_with("00")

    def to_emi3(self) -> Emaid:
        """Return the eMI3 contract id, instance filled up with `C0`, new check character."""
        return self._filled_up_with("C0")

    def _filled_up_with(self, fill: str) -> Emaid:
        key14 = self.key[:5] + fill + self.key[5:]
        return Emaid.parse(key14 + check_character(key14), Edition.ISO2)

    def __str__(self) -> str:
        return self.key
