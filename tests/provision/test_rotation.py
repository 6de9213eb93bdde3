"""Every kind of key is rotated under load: no request fails and no chain is invalid."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import pytest

from pki import audit, clients, parties, rotate, tokens
from pki.errors import Unavailable
from pki.ids import Edition
from pki.issue import IssueRequest, issue
from pki.model import (
    Accepted,
    CertificateRecord,
    ContractCheck,
    IssuerState,
    Partner,
    PartnerState,
    Role,
)
from pki.pkix.profiles import Kind
from pki.provision import cps
from pki.provision.install import install
from pki.rotate import Step
from pki.services import Services
from pki.status import StatusPolicy, crls
from pki.validate import validate
from tests.homes import ADMIN
from tests.provision import cars
from tests.provision.cars import PCID
from tests.status import hosts

NO_GRACE = dt.timedelta(0)
NAMES = ("v2g-2", "cps1-2", "cps2-2", "mo-2", "mo1-2", "mo2-2")


@dataclass
class Load:
    """
    Threads that ask again and again until they are told to stop.

    Attributes:
        rounds: how often each ended its question.
        failures: what went wrong, whatever it was.
    """

    rounds: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    threads: list[threading.Thread] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def add(self, name: str, work: Callable[[], bool]) -> None:
        self.rounds[name] = 0
        self.threads.append(threading.Thread(target=self._repeat, args=(name, work), name=name))

    def _repeat(self, name: str, work: Callable[[], bool]) -> None:
        while not self.stopping.wait(0.03):
            try:
                if not work():
                    self.failures.append(f"{name}: a wrong answer")
            except Unavailable as error:
                if error.code != "store_busy":  # SQLite has one writer; a client asks again
                    self.failures.append(f"{name}: {error.code}")
            except Exception as error:  # noqa: BLE001 - the test shows whatever it was
                self.failures.append(f"{name}: {error!r}")
            self.rounds[name] += 1

    def __enter__(self) -> Self:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()

    def goes_on(self) -> None:
        """Wait until everybody has begun and ended a question anew."""
        before = dict(self.rounds)
        hosts.wait_for(
            lambda: all(self.rounds[name] > count + 1 for name, count in before.items()),
            within=60,
        )


@dataclass
class World:
    """One installation and what was issued by it before and during its rotations."""

    services: Services
    car: cars.Car
    issued: list[tuple[CertificateRecord, tuple[bytes, ...]]] = field(default_factory=list)

    def issue(self) -> bool:
        request = IssueRequest(kind=Kind.CONTRACT, common_name="DEMOAC00000077")
        made = issue(self.services.deployment, ADMIN, request)
        self.issued.append((made.record, made.chain))
        return self.holds(made.record, made.chain)

    def old_ones(self) -> bool:
        return self.holds(*self.issued[0])

    def holds(self, record: CertificateRecord, chain: tuple[bytes, ...]) -> bool:
        decision = validate(self.services.deployment, ADMIN, ContractCheck(chain=chain))
        told = hosts.ask(self.services, record, nonce=bytes(16))
        return isinstance(decision.verdict, Accepted) and told == hosts.GOOD

    def install(self) -> bool:
        deployment = self.services.deployment
        answers = install(deployment, ADMIN, self.car.request(), Edition.ISO2).answers
        return all(self.car.accept(answer.exi) for answer in answers) and bool(answers)


def _partner(services: Services, name: str = "acme") -> None:
    kept = Partner(
        partner_id=name,
        name=name,
        state=PartnerState.REGISTERED,
        own=(),
        created_at=services.deployment.clock.now(),
        sealed_token=services.partners.seal(name, "a token C"),
    )
    with services.deployment.store.write() as tx:
        tx.partners.add(kept)


def _told(services: Services) -> bool:
    with services.deployment.store.read() as tx:
        held = tx.partners.get("acme")
    return held is not None and services.partners.link(held).token == "a token C"


def _rotate_ca(services: Services, load: Load, name: str) -> None:
    rotate.prepare(services.deployment, ADMIN, name)
    load.goes_on()
    rotate.switch(services.deployment, ADMIN, name)
    load.goes_on()  # everybody ended what was begun with the generation before
    rotate.close(services.deployment, ADMIN, name, grace=NO_GRACE)


def test_every_kind_of_key_is_rotated_under_load_and_no_request_fails(
    pnc_anywhere: Services,
) -> None:
    services = pnc_anywhere
    deployment = services.deployment
    world = World(services, cars.deposited(services))
    ends = deployment.clock.now() + cars.YEAR
    cps.generate_contract(
        deployment, ADMIN, cps.Wanted(emaid="DEMOAC00000001", pcid=PCID, ends=ends)
    )
    world.issue()
    _partner(services)
    client, secret = clients.add(deployment, ADMIN, Role.CPO, ("DECPA",))
    first = tokens.grant(deployment, client.client_id, secret).text

    def tokens_work() -> bool:
        fresh = tokens.grant(deployment, client.client_id, secret).text
        return all(tokens.authenticate(deployment, text).name for text in (first, fresh))

    load = Load()
    load.add("issue", world.issue)
    load.add("old", world.old_ones)
    load.add("install", world.install)
    load.add("token", tokens_work)
    load.add("partner", lambda: _told(services))
    with load:
        load.goes_on()
        rotate.token(deployment, ADMIN)
        rotate.responder(deployment, ADMIN, "mo2-2")
        rotate.cps(deployment, ADMIN, "cps2-2")
        for name in NAMES:
            _rotate_ca(services, load, name)
        for step in (Step.PREPARE, Step.SWITCH, Step.RETIRE):
            assert rotate.storage(deployment, ADMIN).step is step
            load.goes_on()
        crls.publish_due(deployment, ADMIN, StatusPolicy())
        load.goes_on()
    assert load.failures == []
    _check_after(world)


def _check_after(world: World) -> None:
    deployment = world.services.deployment
    assert len({record.issuer_id for record, _ in world.issued}) == 2
    assert all(world.holds(record, chain) for record, chain in world.issued)
    with deployment.store.read() as tx:
        states = {i.issuer_id: i.state for i in tx.issuers.all() if i.name in NAMES}
    assert {states[f"{name}.g1"] for name in NAMES} == {IssuerState.STATUS_ONLY}
    assert {states[f"{name}.g2"] for name in NAMES} == {IssuerState.ACTIVE}
    assert not any(report.problem for report in audit.verify(deployment.store))


# --- storage key ---------------------------------------------------------------------------------


def test_encrypting_anew_is_taken_up_where_it_was_interrupted(pnc: Services) -> None:
    services = pnc
    for name in ("acme", "bravo", "charlie"):
        _partner(services, name)
    hook = "https://emsp.example/ask"
    parties.set_emsp(
        services.deployment, ADMIN, "DEMOA", realtime_url=hook, realtime_token="s3cret"
    )
    rotate.storage(services.deployment, ADMIN)
    services.deployment.vault.switch()  # and killed before anything was encrypted anew
    plan = rotate.storage(services.deployment, ADMIN, dry_run=True)
    assert (plan.step, plan.effects[0].count) == (Step.SWITCH, 4)
    with pytest.raises(Exception, match="4 secrets") as caught:
        rotate.storage(services.deployment, ADMIN, Step.RETIRE)
    assert getattr(caught.value, "code", "") == "secrets_left"
    rotate.storage(services.deployment, ADMIN)
    assert rotate.storage(services.deployment, ADMIN).step is Step.RETIRE
    keys = sorted(path.name for path in (services.settings.home / "keys").glob("storage*"))
    assert keys == ["storage.g2.key"]
    with hosts.same_host(services) as other, other.deployment.store.read() as tx:
        for name in ("acme", "bravo", "charlie"):
            held = tx.partners.get(name)
            assert held is not None
            assert other.deployment.vault.unseal(held.sealed_token or b"", f"partner:{name}")
        _, emsp = parties.emsp(other.deployment, ADMIN, "DEMOA")
        assert other.deployment.vault.unseal(emsp.sealed_token or b"", emsp.context) == b"s3cret"
