"""
Processes that do one piece of status work and kill themselves (SIGKILL), each at another step.

usage: python -m tests.faults.status_killer HOME WORK STEPS OUT

WORK is `crl` (publish that of mo2-2), `responder` (make one for mo2-2) or `answers` (refresh the
stored ones). For each of the STEPS (separated by commas) a child works in a copy of HOME,
OUT/step. Prints a line for each: step, exit status of the child, names of the steps that it
reached, separated by commas. Steps count as in `tests.faults.killer`.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from pki import services as wiring
from pki.settings import load
from pki.status import Answers, StatusPolicy, crls, responders
from pki.status.refresh import refresh_answers
from tests.faults.killer import Fuse, KillingKeys, KillingStore
from tests.homes import ADMIN
from tests.status.hosts import MovableClock, issuer_of


@dataclass
class WritingFuse(Fuse):
    """Writes the steps into a file, as the children share their standard output."""

    file: Path = field(default_factory=Path)

    def step(self, name: str) -> None:
        with self.file.open("a") as out:
            out.write(f"{name},")
        if self.passed + 1 == self.at:
            os.kill(os.getpid(), 9)
        self.passed += 1


def work_in(home: Path, work: str, step: int) -> None:
    clock = MovableClock()
    services = wiring.build(load({}, home), clock=clock)
    fuse = WritingFuse(step, file=home / "steps")
    deployment = replace(
        services.deployment,
        store=KillingStore(services.deployment.store, fuse),
        keys=KillingKeys(services, fuse),
    )
    policy = StatusPolicy()
    if work == "crl":
        crls.publish(deployment, ADMIN, issuer_of(services), 0, policy)
    elif work == "responder":
        responders.make(deployment, ADMIN, issuer_of(services))
    else:
        clock.at += policy.validity / 2
        refresh_answers(deployment, services.view, Answers(deployment, services.view, policy))


def main(home: Path, work: str, steps: list[int], out: Path) -> None:
    for step in steps:
        copy = Path(shutil.copytree(home, out / str(step)))
        child = os.fork()
        if child == 0:
            work_in(copy, work, step)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(step, status, (copy / "steps").read_text().rstrip(","), sep="|", flush=True)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]), sys.argv[2], [int(n) for n in sys.argv[3].split(",")], Path(sys.argv[4])
    )
