"""The tokens module: receiver for eMSP partners, sender for CPO partners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Response, request

from pki.authorize import Roaming
from pki.model import Partner
from pki.partners import exchange, token_pages
from pki.partners.network import PartnerNetwork
from pki.roaming.ocpi.paging import PageRequest, page_headers
from pki.roaming.ocpi.tokens import LocationReferences, token_type
from pki.roaming.ocpi.versions import Version
from web.ocpi_answers import Path, answer, key_of, routing
from web.parsing import json_object

HELD: Final = "<country>/<party>/<uid>"


@dataclass(frozen=True, slots=True)
class OcpiTokens:
    """The handlers, over one installation."""

    network: PartnerNetwork
    roaming: Roaming

    def get(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Return a token as its eMSP gave it."""
        return answer(exchange.get(self.network, partner, key_of(path), path["uid"], _type()))

    def put(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Keep a token of an eMSP."""
        body = json_object(request)
        exchange.put(self.network, partner, key_of(path), path["uid"], _type(), body)
        return answer()

    def patch(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Change a token of an eMSP."""
        body = json_object(request)
        exchange.patch(self.network, partner, key_of(path), path["uid"], _type(), body)
        return answer()

    def page(self, partner: Partner, version: Version, _path: Path) -> Response:
        """Return a page of our tokens."""
        found = token_pages.page(self.network, partner, PageRequest.read(request.args.to_dict()))
        url = f"{self.network.base_url}/{version}/emsp/tokens"
        headers = page_headers(url, found.total, found.following)
        return answer(found.tokens, headers=headers)

    def authorize(self, partner: Partner, _version: Version, path: Path) -> Response:
        """Say whether a driver of ours may charge."""
        body = json_object(request) if _has_body() else None
        place = LocationReferences.parse(body) if body else None
        question = exchange.Question(
            partner=partner,
            routing=routing(),
            uid=path["uid"],
            token_type=_type(),
            place=place,
        )
        return answer(exchange.answer(self.network, self.roaming, question))


def _type() -> str:
    return token_type(request.args.get("type"))


def _has_body() -> bool:
    """Tell whether a body was sent: the location may be left out."""
    return bool(request.content_length) or "Transfer-Encoding" in request.headers
