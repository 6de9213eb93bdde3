#!/usr/bin/env python3
"""
What an installation costs: decode, verify, look up, answer.

usage: provision.py [--cars N] [--rounds R] [--ev-python PYTHON] [--seconds S]

A throw-away installation gets N cars with a contract each; every request is answered through the
verb that OCPP, OPCP and OPNC share, in one thread. In the same run: the parts of it, the bare
signature checks that no implementation can do without (one over the request, one for each
certificate below the root), and with --ev-python (what scripts/ev_client prints) the Java codec of
the package `iso15118`, which only turns the same request into JSON and the same answer into EXI.
Medians over the rounds; a repeated request writes nothing, a first one marks the delivery.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from rich.console import Console
from rich.progress import track
from rich.table import Table

from pki import hierarchy, parties
from pki import services as wiring
from pki.ids import Edition
from pki.issue import IssueRequest, issue
from pki.model import Role
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite, verifies
from pki.pkix.suites import sign as sign_with
from pki.provision import chains, cps, pcp, response, upkeep
from pki.provision.install import install
from pki.services import Services
from pki.settings import load as load_settings
from pki.v2g import messages
from pki.v2g.messages import RootCertificateId, iso2
from pki.v2g.signature import sign, verify
from scripts.bench.homes import ACTOR, PROVIDER

_JAVA: Final = """
import json, statistics, sys, time
from iso15118.shared.exificient_exi_codec import ExificientEXICodec
codec = ExificientEXICodec()
request, answer = bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2])
seconds = float(sys.argv[3])
space = "urn:iso:15118:2:2013:MsgDef"
text = codec.decode(answer, space)
def both():
    codec.decode(request, space)
    codec.encode(text, space)
begun = time.perf_counter()
while time.perf_counter() - begun < seconds / 2:
    both()
times = []
begun = time.perf_counter()
while time.perf_counter() - begun < seconds:
    at = time.perf_counter()
    both()
    times.append(time.perf_counter() - at)
