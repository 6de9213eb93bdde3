"""Subjects as what they say; an `x509.Name`, which is dear to make, is made when one is needed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

_PLAIN: Final = re.compile(r"[A-Za-z0-9*._-]+", re.ASCII)
"""What RFC 4514 2.4 escapes nothing of."""


@dataclass(frozen=True, slots=True)
class Shared:
    """
    The attributes behind the CN, which many leaves have in common, each an RDN of its own.

    Attributes:
        text: as RFC 4514 writes them, the last one first.
    """

    attributes: tuple[x509.NameAttribute[str], ...]
    text: str


def shared(*attributes: tuple[x509.ObjectIdentifier, str]) -> Shared:
    """Return attributes with their text; to be made once for many."""
    made = tuple(x509.NameAttribute(kind, value) for kind, value in attributes)
    return Shared(made, x509.Name(made).rfc4514_string())


@dataclass(frozen=True, slots=True)
class Subject:
    """A CN, and what many leaves share."""

    common_name: str
    shared: Shared

    @property
    def name(self) -> x509.Name:
        """The name as a builder takes it."""
        return x509.Name((self._first, *self.shared.attributes))

    @property
    def text(self) -> str:
        """The name as RFC 4514 writes it."""
        plain = _PLAIN.fullmatch(self.common_name)
        first = f"CN={self.common_name}" if plain else self._first.rfc4514_string()
        return f"{self.shared.text},{first}" if self.shared.text else first

    @property
    def others(self) -> str:
        """Everything but the CN: two subjects that differ in it have other texts."""
        return self.shared.text

    @property
    def _first(self) -> x509.NameAttribute[str]:
        return x509.NameAttribute(NameOID.COMMON_NAME, self.common_name)


@dataclass(frozen=True, slots=True)
class GivenSubject:
    """A subject that was a name before: of a CA that another CA certifies."""

    name: x509.Name

    @property
    def text(self) -> str:
        """The name as RFC 4514 writes it."""
        return self.name.rfc4514_string()

    @property
    def others(self) -> str:
        """Everything but the CN."""
        rest = (a for a in self.name if a.oid != NameOID.COMMON_NAME)
        return ",".join(a.rfc4514_string() for a in rest)
