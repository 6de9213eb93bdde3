"""
The hot paths that decide: plain functions of `HotRequest`, one by one or many at once.

`POST /v1/contracts/validate` and `POST /ocpp/{version}/Authorize`. Many at once cost as many
queries and commits as one, and what was asked before and still holds is only recorded anew. Only
answers that need no explanation come from `many`; for everything else whoever serves asks the Flask
view, which calls `one` and remembers nothing.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import orjson

from pki.access import Action
from pki.authorize import (
    Ask,
    Authorised,
    Memory,
    Outcome,
    Remembered,
    Roaming,
    authorize,
    authorize_many,
    to_json,
)
from pki.errors import PkiError
from pki.model import ContractCheck, Principal
from pki.ports import Deployment
from pki.status import View
from pki.validate.render import to_json as decision_json
from pki.validate.repeats import repeat
from web import ocpp
from web.again import Told, asked_by
from web.answers import JSON
from web.callers import Callers
from web.chain_ends import Bodies
from web.checks import contract_check_from_ocpp, contract_check_from_v1
from web.hot import HotRequest, HotResponse
from web.logs import ERRORS
from web.metrics import Metrics
from web.parsing import MAX_BODY, MAX_OCPP_BODY, json_of, object_of, require_json

V1: Final = "/v1/contracts/validate"
AUTHORIZE: Final = {f"/ocpp/{version}/Authorize": version for version in ocpp.VERSIONS}
LIMITS: Final = {V1: MAX_BODY, **dict.fromkeys(AUTHORIZE, MAX_OCPP_BODY)}
"""Paths that are served here, and the octets of a body that they take."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """The handlers, over one installation."""

    deployment: Deployment
    roaming: Roaming
    view: View
    callers: Callers
    memory: Memory[Told]
    metrics: Metrics
    variant: bool
    bodies: Bodies = field(default_factory=Bodies)

    def one(
        self,
        request: HotRequest,
        *,
        known: Callable[[Principal], None],
        told: Callable[[Authorised], None],
    ) -> HotResponse:
        """
        Answer one request; 200 for both outcomes.

        Args:
            known: hears who asks, as soon as that is read.
            told: hears what was decided.

        Raises:
            PkiError, HTTPException: what the caller is to be told instead.
        """
        principal = self.callers.find(request.headers)
        known(principal)
        ask = self._ask(request, principal)
        found = authorize(
            self.deployment, self.roaming, ask.principal, ask.check, action=ask.action
        )
        told(found)
        answer = self._answer(request, found)
        self.metrics.authorised({(_protocol(request), found.outcome): 1})
        return answer

    def many(self, requests: Sequence[HotRequest]) -> list[HotResponse | None]:
        """Answer requests at once; None where something is to be explained, or needs more time."""
        answers: list[HotResponse | None] = [None] * len(requests)
        heard, keys = self.memory.heard, _keys(requests)
        now = self.deployment.clock.now()
        known = self._known(keys, now)
        receipts = repeat([found.lasting.decision_id for found in known.values()], now)
        asks = self._asks(requests, known)
        try:
            results = authorize_many(self.deployment, self.roaming, list(asks.values()), receipts)
        except PkiError as error:
            ERRORS.debug("decisions", exc_info=error)
            return answers
        counts: Counter[tuple[str, Outcome]] = Counter()
        for at, result in zip(asks, results, strict=True):
            if isinstance(result, Authorised):
                answers[at] = self._answer(requests[at], result)
                counts[_protocol(requests[at]), result.outcome] += 1
                self._keep(keys[at], result, requests[at], answers[at], heard)
        for (at, found), receipt in zip(known.items(), receipts, strict=True):
            answers[at] = found.told.again(receipt)
            counts[found.told.counted] += 1
        self.metrics.authorised(counts)
        return answers

    def _known(self, keys: Sequence[bytes | None], now: dt.datetime) -> dict[int, Remembered[Told]]:
        """Return what was decided before, by its place; nothing while a change may be unheard."""
        if not self.view.ready():
            return {}
        found = ((at, self.memory.find(key, now)) for at, key in enumerate(keys) if key)
        return {at: known for at, known in found if known is not None}

    def _asks(
        self, requests: Sequence[HotRequest], known: Mapping[int, Remembered[Told]]
    ) -> dict[int, Ask]:
        callers: dict[int, Principal] = {}
        tried = ((at, self._try(r, callers)) for at, r in enumerate(requests) if at not in known)
        return {at: ask for at, ask in tried if ask is not None}

    def _keep(
        self,
        key: bytes | None,
        found: Authorised,
        request: HotRequest,
        answer: HotResponse | None,
        heard: int,
    ) -> None:
        if key is None or found.lasting is None or answer is None:
            return
        told = Told(_protocol(request), found, answer.octets)
        self.memory.keep(key, Remembered(found.lasting, told, told.octets, heard))

    def _try(self, request: HotRequest, callers: dict[int, Principal]) -> Ask | None:
        """Return what is asked, or None; who sent the same head in this group was looked up."""
        try:
            head = id(request.headers)
            found = callers.get(head)
            if found is None:
                require_json(request.headers)
                found = callers[head] = self.callers.find(request.headers)
            ask = self._familiar(request, found)
            if ask is not None:
                return ask
            ask = self._ask(request, found)
        except Exception as error:  # noqa: BLE001 - Flask asks again, tells and logs what it was
            ERRORS.debug("decision", exc_info=error)
            return None
        self.bodies.learn(request.body, ask.check)
        return ask

    def _familiar(self, request: HotRequest, principal: Principal) -> Ask | None:
        """Return what `_ask` does of a body in which only the leaf is new, else None."""
        if request.raw_path == V1:
            check = self.bodies.read(request.body)
            if check is None:
                return None
            return Ask(principal=principal, check=check, action=Action.VALIDATE)
        cut = self.bodies.cut(request.body) if len(request.body) <= MAX_OCPP_BODY else None
        if cut is None:
            return None
        version = AUTHORIZE[request.raw_path]
        body = object_of(cut.rest, MAX_OCPP_BODY)
        longest = _limits(version)[0][2]
        if body.get("certificate") != cut.marked or cut.characters > longest:
            return None
        if not _is_plain(version, body):
            return None
        check = contract_check_from_ocpp(body, request.headers, chain=cut.chain)
        return Ask(principal=principal, check=check)

    def _ask(self, request: HotRequest, principal: Principal) -> Ask:
        body = json_of(request.headers, request.body, LIMITS[request.raw_path])
        if request.raw_path == V1:
            check: ContractCheck = contract_check_from_v1(body)
            return Ask(principal=principal, check=check, action=Action.VALIDATE)
        _check_schema(AUTHORIZE[request.raw_path], body)
        check = contract_check_from_ocpp(body, request.headers, variant=self.variant)
        return Ask(principal=principal, check=check)

    def _answer(self, request: HotRequest, found: Authorised) -> HotResponse:
        if request.raw_path == V1:
            body = found.told() if found.told else orjson.dumps(_told(found))
            return HotResponse(status=200, headers={"Content-Type": JSON}, body=body)
        reference, told = found.ocpp()
        body = orjson.dumps(told)
        _judge(AUTHORIZE[request.raw_path], body)
        headers = {"Content-Type": JSON, ocpp.REFERENCE: reference}
        return HotResponse(status=200, headers=headers, body=body)


def _keys(requests: Sequence[HotRequest]) -> list[bytes | None]:
    """Return what stands for each question; requests of one head share its fields."""
    named: dict[tuple[int, str], Callable[[bytes], bytes] | None] = {}
    keys: list[bytes | None] = []
    for request in requests:
        head = id(request.headers), request.raw_path
        if head not in named:
            named[head] = asked_by(request)
        asked = named[head]
        keys.append(None if asked is None else asked(request.body))
    return keys


def _protocol(request: HotRequest) -> str:
    return "v1" if request.raw_path == V1 else "ocpp"


def _told(found: Authorised) -> dict[str, Any]:
    """Return an explained verdict."""
    told = decision_json(found.decision) if found.decision else {}
    return told | {"authorisation": to_json(found.authorisation)}


def _check_schema(version: str, body: dict[str, Any]) -> None:
    if not _is_plain(version, body):
        ocpp.check_request(version, "Authorize", body)


def _is_plain(version: str, body: Mapping[str, Any]) -> bool:
    """
    Tell whether a request has nothing but a token and a chain of the right form.

    Such a request is valid against its schema, which takes longer to ask than a signature.
    """
    longest, kinds = _limits(version)
    token, certificate = body.get("idToken"), body.get("certificate", "")
    return (
        body.keys() <= {"idToken", "certificate"}
        and isinstance(token, dict)
        and token.keys() == {"idToken", "type"}
        and _is_text(token["idToken"], longest[0])
        and _is_text(token["type"], longest[1])
        and (kinds is None or token["type"] in kinds)
        and _is_text(certificate, longest[2])
    )


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest


@lru_cache(maxsize=8)
def _limits(version: str) -> tuple[tuple[int, int, int], frozenset[str] | None]:
    """Return the longest token, type and chain, and the types, from the official schema."""
    schema = ocpp.schema(version, "AuthorizeRequest")
    kinds = schema["definitions"].get("IdTokenEnumType")
    token = schema["definitions"]["IdTokenType"]["properties"]
    longest = (
        token["idToken"]["maxLength"],
        token["type"].get("maxLength", 0) if kinds is None else 255,
        schema["properties"]["certificate"]["maxLength"],
    )
    return longest, None if kinds is None else frozenset(kinds["enum"])


@lru_cache(maxsize=256)
def _judge(version: str, body: bytes) -> None:
    """Judge an answer against its schema; there are few different ones. Raises AnswerInvalid."""
    ocpp.judge_answer(version, "Authorize", orjson.loads(body))
