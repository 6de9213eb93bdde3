"""OCPI 2.2.1 and 2.3.0 under `/ocpi/`; `/ocpi/versions` is the door."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, g, request

from pki.authorize import Roaming
from pki.errors import PolicyViolation
from pki.model import Partner
from pki.partners import commands, handshake, hub, intake, remote
from pki.partners.caller import authenticate, sent_token
from pki.partners.network import PartnerNetwork
from pki.roaming.ocpi.commands import response_json
from pki.roaming.ocpi.versions import Version, details_json, versions_json
from web.ocpi_answers import Path, answer, finish, key_of, routing
from web.ocpi_tokens import HELD, OcpiTokens
from web.parsing import json_object

Handler = Callable[[Partner, Version, Path], Response]
"""Takes who calls, the version of the path and the path's other parts."""

_DOUBLED: Final = re.compile(r"(/(?:cpo|emsp|hub)/[a-z]+)/")
"""Behind the address of an endpoint, which ends in a slash: who puts another one is understood."""

VERSIONED: Final = "/ocpi/<any({}):version>".format(", ".join(f"'{v}'" for v in Version))
OWNED: Final = "<country>/<party>/<object_id>"


@dataclass(frozen=True, slots=True)
class Ocpi:
    """The handlers of every module but tokens, over one installation."""

    network: PartnerNetwork

    def versions(self, _partner: Partner, _version: Version, _path: Path) -> Response:
        """List the versions that we speak."""
        return answer(versions_json(self.network.base_url))

    def details(self, partner: Partner, version: Version, _path: Path) -> Response:
        """List the endpoints of a version, those of our parties that the partner deals with."""
        sides = {own.role.lower() for own in partner.own} | {"hub"}
        return answer(details_json(self.network.base_url, version, frozenset(sides)))

    # --- credentials -----------------------------------------------------------------------------

    def get_credentials(self, partner: Partner, _version: Version, _path: Path) -> Response:
        """Repeat our credentials; the token is the one that the partner just sent."""
        token = sent_token(partner, _authorization())
        return answer(handshake.own_credentials(self.network, partner, token).to_json())

    def post_credentials(self, partner: Partner, version: Version, _path: Path) -> Response:
        """Register."""
        return self._exchange(partner, version, renew=False)

    def put_credentials(self, partner: Partner, version: Version, _path: Path) -> Response:
        """Renew."""
        return self._exchange(partner, version, renew=True)

    def _exchange(self, partner: Partner, version: Version, *, renew: bool) -> Response:
        handshake.require_registered(partner, registered=renew)
        body = json_object(request)
        ours = handshake.accept(self.network, partner, version, body, renew=renew)
        return answer(ours.to_json())

    def delete_credentials(self, partner: Partner, _version: Version, _path: Path) -> Response:
        """Say goodbye."""
        handshake.end(self.network, partner)
        return answer()

    # --- sessions, CDRs and tariffs of CPO partners ----------------------------------------------

    def get_session(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Return a session as its owner gave it."""
        return self._get("session", partner, path)

    def get_cdr(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Return a CDR as its owner gave it."""
        return self._get("cdr", partner, path)

    def get_tariff(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Return the newest version of a tariff."""
        return self._get("tariff", partner, path)

    def _get(self, kind: str, partner: Partner, path: Path) -> Response:
        return answer(intake.get(self.network, partner, kind, key_of(path), path["object_id"]))

    def put_session(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Take in a session."""
        return self._put("session", partner, path)

    def put_tariff(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Take in a version of a tariff."""
        return self._put("tariff", partner, path)

    def _put(self, kind: str, partner: Partner, path: Path) -> Response:
        body = json_object(request)
        intake.put(self.network, partner, kind, key_of(path), path["object_id"], body)
        return answer()

    def patch_session(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Change a session."""
        body = json_object(request)
        intake.patch_session(self.network, partner, key_of(path), path["object_id"], body)
        return answer()

    def delete_tariff(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Withdraw a tariff."""
        intake.delete_tariff(self.network, partner, key_of(path), path["object_id"])
        return answer()

    def post_cdr(self, partner: Partner, version: Version, _path: Path) -> Response:
        """Take in a CDR and say where it is found."""
        found = intake.add_cdr(self.network, partner, json_object(request))
        place = f"{found.party[:2]}/{found.party[2:]}/{found.key}"
        location = f"{self.network.base_url}/{version}/emsp/cdrs/{place}"
        return answer(status=201, headers={"Location": location})

    # --- commands and hubs -----------------------------------------------------------------------

    def post_command(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Take a remote start or stop."""
        body = json_object(request)
        result = commands.take(self.network, partner, path["command"], body, routing())
        return answer(response_json(result, int(commands.TIMEOUT.total_seconds())))

    def post_result(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Take the station's answer to a command of ours."""
        name, object_id = path["command"], path["object_id"]
        remote.take_result(self.network, partner, name, object_id, json_object(request))
        return answer()

    def get_client(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Return what a hub said of a party."""
        return answer(hub.get(self.network, partner, key_of(path)))

    def put_client(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Take in what a hub says of a party."""
        hub.put(self.network, partner, key_of(path), json_object(request))
        return answer()

    def patch_client(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Change what is known of a party."""
        hub.patch(self.network, partner, key_of(path), json_object(request))
        return answer()


def _authorization() -> str:
    return request.headers.get("Authorization", "")


@dataclass(frozen=True, slots=True)
class Route:
    """One path of OCPI; `open_to_invited`: the token of an invitation will do."""

    method: str
    rule: str
    handler: Handler
    open_to_invited: bool = False

    def view(self, network: PartnerNetwork) -> Callable[..., Response]:
        """
        Return the Flask view: whoever calls must hold a token, registered with this version.

        Its errors: Unauthenticated (`ocpi_token_missing`, `ocpi_token_invalid`), PolicyViolation
        (`ocpi_version_unsupported`), and those of the handler.
        """

        def view(version: str = Version.V2_2_1.value, **path: str) -> Response:
            functional = not self.open_to_invited
            partner = authenticate(network, _authorization(), functional=functional)
            g.client = f"ocpi:{partner.partner_id}"
            if functional and partner.version != version:
                raise PolicyViolation(
                    "ocpi_version_unsupported", f"You registered with version {partner.version}."
                )
            return self.handler(partner, Version(version), path)

        return view


def _routes(handlers: Ocpi, tokens: OcpiTokens) -> list[Route]:
    held, own = f"{VERSIONED}/cpo/tokens/{HELD}", f"{VERSIONED}/emsp/tokens"
    credentials = f"{VERSIONED}/credentials"
    sessions, tariffs = f"{VERSIONED}/emsp/sessions/{OWNED}", f"{VERSIONED}/emsp/tariffs/{OWNED}"
    client = f"{VERSIONED}/hub/hubclientinfo/<country>/<party>"
    return [
        Route("GET", "/ocpi/versions", handlers.versions, open_to_invited=True),
        Route("GET", VERSIONED, handlers.details, open_to_invited=True),
        Route("GET", credentials, handlers.get_credentials, open_to_invited=True),
        Route("POST", credentials, handlers.post_credentials, open_to_invited=True),
        Route("PUT", credentials, handlers.put_credentials, open_to_invited=True),
        Route("DELETE", credentials, handlers.delete_credentials, open_to_invited=True),
        Route("GET", held, tokens.get),
        Route("PUT", held, tokens.put),
        Route("PATCH", held, tokens.patch),
        Route("GET", own, tokens.page),
        Route("POST", f"{own}/<uid>/authorize", tokens.authorize),
        Route("GET", sessions, handlers.get_session),
        Route("PUT", sessions, handlers.put_session),
        Route("PATCH", sessions, handlers.patch_session),
        Route("POST", f"{VERSIONED}/emsp/cdrs", handlers.post_cdr),
        Route("GET", f"{VERSIONED}/emsp/cdrs/{OWNED}", handlers.get_cdr),
        Route("GET", tariffs, handlers.get_tariff),
        Route("PUT", tariffs, handlers.put_tariff),
        Route("DELETE", tariffs, handlers.delete_tariff),
        Route("POST", f"{VERSIONED}/cpo/commands/<command>", handlers.post_command),
        Route("POST", f"{VERSIONED}/emsp/commands/<command>/<object_id>", handlers.post_result),
        Route("GET", client, handlers.get_client),
        Route("PUT", client, handlers.put_client),
        Route("PATCH", client, handlers.patch_client),
    ]


def blueprint(network: PartnerNetwork, roaming: Roaming) -> Blueprint:
    """Return the routes; every path answers with a slash at its end as well."""
    routes = Blueprint("ocpi", __name__)

    def clock() -> None:
        g.clock = network.deployment.clock

    routes.before_app_request(clock)
    routes.after_app_request(finish)
    for route in _routes(Ocpi(network), OcpiTokens(network, roaming)):
        for rule in dict.fromkeys((route.rule, _DOUBLED.sub(r"\1//", route.rule))):
            routes.add_url_rule(
                rule,
                f"{route.method} {rule}".replace(".", "_"),
                route.view(network),
                methods=[route.method],
                strict_slashes=False,
            )
    return routes
