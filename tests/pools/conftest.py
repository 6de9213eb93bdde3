"""One installation with every company as a client, asked over HTTP; on each database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from werkzeug.test import TestResponse

from pki import clients
from pki.model import Role
from pki.pkix.suites import Suite
from pki.services import Services
from tests.homes import ADMIN, opened
from tests.provision.cars import Car, make_car
from tests.provision.conftest import furnish
from tests.web.calling import Caller
from web.app import create_app

CLIENTS: dict[str, tuple[Role, tuple[str, ...], Literal["own", "hosted"] | None]] = {
    "cpo": (Role.CPO, ("DE*CPA",), None),
    "oem": (Role.OEM, ("WMI",), None),
    "oem2": (Role.OEM, ("WVW",), None),
    "emsp": (Role.EMSP, ("DEMOA",), "hosted"),
    "own": (Role.EMSP, ("DEMOA",), "own"),
    "emsp2": (Role.EMSP, ("DEXYZ",), None),
    "cps": (Role.CPS, ("DEMO-CPS",), None),
    "admin": (Role.ADMIN, (), None),
    "auditor": (Role.AUDITOR, (), None),
}


@dataclass(frozen=True)
class World:
    """A caller of an installation, and a car whose chain nobody has deposited yet."""

    services: Services
    caller: Caller
    car: Car

    def ask(self, role: str, method: str, path: str, body: Any = None, **more: Any) -> TestResponse:
        return self.caller.call(method, path, body=body, role=role, **more)

    def ok(self, role: str, method: str, path: str, body: Any = None, **more: Any) -> Any:
        answer = self.ask(role, method, path, body, **more)
        assert answer.status_code in (200, 201), answer.text
        return answer.get_json(silent=True)


def world_of(services: Services) -> World:
    tokens = {}
    for label, (role, parties, pki) in CLIENTS.items():
        _, tokens[label] = clients.add(services.deployment, ADMIN, role, parties, pki=pki)
    return World(services, Caller(create_app(services), tokens), make_car(services))


@pytest.fixture(scope="session")
def pools_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A furnished -2 home, not to be changed."""
    home = tmp_path_factory.mktemp("pools") / "home"
    furnish(home, (Suite.P256,))
    return home


@pytest.fixture
def world(pools_template: Path, tmp_path: Path) -> Iterator[World]:
    """An installation of the test's own."""
    with opened(Path(shutil.copytree(pools_template, tmp_path / "home"))) as services:
        yield world_of(services)


@pytest.fixture
def world_anywhere(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str
) -> Iterator[World]:
    """The same on SQLite and on PostgreSQL in turn."""
    if database_url.startswith("sqlite"):
        yield request.getfixturevalue("world")
        return
    home = tmp_path / "home"
    furnish(home, (Suite.P256,), database_url)
    with opened(home, database_url=database_url) as services:
        yield world_of(services)
