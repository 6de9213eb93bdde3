"""How the whole store becomes a stream of octets, and a store again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pki.ports import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """
    What a stream is of.

    Attributes:
        kind: `sqlite` or `postgresql`.
        revision: of the schema.
        tables: PostgreSQL: columns of each table, in the order in which they are written.
    """

    kind: str
    revision: str
    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Frozen(Protocol):
    """One state of the store."""

    @property
    def description(self) -> Description: ...

    @property
    def unit(self) -> Transaction: ...

    @property
    def parts(self) -> Iterator[tuple[str, bytes]]:
        """Name and octets of each part, in order."""


class Snapshots(Protocol):
    """A store that can be saved and restored as a whole; see `pki.store.db.Database`."""

    def snapshot(self, scratch: Path) -> AbstractContextManager[Frozen]:
        """Freeze the state of now. Raises Unavailable."""

    def restore(
        self,
        description: Description,
        parts: Iterable[tuple[str, bytes]],
        finish: Callable[[Transaction], None],
        *,
        again: Callable[[Transaction], bool],
    ) -> None:
        """Put a state into an empty store, all or nothing."""
