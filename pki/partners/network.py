"""What verbs about partners need beyond a deployment, and how partners are called."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Final

from pki import outbound
from pki.access import TOKEN_PREFIX
from pki.errors import BadInput, Conflict, NotFound, PolicyViolation, Unavailable
from pki.ids import quote
from pki.model import Partner, PartnerEndpoint, PartnerState
from pki.outbound import OutboundPolicy, Reply
from pki.ports import Deployment, Transaction
from pki.roaming.ocpi import paging
from pki.roaming.ocpi.envelope import Envelope
from pki.roaming.ocpi.parties import Routing
from pki.roaming.ocpi.text import encode_token
from pki.roaming.ocpi.versions import Endpoint, InterfaceRole, Module, Version

ANSWER_OCTETS: Final = 4 * 1024 * 1024
"""Of one answer of a partner; a page of a thousand tokens has about half a mebibyte."""

MAX_PAGES: Final = 100_000
_OPEN: Final = Routing()


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerNetwork:
    """
    This installation among its partners.

    Attributes:
        outbound: limits of calls; `seconds` for everything that no driver waits for.
    """

    deployment: Deployment
    outbound: OutboundPolicy

    @property
    def base_url(self) -> str:
        """Address of `/ocpi` as partners reach it."""
        return f"{self.deployment.public_url}/ocpi"

    def seal(self, partner_id: str, token: str) -> bytes:
        """Encrypt what we send to a partner."""
        return self.deployment.vault.seal(token.encode(), f"partner:{partner_id}")

    def link(self, partner: Partner) -> Link:
        """
        Return how a registered partner is called.

        Raises:
            PolicyViolation: `partner_not_registered`.
        """
        if partner.state is not PartnerState.REGISTERED or partner.sealed_token is None:
            raise PolicyViolation(
                "partner_not_registered", f"The partner {partner.partner_id} is not registered."
            )
        token = self.deployment.vault.unseal(partner.sealed_token, f"partner:{partner.partner_id}")
        return Link(token=token.decode(), raw=partner.raw_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The token to send to a partner, and in which form."""

    token: str = field(repr=False)
    raw: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerAnswer:
    """An answer that is an OCPI envelope."""

    http: int
    envelope: Envelope
    headers: Mapping[str, str]


def new_token() -> str:
    """Return a credentials token of 256 random bits, recognisable in logs, 47 characters."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def call(  # noqa: PLR0913 - one keyword per part of a request
    network: PartnerNetwork,
    link: Link,
    method: str,
    url: str,
    *,
    body: object = None,
    routing: Routing = _OPEN,
    seconds: float | None = None,
) -> PartnerAnswer:
    """
    Call a partner and return its envelope, whatever it says; redirects are not followed.

    Raises:
        Unavailable: `partner_garbage` for what is no envelope, and the errors of `outbound`.
    """
    policy = replace(
        network.outbound,
        octets=min(ANSWER_OCTETS, network.outbound.octets),
        seconds=seconds if seconds is not None else network.outbound.seconds,
    )
    sent = None if body is None else json.dumps(body, ensure_ascii=False).encode()
    reply = outbound.request(
        policy, method, url, body=sent, headers=_headers(link, routing, has_body=sent is not None)
    )
    return PartnerAnswer(http=reply.status, envelope=_envelope(reply, url), headers=reply.headers)


def _headers(link: Link, routing: Routing, *, has_body: bool) -> dict[str, str]:
    headers = {
        "Authorization": encode_token(link.token, raw=link.raw),
        "Accept": "application/json",
        "X-Request-ID": str(uuid.uuid4()),
        "X-Correlation-ID": str(uuid.uuid4()),
        **routing.headers(),
    }
    return headers | ({"Content-Type": "application/json"} if has_body else {})


def _envelope(reply: Reply, url: str) -> Envelope:
    try:
        return Envelope.parse(json.loads(reply.body))
    except (ValueError, RecursionError, BadInput) as error:
        host = outbound.check_address(url).hostname
        raise Unavailable(
            "partner_garbage",
            f"{host} answered with status {reply.status} and no OCPI envelope.",
        ) from error


def good_data(answer: PartnerAnswer) -> object:
    """
    Return the data of an answer of success.

    Raises:
        NotFound: `token_unknown` for status 2004, with HTTP 404 or without.
        Unavailable: `partner_refused`.
    """
    envelope = answer.envelope
    if envelope.status == 2004:  # noqa: PLR2004 - Status.UNKNOWN_TOKEN
        raise NotFound("token_unknown", "The partner does not know this token.")
    if not envelope.good or answer.http >= HTTPStatus.BAD_REQUEST:
        raise Unavailable(
            "partner_refused",
            f"The partner answered with status {answer.http} and code {envelope.status}: "
            f"{quote(envelope.message or '', 200)}.",
        )
    return envelope.data


def one(data: object) -> object:
    """Return an object that some deployed peers put into a list of one."""
    return data[0] if isinstance(data, list) and len(data) == 1 else data


def pages(
    network: PartnerNetwork, link: Link, url: str, *, routing: Routing = _OPEN
) -> Iterator[list[object]]:
    """
    Yield the pages of a partner's list, however small they are; totals are not believed.

    Raises:
        Unavailable: `partner_garbage` for pages that lead in a circle or to another host, for more
            than MAX_PAGES of them, and for data that is no list; the errors of `call`.
    """
    seen = {url}
    place: str | None = url
    while place is not None:
        answer = call(network, link, "GET", place, routing=routing)
        data = good_data(answer)
        if not isinstance(data, list):
            raise Unavailable("partner_garbage", "The partner's page is no list.")
        yield data
        place = _next(url, answer.headers.get("link"))
        if place in seen or len(seen) > MAX_PAGES:
            raise Unavailable("partner_garbage", "The partner's pages do not end.")
        if place is not None:
            seen.add(place)


def _next(url: str, header: str | None) -> str | None:
    link = paging.next_link(header)
    if link is None:
        return None
    try:
        return paging.next_of(url, link)
    except BadInput as error:
        raise Unavailable("partner_garbage", error.message) from error


def endpoint(partner: Partner, module: Module, role: InterfaceRole) -> str | None:
    """Return where a module of a partner answers, or None."""
    for each in partner.endpoints:
        if each.identifier == module.value and each.role == role.value:
            return each.url
    return None


def to_endpoints(found: tuple[Endpoint, ...]) -> tuple[PartnerEndpoint, ...]:
    """Return endpoints as the store keeps them."""
    return tuple(
        PartnerEndpoint(identifier=e.identifier, role=e.role.value, url=e.url) for e in found
    )


def version_of(partner: Partner) -> Version:
    """Return the version that was agreed on."""
    return Version(partner.version or Version.V2_2_1.value)


def needed(tx: Transaction, partner_id: str, *, lock: bool = False) -> Partner:
    """
    Return a partner.

    Raises:
        NotFound: `partner_unknown`.
    """
    partner = tx.partners.get(partner_id, lock=lock)
    if partner is None:
        raise NotFound(
            "partner_unknown",
            f"There is no partner {quote(partner_id)}.",
            hint="`pnc partner list` shows the partners.",
        )
    return partner


def require_unchanged(partner: Partner, now: Partner) -> None:
    """Raise Conflict (`partner_changed`) where somebody else wrote the partner meanwhile."""
    if partner != now:
        raise Conflict("partner_changed", "The partner was changed at the same time.")
