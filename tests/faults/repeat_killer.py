"""
A process that registers a contract under an idempotency key and kills itself at a given step.

usage: python -m tests.faults.repeat_killer HOME STEP
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from pki import contracts, repeat
from pki import services as wiring
from pki.ports import Deployment
from pki.settings import load
from tests.faults.killer import Fuse, KillingStore
from tests.homes import ADMIN, EMAID

REQUEST = repeat.digest("POST", "/v1/contracts?", EMAID.encode())


def register(deployment: Deployment) -> tuple[int, str]:
    """Do what the request asks for."""
    return 201, contracts.add(deployment, ADMIN, EMAID).contract_id


def main(home: Path, step: int) -> None:
    services = wiring.build(load({}, home))
    store = KillingStore(services.deployment.store, Fuse(step))
    deployment = replace(services.deployment, store=store)
    repeat.once(deployment, ADMIN, "key-1", REQUEST, register)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
