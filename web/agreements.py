"""Our own API of roaming: ranges of numbers, agreements, sessions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, request

from pki import agreements, route, sessions
from pki import render_roaming as told
from pki.agreements import files
from pki.clock import format_time, parse_time
from pki.errors import BadInput
from pki.model import Principal, RangeKind
from pki.ports import Deployment
from web import auth
from web.answers import json_answer
from web.parsing import Fields, csv_text, one_of, page_size, query
from web.repeated import PAGE, Json, once, page_of
from web.terms import AGREEMENT, VERSION, terms_of

_DRY: Final = frozenset(("dryRun",))
RANGE: Final = frozenset(("kind", "prefix", "party", "validFrom", "validUntil"))


@dataclass(frozen=True, slots=True)
class AgreementsApi:
    """The handlers, over one installation."""

    deployment: Deployment

    def list_ranges(self) -> Response:
        """Return a page of ranges that concern the caller, by kind, prefix and begin."""
        principal = auth.principal(self.deployment)
        fields = query(request, PAGE)
        limit, after = page_size(fields), fields.text("after")
        behind = _place(after) if after is not None else None
        found = route.search(self.deployment, principal, after=behind, limit=limit)
        page = [told.range_json(each) for each in found]
        last = found[-1] if len(found) == limit else None
        more = f"{last.kind.value}:{last.prefix}:{format_time(last.valid_from)}" if last else None
        return page_of("ranges", page, more)

    def add_range(self) -> Response:
        """Say whose identifiers begin so from some time on."""

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, RANGE)
            begin, end = fields.text("validFrom"), fields.text("validUntil")
            found = route.add(
                through,
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

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, AGREEMENT | {"agreementId"})
            made = agreements.add(
                through,
                principal,
                terms_of(fields, through.clock.now()),
                agreement_id=fields.text("agreementId"),
            )
            return 201, told.agreement_json(made)

        return once(self.deployment, work)

    def import_agreements(self) -> Response:
        """Write the agreements of a CSV file, all of them or none; with `dryRun`, only check it."""
        dry = query(request, _DRY).text("dryRun") or "false"
        if dry not in ("true", "false"):
            raise BadInput("invalid_value", "dryRun is true or false.", data={"field": "dryRun"})

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            made = files.import_csv(through, principal, body["csv"], dry_run=dry == "true")
            written = [told.agreement_json(agreement) for agreement in made]
            return 200, {"dryRun": dry == "true", "agreements": written}

        return once(self.deployment, work, lambda request: {"csv": csv_text(request)})

    def find_agreement(self, agreement: str) -> Response:
        """Return every version of an agreement, oldest first."""
        found = agreements.find(self.deployment, auth.principal(self.deployment), agreement)
        return json_answer({"versions": [told.agreement_json(each) for each in found]})

    def change_agreement(self, agreement: str) -> Response:
        """Write a new version in place of the version named; terms that are absent are gone."""

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, AGREEMENT | {VERSION})
            version = fields.values.get(VERSION)
            if type(version) is not int:
                raise BadInput(
                    "field_missing", "`version` names the version that is to be replaced."
                )
            terms = terms_of(fields, through.clock.now())
            found = agreements.change(through, principal, agreement, version, terms)
            return 200, told.agreement_json(found)

        return once(self.deployment, work)

    def withdraw_agreement(self, agreement: str) -> Response:
        """End an agreement now."""

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            Fields.of(body, ())
            found = agreements.withdraw(through, principal, agreement)
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


def _place(after: str) -> tuple[RangeKind, str, dt.datetime]:
    """Read the `next` of a page of ranges. Raises BadInput (`invalid_value`, `invalid_time`)."""
    kind, _, rest = after.partition(":")
    prefix, _, begin = rest.partition(":")
    return one_of("after", kind, RangeKind, tuple(RangeKind)), prefix, parse_time(begin)


def blueprint(deployment: Deployment) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("agreements", __name__)
    api = AgreementsApi(deployment)
    for method, path, handler in (
        ("GET", "/v1/ranges", api.list_ranges),
        ("POST", "/v1/ranges", api.add_range),
        ("GET", "/v1/agreements", api.list_agreements),
        ("POST", "/v1/agreements", api.add_agreement),
        ("POST", "/v1/agreements/import", api.import_agreements),
        ("GET", "/v1/agreements/<agreement>", api.find_agreement),
        ("PATCH", "/v1/agreements/<agreement>", api.change_agreement),
        ("POST", "/v1/agreements/<agreement>/withdraw", api.withdraw_agreement),
        ("GET", "/v1/sessions", api.list_sessions),
    ):
        routes.add_url_rule(path, handler.__name__, handler, methods=[method])
    return routes
