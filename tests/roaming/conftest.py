"""An installation that speaks OCPI with partners on this host."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from pki import parties
from pki.model import Partner, Role
from pki.partners import registry
from pki.partners.network import PartnerNetwork
from pki.partners.registry import NewPartner
from pki.services import Services
from tests.homes import ADMIN, make_home, opened
from tests.roaming.mock_partner import MockPartner, mock_partner
from web.app import create_app

EMSP = "DEMOA"
CPO = "DEABC"


@dataclass(frozen=True)
class Ours:
    """This installation as a partner calls it, in process."""

    services: Services
    app: Flask
    token: str

    @property
    def network(self) -> PartnerNetwork:
        return self.services.partners

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> TestResponse:
        sent = {"Authorization": authorization(token or self.token)} | (headers or {})
        more: dict[str, Any] = {"json": body} if body is not None else {}
        if data is not None:
            more = {"data": data, "content_type": "application/json"}
        return self.app.test_client().open(path, method=method, headers=sent, **more)

    def partner(self, partner_id: str = "acme") -> Partner:
        return registry.show(self.network, ADMIN, partner_id)[0]


def authorization(token: str) -> str:
    return "Token " + base64.b64encode(token.encode()).decode()


def ocpi_code(answer: TestResponse) -> tuple[int, int]:
    """Return HTTP status and OCPI code of an answer, which is an envelope whatever it says."""
    body = answer.json
    assert body is not None
    assert body["timestamp"].endswith("Z")
    return answer.status_code, body["status_code"]


def allow_local(home: Path) -> None:
    """Let the installation call partners on this host."""
    (home / "pnc.toml").write_text('[outbound]\nallowed_networks = ["127.0.0.0/8"]\n', "utf-8")


@pytest.fixture
def partner() -> Iterator[MockPartner]:
    with mock_partner() as running:
        running.role("CPO", "NLCPX")
        running.role("EMSP", "NLEMX")
        yield running


@pytest.fixture(scope="session")
def roaming_home_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home without CAs: roaming needs none."""
    home = tmp_path_factory.mktemp("roaming") / "home"
    make_home(home, "none")
    allow_local(home)
    with opened(home) as services:
        parties.add_party(services.deployment, ADMIN, Role.CPO, CPO, "Poles")
    return home


def invited(services: Services, partner_id: str = "acme", **more: Any) -> Ours:
    """Invite a partner; it holds token A."""
    wanted = NewPartner(**({"name": "Acme", "emsps": (EMSP,), "cpos": (CPO,)} | more))
    found = registry.add(services.partners, ADMIN, partner_id, wanted)
    return Ours(services, create_app(services), found.token)


def registered(ours: Ours, partner: MockPartner, version: str = "2.2.1") -> Ours:
    """Have the partner register; it holds token C."""
    partner.version = version
    answer = ours.call("POST", f"/ocpi/{version}/credentials", partner.credentials("token-b"))
    assert ocpi_code(answer) == (200, 1000), answer.text
    return Ours(ours.services, ours.app, (answer.json or {})["data"]["token"])


@pytest.fixture
def services(roaming_home_template: Path, tmp_path: Path) -> Iterator[Services]:
    home = Path(shutil.copytree(roaming_home_template, tmp_path / "home"))
    with opened(home) as running:
        yield running


@pytest.fixture
def ours(services: Services) -> Ours:
    """Us, with a partner that was invited."""
    return invited(services)


@pytest.fixture
def acme(ours: Ours, partner: MockPartner) -> Ours:
    """Us, with a partner that registered for 2.2.1."""
    return registered(ours, partner)
