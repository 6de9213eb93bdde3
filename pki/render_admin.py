"""What administrators and auditors are shown, as JSON."""

from __future__ import annotations

import json
from typing import Any

from pki.approve import Shown
from pki.clock import format_time


def proposal_json(shown: Shown, *, act: bool = True) -> dict[str, Any]:
    """Return a proposal; `act` is what will be done, to the last octet, also as JSON to read."""
    found = shown.proposal
    document = json.loads(found.act)
    body: dict[str, Any] = {
        "proposalId": found.proposal_id,
        "verb": document["verb"],
        "state": found.state.value,
        "outcome": found.outcome,
        "proposedBy": found.proposed_by,
        "proposedAt": format_time(found.proposed_at),
        "expiresAt": format_time(found.expires_at),
        "endedAt": format_time(found.ended_at) if found.ended_at else None,
        "required": found.required,
        "approvals": [
            {"person": each.person, "approvedAt": format_time(each.approved_at)}
            for each in shown.approvals
        ],
        "sha256": found.sha256.hex(),
    }
    return body | ({"arguments": document["arguments"], "act": found.act} if act else {})
