"""
Decisions that repeat an earlier one: the same question while nothing changed that it depends on.

Such a receipt holds its own id and time, and names the receipt that holds the rest. Read
back, it is what a decision of its own would have written: what was asked of our own store was asked
again, so that it is as of the later time.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Sequence
from typing import Any, Final

import orjson

from pki.clock import format_time
from pki.ids import first_decision_id
from pki.model import DecisionRecord, Repetition

LONGEST: Final = dt.timedelta(hours=1)
"""How long a decision may be repeated; its receipt outlives the last repetition by that."""

_RANDOM: Final = 8

Json = dict[str, Any]


def new_id(now: dt.datetime) -> str:
    """
    Return an id for a decision: 64 random bits behind its second.

    Ids of one time lie side by side in the index, so that a group of receipts touches few pages.
    """
    return new_ids(now, 1)[0]


def new_ids(now: dt.datetime, count: int) -> list[str]:
    """Return several ids; the system is asked for random bits once."""
    second = first_decision_id(int(now.timestamp()))
    bits = secrets.token_hex(count * _RANDOM)
    return [second + bits[at : at + 2 * _RANDOM] for at in range(0, len(bits), 2 * _RANDOM)]


def repeat(originals: Sequence[str], now: dt.datetime) -> list[Repetition]:
    """Return short receipts that repeat others, by their ids."""
    ids = new_ids(now, len(originals))
    return [Repetition(each, now, original) for each, original in zip(ids, originals, strict=True)]


def rewritten(repeated: DecisionRecord) -> str:
    """Return the record as of the time of the receipt that repeats it."""
    told: Json = json.loads(repeated.record)
    reference, at = repeated.decision_id, format_time(repeated.decided_at)
    told["now"] = told["readAt"] = at
    told["statuses"] = {name: _later(kept, at) for name, kept in told["statuses"].items()}
    told["verdict"] = later_verdict(told["verdict"], reference, at)
    if "authorisation" in told:
        told["authorisation"] |= {"reference": reference, "at": at}
    return text(told)


def text(record: object) -> str:
    """Return JSON as it is kept; a command line may hold text that is no Unicode."""
    try:
        return orjson.dumps(record).decode()
    except TypeError:
        return json.dumps(record, separators=(",", ":"))


def later_verdict(verdict: Json, reference: str, at: str) -> Json:
    """Return a verdict, as `pki.validate.render.to_json` has it, of a later decision."""
    evidence = [_later(each, at) for each in verdict["evidence"]]
    return verdict | {"decisionId": reference, "decidedAt": at, "evidence": evidence}


def _later(status: Json, at: str) -> Json:
    """Return a status as of a later look; evidence of others stays as old as it was."""
    return status if status["source"] == "foreign" else status | {"asOf": at}
