"""Identifiers of vehicles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from pki.ids.base import LONGEST, Edition, Syntax, Value, pattern
from pki.ids.parties import Wmi

_PCID: Final = {
    Edition.ISO2: Syntax(
        pattern=pattern("#(?:-?#){16,17}"),
        code="invalid_pcid",
        noun="a PCID of ISO 15118-2",
        hint="Write 17 or 18 letters and digits, the WMI first.",
        longest=2 * LONGEST,
    ),
    Edition.ISO20: Syntax(
        pattern=pattern("#(?:-?#){16,63}"),
        code="invalid_pcid",
        noun="a PCID of ISO 15118-20",
        hint="Write 17 to 64 letters and digits, the WMI first.",
        longest=2 * LONGEST,
    ),
}
_EVCC_ID = Syntax(
    pattern=pattern("#{3}-?[Vv](?:-?#){15,60}"),
    code="invalid_evcc_id",
    noun="an EVCCID of ISO 15118-20",
    hint="Write the WMI, the letter V and 15 to 60 letters and digits.",
    longest=2 * LONGEST,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pcid(Value):
    """A provisioning certificate identifier: CN of the OEM leaf, upper case without separators."""

    @classmethod
    def parse(cls, text: str, edition: Edition) -> Self:
        """
        Read 17 or 18 (-2) or 17 to 64 (-20) letters and digits, single `-` between them ignored.

        Raises:
            BadInput: `invalid_pcid`.
        """
        return cls(value=_PCID[edition].match(text)[0].upper().replace("-", ""))

    @property
    def wmi(self) -> Wmi:
        """The vehicle maker."""
        return Wmi(value=self.value[:3])


@dataclass(frozen=True, slots=True, kw_only=True)
class EvccId(Value):
    """A -20 vehicle identifier: CN of the vehicle leaf, 19 to 64 characters without separators."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read WMI, `V` and the rest with or without its check digit, single `-` ignored.

        Raises:
            BadInput: `invalid_evcc_id`.
        """
        return cls(value=_EVCC_ID.match(text)[0].upper().replace("-", ""))

    @property
    def wmi(self) -> Wmi:
        """The vehicle maker."""
        return Wmi(value=self.value[:3])
