"""A home with the -2 hierarchy, one of each company, and a CPS leaf; on each database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pki import hierarchy, parties
from pki.model import Role
from pki.pkix.suites import Suite
from pki.provision import cps
from pki.services import Services
from tests.homes import ADMIN, PROVIDER, demo_plans, opened

OTHER_PROVIDER = "DEXYZ"


def furnish(home: Path, suites: tuple[Suite, ...], database_url: str | None = None) -> None:
    """Make hierarchy, companies and CPS leaves in an empty home."""
    home.mkdir(parents=True, exist_ok=True)
    with opened(home, database_url=database_url) as services:
        services.database.migrate()
        plans = [plan for plan in demo_plans() if plan.suite in suites]
        hierarchy.create(services.deployment, ADMIN, plans)
        deployment = services.deployment
        parties.add_emsp(deployment, ADMIN, PROVIDER, "Demo Mobility")
        parties.add_emsp(deployment, ADMIN, OTHER_PROVIDER, "Other Mobility")
        parties.add_party(deployment, ADMIN, Role.OEM, "WMI", "Demo Cars")
        for suite in suites:
            cps.make(deployment, ADMIN, suite=suite)


@pytest.fixture(scope="session")
def pnc_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A furnished -2 home, not to be changed."""
    home = tmp_path_factory.mktemp("provision") / "home"
    furnish(home, (Suite.P256,))
    return home


@pytest.fixture(scope="session")
def pnc20_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A furnished home of every suite, not to be changed."""
    home = tmp_path_factory.mktemp("provision20") / "home"
    furnish(home, tuple(Suite))
    return home


@pytest.fixture
def pnc(pnc_template: Path, tmp_path: Path) -> Iterator[Services]:
    """The furnished -2 home of the test's own."""
    home = Path(shutil.copytree(pnc_template, tmp_path / "home"))
    with opened(home) as services:
        yield services


@pytest.fixture
def pnc20(pnc20_template: Path, tmp_path: Path) -> Iterator[Services]:
    """The furnished home of every suite, of the test's own."""
    home = Path(shutil.copytree(pnc20_template, tmp_path / "home"))
    with opened(home) as services:
        yield services


@pytest.fixture
def pnc_anywhere(
    request: pytest.FixtureRequest, tmp_path: Path, database_url: str
) -> Iterator[Services]:
    """The furnished -2 home on SQLite and on PostgreSQL in turn."""
    if database_url.startswith("sqlite"):
        yield request.getfixturevalue("pnc")
        return
    home = tmp_path / "home"
    furnish(home, (Suite.P256,), database_url)
    with opened(home, database_url=database_url) as services:
        yield services
