"""An installation with two contracts and one CPO, changed by another process and asked by one."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pki import agreements, clients, parties
from pki.clock import SystemClock
from pki.issue import IssueRequest, issue
from pki.model import DecisionRecord, Role, Terms
from pki.pkix.pem import encode
from pki.pkix.profiles import Kind
from pki.services import Services
from tests.homes import ADMIN, EMAID, opened
from web.app import decisions_of
from web.decisions import V1
from web.hot import HotRequest, HotResponse
from web.metrics import Metrics

OTHER = "DEMOAC00000002"
OCPP = "/ocpp/2.1/Authorize"
BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
_NEW = ("decisionId", "decidedAt", "asOf", "reference", "at", "now", "readAt", "requestId")


class Moving:
    """A clock that a test moves on."""

    def __init__(self) -> None:
        self.at = SystemClock().now()

    def now(self) -> dt.datetime:
        return self.at


@dataclass
class World:
    """An installation with two contracts, asked by one CPO, and changed by another process."""

    services: Services
    elsewhere: Services
    clock: Moving

    def __post_init__(self) -> None:
        self.chains = {name: self._issued(name) for name in (EMAID, OTHER)}
        parties.add_party(self.elsewhere.deployment, ADMIN, Role.CPO, "DECPA", "Charging")
        terms = Terms(cpo="DECPA", emsp="DEMOA", valid_from=BEGIN)
        agreements.add(self.elsewhere.deployment, ADMIN, terms, agreement_id="a")
        client = clients.add(self.elsewhere.deployment, ADMIN, Role.CPO, ("DECPA",))
        self.client, self.token = client[0].client_id, client[1]
        self.decisions = decisions_of(self.services, Metrics())

    def _issued(self, emaid: str) -> tuple[bytes, ...]:
        request = IssueRequest(kind=Kind.CONTRACT, common_name=emaid)
        return issue(self.elsewhere.deployment, ADMIN, request).chain

    def request(self, emaid: str = EMAID, path: str = V1, **headers: str) -> HotRequest:
        pem = "".join(map(encode, self.chains[emaid]))
        told: dict[str, Any] = {"certificateChain": pem, "emaid": emaid}
        if path != V1:
            told = {"certificate": pem, "idToken": {"idToken": emaid, "type": "eMAID"}}
        sent = {
            "authorization": f"Bearer {self.token}",
            "content-type": "application/json",
            "x-evse-id": "DE*CPA*E45B*78C",
        } | headers
        return HotRequest(
            method="POST", raw_path=path, headers=sent, body=json.dumps(told).encode()
        )

    def ask(self, request: HotRequest) -> HotResponse:
        (answer,) = self.decisions.many([request])
        assert answer is not None
        return answer

    def anew(self, request: HotRequest) -> HotResponse:
        return self.decisions.one(request, known=lambda _: None, told=lambda _: None)

    def receipt(self, answer: HotResponse) -> DecisionRecord:
        """Return the row behind an answer, as it is stored."""
        with self.services.deployment.store.read() as tx:
            found = tx.decisions.get(reference(answer))
        assert found is not None
        return found


def reference(answer: HotResponse) -> str:
    named = answer.headers.get("X-Authorization-Reference")
    return str(named or json.loads(answer.octets)["decisionId"])


def plain(value: Any) -> Any:
    """Return JSON without what is new in every decision."""
    if isinstance(value, dict):
        return {n: plain(v) for n, v in value.items() if n not in _NEW}
    return [plain(v) for v in value] if isinstance(value, list) else value


def body_of(answer: HotResponse) -> Any:
    return plain(json.loads(answer.octets))


def new_world(stack: ExitStack, home: Path, database_url: str | None = None) -> World:
    clock = Moving()
    first = stack.enter_context(opened(home, clock=clock, database_url=database_url))
    second = stack.enter_context(opened(home, clock=clock, database_url=database_url))
    return World(first, second, clock)
