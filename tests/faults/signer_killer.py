"""
A signer that kills itself (SIGKILL) at a given step of the first intent that it signs.

usage: python -m tests.faults.signer_killer HOME SOCKET STEP

Steps are those of `tests.faults.killer`: around the commit, around the signature; one more stands
before the answer is sent.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from pki.services import build_signer
from pki.settings import load
from pki.signer import Server, SocketPlace, frames
from tests.faults.killer import Fuse, KillingKeys, KillingStore


def main(home: Path, socket: Path, step: int) -> None:
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


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
