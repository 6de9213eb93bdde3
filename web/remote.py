"""Remote starts and stops that partners sent, for the CSMS that carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson
from flask import Blueprint, Response, request

from pki import render_partners
from pki.authorize import Roaming
from pki.model import CredentialKind, PartnerCommand
from pki.partners import commands, remote
from pki.partners.network import PartnerNetwork
from pki.roaming.ocpi.commands import Command
from web import auth
from web.answers import json_answer
from web.parsing import Fields, json_object, one_of, page_size, query

PATH: Final = "/v1/commands"
_PAGE: Final = frozenset(("after", "limit"))
_RESULT: Final = frozenset(("result",))
_ORDER: Final = frozenset(
    ("command", "cpo", "uid", "kind", "locationId", "evseUid", "connectorId", "sessionId")
)


@dataclass(frozen=True, slots=True)
class Remote:
    """The handlers, over one installation."""

    network: PartnerNetwork
    roaming: Roaming

    def pending(self) -> Response:
        """Return a page of commands that wait for the caller's CPOs."""
        principal = auth.principal(self.network.deployment)
        fields = query(request, _PAGE)
        limit = page_size(fields)
        found = commands.pending(self.network, principal, after=fields.text("after"), limit=limit)
        more = found[-1].command_id if len(found) == limit else None
        return json_answer({"commands": [_shown(each) for each in found], "next": more})

    def send(self) -> Response:
        """Send a remote start or stop of an eMSP to a CPO partner."""
        principal = auth.principal(self.network.deployment)
        fields = Fields.of(json_object(request), _ORDER)
        kind = fields.choice("kind", CredentialKind, tuple(CredentialKind))
        order = remote.RemoteOrder(
            command=one_of("command", fields.needed("command"), Command, tuple(Command)),
            cpo=fields.needed("cpo"),
            uid=fields.text("uid", longest=36),
            kind=kind or CredentialKind.EMAID,
            location_id=fields.text("locationId", longest=36),
            evse_uid=fields.text("evseUid", longest=36),
            connector_id=fields.text("connectorId", longest=36),
            session_id=fields.text("sessionId", longest=36),
        )
        sent = remote.send(self.network, self.roaming, principal, order)
        return json_answer(render_partners.sent_json(sent), 202)

    def sent(self, command_id: str) -> Response:
        """Say what became of a command that an eMSP sent."""
        principal = auth.principal(self.network.deployment)
        found = remote.find(self.network, principal, command_id)
        return json_answer(render_partners.sent_json(found))

    def answer(self, command_id: str) -> Response:
        """Say what the station did; the partner is told."""
        principal = auth.principal(self.network.deployment)
        result = Fields.of(json_object(request), _RESULT).needed("result")
        done = commands.answer(self.network, principal, command_id, result)
        return json_answer({"commandId": done.command_id, "result": result})


def _shown(command: PartnerCommand) -> dict[str, object]:
    return render_partners.command_json(command) | {"request": orjson.loads(command.document)}


def blueprint(network: PartnerNetwork, roaming: Roaming) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("remote", __name__)
    handlers = Remote(network, roaming)
    routes.add_url_rule(PATH, "pending", handlers.pending, methods=["GET"])
    routes.add_url_rule(PATH, "send", handlers.send, methods=["POST"])
    routes.add_url_rule(f"{PATH}/<command_id>", "sent", handlers.sent, methods=["GET"])
    routes.add_url_rule(f"{PATH}/<command_id>/result", "answer", handlers.answer, methods=["POST"])
    return routes
