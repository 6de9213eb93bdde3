"""Administration, as `/openapi.json` tells it."""

from __future__ import annotations

from typing import Any, Final

from pki.model import ProposalState
from web.answers import PROBLEM
from web.openapi_words import READ, WRITE, body, good, parameter, problems
from web.parsing import DEFAULT_PAGE, MAX_PAGE
from web.schemas import COUNT, LINE, TEXT, TIME, Schema, exact, many, nullable, one, ref

_SHA256: Final[Schema] = {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"}
_LIMIT: Final = parameter(
    "limit",
    "query",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
    "Things on a page.",
)
_PROPOSAL: Final = parameter("proposal_id", "path", TEXT, "As the answer 202 named it.")


_SEARCHED: Final = {
    "chain": "Issuer id, or `admin`.",
    "actor": "Who did it.",
    "action": "What was done, such as `certificate.revoke`.",
    "subject": "To what, exactly; what was done to many at once has their number here.",
    "since": "From this time on, such as 2027-06-30T00:00:00Z.",
    "until": "Before this time.",
    "after": "`next` of the page before.",
}
_ENTRY: Final[Schema] = {
    "chain": TEXT,
    "sequence": COUNT,
    "at": TIME,
    "actor": TEXT,
    "action": TEXT,
    "subject": TEXT,
    "details": TEXT | {"description": "JSON, as the hash covers it."},
    "previousHash": _SHA256,
    "entryHash": _SHA256,
}


def components() -> Schema:
    """Return the named schemas."""
    told: dict[str, Any] = {
        "proposalId": TEXT,
        "verb": TEXT,
        "state": one(ProposalState),
        "outcome": nullable(TEXT),
        "proposedBy": TEXT,
        "proposedAt": TIME,
        "expiresAt": TIME,
        "endedAt": nullable(TIME),
        "required": COUNT,
        "approvals": many(exact({"person": TEXT, "approvedAt": TIME})),
        "sha256": _SHA256,
    }
    return {
        "Proposal": exact(told | {"arguments": {"type": "object"}, "act": TEXT}),
        "ProposalPage": exact({"proposals": many(exact(told)), "next": nullable(TEXT)}),
        "AuditPage": exact({"entries": many(exact(_ENTRY)), "next": nullable(TEXT)}),
        "AcceptRequest": exact({"sha256": _SHA256}),
        "Proposed": exact(
            {
                "code": {"const": "approval_needed"},
                "proposalId": TEXT,
                "sha256": _SHA256,
                "required": COUNT,
                "expiresAt": TIME,
            }
        ),
    }


def proposed() -> Schema:
    """Return the response 202 of what may need other people's approval."""
    return {"202": good("Nothing was done; others must approve it.", ref("Proposed"))}


def paths() -> Schema:
    """Return the paths."""
    return _audit() | _proposals()


def _audit() -> Schema:
    return {
        "/v1/audit": {
            "get": {
                "summary": "Who did what, newest first.",
                "parameters": [
                    *(parameter(n, "query", LINE, m) for n, m in _SEARCHED.items()),
                    _LIMIT,
                ],
                "responses": {"200": good("A page.", ref("AuditPage"))}
                | problems(READ, "Problem", PROBLEM),
            }
        },
    }


def _proposals() -> Schema:
    one_of_them = good("The proposal.", ref("Proposal"))
    asked = [
        parameter("state", "query", one(ProposalState), "Only those."),
        parameter("before", "query", LINE, "`next` of the page before."),
        _LIMIT,
    ]
    return {
        "/v1/proposals": {
            "get": {
                "summary": "What waits for approval, and what became of it, newest first.",
                "parameters": asked,
                "responses": {"200": good("A page.", ref("ProposalPage"))}
                | problems(READ, "Problem", PROBLEM),
            }
        },
        "/v1/proposals/{proposal_id}": {
            "parameters": [_PROPOSAL],
            "get": {
                "summary": "One proposal, with the bytes that are approved.",
                "responses": {"200": one_of_them} | problems((*READ, 404), "Problem", PROBLEM),
            },
        },
        "/v1/proposals/{proposal_id}/accept": {
            "parameters": [_PROPOSAL],
            "post": {
                "summary": "Approve the act of this SHA-256; the last approval carries it out.",
                "requestBody": body("AcceptRequest"),
                "responses": {"200": one_of_them}
                | problems((*WRITE, 404, 409, 422), "Problem", PROBLEM),
            },
        },
        "/v1/proposals/{proposal_id}/reject": {
            "parameters": [_PROPOSAL],
            "post": {
                "summary": "End a proposal; one rejection does.",
                "responses": {"200": one_of_them} | problems((*READ, 404, 409), "Problem", PROBLEM),
            },
        },
        "/v1/proposals/{proposal_id}/run": {
            "parameters": [_PROPOSAL],
            "post": {
                "summary": "Carry out what enough people approved.",
                "responses": {"200": one_of_them}
                | problems((*READ, 404, 409, 422), "Problem", PROBLEM),
            },
        },
    }
