"""
The question to an eMSP while a driver waits: within two seconds, or not at all.

Each partner has a breaker: after three failures in a row it is left alone for ten seconds, then
one question tries it. Addresses come from what an administrator or the eMSP itself registered.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pki.directory import Directory
from pki.errors import NotFound, Unavailable
from pki.model import Allowed, CredentialKind, Emsp, EmspAnswer, EmspQuestion
from pki.outbound import OutboundPolicy, call
from pki.ports import AskEmsp, Vault

SECONDS: Final = 2.0
_LONGEST_REFERENCE: Final = 36  # CiString(36) of OCPI
FAILURES: Final = 3
REST: Final = 10.0


@dataclass(slots=True)
class _Breaker:
    """Failures in a row, and until when a partner is left alone."""

    failures: int = 0
    rests_until: float = 0.0


class RealTime:
    """
    Asks by the first way that leads to an eMSP; safe to share between threads.

    Args:
        ways: in order of preference.
        time: monotonic seconds.
    """

    def __init__(
        self, ways: Sequence[AskEmsp] = (), clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ways = list(ways)
        self._clock = clock
        self._lock = threading.Lock()
        self._breakers: dict[str, _Breaker] = {}

    def add(self, way: AskEmsp) -> None:
        """Add a way behind those that are there."""
        self._ways.append(way)

    def reaches(self, emsp: str, hub: str | None) -> bool:
        """Tell whether any way leads to an eMSP."""
        return self._way(emsp, hub) is not None

    def _way(self, emsp: str, hub: str | None) -> AskEmsp | None:
        return next((way for way in self._ways if way.reaches(emsp, hub)), None)

    def ask(self, question: EmspQuestion) -> EmspAnswer:
        """
        Ask the eMSP, or the hub before it.

        Raises:
            Unavailable: `emsp_unreachable` (no way, or its breaker is open), or as the way says.
            NotFound: `token_unknown`.
        """
        way = self._way(question.emsp, question.hub)
        if way is None:
            raise Unavailable("emsp_unreachable", f"No way leads to {question.emsp}.")
        partner = question.hub or question.emsp
        self._enter(partner)
        try:
            answer = way.ask(question, SECONDS)
        except NotFound:
            self._leave(partner, failed=False)
            raise
        except BaseException:
            self._leave(partner, failed=True)
            raise
        self._leave(partner, failed=False)
        return answer

    def _enter(self, partner: str) -> None:
        with self._lock:
            breaker = self._breakers.setdefault(partner, _Breaker())
            if breaker.failures < FAILURES:
                return
            if self._clock() < breaker.rests_until:
                raise Unavailable(
                    "emsp_unreachable",
                    f"{partner} failed {breaker.failures} times and is left alone for a while.",
                )
            breaker.rests_until = self._clock() + REST  # one tries it; the others still wait

    def _leave(self, partner: str, *, failed: bool) -> None:
        with self._lock:
            breaker = self._breakers.setdefault(partner, _Breaker())
            breaker.failures = breaker.failures + 1 if failed else 0
            breaker.rests_until = self._clock() + REST


TOKEN_TYPES: Final = {
    CredentialKind.EMAID: "eMAID",
    CredentialKind.RFID: "ISO14443",
    CredentialKind.KEY_CODE: "KeyCode",
    CredentialKind.CENTRAL: "Central",
    CredentialKind.LOCAL: "Local",
    CredentialKind.APP_USER: "Central",
    CredentialKind.AD_HOC_USER: "Central",
    CredentialKind.OTHER: "Other",
}
"""OCPP idToken types, as the hook names kinds."""


class WebHook:
    """
    Asks an eMSP at its `realtime_url`, in the shape of CitrineOS's real-time hook.

    The answer is `{"timestamp", "data": {"allowed", "reason"?}}` with OCPI's words for `allowed`.

    Args:
        directory: returns what eMSPs registered.
        policy: limits of outbound calls; its time is cut to the budget.
        vault: opens the bearer tokens that hooks want of us.
    """

    def __init__(
        self, directory: Callable[[], Directory], policy: OutboundPolicy, vault: Vault
    ) -> None:
        self._directory = directory
        self._policy = policy
        self._vault = vault

    def _door(self, emsp: str) -> Emsp | None:
        """Return the eMSP if it registered an address."""
        for known in self._directory().emsps.values():
            if emsp in (known.party_id, known.provider_id.value):
                return known if known.realtime_url is not None else None
        return None

    def reaches(self, emsp: str, hub: str | None) -> bool:
        """Tell whether the eMSP registered an address; a hub is not asked this way."""
        return hub is None and self._door(emsp) is not None

    def ask(self, question: EmspQuestion, seconds: float) -> EmspAnswer:
        """
        Ask.

        Raises:
            Unavailable: `emsp_unreachable`, `answer_invalid`, `key_unavailable` (its token cannot
                be opened), those of `outbound`.
        """
        door = self._door(question.emsp)
        if door is None or door.realtime_url is None:
            raise Unavailable("emsp_unreachable", f"{question.emsp} has no real-time address.")
        told = {
            "tenantPartnerId": question.cpo,
            "idToken": question.presented,
            "idTokenType": TOKEN_TYPES[question.kind],
            "stationId": question.station_id,
            "evseId": question.evse_id,
            "authorizationReference": question.reference,
        }
        body = json.dumps({name: value for name, value in told.items() if value is not None})
        policy = replace(self._policy, seconds=min(seconds, self._policy.seconds), octets=65_536)
        answer = call(policy, door.realtime_url, body=body.encode(), headers=self._headers(door))
        return _read(answer.body, question.emsp)

    def _headers(self, door: Emsp) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if door.sealed_token is not None:
            token = self._vault.unseal(door.sealed_token, door.context).decode()
            headers["Authorization"] = f"Bearer {token}"
        return headers


def _read(body: bytes, emsp: str) -> EmspAnswer:
    try:
        document: Any = json.loads(body)
        data = document["data"]
        allowed = Allowed(data["allowed"])
        reference, info = data.get("authorizationReference"), data.get("reason")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unavailable("answer_invalid", f"{emsp} answered what cannot be read.") from error
    return EmspAnswer(
        allowed=allowed,
        reference=reference if _is_reference(reference) else None,
        info=info[:200] if isinstance(info, str) else None,
    )


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and len(value) <= _LONGEST_REFERENCE
