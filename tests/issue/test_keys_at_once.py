"""A key of a station or a CSMS gets into no other certificate, also if both are asked at once."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from pki import audit, lookup, parties
from pki.errors import PkiError
from pki.issue import IssueRequest, issue, spki_hash
from pki.issue.order import place
from pki.issue.phases import carry_out
from pki.model import EnrolmentRules, Role, TenantRules
from pki.pkix.profiles import Kind
from pki.ports import Deployment
from tests.databases import PostgresServer, sqlite_url
from tests.homes import ADMIN, make_home, opened
from tests.issue.test_claims import before_the_certificate
from tests.web.calling import csr

BRANCHES = ("v2g-2", "cpo1-2", "cpo2-2", "tls-p256", "tls1-p256")
Key = ec.EllipticCurvePrivateKey


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def chargers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    """The CAs of chargers on either database."""
    home = tmp_path_factory.mktemp("keys") / "home"
    url = sqlite_url(home)
    if request.param == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        server.run("CREATE DATABASE keys_at_once")
        url = server.url("keys_at_once")
    make_home(home, *BRANCHES, database_url=url)
    with opened(home, database_url=url) as services:
        parties.add_party(services.deployment, ADMIN, Role.CPO, "DE*CPA", "Demo CPO")
        yield services.deployment


def station(deployment: Deployment, key: Key) -> str:
    return told(deployment, request(Kind.STATION, "SN-1", key))


def secc(deployment: Deployment, key: Key) -> str:
    return told(deployment, request(Kind.SECC, "DE*CPA*E1", key))


def request(kind: Kind, name: str, key: Key) -> IssueRequest:
    party = "DECPA" if kind is Kind.STATION else None
    return IssueRequest(kind=kind, request=csr(name, key).encode(), party=party)


def told(deployment: Deployment, wanted: IssueRequest) -> str:
    try:
        issue(deployment, ADMIN, wanted)
    except PkiError as error:
        return error.code
    return ""


@pytest.fixture
def key() -> Key:
    return ec.generate_private_key(ec.SECP256R1())


Ask = Callable[[Deployment, Key], str]


@pytest.mark.parametrize(
    ("first", "second"), [(station, secc), (secc, station)], ids=["station", "secc"]
)
def test_who_comes_between_intent_and_certificate_of_a_key_is_refused(
    chargers: Deployment, key: Key, first: Ask, second: Ask
) -> None:
    others: list[str] = []
    busy = before_the_certificate(chargers, lambda: others.append(second(chargers, key)))
    assert (first(busy, key), others) == ("", ["key_underway"])
    assert second(chargers, key) == "key_reused"
    consistent(chargers, key)


def test_who_was_judged_before_the_other_was_issued_is_refused(
    chargers: Deployment, key: Key
) -> None:
    order = place(chargers, ADMIN, request(Kind.SECC, "DE*CPA*E1", key)).order
    assert station(chargers, key) == ""
    with pytest.raises(PkiError) as caught:
        carry_out(chargers, ADMIN, order)
    assert caught.value.code == "key_reused"
    consistent(chargers, key)


def test_a_key_that_a_killed_process_claimed_is_free_after_a_minute(
    chargers: Deployment, key: Key
) -> None:
    name = f"key:{spki_hash(key.public_key()).hex()}"
    now = chargers.clock.now()
    for seconds, code in ((30, "key_underway"), (60, "")):
        with chargers.store.write() as tx:
            tx.entities.free(name, "killed")
            assert tx.entities.claim(name, "killed", now - dt.timedelta(seconds=seconds))
        assert secc(chargers, key) == code
    consistent(chargers, key)
    with chargers.store.write() as tx:  # who held it would find it gone
        assert not tx.entities.free(name, "killed")


def test_an_operator_that_may_reuse_keys_is_not_hindered(chargers: Deployment, key: Key) -> None:
    rules = EnrolmentRules(tenants={"DECPA": TenantRules(reuse_keys=True)})
    lenient = replace(chargers, enrolment=rules)
    others: list[str] = []
    busy = before_the_certificate(lenient, lambda: others.append(secc(lenient, key)))
    assert (station(busy, key), others) == ("", [""])
    busy = before_the_certificate(lenient, lambda: others.append(station(lenient, key)))
    assert (secc(busy, key), others) == ("", ["", ""])


def test_of_a_crowd_that_asks_for_one_key_one_is_issued_at_most(chargers: Deployment) -> None:
    crowd = 4
    for _ in range(6):
        key = ec.generate_private_key(ec.SECP256R1())
        wanted = [
            request(Kind.STATION, f"SN-{at}", key) if at % 2 else request(Kind.SECC, "DECPAE1", key)
            for at in range(crowd)
        ]
        begin = threading.Barrier(crowd)

        def ask(one: IssueRequest, begin: threading.Barrier = begin) -> str:
            begin.wait(60)
            return told(chargers, one)

        with ThreadPoolExecutor(crowd) as pool:
            codes = list(pool.map(ask, wanted))
        assert set(codes) <= {"", "key_underway", "name_underway", "key_reused"}
        consistent(chargers, key, codes.count(""))


def consistent(deployment: Deployment, key: Key, count: int = 1) -> None:
    """The key stands in so many certificates of one name; all is told, and nothing half-issued."""
    with deployment.store.read() as tx:
        _, held = tx.certificates.known_keys([spki_hash(key.public_key())])
    assert len(held) == count
    assert len({(holder.kind, holder.common_name) for _, holder in held}) <= 1
    assert lookup.intents(deployment, ADMIN) == []
    assert [r.problem for r in audit.verify(deployment.store) if r.problem] == []
