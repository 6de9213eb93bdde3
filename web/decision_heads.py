"""
Heads of requests for decisions that were read before, so that only the body behind them is new.

As in `web.hot_heads`: a head whose every octet the parser read before, at the beginning of a
message, means the same now. What a caller sends again and again differs in the body alone.
"""

from __future__ import annotations

from typing import Final

from web.hot import HotRequest

_KEPT: Final = 1024
_LONGEST: Final = 2048
"""Octets of a head that is kept; an access token has some 600."""
_PARTICULAR: Final = (
    "x-request-id",  # another one each time
    *("transfer-encoding", "expect", "upgrade"),  # there is more to read than a body
)


class DecisionHeads:
    """The heads of one process; used by its event loop alone."""

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[int, HotRequest]] = {}

    def find(self, data: bytes, end: int) -> HotRequest | None:
        """Return the request in `data` if its head, known, ends at `end` and its body is whole."""
        held = self._kept.get(data[:end])
        if held is None or held[0] != len(data) - end:
            return None
        like = held[1]
        return HotRequest(
            method=like.method, raw_path=like.raw_path, headers=like.headers, body=data[end:]
        )

    def learn(self, head: bytes, request: HotRequest) -> None:
        """Keep the head of a request that the parser read and that got a verdict."""
        if len(head) > _LONGEST or any(name in request.headers for name in _PARTICULAR):
            return
        while len(self._kept) >= _KEPT:
            del self._kept[next(iter(self._kept))]
        like = HotRequest(method=request.method, raw_path=request.raw_path, headers=request.headers)
        self._kept[head] = len(request.body), like
