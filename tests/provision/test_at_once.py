"""Several provisions of one car at once, and a process that dies in the middle of one."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pki import audit, lookup
from pki.errors import Conflict, PkiError, Unavailable
from pki.ids import Edition, Fingerprint, Pcid
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.provision import cps, generate, pcp
from pki.provision.install import install
from pki.services import Services
from tests.homes import ADMIN, EMAID, opened
from tests.provision import cars
from tests.provision.cars import PCID
from tests.provision.conftest import furnish

ROOT = Path(__file__).resolve().parents[2]
SECOND = "WMIDEMO0000000002"


def attempt(services: Services, emaid: str, pcid: str) -> str:
    """Provision, taking up again where another writer held the database; return the outcome."""
    ends = services.deployment.clock.now() + cars.YEAR
    wanted = cps.Wanted(emaid=emaid, pcid=pcid, ends=ends)
    while True:
        try:
            cps.generate_contract(services.deployment, ADMIN, wanted)
        except Unavailable as error:
            if error.code != "store_busy":
                raise
        except PkiError as error:
            return error.code
        else:
            return "made"


def test_contracts_made_at_once_for_one_car_are_all_there_and_one_is_the_default(
    pnc_anywhere: Services,
) -> None:
    car = cars.deposited(pnc_anywhere)
    emaids = [f"DEMOAC0000000{number}" for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda e: attempt(pnc_anywhere, e, PCID), emaids))
    assert told == ["made"] * 4
    with pnc_anywhere.deployment.store.read() as tx:
        held = tx.pools.bundles(Pcid(value=PCID))
        default = tx.pools.default_contract(Pcid(value=PCID))
    assert sorted(b.emaid.key for b in held) == emaids
    assert default in {b.contract_id for b in held}
    (answer,) = install(pnc_anywhere.deployment, ADMIN, car.request(), Edition.ISO2).answers
    car.accept(answer.exi)


def test_one_contract_asked_for_two_cars_at_once_goes_to_one_of_them(
    pnc_anywhere: Services,
) -> None:
    for pcid in (PCID, SECOND):
        cars.deposited(pnc_anywhere, pcid)
    with ThreadPoolExecutor(2) as pool:
        told = list(pool.map(lambda pcid: attempt(pnc_anywhere, EMAID, pcid), (PCID, SECOND)))
    assert sorted(told) == ["emaid_in_use", "made"]


def test_a_car_whose_key_changes_meanwhile_gets_nothing_for_the_old_one(pnc: Services) -> None:
    cars.deposited(pnc)
    ends = pnc.deployment.clock.now() + cars.YEAR
    wanted = cps.Wanted(emaid=EMAID, pcid=PCID, ends=ends)
    order = generate.prepare(pnc.deployment, ADMIN, wanted)
    cars.deposit(pnc, cars.make_car(pnc))
    with pytest.raises(Conflict) as caught, pnc.deployment.store.write() as tx:
        generate.hold(tx, order)
    assert caught.value.code == "vehicle_changed"


KILLED = """
import sys
from dataclasses import replace
from pathlib import Path
from pki import services as wiring
from pki.provision import cps, pcp
from pki.settings import load
from tests.faults.killer import Fuse, KillingKeys, KillingStore
from tests.homes import ADMIN, EMAID
from tests.provision import cars

services = wiring.build(load({}, Path(sys.argv[1])))
fuse = Fuse(int(sys.argv[2]))
deployment = replace(
    services.deployment,
    store=KillingStore(services.deployment.store, fuse),
    keys=KillingKeys(services, fuse),
)
if sys.argv[3] == "provision":
    ends = deployment.clock.now() + cars.YEAR
    cps.generate_contract(
        deployment, ADMIN, cps.Wanted(emaid=EMAID, pcid=cars.PCID, ends=ends)
    )
else:
    pcp.delete(deployment, ADMIN, cars.PCID)
"""


def kill(home: Path, step: int, what: str) -> int:
    command = [sys.executable, "-c", KILLED, str(home), str(step), what]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, timeout=120, check=False
    ).returncode


def test_a_process_that_dies_leaves_a_contract_whole_or_absent(tmp_path: Path) -> None:
    home = tmp_path / "home"
    furnish(home, (Suite.P256,))
    with opened(home) as services:
        car = cars.deposited(services)
    killed, last, given = 0, 0, set[Fingerprint]()
    for step in range(1, 20):
        if kill(home, step, "provision") != -signal.SIGKILL:
            break
        killed, last = killed + 1, step
        with opened(home) as services:
            held = install(services.deployment, ADMIN, car.request(), Edition.ISO2)
            if held.answers:
                car.accept(held.answers[0].exi)
            else:
                assert held.refusal is not None
                assert held.refusal.code == "no_contract"
            assert all(r.problem is None for r in audit.verify(services.deployment.store))
            listed = lookup.search(services.deployment, ADMIN, kind=Kind.CONTRACT)
            with services.deployment.store.read() as tx:
                pooled = tx.pools.bundles(Pcid(value=PCID))
            given |= {bundle.certificate for bundle in pooled}
            assert {record.fingerprint for record in listed} == given
    assert killed >= 10
    assert last == killed
    with opened(home) as services:
        (answer,) = install(services.deployment, ADMIN, car.request(), Edition.ISO2).answers
        car.accept(answer.exi)


def test_a_removal_that_is_killed_happens_completely_or_not_at_all(tmp_path: Path) -> None:
    home = tmp_path / "home"
    furnish(home, (Suite.P256,))
    with opened(home) as services:
        cars.deposited(services)
        assert attempt(services, EMAID, PCID) == "made"
    assert kill(home, 1, "delete") == -signal.SIGKILL  # before the commit
    with opened(home) as services, services.deployment.store.read() as tx:
        assert len(tx.pools.bundles(Pcid(value=PCID))) == 1
        assert tx.pools.chains(Pcid(value=PCID))
        (record,) = tx.certificates.search(common_name=EMAID)
        assert tx.certificates.revocation(record.issuer_id, record.serial) is None
    assert kill(home, 2, "delete") == -signal.SIGKILL  # after it
    with opened(home) as services:
        with services.deployment.store.read() as tx:
            assert tx.pools.bundles(Pcid(value=PCID)) == []
            assert tx.certificates.revocation(record.issuer_id, record.serial) is not None
        with pytest.raises(PkiError) as caught:
            pcp.find(services.deployment, ADMIN, PCID)
        assert caught.value.code == "provisioning_certificate_unknown"
