"""
Signers that kill themselves (SIGKILL), each at a given step of the first intent that it signs.

usage: python -m tests.faults.signer_killer SOCKET HOME STEP [HOME STEP]...

One after the other, forked, so that all share what was imported. Steps are those of
`tests.faults.killer`: around the commit, around the signature; one more stands before the answer is
sent. Prints each step's name before it is reached, and what the signer ended with.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

from pki.services import build_signer
from pki.settings import load
from pki.signer import Server, SocketPlace, frames
from tests.faults.killer import Fuse, KillingKeys, KillingStore


def _sign(home: Path, socket: Path, step: int) -> None:
    services = build_signer(load({"PNC_SIGNER_SOCKET": str(socket)}, home))
    fuse = Fuse(step)
    deployment = replace(
        services.deployment,
        store=KillingStore(services.deployment.store, fuse),
        keys=KillingKeys(services, fuse),
    )
    send = frames.send

    def fused(*given: object) -> None:
        message = given[1]
        if isinstance(message, dict) and "signatures" in message:
            fuse.step("before answer")
        send(*given)  # type: ignore[arg-type]  # handed through

    frames.send = fused  # type: ignore[assignment]  # as above
    Server(deployment, SocketPlace(path=socket), delegated=False, answers=False).run()


def main(socket: Path, rounds: list[str]) -> None:
    for home, step in zip(rounds[::2], rounds[1::2], strict=True):
        child = os.fork()
        if child == 0:
            _sign(Path(home), socket, int(step))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print("ended", os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
