"""
A car that is not ours: the EV side of the package `iso15118` asks, and takes what we answer.

It runs in an environment of its own (`scripts/ev_client` makes it) and needs Java 17. What it
checks by itself: session id, signature of the bundle, chains, decryption, that the key fits.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pki.ids import Edition
from pki.pkix import pem
from pki.provision import cps
from pki.provision.install import install
from pki.services import Services
from tests.homes import ADMIN, EMAID
from tests.provision import cars
from tests.provision.cars import PCID, SESSION
from tests.provision.conftest import pnc, pnc_template

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("certs", "keys")

pytestmark = pytest.mark.xdist_group("ev")


@dataclass(frozen=True)
class Ev:
    """The foreign car over a folder with its certificates and key."""

    python: str
    tool: Path
    scenario: Path

    def request(self) -> bytes:
        done = self._run("request")
        assert done.returncode == 0, done.stderr
        return base64.b64decode(done.stdout)

    def judge(self, exi: bytes) -> str:
        file = self.scenario / "answer.b64"
        file.write_text(base64.b64encode(exi).decode())
        return self._run("accept", str(file)).stdout.strip()

    def _run(self, action: str, *more: str) -> subprocess.CompletedProcess[str]:
        command = [self.python, str(self.tool), action, str(self.scenario), *more]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="session")
def ev_python(vectors: Path) -> str:
    """Python of the foreign car's environment."""
    assert vectors  # the tool that drives the car lies there
    if shutil.which("java") is None:
        pytest.skip("there is no Java for the car that is not ours")
    done = subprocess.run(
        [str(ROOT / "scripts" / "ev_client")],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if done.returncode and not os.environ.get("PNC_REQUIRE_PEERS"):
        pytest.skip(f"the package iso15118 cannot be installed: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def ev_of(services: Services, car: cars.Car, python: str, vectors: Path, folder: Path) -> Ev:
    """Lay out the car's certificates as the tool wants them; the key stays in the test's folder."""
    for name in FOLDERS:
        (folder / name).mkdir(parents=True)
    with services.deployment.store.read() as tx:
        issuers = {i.name: i.certificate for i in tx.issuers.all()}
    files = {
        "v2g_root": issuers["v2g-2"],
        "oem_root": issuers["oem-2"],
        "oem_sub1": issuers["oem1-2"],
        "oem_sub2": issuers["oem2-2"],
        "oem_leaf": car.chain[0],
        "mo_root": issuers["mo-2"],
        "mo_sub1": issuers["mo1-2"],
        "mo_sub2": issuers["mo2-2"],
        "cps_sub1": issuers["cps1-2"],
        "cps_sub2": issuers["cps2-2"],
    }
    for name, der in files.items():
        (folder / "certs" / f"{name}.pem").write_text(pem.encode(der))
    key = car.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    (folder / "keys" / "oem_leaf.pem").write_bytes(key)
    (folder / "scenario.json").write_text(json.dumps({"SessionID": SESSION.hex().upper()}))
    return Ev(python, vectors / "exi" / "tools" / "ev_client.py", folder)


def test_a_car_that_is_not_ours_installs_our_contract(
    pnc: Services, ev_python: str, vectors: Path, tmp_path: Path
) -> None:
    car = cars.deposited(pnc)
    ends = pnc.deployment.clock.now() + cars.YEAR
    cps.generate_contract(pnc.deployment, ADMIN, cps.Wanted(emaid=EMAID, pcid=PCID, ends=ends))
    ev = ev_of(pnc, car, ev_python, vectors, tmp_path / "ev")
    request = ev.request()
    (answer,) = install(pnc.deployment, ADMIN, request, Edition.ISO2).answers
    assert ev.judge(answer.exi) == "ACCEPTED"
    broken = bytearray(answer.exi)
    broken[-20] ^= 1
    assert ev.judge(bytes(broken)).startswith("REJECTED")


def test_a_car_that_is_not_ours_understands_our_refusal(
    pnc: Services, ev_python: str, vectors: Path, tmp_path: Path
) -> None:
    car = cars.deposited(pnc)
    ev = ev_of(pnc, car, ev_python, vectors, tmp_path / "ev")
    refusal = install(pnc.deployment, ADMIN, ev.request(), Edition.ISO2).refusal
    assert refusal is not None
    said = ev.judge(refusal.exi)
    assert said.startswith("REJECTED")
    assert "FAILED_NO_CERTIFICATE_AVAILABLE" in said


__all__ = ["pnc", "pnc_template"]
