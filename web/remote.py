"""Remote starts and stops that partners sent, for the CSMS that carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson
from flask import Blueprint, Response, request

from pki import render_partners
from pki.model import PartnerCommand
from pki.partners import commands
from pki.partners.network import PartnerNetwork
from web import auth
from web.answers import json_answer
from web.parsing import Fields, json_object, page_size, query

PATH: Final = "/v1/commands"
_PAGE: Final = frozenset(("after", "limit"))
_RESULT: Final = frozenset(("result",))


@dataclass(frozen=True, slots=True)
class Remote:
    """The handlers, over one installation."""

    network: PartnerNetwork

    def pending(self) -> Response:
        """Return a page of commands that wait for the caller's CPOs."""
        principal = auth.principal(self.network.deployment)
        fields = query(request, _PAGE)
        limit = page_size(fields)
        found = commands.pending(self.network, principal, after=fields.text("after"), limit=limit)
        more = found[-1].command_id if len(found) == limit else None
        return json_answer({"commands": [_shown(each) for each in found], "next": more})

    def answer(self, command_id: str) -> Response:
        """Say what the station did; the partner is told."""
        principal = auth.principal(self.network.deployment)
        result = Fields.of(json_object(request), _RESULT).needed("result")
        done = commands.answer(self.network, principal, command_id, result)
        return json_answer({"commandId": done.command_id, "result": result})


def _shown(command: PartnerCommand) -> dict[str, object]:
    return render_partners.command_json(command) | {"request": orjson.loads(command.document)}


def blueprint(network: PartnerNetwork) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("remote", __name__)
    handlers = Remote(network)
    routes.add_url_rule(PATH, "pending", handlers.pending, methods=["GET"])
    routes.add_url_rule(f"{PATH}/<command_id>/result", "answer", handlers.answer, methods=["POST"])
    return routes
