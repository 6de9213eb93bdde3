"""A memory of bounded size, for what can be found out again."""

from __future__ import annotations

from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """
    Holds the newest half of `most` values at least, and `most` at the most.

    It has two halves; a full one becomes the old one, whose values are forgotten with the next
    unless somebody asks for them. So forgetting costs nothing, however many values there are.
    Safe to share between threads: what one of them loses is found out again.
    """

    __slots__ = ("_half", "_new", "_old")

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self._new: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def get(self, key: Key) -> Value | None:
        """Return what is remembered; values are never None."""
        found = self._new.get(key)
        if found is None and self._old and (found := self._old.pop(key, None)) is not None:
            self.put(key, found)
        return found

    def put(self, key: Key, value: Value) -> None:
        """Remember a value."""
        if len(self._new) >= self._half:
            self._old, self._new = self._new, {}
        self._new[key] = value
