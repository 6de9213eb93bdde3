"""
A process that asks for status without pause, as a worker with two threads does.

usage: python -m tests.status.asker HOME DATABASE_URL < requests

Standard input has one OCSPRequest in hex a line. Says `ready`, asks until standard input ends, then
prints a line for each answer: number of the request, times before and after in nanoseconds of the
host's monotonic clock, status.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from pki.services import Services
from tests.homes import opened
from tests.status.hosts import answer_to

_THREADS = 2


def _ask(services: Services, requests: list[bytes], ended: threading.Event, out: list[str]) -> None:
    while not ended.is_set():
        for number, request in enumerate(requests):
            before = time.monotonic_ns()
            status = answer_to(services, request)
            out.append(f"{number} {before} {time.monotonic_ns()} {status}")
        time.sleep(0.0005)  # some thousand questions a second are enough


def main(home: Path, url: str) -> None:
    requests = [bytes.fromhex(line) for line in iter(lambda: sys.stdin.readline().strip(), "")]
    ended = threading.Event()
    found: list[list[str]] = [[] for _ in range(_THREADS)]
    with opened(home, database_url=url) as services:
        services.view.start()
        threads = [
            threading.Thread(target=_ask, args=(services, requests, ended, out)) for out in found
        ]
        for thread in threads:
            thread.start()
        print("ready", flush=True)
        sys.stdin.read()
        ended.set()
        for thread in threads:
            thread.join()
    for out in found:
        print("\n".join(out))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
