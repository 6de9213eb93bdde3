"""
A process that issues one contract certificate and kills itself (SIGKILL) at a given step.

usage: python -m tests.faults.killer HOME STEP

STEP counts from 1 over everything that touches disk or key: before and after each commit, before
and after the signature. Prints each step's name before it is reached; exits 0 if no step was left.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pki import services as wiring
from pki.issue import IssueRequest, issue
from pki.pkix.profiles import Kind
from pki.pkix.suites import PublicKey, Suite
from pki.ports import Signer, Store, Transaction
from pki.settings import load
from tests.homes import ADMIN, EMAID


@dataclass
class Fuse:
    """Counts steps and burns through at the chosen one."""

    at: int
    passed: int = 0

    def step(self, name: str) -> None:
        self.passed += 1
        print(self.passed, name, flush=True)
        if self.passed == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class KillingStore:
    """The real store with a fuse around every commit."""

    store: Store
    fuse: Fuse

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self.store.read() as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        with self.store.write() as tx:
            yield tx
            self.fuse.step("before commit")
        self.fuse.step("after commit")

    def ping(self) -> None:
        self.store.ping()


@dataclass
class KillingSigner:
    """The real signer with a fuse around the signature."""

    signer: Signer
    fuse: Fuse = field(repr=False)

    @property
    def suite(self) -> Suite:
        return self.signer.suite

    @property
    def public_key(self) -> PublicKey:
        return self.signer.public_key

    @property
    def quick(self) -> bool:
        return self.signer.quick

    def sign(self, data: bytes) -> bytes:
        self.fuse.step("before signature")
        signature = self.signer.sign(data)
        self.fuse.step("after signature")
        return signature


@dataclass
class KillingKeys:
    """The real keys, handing out signers with a fuse."""

    services: wiring.Services
    fuse: Fuse

    def create(self, label: str, suite: Suite) -> Signer:
        return self.services.deployment.keys.create(label, suite)

    def signer(self, label: str) -> Signer:
        return KillingSigner(self.services.deployment.keys.signer(label), self.fuse)


def main(home: Path, step: int) -> None:
    services = wiring.build(load({}, home))
    fuse = Fuse(step)
    deployment = replace(
        services.deployment,
        store=KillingStore(services.deployment.store, fuse),
        keys=KillingKeys(services, fuse),
    )
    issue(deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, common_name=EMAID))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
