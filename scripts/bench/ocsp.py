#!/usr/bin/env python3
"""
What an OCSP answer costs, ours and others', in one run.

usage: ocsp.py [--certificates N] [--rounds R] [--seconds S] [--check]
               [--django-venv VENV [--postgres DIR]]
       ocsp.py --home HOME [--home HOME ...] [--postgres DIR ...] [--rounds R] [--seconds S]

Without --home, a throw-away installation issues N certificates as the service always does, and one
worker of our gunicorn answers about them: stored answers by POST and GET, and answers signed on
demand because of a nonce. In the same run, alternated, the same questions go to `openssl ocsp`
(with our signer's key), the same answers lie as files under nginx (the ceiling) and in
`cfssl ocspserve`; with --django-venv, django-ca answers about certificates of its own from its
cache, over a PostgreSQL that is made in DIR with --postgres. What is not installed is named and
left out. --check exits 1 where a bar is missed.

With --home, homes made by seed.py are compared: time to the first *ready*, memory of a worker, the
CRL built from the database, and answers about 1000 random certificates: asked for the first time,
found in the database, in memory, and signed on demand. --postgres names the data of those that have
a PostgreSQL.

CPU is user and system time of all processes of a server, per answer; the client's is not in it, nor
is PostgreSQL's. Medians over the rounds. Times to answer mean little while others use the machine.

What was learnt (Python 3.11, cryptography 50, two shared cores; all four peers could be run):

* An event loop with uvicorn's usual path costs 28 µs before a line of ours runs, gunicorn's own
  asgi worker 38 to 56, gthread 110 and more; nginx takes 11 in all. So a stored answer is given
  where the request was parsed (`web.worker_protocol`): 12 to 14 µs of Python, the rest is the
  socket's.
* The usual WSGI adapter (a2wsgi) hops between threads for every piece: 435 to 785 µs around an
  empty Flask view, against 160 for one hop (`web.bridge`) and 257 to 493 for gthread.
* What the store says of one certificate costs 200 µs through SQLAlchemy on SQLite, nine signatures'
  worth; it is therefore remembered until the change log tells of a change (`pki.status.facts`).
* `email.utils` takes 15 µs for the dates of a cacheable answer, `secrets.token_hex` a system call.
* Parsing costs more than answering: an answer from memory took 12 µs (GET 15.5) of Python where its
  head went through the parser and its own through dictionaries, and takes 4.7 (5.0) now that heads
  of known octets are not read again (`web.hot_heads`) and the fields of a second are written once.
  Over HTTP that is 15 µs, 1.3 to 1.4 times nginx's, in place of 28 to 37 in the same noise.
* Reading a request with a nonce and writing its answer took half a signature; both are done once
  for all that differ in the nonce only (`pki.status.openings`), and once a second for all answers
  of one signer (`pki.status.templates`): hashing dates and finding the signer anew took 20 µs an
  answer. Signed on demand costs 2.4 signatures over HTTP, 1.5 without sockets (before 4.4, 2.2).
* Each worker keeps its own memory: 1.7 kB an answer (0.8 kB of it the answer) and 0.9 kB for each
  certificate asked about with a nonce, both bounded in number (`pki.status.answers`). That is not
  the 150 B shared by the workers which the issue asks for; a file of answers mapped by all of them
  would need to tell, for each, which changes it has seen, and is not built.
* django-ca over SQLite with 1000 certificates costs 770 to 880 µs, 50 times a stored answer.
* Between system calls Python runs 1.5 times as long as in a loop, a signature 1.2 times; with a
  neighbour on the core more, while nginx hardly notices: compare ratios of one run only.
* With 1,000,000 certificates in SQLite or PostgreSQL everything costs what it does with 1,000, and
  a worker has 57 MiB; answers that are first asked for are bound by the database's commits.
"""

from __future__ import annotations

import argparse
import datetime as dt
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rich.console import Console
from rich.table import Table

from pki.clock import SystemClock
from pki.ids import Fingerprint
from pki.model import CertificateRecord
from pki.pkix import crl
from pki.pkix.suites import Suite, generate, sign
from pki.services import Services
from pki.status import crls
from scripts.bench import django_peer, homes, peers
from scripts.bench import load as loading
from scripts.bench.load import Measured
from scripts.bench.processes import Server

