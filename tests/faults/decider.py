"""Decides in several threads until it is killed, and says which decisions it acknowledged."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from pki import validate
from pki.model import ContractCheck
from pki.services import Services
from tests.homes import ADMIN, EMAID, opened

THREADS = 4


def _decide(services: Services) -> None:
    while True:
        decision = validate.validate(services.deployment, ADMIN, ContractCheck(token=EMAID))
        os.write(1, f"{decision.decision_id}\n".encode())


def main() -> None:
    with opened(Path(sys.argv[1])) as services:
        threads = [
            threading.Thread(target=_decide, args=(services,), daemon=True) for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
