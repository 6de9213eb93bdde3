"""Enrolments that wait for consent, for the people who give it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, request

from pki import enrolments
from pki.model import EnrolmentState
from pki.ports import Deployment
from pki.render_stations import enrolment_json
from web import auth
from web.answers import json_answer
from web.parsing import Fields, json_object, one_of, page_size, query

PATH: Final = "/v1/enrolments"
PAGE: Final = frozenset(("state", "after", "limit"))
REASON: Final = frozenset(("reason",))


@dataclass(frozen=True, slots=True)
class Enrolments:
    """The handlers, over one installation."""

    deployment: Deployment

    def list_enrolments(self) -> Response:
        """Return a page of requests, those that wait where no state is named."""
        principal = auth.principal(self.deployment)
        fields = query(request, PAGE)
        limit = page_size(fields)
        found = enrolments.waiting(
            self.deployment,
            principal,
            state=_state(fields),
            after=fields.text("after"),
            limit=limit,
        )
        more = found[-1].enrolment_id if len(found) == limit else None
        return json_answer({"enrolments": [enrolment_json(e) for e in found], "next": more})

    def accept(self, enrolment_id: str) -> Response:
        """Let a certificate be made of a request."""
        principal = auth.principal(self.deployment)
        Fields.of(json_object(request), ())
        return json_answer(
            enrolment_json(enrolments.accept(self.deployment, principal, enrolment_id))
        )

    def reject(self, enrolment_id: str) -> Response:
        """Refuse a request for good; whoever sends it again is told the reason."""
        principal = auth.principal(self.deployment)
        reason = Fields.of(json_object(request), REASON).needed("reason")
        return json_answer(
            enrolment_json(enrolments.reject(self.deployment, principal, enrolment_id, reason))
        )


def _state(fields: Fields) -> EnrolmentState | None:
    text = fields.text("state")
    if text == "all":
        return None
    return one_of("state", text or EnrolmentState.WAITING, EnrolmentState, tuple(EnrolmentState))


def blueprint(deployment: Deployment) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("enrolments", __name__)
    handlers = Enrolments(deployment)
    for method, path, handler in (
        ("GET", PATH, handlers.list_enrolments),
        ("POST", f"{PATH}/<enrolment_id>/accept", handlers.accept),
        ("POST", f"{PATH}/<enrolment_id>/reject", handlers.reject),
    ):
        routes.add_url_rule(path, handler.__name__, handler, methods=[method])
    return routes
