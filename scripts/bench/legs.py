"""Questions whether a driver may charge, over OCPP and over OCPI, and how long answers take."""

from __future__ import annotations

import base64
import http.client
import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from pki import access, agreements, clients
from pki.model import EVERY, OwnParty, Partner, PartnerParty, PartnerState, Role, Terms
from pki.services import Services
from scripts.bench import homes
from scripts.bench.contracts import card, emaid

OCPP: Final = "/ocpp/2.0.1/Authorize"
OCPI: Final = "/ocpi/2.2.1/emsp/tokens"
CPO: Final = "DEBEN"
_PARTNER: Final = "bench"
_QUANTILES: Final = (0.5, 0.95, 0.99)

Json = dict[str, Any]
Asked = Callable[[], tuple[str, Json | None]]
"""Makes the path and the body of the next request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One kind of question to one service."""

    name: str
    headers: dict[str, str]
    asked: Asked
    accepted: Callable[[Json], bool]


def callers(services: Services) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers of a CSMS and of an OCPI partner; they may charge everybody's drivers."""
    deployment = services.deployment
    if not agreements.search(deployment, homes.ACTOR):
        terms = Terms(cpo=EVERY, emsp=EVERY, valid_from=deployment.clock.now())
        agreements.add(deployment, homes.ACTOR, terms, agreement_id="bench")
    _, token = clients.add(deployment, homes.ACTOR, Role.CPO, (CPO,))
    return {"Authorization": f"Bearer {token}"}, _partner(services)


def _partner(services: Services) -> dict[str, str]:
    """Register a CPO that speaks OCPI 2.2.1, with a new token."""
    token = access.TOKEN_PREFIX + secrets.token_urlsafe(32)
    partner = Partner(
        partner_id=_PARTNER,
        name="Bench Poles",
        state=PartnerState.REGISTERED,
        own=(OwnParty(role="EMSP", party=homes.PROVIDER, name="Bench Mobility"),),
        created_at=services.deployment.clock.now(),
        token_hash=access.token_hash(token),
        version="2.2.1",
    )
    party = PartnerParty(partner_id=_PARTNER, role="CPO", party=CPO, name="Bench Poles", updated=0)
    with services.deployment.store.write() as tx:
        tx.partners.replace(partner)
        tx.partners.set_parties(_PARTNER, [party])
    return {"Authorization": "Token " + base64.b64encode(token.encode()).decode()}


def legs(services: Services, contracts: int, cards: int) -> list[Leg]:
    """Return the questions about random EMAIDs and, where there are any, random cards."""
    csms, partner = callers(services)
    found = []
    for kind, token_type, name, most in (
        ("eMAID", "OTHER", emaid, contracts),
        ("ISO14443", "RFID", card, cards),
    ):
        if most:
            asked = partial(_to_authorize, kind, name, most)
            found.append(over_ocpp(f"OCPP {kind}", csms, asked))
            asked = partial(_to_tokens, token_type, name, most)
            found.append(
                Leg(name=f"OCPI {token_type}", headers=partner, asked=asked, accepted=_allowed)
            )
    return found


def _to_authorize(kind: str, name: Callable[[int], str], most: int) -> tuple[str, Json | None]:
    shown = name(secrets.randbelow(most))
    return OCPP, {"idToken": {"idToken": shown, "type": kind}}


def _to_tokens(kind: str, name: Callable[[int], str], most: int) -> tuple[str, Json | None]:
    shown = name(secrets.randbelow(most))
    return f"{OCPI}/{shown}/authorize?type={kind}", None


def over_ocpp(name: str, headers: dict[str, str], asked: Asked) -> Leg:
    """Return a question to `Authorize`."""
    return Leg(name=name, headers=headers, asked=asked, accepted=_accepted)


def _accepted(answer: Json) -> bool:
    return bool(answer["idTokenInfo"]["status"] == "Accepted")


def _allowed(answer: Json) -> bool:
    return bool(answer["data"]["allowed"] == "ALLOWED")


class Line:
    """One connection to a service."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, leg: Leg) -> float:
        """Return the milliseconds of an answer; whoever is not accepted ends the run."""
        path, body = leg.asked()
        sent = json.dumps(body) if body is not None else None
        headers = leg.headers | ({"Content-Type": "application/json"} if sent else {})
        begun = time.perf_counter()
        self._connection.request("POST", path, sent, headers)
        response = self._connection.getresponse()
        answer = json.loads(response.read())
        took = 1000 * (time.perf_counter() - begun)
        if response.status != http.HTTPStatus.OK or not leg.accepted(answer):
            raise SystemExit(f"{leg.name}: {response.status}: {answer}")
        return took

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def measure(pairs: Sequence[tuple[Line, Leg]], count: int) -> list[list[float]]:
    """Return the milliseconds of each leg, asked in turn; the first tenth warms up."""
    found: list[list[float]] = [[] for _ in pairs]
    for number in range(count + count // 10):
        for took, (line, leg) in zip(found, pairs, strict=True):
            milliseconds = line.ask(leg)
            if number >= count // 10:
                took.append(milliseconds)
    return found


def quantiles(took: Sequence[float]) -> list[float]:
    """Return the median and the quantiles of 95 and 99 %."""
    ordered = sorted(took)
    return [ordered[int(q * len(ordered))] for q in _QUANTILES]


def told(name: str, took: Sequence[float]) -> str:
    """Return a line for the eyes."""
    values = zip(_QUANTILES, quantiles(took), strict=True)
    shown = "  ".join(f"p{100 * q:.0f} {value:7.2f} ms" for q, value in values)
    return f"{name:<16}  {shown}  ({len(took)} requests)"
