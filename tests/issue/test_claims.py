"""Of requests for one name at once, one gets a certificate; whatever comes in between."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pki import clients
from pki.clock import FixedClock
from pki.errors import PkiError, Unavailable
from pki.ids import Edition
from pki.issue import IssueRequest, issue
from pki.issue.order import place
from pki.issue.phases import carry_out
from pki.model import EnrolmentRules, Principal, Role, TenantRules
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.ports import Deployment, Store, Transaction
from pki.services import Services
from tests.homes import ADMIN
from tests.web.calling import csr

NAME = "DEMOAC00000001"
ONE_OF_A_NAME = EnrolmentRules(windows={Kind.CONTRACT: dt.timedelta(days=30)})
CONTRACT = IssueRequest(kind=Kind.CONTRACT, common_name=NAME)


class Interrupted:
    """A store at one of whose writes something happens first."""

    def __init__(self, store: Store, at: int, what: Callable[[], object]) -> None:
        self._store, self._left, self._what = store, at, what

    def ping(self) -> None:
        self._store.ping()

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        with self._store.read() as tx:
            yield tx

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        self._left -= 1
        if self._left == 0:
            self._what()
        with self._store.write() as tx:
            yield tx


@pytest.fixture
def single(anywhere: Services) -> Deployment:
    """Contracts have one certificate in force, on either database."""
    clock = FixedClock(anywhere.deployment.clock.now())
    return replace(anywhere.deployment, enrolment=ONE_OF_A_NAME, clock=clock)


def code(deployment: Deployment, request: IssueRequest = CONTRACT) -> str:
    try:
        issue(deployment, ADMIN, request)
    except PkiError as error:
        return error.code
    return ""


def issued(deployment: Deployment) -> int:
    with deployment.store.read() as tx:
        return len(tx.certificates.search(common_name=NAME))


def before_the_certificate(deployment: Deployment, what: Callable[[], object]) -> Deployment:
    """Let something happen between an intent and its certificate."""
    return replace(deployment, store=Interrupted(deployment.store, 2, what))


def test_of_two_that_were_judged_together_one_is_issued(single: Deployment) -> None:
    first, second = (place(single, ADMIN, CONTRACT).order for _ in range(2))
    carry_out(single, ADMIN, first)
    with pytest.raises(PkiError) as caught:
        carry_out(single, ADMIN, second)
    assert caught.value.code == "certificate_current"
    assert issued(single) == 1
    with single.store.read() as tx:  # nothing of the second was begun
        assert tx.intents.unfinished() == []


def test_who_comes_between_intent_and_certificate_is_told_to_wait(single: Deployment) -> None:
    others: list[str] = []
    busy = before_the_certificate(single, lambda: others.append(code(single)))
    assert code(busy) == ""
    assert others == ["name_underway"]
    assert code(single) == "certificate_current"


def test_who_took_a_minute_loses_the_name(single: Deployment) -> None:
    later = replace(single, clock=FixedClock(single.clock.now() + dt.timedelta(minutes=1)))
    others: list[str] = []
    slow = before_the_certificate(single, lambda: others.append(code(later)))
    assert code(slow) == "name_underway"
    assert others == [""]
    assert issued(single) == 1


def test_what_failed_leaves_the_name_to_others(single: Deployment) -> None:
    def fail() -> None:
        raise Unavailable("store_unavailable", "The disk is full.")

    assert code(before_the_certificate(single, fail)) == "store_unavailable"
    assert code(single) == ""


def test_of_many_at_once_one_is_issued(single: Deployment) -> None:
    many = 4
    begin = threading.Barrier(many)

    def ask(_: int) -> str:
        begin.wait()
        return code(single)

    with ThreadPoolExecutor(many) as pool:
        told = list(pool.map(ask, range(many)))
    assert told.count("") == 1
    assert set(told) <= {"", "name_underway", "certificate_current"}
    assert issued(single) == 1


def test_a_driver_of_both_editions_has_a_certificate_of_each(full: Services) -> None:
    deployment = replace(full.deployment, enrolment=ONE_OF_A_NAME)
    iso20 = replace(CONTRACT, edition=Edition.ISO20, suite=Suite.P521)
    assert [code(deployment, each) for each in (CONTRACT, iso20)] == ["", ""]
    assert [code(deployment, each) for each in (CONTRACT, iso20)] == ["certificate_current"] * 2


def test_a_name_written_another_way_is_the_same_name(full: Services) -> None:
    rules = EnrolmentRules(windows=dict.fromkeys((Kind.SECC, Kind.CONTRACT), dt.timedelta(days=9)))
    deployment = replace(full.deployment, enrolment=rules)
    clients.add(deployment, ADMIN, Role.CPO, ("DECPA",), name="Operator")
    for kind, names in (
        (Kind.CONTRACT, ("DEMOAC12345678", "DE-MOA-C12345678-X", "demoac123456780")),
        (Kind.SECC, ("DE*CPA*E123", "DECPAE123", "de*cpa*e123", "DE*CPA*E12*3")),
    ):
        told = [code(deployment, IssueRequest(kind=kind, common_name=name)) for name in names]
        assert told == ["", *["certificate_current"] * (len(names) - 1)]


def test_no_two_operators_get_one_station_at_once(full: Services) -> None:
    for party in ("DECPA", "DECPB"):
        clients.add(full.deployment, ADMIN, Role.CPO, (party,), name=f"Operator {party}")
    rules = EnrolmentRules(tenants={"DECPA": TenantRules(), "DECPB": TenantRules()})
    deployment = replace(full.deployment, enrolment=rules)
    one, other = (
        (Principal(name=party, role=Role.CPO, parties=(party,)), party)
        for party in ("DECPA", "DECPB")
    )
    orders = [
        (caller, place(deployment, caller, station(party, "SN-1")).order)
        for caller, party in (one, other)
    ]
    carry_out(deployment, *orders[0])
    with pytest.raises(PkiError, match="Another cpo holds"):
        carry_out(deployment, *orders[1])


def station(party: str, name: str, key: ec.EllipticCurvePrivateKey | None = None) -> IssueRequest:
    return IssueRequest(kind=Kind.STATION, request=csr(name, key).encode(), party=party)


def test_no_key_gets_into_two_stations_at_once(full: Services) -> None:
    clients.add(full.deployment, ADMIN, Role.CPO, ("DECPA",), name="Operator")
    deployment, key = full.deployment, ec.generate_private_key(ec.SECP256R1())
    orders = [place(deployment, ADMIN, station("DECPA", f"SN-{n}", key)).order for n in range(2)]
    carry_out(deployment, ADMIN, orders[0])
    with pytest.raises(PkiError) as caught:
        carry_out(deployment, ADMIN, orders[1])
    assert caught.value.code == "key_reused"
