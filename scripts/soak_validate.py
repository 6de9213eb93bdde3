#!/usr/bin/env python3
"""
Decide for minutes while things change, and look for a wrong verdict.

usage: soak_validate.py [--minutes M] [--workers W] [--callers C]

A throw-away installation is served by our gunicorn. Callers ask about contract certificates without
a pause; meanwhile certificates are revoked, contracts blocked and released, the trust anchor is
taken away and given back, and workers are killed. A verdict is wrong if no state that held between
question and answer explains it. Exit status 1: a wrong verdict, or memory that grew by a third.
A connection that a killed worker dropped is no verdict and is asked again.

Ten minutes beside a load of 10 to 16 on two cores, November 2026: 234,293 verdicts, 1,843 changes,
none wrong; workers took 77 MiB, then 81.
"""

from __future__ import annotations

import argparse
import http.client
import json
import secrets
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from os import kill
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pki import clients, contracts, trust
from pki.issue import chain_of
from pki.model import CertificateRecord, ContractState, Domain, Reason, Role
from pki.pkix.pem import encode
from pki.revoke import revoke
from pki.services import Services
from scripts.bench import homes
from scripts.bench.processes import Server

LEAVES: Final = 60
_PAUSE: Final = 0.2
_RANDOM: Final = secrets.SystemRandom()
_GROWTH: Final = 4 / 3
_YOUNG: Final = 100
"""MiB that a worker may take whatever it took when it was young."""


@dataclass(slots=True)
class Truth:
    """What may be answered about each leaf, and since when something else may be."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    faults: dict[int, str | None] = field(default_factory=dict)
    changed: dict[int, float] = field(default_factory=dict)
    trusted: bool = True
    trust_changed: float = 0.0

    def explains(self, leaf: int, fault: str | None, asked: float) -> bool:
        """Tell whether a verdict fits; while something changes, either side of it does."""
        with self.lock:
            if max(self.changed.get(leaf, 0.0), self.trust_changed) >= asked:
                return True
            wanted = self.faults.get(leaf) if self.trusted else "no_path"
            return fault == wanted


@dataclass(slots=True)
class Soak:
    """One run."""

    services: Services
    server: Server
    records: Sequence[CertificateRecord]
    bodies: Sequence[bytes]
    token: str
    truth: Truth = field(default_factory=Truth)
    answers: int = 0
    changes: int = 0
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        """Ask about random leaves until it is over."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection = self._connect()
        while not self.over.is_set():
            leaf = _RANDOM.randrange(len(self.bodies))
            asked = time.monotonic()
            try:
                connection.request("POST", "/v1/contracts/validate", self.bodies[leaf], headers)
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = self._connect()
                continue
            if answer.status == http.client.OK:
                self._judge(leaf, json.loads(body).get("fault"), asked)
            elif answer.status != http.client.SERVICE_UNAVAILABLE:
                self.wrong.append(f"status {answer.status}: {body[:200]!r}")

    def _connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)

    def _judge(self, leaf: int, fault: str | None, asked: float) -> None:
        self.answers += 1
        if not self.truth.explains(leaf, fault, asked):
            self.wrong.append(f"leaf {leaf}: {fault}, not {self.truth.faults.get(leaf)}")

    def change(self, restart: Callable[[], None]) -> None:
        """Change one thing after the other until it is over."""
        works = (self._revoke, self._block, self._block, self._distrust, restart)
        while not self.over.wait(_PAUSE):
            _RANDOM.choice(works)()
            self.changes += 1

    def _set(self, leaf: int, fault: str | None, work: Callable[[], object]) -> None:
        with self.truth.lock:
            self.truth.changed[leaf] = float("inf")
        work()
        with self.truth.lock:
            self.truth.faults[leaf] = fault
            self.truth.changed[leaf] = time.monotonic()

    def _revoke(self) -> None:
        good = [at for at in range(len(self.records)) if self.truth.faults.get(at) is None]
        if len(good) > len(self.records) // 2:
            leaf = _RANDOM.choice(good)
            serial = self.records[leaf].serial.value
            self._set(
                leaf,
                "revoked",
                lambda: revoke(self.services.deployment, homes.ACTOR, serial, Reason.SUPERSEDED),
            )

    def _block(self) -> None:
        leaf = _RANDOM.randrange(len(self.records))
        before = self.truth.faults.get(leaf)
        if before not in (None, "contract_blocked"):
            return
        state = ContractState.BLOCKED if before is None else ContractState.ACTIVE
        name = self.records[leaf].common_name
        self._set(
            leaf,
            "contract_blocked" if before is None else None,
            lambda: contracts.set_state(self.services.deployment, homes.ACTOR, name, state),
        )

    def _distrust(self) -> None:
        deployment = self.services.deployment
        (anchor,) = [a for a in trust.anchors(deployment, homes.ACTOR) if a.domain is Domain.MO]
        for trusted in (False, True):
            with self.truth.lock:
                self.truth.trust_changed = float("inf")
            if trusted:
                trust.add(deployment, homes.ACTOR, anchor.der, Domain.MO)
            else:
                trust.remove(deployment, homes.ACTOR, anchor.fingerprint, Domain.MO)
            with self.truth.lock:
                self.truth.trusted = trusted
                self.truth.trust_changed = time.monotonic()
            self.over.wait(_PAUSE)

    def restart(self) -> None:
        """Kill a worker; gunicorn starts another."""
        workers = self.server.workers()
        if workers and _RANDOM.random() < 1 / 4:
            with suppress(ProcessLookupError):
                kill(_RANDOM.choice(workers), signal.SIGKILL)


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--callers", type=int, default=8)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pnc-soak-") as name:
        home = Path(name) / "home"
        homes.make(home)
        with homes.opened(home) as services, homes.served(home, workers=given.workers) as started:
            return _run(_soak(services, started.server), given.minutes, given.callers)


def _soak(services: Services, server: Server) -> Soak:
    records = homes.issue_really(services, LEAVES)
    with services.deployment.store.read() as tx:
        chains = [chain_of(tx, record) for record in records]
    bodies = [
        json.dumps({"certificateChain": "".join(map(encode, each))}).encode() for each in chains
    ]
    _, token = clients.add(services.deployment, homes.ACTOR, Role.CPO, ("DECPA",))
    return Soak(services, server, records, bodies, token)


def _run(soak: Soak, minutes: float, callers: int) -> int:
    threads = [threading.Thread(target=soak.ask) for _ in range(callers)]
    threads.append(threading.Thread(target=soak.change, args=(soak.restart,)))
    for thread in threads:
        thread.start()
    time.sleep(min(20.0, minutes * 20))
    early = soak.server.memory()
    time.sleep(minutes * 60 - min(20.0, minutes * 20))
    late = soak.server.memory()
    soak.over.set()
    for thread in threads:
        thread.join()
    grown = late > max(early * _GROWTH, _YOUNG)
    print(
        f"{soak.answers} verdicts, {soak.changes} changes, {len(soak.wrong)} wrong; "
        f"workers {early:.0f} MiB, then {late:.0f} MiB"
    )
    for each in soak.wrong[:20]:
        print(each)
    return 1 if soak.wrong or grown or not soak.answers else 0


if __name__ == "__main__":
    sys.exit(main())
