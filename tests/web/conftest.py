"""One p256 demo installation, made once and copied for each test that changes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pki import demo, hierarchy, services, settings
from pki.clock import FixedClock
from pki.model import Principal, Role
from pki.pkix.suites import Suite
from pki.services import Services
from tests.builders import NOW
from tests.homes import demo_plans
from tests.web.authority import authority, authority_home, authority_template, common
from tests.web.calling import Caller
from web.app import create_app

ADMIN = Principal(name="cli:test", role=Role.ADMIN)
PUBLIC_URL = "http://pki.example"


def installation(home: Path, mode: str = "demo") -> Services:
    """Return the services of a home, at a time that stands still."""
    environment = {"PNC_PUBLIC_URL": PUBLIC_URL, "PNC_MODE": mode}
    if mode == "production":
        environment["PNC_SIGNER_SOCKET"] = str(home / "signer")
        environment["PNC_KEY_PASSPHRASE_FILE"] = str(home / "keys" / "passphrase")
    return services.build(settings.load(environment, home), clock=FixedClock(NOW))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the P-256 part of the demo hierarchy, its companies and its clients."""
    home = tmp_path_factory.mktemp("template")
    running = installation(home)
    running.database.migrate()
    plans = [plan for plan in demo_plans() if plan.suite is Suite.P256]
    hierarchy.create(running.deployment, ADMIN, plans)
    demo.register(running.deployment, ADMIN, home)
    running.close()
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    """A home of this test's own."""
    return Path(shutil.copytree(template, tmp_path / "home"))


@pytest.fixture
def running(home: Path) -> Iterator[Services]:
    """The services of this test's home."""
    built = installation(home)
    yield built
    built.close()


@pytest.fixture
def caller(running: Services) -> Caller:
    """Somebody who calls this test's installation."""
    return Caller(create_app(running), tokens(running.settings.home))


@pytest.fixture(scope="module")
def shared(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """A caller of one installation for tests that change nothing that another could see."""
    home = Path(shutil.copytree(template, tmp_path_factory.mktemp("shared") / "home"))
    built = installation(home)
    yield Caller(create_app(built), tokens(home))
    built.close()


def tokens(home: Path) -> dict[str, str]:
    """Return the demo tokens by label."""
    clients = json.loads((home / demo.FILE_NAME).read_text("utf-8"))
    return {label: client["token"] for label, client in clients.items()}


__all__ = ["authority", "authority_home", "authority_template", "common"]
