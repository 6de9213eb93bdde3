"""What list endpoints and requests that may be sent twice have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from flask import Response, request

from pki import repeat
from pki.model import Principal
from pki.ports import Deployment
from web import auth
from web.answers import json_answer
from web.parsing import json_object

IDEMPOTENCY: Final = "Idempotency-Key"
PAGE: Final = frozenset(("after", "limit"))

Json = dict[str, Any]
Handler = Callable[[Principal, Json], tuple[int, Json]]
"""Caller and body to status and answer."""


def once(deployment: Deployment, work: Handler) -> Response:
    """Do the work of a request; of one with an idempotency key, once."""
    principal = auth.principal(deployment)
    body = json_object(request)
    key = request.headers.get(IDEMPOTENCY)
    if key is None:
        status, answer = work(principal, body)
        return json_answer(answer, status)
    text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    digest = repeat.digest(request.method, request.path, text)
    before = repeat.recall(deployment, principal, key, digest)
    if before is not None:
        kept = orjson.loads(before.answer)
        return json_answer(kept, before.status, headers={"Idempotency-Replayed": "true"})
    status, answer = work(principal, body)
    made = (status, orjson.dumps(answer).decode())
    repeat.keep(deployment, principal, key, digest, made)
    return json_answer(answer, status)


def page_of(name: str, items: list[Json], after: str | None) -> Response:
    """Return a page; `next` is the `after` of the following one."""
    return json_answer({name: items, "next": after})
