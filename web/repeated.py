"""What list endpoints and requests that may be sent twice have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson
from flask import Request, Response, request

from pki import repeat
from pki.model import Principal
from pki.ports import Deployment
from web import auth
from web.answers import json_answer
from web.parsing import json_object

IDEMPOTENCY: Final = "Idempotency-Key"
PAGE: Final = frozenset(("after", "limit"))

Json = dict[str, Any]
Handler = Callable[[Deployment, Principal, Json], tuple[int, Json]]
"""Deployment to work through, caller and body to status and answer."""


def once(
    deployment: Deployment, work: Handler, read: Callable[[Request], Json] = json_object
) -> Response:
    """Do the work of a request, whose body `read` reads; of one with an idempotency key, once."""
    principal = auth.principal(deployment)
    body = read(request)
    key = request.headers.get(IDEMPOTENCY)
    if key is None:
        status, answer = work(deployment, principal, body)
        return json_answer(answer, status)
    text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    digest = repeat.digest(request.method, request.full_path, text)

    def joined(through: Deployment) -> tuple[int, str]:
        status, answer = work(through, principal, body)
        return status, orjson.dumps(answer).decode()

    told = repeat.once(deployment, principal, key, digest, joined)
    headers = {"Idempotency-Replayed": "true"} if told.again else {}
    return json_answer(orjson.loads(told.answer), told.status, headers=headers)


def page_of(name: str, items: list[Json], after: str | None) -> Response:
    """Return a page; `next` is the `after` of the following one."""
    return json_answer({name: items, "next": after})
