"""How far each emergency is, kept in the store, so that it goes on after a crash."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from pki.clock import format_time, parse_time
from pki.emergency.values import Case, Progress
from pki.model import Reason
from pki.ports import Transaction


def _name(reference: str) -> str:
    return f"emergency.{reference}"


def keep(tx: Transaction, case: Case) -> None:
    """Store a case in place of the state before."""
    body = {
        "reason": case.reason.value,
        "issuers": list(case.issuers),
        "fingerprints": list(case.fingerprints),
        "begunAt": format_time(case.begun_at),
        "endedAt": format_time(case.ended_at) if case.ended_at else None,
        "progress": asdict(case.progress),
    }
    tx.put_setting(_name(case.reference), json.dumps(body))


def find(tx: Transaction, reference: str) -> Case | None:
    """Return the case of a certificate (by its fingerprint), or None."""
    text = tx.setting(_name(reference))
    if not text:
        return None
    body: dict[str, Any] = json.loads(text)
    return Case(
        reference=reference,
        reason=Reason(body["reason"]),
        issuers=tuple(body["issuers"]),
        fingerprints=tuple(body["fingerprints"]),
        begun_at=parse_time(body["begunAt"]),
        progress=Progress(**body["progress"]),
        ended_at=parse_time(body["endedAt"]) if body["endedAt"] else None,
    )