STORED, FETCHED, SIGNED = "ours, stored, POST", "ours, stored, GET", "ours, signed (nonce)"
OPENSSL, NGINX, CFSSL = "openssl ocsp", "nginx, files", "cfssl ocspserve"
DJANGO = "django-ca, cached"
SIGNATURE = "one P-256 signature"
CRL_ENTRIES: Final = 100_000
_ASKED: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    One server and what it is asked.

    Attributes:
        kept: it keeps connections; `openssl ocsp` does not.
    """

    server: Server
    requests: Sequence[bytes]
    kept: bool = True

    def measure(self, seconds: int) -> Measured:
        """Ask for some seconds."""
        if self.kept and loading.has_wrk():
            return loading.by_wrk(self.server, self.requests, seconds)
        return loading.one_by_one(self.server, self.requests, seconds=seconds, kept=self.kept)


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Raw)
    parser.add_argument("--certificates", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--django-venv", type=Path)
    parser.add_argument("--home", type=Path, action="append", default=[])
    parser.add_argument("--postgres", type=Path, action="append", default=[])
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    if given.home:
        with ExitStack() as stack:
            for directory in given.postgres:
                stack.enter_context(homes.postgres(directory))
            _compare_homes(given.home, given.rounds, given.seconds)
        return 0
    found = _against_peers(given)
    return _judge(found, check=given.check)


class _Raw(argparse.RawDescriptionHelpFormatter):
    pass


# --- against others ------------------------------------------------------------------------------


def _against_peers(given: argparse.Namespace) -> dict[str, Measured]:
    for name in peers.missing():
        print(f"{name} is not installed and is left out")
    with tempfile.TemporaryDirectory(prefix="pnc-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker may be somebody else
        homes.make(folder / "home")
        services = stack.enter_context(homes.opened(folder / "home"))
        records = homes.issue_really(services, given.certificates)
        cases = dict(_cases(stack, services, records, folder))
        if given.django_venv:
            url = stack.enter_context(homes.postgres(next(iter(given.postgres), None)))
            peer = django_peer.cached(given.django_venv, folder, url)
            server, asked = stack.enter_context(peer)
            cases[DJANGO] = Case(server=server, requests=asked)
        found = _alternate(cases, given.rounds, given.seconds)
    _show(found)
    return found


def _cases(
    stack: ExitStack, services: Services, records: list[CertificateRecord], folder: Path
) -> Iterator[tuple[str, Case]]:
    requests = homes.requests_for(services, records)
    answers = [services.answers.respond(request).der for request in requests]
    ours = stack.enter_context(homes.served(folder / "home")).server
    posted = [loading.post("/ocsp", request) for request in requests]
    signed = [loading.post("/ocsp", homes.with_nonce(request)) for request in requests]
    loading.one_by_one(ours, posted + signed)  # so that the worker knows them
    yield STORED, Case(server=ours, requests=posted)
    yield FETCHED, Case(server=ours, requests=[loading.get(homes.in_path(r)) for r in requests])
    yield SIGNED, Case(server=ours, requests=signed)
    missing = peers.missing()
    if "nginx" not in missing:
        server = stack.enter_context(peers.nginx(answers, folder / "nginx"))
        files = [loading.get(f"/r/{number}.der") for number in range(len(answers))]
        yield NGINX, Case(server=server, requests=files)
    if "openssl" not in missing:
        server = stack.enter_context(peers.openssl(services, records, folder))
        asked = [loading.post("/", request) for request in requests]
        yield OPENSSL, Case(server=server, requests=asked, kept=False)
    if "cfssl" not in missing:
        server = stack.enter_context(peers.cfssl(answers, folder))
        yield CFSSL, Case(server=server, requests=[loading.post("/", r) for r in requests])


def _alternate(cases: dict[str, Case], rounds: int, seconds: int) -> dict[str, Measured]:
    """Measure each in turn, again and again, so that a noisy neighbour meets them all."""
    for case in cases.values():
        loading.check(case.server, case.requests[0], kept=case.kept)
    found: dict[str, list[Measured]] = {name: [] for name in (*cases, SIGNATURE)}
    for number in range(rounds):
        for name, case in cases.items():
            measured = case.measure(seconds)
            found[name].append(measured)
            print(f"round {number + 1}: {name}: {measured.cpu:.1f} µs", flush=True)
        found[SIGNATURE].append(_signature())
    return {name: _median(each) for name, each in found.items()}


def _median(each: Sequence[Measured]) -> Measured:
    return sorted(each, key=lambda one: one.cpu)[len(each) // 2]


def _signature() -> Measured:
    key, data = generate(Suite.P256), secrets.token_bytes(300)
    count = 5000
    begun, wall = time.process_time(), time.perf_counter()
    for _ in range(count):
        sign(key, data)
    cpu = (time.process_time() - begun) / count * 1e6
    per_second = count / (time.perf_counter() - wall)
    return Measured(answers=count, per_second=per_second, cpu=cpu, bad=0, p50=0, p95=0, p99=0)


def _show(found: dict[str, Measured]) -> None:
    table = Table("", "CPU µs", "of nginx", "of sign", "per s", "p50 ms", "p95 ms", "p99 ms", "bad")
    ceiling = found.get(NGINX)
    for name, one in found.items():
        table.add_row(
            name,
            f"{one.cpu:.1f}",
            f"{one.cpu / ceiling.cpu:.2f}" if ceiling else "",
            f"{one.cpu / found[SIGNATURE].cpu:.2f}",
            f"{one.per_second:.0f}",
            *(f"{value:.2f}" for value in (one.p50, one.p95, one.p99)),
            str(one.bad),
        )
    Console(width=110).print(table)


def _judge(found: dict[str, Measured], *, check: bool) -> int:
    """Hold the ratios against the bars of the issue."""
    crl_seconds = min(_crl_seconds() for _ in range(3))
    print(f"CRL of {CRL_ENTRIES} entries, built and signed: {crl_seconds:.3f} s (bar 0.3)")
    failed = crl_seconds > 0.3  # noqa: PLR2004 - the bar
    for name, other, bar in (
        (STORED, NGINX, 3.0),
        (FETCHED, NGINX, 3.0),
        (STORED, OPENSSL, 1 / 3),
        (FETCHED, OPENSSL, 1 / 3),
        (STORED, DJANGO, 1 / 30),
        (SIGNED, SIGNATURE, 4.0),
        (SIGNED, OPENSSL, 1.0),
    ):
        if other in found:
            ratio = found[name].cpu / found[other].cpu
            verdict = "holds" if ratio <= bar else "MISSED"
            print(f"{name} / {other}: {ratio:.3f} (bar {bar:.3f}) {verdict}")
            failed |= ratio > bar
    return 1 if failed and check else 0


def _crl_seconds() -> float:
    """Return CPU seconds for a CRL from entries to its last octet."""
    now = SystemClock().now()
    key = generate(Suite.P256)
    serials = sorted(secrets.randbits(126) | 1 << 126 for _ in range(CRL_ENTRIES))
    facts = crl.CrlFacts(
        issuer=bytes.fromhex("3000"),
        suite=Suite.P256,
        authority_key_id=bytes(20),
        number=1,
        this_update=now,
        next_update=now + dt.timedelta(days=7),
        distribution_point=None,
    )
    begun = time.process_time()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as scratch:
        entries = (crl.entry(serial, now, "superseded") for serial in serials)
        crl.build_tbs(out, facts, entries=entries, scratch=scratch)
        out.seek(0)
        tbs = out.read()
        with tempfile.TemporaryFile() as whole:
            crl.assemble_crl(whole, tbs, Suite.P256, sign(key, tbs))
    return time.process_time() - begun


# --- homes of different sizes --------------------------------------------------------------------


@dataclass(slots=True)
class Sized:
    """A home, the requests that it is asked, and what was found out."""

    home: Path
    requests: list[bytes]
    size: int
    crl: str
    started: float = 0.0
    idle: float = 0.0
    after: float = 0.0
    found: dict[str, Measured] = field(default_factory=dict)


Asking = Callable[[Sized, Server], Measured]


def _compare_homes(paths: Sequence[Path], rounds: int, seconds: int) -> None:
    sized = [_sized(path) for path in paths]
    with ExitStack() as stack:
        servers = [_start(one, stack) for one in sized]
        _ask_each(sized, servers, {"first time: signed and stored": _once(_posted)})
    with ExitStack() as stack:  # new processes, with nothing in memory
        servers = [_start(one, stack) for one in sized]
        _ask_each(sized, servers, {"from the database": _once(_posted)})
        _ask_each(sized, servers, {"first nonce": _once(_nonced)})
        again = {
            "from memory, POST": _again(_posted, seconds),
            "from memory, GET": _again(_got, seconds),
            "signed, nonce": _again(_nonced, seconds),
        }
        for _ in range(rounds):
            _ask_each(sized, servers, again)
        for one, server in zip(sized, servers, strict=True):
            loading.one_by_one(server, [loading.get(f"/crl/{homes.LOWEST}")] * 3)
            one.after = server.memory()
    _show_homes(sized)


def _start(one: Sized, stack: ExitStack) -> Server:
    started = stack.enter_context(homes.served(one.home))
    one.started, one.idle = started.seconds, started.server.memory()
    return started.server


def _ask_each(sized: Sequence[Sized], servers: Sequence[Server], asked: dict[str, Asking]) -> None:
    for label, ask in asked.items():
        for one, server in zip(sized, servers, strict=True):
            measured = ask(one, server)
            print(f"{one.home.name}: {label}: {measured.cpu:.0f} µs", flush=True)
            before = one.found.get(label)
            if before is None or measured.cpu < before.cpu:
                one.found[label] = measured


def _posted(request: bytes) -> bytes:
    return loading.post("/ocsp", request)


def _got(request: bytes) -> bytes:
    return loading.get(homes.in_path(request))


def _nonced(request: bytes) -> bytes:
    return loading.post("/ocsp", homes.with_nonce(request))


def _once(make: Callable[[bytes], bytes]) -> Asking:
    return lambda one, server: loading.one_by_one(server, [make(r) for r in one.requests])


def _again(make: Callable[[bytes], bytes], seconds: int) -> Asking:
    return lambda one, server: loading.by_wrk(
        server, [make(r) for r in one.requests], seconds, connections=4
    )


def _show_homes(sized: Sequence[Sized]) -> None:
    for one in sized:
        title = (
            f"{one.home.name}: {one.size} certificates; ready after {one.started:.2f} s; worker "
            f"{one.idle:.0f} MiB, {one.after:.0f} MiB after the load; {one.crl}"
        )
        table = Table("", "CPU µs", "p50 ms", "p95 ms", "p99 ms", "per s", "bad", title=title)
        for label, found in one.found.items():
            times = [f"{value:.2f}" for value in (found.p50, found.p95, found.p99)]
            table.add_row(
                label, f"{found.cpu:.0f}", *times, f"{found.per_second:.0f}", str(found.bad)
            )
        Console(width=110).print(table)


def _sized(home: Path) -> Sized:
    with homes.opened(home) as services:
        issuer = homes.issuer(services)
        crl_facts = _publish(services)
        with services.deployment.store.read() as tx:
            size = tx.certificates.count(issuer.issuer_id)
        records = _random_records(services, issuer.issuer_id, _ASKED)
        return Sized(home, homes.requests_for(services, records), size, crl_facts)


def _publish(services: Services) -> str:
    """Publish the CRL of the issuer as the job does; tell what it took."""
    deployment, issuer = services.deployment, homes.issuer(services)
    cpu, wall = time.process_time(), time.perf_counter()
    record = crls.publish(deployment, homes.ACTOR, issuer, 0, services.settings.status)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return f"CRL of {record.entries} entries in {wall:.2f} s (CPU {cpu:.2f} s)"


def _random_records(services: Services, issuer_id: str, count: int) -> list[CertificateRecord]:
    """Return certificates whose fingerprints lie behind random ones, each at most once."""
    found: dict[Fingerprint, CertificateRecord] = {}
    for _ in range(10 * count):
        with services.deployment.store.read() as tx:
            behind = Fingerprint(value=secrets.token_hex(32))
            for record in tx.certificates.search(issuer_id=issuer_id, after=behind, limit=1):
                found[record.fingerprint] = record
        if len(found) == count:
            break
    return list(found.values())


if __name__ == "__main__":
    sys.exit(main())
