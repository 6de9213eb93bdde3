"""A server over an installation of its own, for tests of what a connection may do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pki.services import Services
from tests.web import asking
from tests.web.authority import Authority, Leaf, opened
from tests.web.live import Answer, Ask, Live, serving_here
from web.app import create_app
from web.asgi import Application

LIVE = Ask(target="/healthz/live")


@dataclass(frozen=True)
class Running:
    """A server, its installation and a certificate whose answer is in memory."""

    live: Live
    services: Services
    leaf: Leaf

    @property
    def quick(self) -> Ask:
        """A question that is answered where it is parsed."""
        return Ask(target=f"/ocsp/{asking.in_path(self.leaf.request)}")

    @property
    def posted(self) -> Ask:
        """The same by POST."""
        return posted(self.leaf)

    def serves(self) -> bool:
        """Tell whether others are served."""
        return {self.live.ask(ask)[0] for ask in (LIVE, self.quick, self.posted)} == {200}

    def issue(self) -> Leaf:
        return Authority(self.services, create_app(self.services)).issue()


def posted(leaf: Leaf) -> Ask:
    headers = (("Content-Type", asking.TYPE),)
    return Ask(method="POST", target="/ocsp", headers=headers, body=leaf.request)


@contextmanager
def running_on(home: Path) -> Iterator[Running]:
    services = opened(home)
    leaf = Authority(services, create_app(services)).issue()
    with serving_here(Application(services), timeout_keep_alive=1) as live:
        found = Running(live, services, leaf)
        assert found.serves()
        yield found


def problem(answer: Answer) -> tuple[int, str]:
    """Return status and code of a refusal after which the connection is closed."""
    status, headers, body = answer
    assert headers["content-type"] == "application/problem+json"
    assert headers["connection"] == "close"
    assert "date" in headers
    return status, json.loads(body)["code"]
