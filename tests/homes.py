"""Installations for tests: a small PKI made once, copied or rebuilt as a test needs it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest

from pki import hierarchy, parties
from pki import services as wiring
from pki.clock import Clock
from pki.hierarchy import IssuerPlan
from pki.model import Principal, Role
from pki.services import Services
from pki.settings import load

ADMIN = Principal(name="test", role=Role.ADMIN)
PROVIDER = "DEMOA"
EMAID = "DEMOAC12345678"


def demo_plans(*names: str) -> list[IssuerPlan]:
    """Return the CAs of the demo hierarchy, or those named, in order."""
    folder = files("certs") / "hierarchies"
    texts = [(folder / name).read_text("utf-8") for name in ("demo.toml", "tls.toml")]
    plans = [plan for text in texts for plan in hierarchy.read(text)]
    return [plan for plan in plans if not names or plan.name in names]


MO_BRANCH = ("mo-2", "mo1-2", "mo2-2")


@contextmanager
def opened(
    home: Path, *, database_url: str | None = None, clock: Clock | None = None
) -> Iterator[Services]:
    """Open the installation in a home directory and close it again."""
    environment = {"PNC_DATABASE_URL": database_url} if database_url else {}
    services = wiring.build(load(environment, home), clock=clock)
    try:
        yield services
    finally:
        services.close()


def make_home(home: Path, *names: str, database_url: str | None = None) -> None:
    """Make a PKI with the named CAs, and the eMSP account `DEMOA`."""
    home.mkdir(parents=True, exist_ok=True)
    with opened(home, database_url=database_url) as services:
        services.database.migrate()
        hierarchy.create(services.deployment, ADMIN, demo_plans(*names))
        parties.add_emsp(services.deployment, ADMIN, PROVIDER, "Demo Mobility")


@pytest.fixture(scope="session")
def small_home_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the -2 MO branch, not to be changed."""
    home = tmp_path_factory.mktemp("small") / "home"
    make_home(home, *MO_BRANCH)
    return home


@pytest.fixture(scope="session")
def full_home_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the whole demo hierarchy, not to be changed."""
    home = tmp_path_factory.mktemp("full") / "home"
    make_home(home)
    return home


@pytest.fixture
def small_home(small_home_template: Path, tmp_path: Path) -> Path:
    """A home of the test's own with the -2 MO branch and the account `DEMOA`."""
    return Path(shutil.copytree(small_home_template, tmp_path / "home"))


@pytest.fixture
def full_home(full_home_template: Path, tmp_path: Path) -> Path:
    """A home of the test's own with the whole demo hierarchy and the account `DEMOA`."""
    return Path(shutil.copytree(full_home_template, tmp_path / "home"))


@pytest.fixture
def small(small_home: Path) -> Iterator[Services]:
    """The opened small home."""
    with opened(small_home) as services:
        yield services


@pytest.fixture
def full(full_home: Path) -> Iterator[Services]:
    """The opened full home."""
    with opened(full_home) as services:
        yield services


@pytest.fixture
def anywhere(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str
) -> Iterator[Services]:
    """The small PKI on SQLite and on PostgreSQL in turn."""
    if database_url.startswith("sqlite"):
        home = request.getfixturevalue("small_home")
        with opened(home) as services:
            yield services
        return
    home = tmp_path / "home"
    make_home(home, *MO_BRANCH, database_url=database_url)
    with opened(home, database_url=database_url) as services:
        yield services
