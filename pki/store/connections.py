"""Connections of one process, kept at hand between transactions."""

from __future__ import annotations

import os
from collections import deque
from typing import Final

from sqlalchemy import Connection
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from pki.store.engines import MOST, Backend

_AT_HAND: Final = 4


class Connections:
    """
    What transactions take and give back; safe to share between threads.

    SQLAlchemy's pool takes longer over a connection than either database over BEGIN and COMMIT. So
    the pool counts some as in use while they lie here.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._process = os.getpid()
        self._idle: deque[PoolProxiedConnection] = deque()
        self._inherited: list[deque[PoolProxiedConnection]] = []

    def take(self) -> Connection:
        """
        Return a connection outside of any transaction: the one that was given back last.

        Raises:
            SQLAlchemyError: there is none, and none can be opened.
        """
        if os.getpid() != self._process:
            self._forget()
        while self._idle:
            try:
                kept = self._idle.pop()
            except IndexError:  # another thread took it
                break
            if self._backend.is_current(kept):
                return Connection(self._backend.engine, kept)
            kept.invalidate()
        return self._backend.engine.connect()

    def give_back(self, connection: Connection) -> None:
        """Keep a connection whose transaction has ended, or leave it to the pool."""
        pool = self._backend.engine.pool
        if (
            connection.invalidated
            or connection.in_transaction()  # SQLAlchemy has something to tidy up
            or len(self._idle) >= _AT_HAND
            or (isinstance(pool, QueuePool) and pool.checkedout() >= MOST)  # others may wait
        ):
            connection.close()
        else:
            self._idle.append(connection.connection)

    def drop(self) -> None:
        """Leave to the pool what is at hand: one of these was dead, and others may be."""
        while self._idle:
            try:
                self._idle.pop().invalidate()
            except IndexError:  # another thread took it
                break

    def close(self) -> None:
        """Close what is not in use; the next use opens new ones."""
        ours = self._process == os.getpid()
        while ours and self._idle:
            self._idle.pop().close()
        self._backend.engine.dispose(close=ours)

    def _forget(self) -> None:
        """Leave alone what the parent process opened: whoever closes that ends its session."""
        self._inherited.append(self._idle)
        self._idle = deque()
        self._backend.engine.dispose(close=False)
        self._process = os.getpid()
