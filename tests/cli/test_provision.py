"""Provisioning from the shell: roots, cars, contracts, and ten thousand of them in a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pki.pkix import pem
from pki.pkix.suites import Suite
from pki.services import Services
from tests.cli.test_cli import ok, refused, run
from tests.homes import EMAID, opened
from tests.provision import cars
from tests.provision.conftest import furnish

ENDS = "2027-10-31T00:00:00Z"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two cars whose chains are deposited, not to be changed."""
    home = tmp_path_factory.mktemp("cli-provision") / "home"
    furnish(home, (Suite.P256,))
    with opened(home) as services:
        for number in range(2):
            cars.deposited(services, f"WMIDEMO000000000{number}")
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "home"))


@pytest.fixture
def services(home: Path) -> Iterator[Services]:
    with opened(home) as found:
        yield found


PCID = "WMIDEMO0000000000"


def provision(home: Path, emaid: str = EMAID, pcid: str = PCID) -> Any:
    words = ("contract", "provision", "--emaid", emaid, "--pcid", pcid, "--ends", ENDS)
    return ok(home, *words)


def test_a_contract_is_provisioned_shown_moved_and_ended(home: Path) -> None:
    made = provision(home)
    assert (made["emaid"], made["pcid"], made["stored"]) == (EMAID, PCID, True)
    assert made["octets"] < 4200
    (held,) = ok(home, "contract", "bundles", EMAID)
    assert held["default"] is True
    other = "WMIDEMO0000000001"
    move = ("contract", "move", EMAID, "--pcid", other, "--ends", ENDS)
    assert ok(home, *move)["dryRun"] is True
    assert ok(home, *move, "--yes")["made"]["pcid"] == other
    assert ok(home, "contract", "suspend", EMAID, "--yes")["after"] == "suspended"
    assert ok(home, "contract", "resume", EMAID, "--yes")["after"] == "active"
    assert ok(home, "contract", "renew", EMAID, "--ends", "2028-01-31")[0]["replaced"]
    assert ok(home, "contract", "end", EMAID)["dryRun"] is True
    assert ok(home, "contract", "end", EMAID, "--yes")["after"] == "ended"


def test_a_car_is_shown_replaced_and_removed_with_its_contracts(
    home: Path, services: Services, tmp_path: Path
) -> None:
    provision(home)
    newer = cars.make_car(services, PCID)
    chain = tmp_path / "chain.pem"
    chain.write_text("".join(map(pem.encode, newer.chain)))
    preview = ok(home, "pcp", "add", str(chain), "--preview")
    assert (preview["replaced"], preview["removal"]["emaids"]) == (True, [EMAID])
    assert len(ok(home, "contract", "bundles", EMAID)) == 1
    assert ok(home, "pcp", "add", str(chain))["removal"]["bundles"] == 1
    assert refused(home, "contract", "bundles", EMAID)["code"] == "contract_unknown"
    assert len(ok(home, "pcp", "list")) == 2
    assert ok(home, "pcp", "delete", PCID)["dryRun"] is True
    assert len(ok(home, "pcp", "show", PCID)) == 1
    ok(home, "pcp", "delete", PCID, "--yes")
    assert refused(home, "pcp", "show", PCID)["code"] == "provisioning_certificate_unknown"


def test_a_root_is_added_only_with_its_fingerprint_repeated(
    home: Path, services: Services, tmp_path: Path
) -> None:
    roots = ok(home, "root", "list", "--type", "oem")
    assert [root["subject"] for root in roots] == ["DC=OEM,C=DE,O=PnC Demo,CN=OEM Root 2"]
    with services.deployment.store.read() as tx:
        der = next(i.certificate for i in tx.issuers.all() if i.name == "mo-2")
    file = tmp_path / "root.pem"
    file.write_text(pem.encode(der))
    fingerprint = next(
        r["fingerprint"] for r in ok(home, "root", "list") if "MO Root" in r["subject"]
    )
    words = ("root", "add", str(file), "--type", "v2g", "--list", "european")
    wrong = refused(home, *words, "--confirm-fingerprint", "00" * 32)
    assert wrong["code"] == "fingerprint_not_confirmed"
    added = ok(home, *words, "--confirm-fingerprint", fingerprint)
    assert added["trustLists"] == ["European CTL"]
    remove = ("root", "remove", added["rootId"], "--confirm-fingerprint", fingerprint)
    assert ok(home, *remove)["dryRun"] is True
    ok(home, *remove, "--yes")
    assert added["rootId"] not in [r["rootId"] for r in ok(home, "root", "list")]


def test_a_full_page_says_how_the_next_one_is_had(home: Path) -> None:
    listed = [chain["pcid"] for chain in ok(home, "pcp", "list")]
    first = run(home, "pcp", "list", "--limit", "1", "--json")
    assert [chain["pcid"] for chain in json.loads(first.stdout)] == listed[:1]
    way = first.stderr.split("go on with ")[1].split()
    assert way == ["--after", f"{listed[0]},p256"]
    rest = run(home, "pcp", "list", *way, "--json")
    assert [chain["pcid"] for chain in json.loads(rest.stdout)] == listed[1:]
    assert rest.stderr == ""


def test_cps_leaves_are_listed_and_a_new_one_signs_from_then_on(home: Path) -> None:
    (first,) = ok(home, "cps", "list")
    second = ok(home, "cps", "add")
    assert [s["fingerprint"] for s in ok(home, "cps", "list")].count(second["fingerprint"]) == 1
    assert first["root"] == second["root"]


def test_a_list_is_read_completely_before_anything_is_made(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(
        "emaid,pcid,ends\n"
        f"DEMOAC00000001,{PCID},{ENDS}\n"
        f"nonsense,{PCID},{ENDS}\n"
        "DEMOAC00000003,short,2027-01-01\n"
        f"DEMOAC00000004,{PCID},tomorrow\n"
        f"DEMOAC00000005,{PCID}\n"
        f"demoac00000001,{PCID},{ENDS}\n"
    )
    told = refused(home, "contract", "provision", "--csv", str(file))
    assert told["code"] == "invalid_list"
    assert [fault.partition(":")[0] for fault in told["faults"]] == [
        f"line {line}" for line in (3, 4, 5, 6, 7)
    ]
    assert refused(home, "contract", "bundles", "DEMOAC00000001")["code"] == "contract_unknown"


def test_a_list_names_rows_that_failed_and_is_taken_up_again(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    rows = [f"DEMOAC{number:08d},{PCID},{ENDS}" for number in range(1, 4)]
    rows.insert(1, f"DEMOAC99999999,WMIDEMO0000000009,{ENDS}")
    file.write_text("\n".join(["emaid,pcid,ends", *rows]) + "\n")
    result = run(home, "contract", "provision", "--csv", str(file), "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert (report["rows"], report["made"], report["kept"]) == (4, 3, 0)
    assert [(f["line"], f["code"]) for f in report["failed"]] == [
        (3, "provisioning_certificate_unknown")
    ]
    with opened(home) as services:
        cars.deposited(services, "WMIDEMO0000000009")
    again = ok(home, "contract", "provision", "--csv", str(file))
    assert (again["made"], again["kept"], again["failed"]) == (1, 3, [])
