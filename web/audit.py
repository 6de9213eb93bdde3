"""`/v1/audit`: the record, searched by auditors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, request

from pki.audit import export
from pki.clock import parse_time
from pki.model import AuditQuery
from pki.ports import Deployment
from web import auth
from web.answers import json_answer
from web.parsing import page_size, query

SEARCH_FIELDS: Final = frozenset(
    ("chain", "actor", "action", "subject", "since", "until", "after", "limit")
)


@dataclass(frozen=True, slots=True)
class Audit:
    """The handler, over one installation."""

    deployment: Deployment

    def search_audit(self) -> Response:
        """Return a page, newest first; `next` is the `after` of the following page."""
        principal = auth.principal(self.deployment)
        fields = query(request, SEARCH_FIELDS)
        limit = page_size(fields)
        since, until, after = (fields.text(name) for name in ("since", "until", "after"))
        wanted = AuditQuery(
            chain=fields.text("chain"),
            actor=fields.text("actor"),
            action=fields.text("action"),
            subject=fields.text("subject"),
            since=parse_time(since) if since is not None else None,
            until=parse_time(until) if until is not None else None,
            before=export.parse_mark(after) if after is not None else None,
        )
        page = export.search(self.deployment, principal, wanted, limit)
        entries = [export.entry_json(entry) for entry in page.entries]
        return json_answer({"entries": entries, "next": page.following})


def blueprint(deployment: Deployment) -> Blueprint:
    """Return the route."""
    routes = Blueprint("audit", __name__)
    routes.add_url_rule("/v1/audit", "search_audit", Audit(deployment).search_audit)
    return routes
