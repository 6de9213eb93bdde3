"""Identifiers of companies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pki.ids.base import Syntax, Value, pattern

_PROVIDER_ID = Syntax(
    pattern=pattern("(@{2})[*-]?(#{3})"),
    code="invalid_provider_id",
    noun="a provider id",
    hint="Write two letters for the country and three letters or digits, such as DE8AA.",
)
_OPERATOR_ID = Syntax(
    pattern=_PROVIDER_ID.pattern,
    code="invalid_operator_id",
    noun="an operator id",
    hint="Write two letters for the country and three letters or digits, such as DE*ABC.",
)
_WMI = Syntax(
    pattern=pattern("#{3}"),
    code="invalid_wmi",
    noun="a WMI",
    hint="Write the three letters or digits of ISO 3780.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderId(Value):
    """An eMSP: country and provider, five upper-case characters."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `DE8AA`, `DE-8AA` or `DE*8AA`. Raises BadInput (`invalid_provider_id`)."""
        return cls(value="".join(_PROVIDER_ID.match(text).groups()).upper())


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorId(Value):
    """A CPO: country and operator, five upper-case characters."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `DE*ABC`, `DE-ABC` or `DEABC`. Raises BadInput (`invalid_operator_id`)."""
        return cls(value="".join(_OPERATOR_ID.match(text).groups()).upper())


@dataclass(frozen=True, slots=True, kw_only=True)
class Wmi(Value):
    """A vehicle maker's world manufacturer identifier (ISO 3780), three upper-case characters."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read three letters or digits. Raises BadInput (`invalid_wmi`)."""
        return cls(value=_WMI.match(text)[0].upper())