print(json.dumps(1e6 * statistics.median(times)))
import os; os._exit(0)
"""


def furnish(home: Path) -> Services:
    """Make the -2 hierarchy, the companies and a CPS leaf."""
    home.mkdir(parents=True)
    services = wiring.build(load_settings({}, home))
    services.database.migrate()
    text = (files("certs") / "hierarchies" / "demo.toml").read_text("utf-8")
    plans = [plan for plan in hierarchy.read(text) if plan.suite is Suite.P256]
    hierarchy.create(services.deployment, ACTOR, plans)
    parties.add_emsp(services.deployment, ACTOR, PROVIDER, "Bench Mobility")
    parties.add_party(services.deployment, ACTOR, Role.OEM, "WMI", "Bench Cars")
    upkeep.equip(services.deployment, ACTOR)
    return services


def provide(services: Services, number: int) -> bytes:
    """Make a car with a deposited chain and a contract; return its signed request."""
    deployment = services.deployment
    pcid = f"WMIBENCH{number:09d}"
    car = issue(deployment, ACTOR, IssueRequest(kind=Kind.OEM, common_name=pcid))
    pcp.deposit(deployment, ACTOR, car.chain[0], car.chain[1:])
    ends = deployment.clock.now() + dt.timedelta(days=365)
    emaid = f"{PROVIDER}C{number:08d}"
    cps.generate_contract(deployment, ACTOR, cps.Wanted(emaid=emaid, pcid=pcid, ends=ends))
    with deployment.store.read() as tx:
        root = load(next(i.certificate for i in tx.issuers.all() if i.kind is Kind.V2G_ROOT))
    key = car.private_key
    if key is None:
        raise TypeError("the key was made here")
    message = iso2.CertificateInstallationReq(
        header=iso2.Header(session_id=number.to_bytes(8)),
        id="id1",
        oem_certificate=car.chain[0],
        roots=(RootCertificateId(issuer_name=root.subject_text, serial=root.serial),),
    )
    return messages.encode(sign(message, key.public_key(), lambda data: sign_with(key, data)))


def median(work: Callable[[int], object], rounds: int, count: int) -> float:
    """Return microseconds for one, median over rounds of `count`."""
    found = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for number in range(count):
            work(number)
        found.append((time.perf_counter() - begun) / count)
    return 1e6 * statistics.median(found)


def parts(
    services: Services, requests: list[bytes], answer: bytes, rounds: int
) -> dict[str, float]:
    """Measure what an installation is made of."""
    deployment, count = services.deployment, len(requests)
    received = messages.decode(requests[0], Edition.ISO2)
    request = received.message
    if not isinstance(request, iso2.CertificateInstallationReq):
        raise TypeError("the request is one of ours")
    leaf = load(request.oem_certificate)
    with deployment.store.read() as tx:
        pooled = tx.pools.search_chains(wmis=None, after=None, limit=1)[0]
        bundle = tx.pools.bundles(pooled.pcid)[0]
    chain = (leaf, *(load(der) for der in pooled.sub_cas))
    signature, tbs = leaf.x509.signature, leaf.x509.tbs_certificate_bytes
    key = chain[1].public_key

    def judge(_: int) -> None:
        with deployment.store.read() as tx:
            chains.Judge.of(tx, deployment.clock.now()).check(tx, chain, chains.OEM)

    def look_up(_: int) -> None:
        with deployment.store.read() as tx:
            tx.pools.chain(pooled.pcid, pooled.suite)
            tx.pools.bundles(pooled.pcid)
            tx.pools.default_contract(pooled.pcid)
            tx.contracts.get(bundle.contract_id)

    session = request.header.session_id
    return {
        "decode the request": median(
            lambda n: messages.decode(requests[n], Edition.ISO2), rounds, count
        ),
        "verify its signature": median(lambda _: verify(received, leaf.public_key), rounds, count),
        "judge the car's chain": median(judge, rounds, count),
        "look up": median(look_up, rounds, count),
        "read and write the answer": median(
            lambda _: response.for_session(response.read(answer, Edition.ISO2), session, 0),
            rounds,
            count,
        ),
        "one bare signature check": median(lambda _: verifies(key, signature, tbs), rounds, count),
    }


def codec(requests: list[bytes], answer: bytes, rounds: int) -> float:
    """Return microseconds of our codec for one request and one answer."""

    def both(number: int) -> None:
        messages.decode(requests[number], Edition.ISO2)
        messages.encode(message)

    message = messages.decode(answer, Edition.ISO2).message
    return median(both, rounds, len(requests))


def java(python: str, request: bytes, answer: bytes, seconds: float) -> float:
    """Return microseconds of the Java codec for the same."""
    command = [python, "-c", _JAVA, request.hex(), answer.hex(), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    return float(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure and show."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("--cars", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ev-python")
    parser.add_argument("--seconds", type=float, default=6.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pnc-bench-") as folder:
        services = furnish(Path(folder) / "home")
        begun = time.perf_counter()
        numbers = track(range(options.cars), "Provisioning", console=Console(stderr=True))
        requests = [provide(services, number) for number in numbers]
        making = (time.perf_counter() - begun) / options.cars

        def ask(number: int) -> bytes:
            outcome = install(services.deployment, ACTOR, requests[number], Edition.ISO2)
            return outcome.answers[0].exi

        first = median(ask, 1, options.cars)
        again = median(ask, options.rounds, options.cars)
        answer = ask(0)
        rows = parts(services, requests, answer, options.rounds)
        bare = 4 * rows["one bare signature check"]
        own = codec(requests, answer, options.rounds)
        foreign = (
            java(options.ev_python, requests[0], answer, options.seconds)
            if options.ev_python
            else None
        )
        services.close()
    table = Table("what", "µs", "per second")
    shown = {
        "an installation, first time": first,
        "an installation, repeated": again,
        **rows,
        "four bare signature checks": bare,
        "our codec, request and answer": own,
        **({"the Java codec, the same": foreign} if foreign else {}),
        "a car and its contract, made": 1e6 * making,
    }
    for name, value in shown.items():
        table.add_row(name, f"{value:.0f}", f"{1e6 / value:.0f}")
    out = Console()
    out.print(table)
    out.print(f"installation / four bare signature checks: {again / bare:.1f}")
    if foreign:
        out.print(f"our codec / the Java codec: {own / foreign:.2f}")
        out.print(f"whole installation / the Java codec alone: {again / foreign:.2f}")


if __name__ == "__main__":
    main()
