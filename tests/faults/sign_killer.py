"""
A process that issues for a station (SignCertificate) and kills itself at a given commit.

usage: python -m tests.faults.sign_killer HOME CSR STEP

Prints each step's name before it is reached; exits 0 if no step was left.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from pki import services as wiring
from pki.model import Principal, Role
from pki.settings import load
from pki.stations.signing import SignRequest, certify
from tests.faults.killer import Fuse, KillingStore

OPERATOR: Final = Principal(name="operator", role=Role.CPO, parties=("DECPA",))
REQUEST_ID: Final = 17


def asked(csr: Path) -> SignRequest:
    """Return what the station asks for."""
    return SignRequest(
        version="2.1",
        station_id="cs-1",
        request=csr.read_bytes(),
        use="V2GCertificate",
        request_id=REQUEST_ID,
    )


def main(home: Path, csr: Path, step: int) -> None:
    services = wiring.build(load({}, home))
    store = KillingStore(services.deployment.store, Fuse(step))
    certify(replace(services.deployment, store=store), OPERATOR, asked(csr))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
