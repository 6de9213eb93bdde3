"""Two-person control over HTTP: proposals, approvals, rejections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, request

from pki import approve
from pki.errors import BadInput
from pki.model import ProposalState
from pki.ports import Deployment
from pki.render_admin import proposal_json
from web import auth
from web.answers import json_answer
from web.parsing import Fields, json_object, page_size, query

LIST_FIELDS: Final = frozenset(("state", "before", "limit"))


@dataclass(frozen=True, slots=True)
class Proposals:
    """The handlers, over one installation."""

    deployment: Deployment

    def list_proposals(self) -> Response:
        """Return a page, newest first; `next` is the `before` of the following page."""
        principal = auth.principal(self.deployment)
        fields = query(request, LIST_FIELDS)
        limit = page_size(fields)
        found = approve.proposals(
            self.deployment,
            principal,
            state=fields.choice("state", ProposalState, tuple(ProposalState)),
            before=fields.text("before"),
            limit=limit,
        )
        more = found[-1].proposal.proposal_id if len(found) == limit else None
        page = [proposal_json(shown, act=False) for shown in found]
        return json_answer({"proposals": page, "next": more})

    def show_proposal(self, proposal_id: str) -> Response:
        """Return a proposal with the act that is approved."""
        principal = auth.principal(self.deployment)
        return _shown(approve.proposal(self.deployment, principal, proposal_id))

    def accept_proposal(self, proposal_id: str) -> Response:
        """Approve the act of this SHA-256."""
        principal = auth.principal(self.deployment)
        fields = Fields.of(json_object(request), frozenset(("sha256",)))
        sha256 = _digest(fields.needed("sha256"))
        return _shown(approve.accept(self.deployment, principal, proposal_id, sha256))

    def reject_proposal(self, proposal_id: str) -> Response:
        """End a proposal."""
        principal = auth.principal(self.deployment)
        return _shown(approve.reject(self.deployment, principal, proposal_id))

    def run_proposal(self, proposal_id: str) -> Response:
        """Carry out what enough people approved."""
        principal = auth.principal(self.deployment)
        return _shown(approve.run(self.deployment, principal, proposal_id))


def _shown(shown: approve.Shown) -> Response:
    return json_answer(proposal_json(shown))


def _digest(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise BadInput("invalid_value", "sha256 is not hexadecimal.") from error


def blueprint(deployment: Deployment) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("proposals", __name__)
    api = Proposals(deployment)
    for method, path, handler in (
        ("GET", "/v1/proposals", api.list_proposals),
        ("GET", "/v1/proposals/<proposal_id>", api.show_proposal),
        ("POST", "/v1/proposals/<proposal_id>/accept", api.accept_proposal),
        ("POST", "/v1/proposals/<proposal_id>/reject", api.reject_proposal),
        ("POST", "/v1/proposals/<proposal_id>/run", api.run_proposal),
    ):
        routes.add_url_rule(path, handler.__name__, handler, methods=[method])
    return routes
