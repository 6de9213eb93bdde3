"""Our own API of roaming: ranges of numbers, agreements, sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, request

from pki import agreements, route, sessions
from pki import render_roaming as told
from pki.clock import parse_time
from pki.errors import BadInput
from pki.model import Principal, RangeKind
from pki.ports import Deployment
from web import auth
from web.answers import json_answer
from web.parsing import Fields, one_of, page_size, query
from web.repeated import PAGE, Json, once, page_of
from web.terms import AGREEMENT, VERSION, terms_of

RANGE: Final = frozenset(("kind", "prefix", "party", "validFrom", "validUntil"))


@dataclass(frozen=True, slots=True)
class AgreementsApi:
    """The handlers, over one installation."""

    deployment: Deployment

    def list_ranges(self) -> Response:
        """Return every range."""
        found = route.ranges(self.deployment, auth.principal(self.deployment))
        return json_answer({"ranges": [told.range_json(each) for each in found]})

    def add_range(self) -> Response:
        """Say whose identifiers begin so from some time on."""

        def work(principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, RANGE)
            begin, end = fields.text("validFrom"), fields.text("validUntil")
            found = route.add(
                self.deployment,
                principal,
                one_of("kind", fields.needed("kind"), RangeKind, tuple(RangeKind)),
                fields.needed("prefix"),
                fields.needed("party"),
                begin=parse_time(begin) if begin is not None else None,
                end=parse_time(end) if end is not None else None,
            )
            return 201, told.range_json(found)

        return once(self.deployment, work)

    def list_agreements(self) -> Response:
        """Return a page of agreements that concern the caller, newest versions, by id."""
        principal = auth.principal(self.deployment)
        fields = query(request, PAGE)
        limit = page_size(fields)
        found = agreements.search(
            self.deployment, principal, after=fields.text("after"), limit=limit
        )
        page = [told.agreement_json(agreement) for agreement in found]
        return page_of("agreements", page, found[-1].agreement_id if len(found) == limit else None)

    def add_agreement(self) -> Response:
        """Write an agreement."""

        def work(principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, AGREEMENT | {"agreementId"})
            made = agreements.add(
                self.deployment,
                principal,
                terms_of(fields, self.deployment.clock.now()),
                agreement_id=fields.text("agreementId"),
            )
            return 201, told.agreement_json(made)

        return once(self.deployment, work)

    def find_agreement(self, agreement: str) -> Response:
        """Return every version of an agreement, oldest first."""
        found = agreements.find(self.deployment, auth.principal(self.deployment), agreement)
        return json_answer({"versions": [told.agreement_json(each) for each in found]})

    def change_agreement(self, agreement: str) -> Response:
        """Write a new version in place of the version named; terms that are absent are gone."""

        def work(principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, AGREEMENT | {VERSION})
            version = fields.values.get(VERSION)
            if type(version) is not int:
                raise BadInput(
                    "field_missing", "`version` names the version that is to be replaced."
                )
            terms = terms_of(fields, self.deployment.clock.now())
            found = agreements.change(self.deployment, principal, agreement, version, terms)
            return 200, told.agreement_json(found)

        return once(self.deployment, work)

    def withdraw_agreement(self, agreement: str) -> Response:
        """End an agreement now."""

        def work(principal: Principal, body: Json) -> tuple[int, Json]:
            Fields.of(body, ())
            found = agreements.withdraw(self.deployment, principal, agreement)
            return 200, told.agreement_json(found)

        return once(self.deployment, work)

    def list_sessions(self) -> Response:
        """Return a page of sessions that concern the caller, ordered by session id."""
        principal = auth.principal(self.deployment)
        fields = query(request, PAGE)
        limit = page_size(fields)
        found = sessions.search(self.deployment, principal, after=fields.text("after"), limit=limit)
        page = [told.session_json(session) for session in found]
        return page_of("sessions", page, found[-1].session_id if len(found) == limit else None)


def blueprint(deployment: Deployment) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("agreements", __name__)
    api = AgreementsApi(deployment)
    for method, path, handler in (
        ("GET", "/v1/ranges", api.list_ranges),
        ("POST", "/v1/ranges", api.add_range),
        ("GET", "/v1/agreements", api.list_agreements),
        ("POST", "/v1/agreements", api.add_agreement),
        ("GET", "/v1/agreements/<agreement>", api.find_agreement),
        ("PATCH", "/v1/agreements/<agreement>", api.change_agreement),
        ("POST", "/v1/agreements/<agreement>/withdraw", api.withdraw_agreement),
        ("GET", "/v1/sessions", api.list_sessions),
    ):
        routes.add_url_rule(path, handler.__name__, handler, methods=[method])
    return routes
