"""
`POST /v1/certificates` as a plain function of `HotRequest`, one by one or many at once.

Many at once cost as many queries and commits as one. What cannot be issued is told by the Flask
view, which gets the error as it is: nothing is tried a second time, as it may have been done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from pki import render
from pki.errors import PkiError, RateLimited
from pki.issue import Issued, Wanted, issue_many
from pki.model import Role
from pki.ports import Deployment
from web.answers import JSON
from web.callers import Callers
from web.hot import HotRequest, HotResponse
from web.issue_request import issue_request
from web.limits import Limits
from web.logs import ERRORS
from web.metrics import Metrics
from web.parsing import MAX_BODY, json_of
from web.repeated import IDEMPOTENCY

PATH: Final = "/v1/certificates"
PATIENCE: Final = 0.003
"""Seconds that a request waits for others: less than the disk takes for one of the commits."""

FAILURE: Final = "pnc.failure"
"""Where the environ of a request holds the error that the Flask view is to tell."""

Answer = HotResponse | PkiError | None


@dataclass(frozen=True, slots=True)
class Issuing:
    """The handler, over one installation."""

    deployment: Deployment
    callers: Callers
    metrics: Metrics
    limits: Limits

    def many(self, requests: Sequence[HotRequest]) -> list[Answer]:
        """Answer requests at once; the error of one, or None where nothing was begun."""
        tried = [self._try(request) for request in requests]
        wanted = [each for each in tried if isinstance(each, tuple)]
        outcomes = iter(issue_many(self.deployment, wanted))
        return [self.answer(next(outcomes)) if isinstance(each, tuple) else each for each in tried]

    def _try(self, request: HotRequest) -> Wanted | RateLimited | None:
        try:
            principal = self.callers.find(request.headers)
            if self.deployment.enrolment.asks and principal.role is not Role.ADMIN:
                return None  # one by one: somebody may have to accept it first
            if IDEMPOTENCY.lower() in request.headers:
                return None
            body = json_of(request.headers, request.body, MAX_BODY)
            wanted = principal, issue_request(body, demo=self.deployment.demo)
            self.limits.check_certificate(principal)  # last: what Flask is asked again, it counts
        except RateLimited as error:
            return error
        except Exception as error:  # noqa: BLE001 - Flask asks again, tells and logs what it was
            ERRORS.debug("issuing", exc_info=error)
            return None
        return wanted

    def answer(self, outcome: Issued | PkiError) -> HotResponse | PkiError:
        """Return the answer to one request."""
        if isinstance(outcome, PkiError):
            return outcome
        self.metrics.issued(outcome.record.kind.value)
        body = render.issued_json(outcome, with_key=self.deployment.demo)
        location = f"{PATH}/{outcome.record.fingerprint}"
        headers = {"Content-Type": JSON, "Location": location}
        return HotResponse(status=201, headers=headers, body=orjson.dumps(body))
