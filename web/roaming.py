"""Our own API of roaming: contracts, credentials, eMSPs, parties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, request

from pki import contracts, credentials, parties, render
from pki import render_roaming as told
from pki.clock import parse_time
from pki.contracts import KEEP, ContractChange
from pki.ids import Edition
from pki.model import (
    ContractState,
    CredentialKind,
    CredentialState,
    Principal,
    Role,
    Whitelist,
)
from pki.ports import Deployment
from web import auth
from web.answers import json_answer
from web.parsing import Fields, one_of, page_size, query
from web.repeated import PAGE, Json, once, page_of

CONTRACT: Final = frozenset(("emaid", "edition", "state", "validFrom", "validUntil", "whitelist"))
CONTRACT_CHANGE: Final = CONTRACT - {"emaid", "edition"}
CREDENTIAL: Final = frozenset(
    ("kind", "uid", "whitelist", "visualNumber", "issuer", "groupId", "language")
)
EMSP: Final = frozenset(("providerId", "name"))
EMSP_CHANGE: Final = frozenset(("partyId", "realtimeUrl", "realtimeToken", "whitelist"))
PARTY: Final = frozenset(("partyId", "role", "name"))
_EDITION: Final = frozenset(("edition",))
_LONGEST_URL: Final = 2000
_LONGEST_TOKEN: Final = 512


@dataclass(frozen=True, slots=True)
class RoamingApi:
    """The handlers, over one installation."""

    deployment: Deployment

    # --- contracts -------------------------------------------------------------------------------

    def list_contracts(self) -> Response:
        """Return a page of contracts of the caller's, ordered by contract id."""
        principal = auth.principal(self.deployment)
        fields = query(request, PAGE | {"account"})
        limit = page_size(fields)
        found = contracts.search(
            self.deployment,
            principal,
            provider=fields.text("account"),
            after=fields.text("after"),
            limit=limit,
        )
        page = [render.contract_json(contract) for contract in found]
        return page_of("contracts", page, found[-1].contract_id if len(found) == limit else None)

    def add_contract(self) -> Response:
        """Register a contract."""

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, CONTRACT)
            state = fields.choice("state", ContractState, tuple(ContractState))
            contract = contracts.add(
                through,
                principal,
                fields.needed("emaid"),
                edition=fields.choice("edition", Edition, tuple(Edition)) or Edition.ISO2,
                state=state or ContractState.ACTIVE,
                terms=_change(fields, with_state=False),
            )
            return 201, render.contract_json(contract)

        return once(self.deployment, work)

    def find_contract(self, emaid: str) -> Response:
        """Return one contract."""
        principal = auth.principal(self.deployment)
        found = contracts.find(self.deployment, principal, emaid, _edition())
        return json_answer(render.contract_json(found))

    def change_contract(self, emaid: str) -> Response:
        """Change state, validity or whitelist rule of a contract."""

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            wanted = _change(Fields.of(body, CONTRACT_CHANGE), with_state=True)
            found = contracts.change(through, principal, emaid, wanted, edition=_edition())
            return 200, render.contract_json(found)

        return once(self.deployment, work)

    # --- credentials -----------------------------------------------------------------------------

    def list_credentials(self, emaid: str) -> Response:
        """Return a page of the credentials of a contract, by kind and uid."""
        principal = auth.principal(self.deployment)
        fields = query(request, PAGE | _EDITION)
        limit, after = page_size(fields), fields.text("after")
        kind, _, uid = (after or "").partition(":")
        found = credentials.of_contract(
            self.deployment,
            principal,
            emaid,
            _edition_of(fields),
            after=(kind, uid) if after is not None else None,
            limit=limit,
        )
        last = f"{found[-1].kind.value}:{found[-1].uid}" if len(found) == limit else None
        return page_of("credentials", [told.credential_json(each) for each in found], last)

    def add_credential(self, emaid: str) -> Response:
        """Give a contract one more credential."""

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, CREDENTIAL)
            wanted = credentials.Wanted(
                kind=one_of("kind", fields.needed("kind"), CredentialKind, tuple(CredentialKind)),
                uid=fields.needed("uid"),
                whitelist=fields.choice("whitelist", Whitelist, tuple(Whitelist)),
                visual_number=fields.text("visualNumber", longest=64),
                issuer=fields.text("issuer", longest=64),
                group_id=fields.text("groupId", longest=36),
                language=fields.text("language", longest=2),
            )
            made = credentials.add(through, principal, emaid, wanted, edition=_edition())
            return 201, told.credential_json(made)

        return once(self.deployment, work)

    def change_credential(self, emaid: str, kind: str, uid: str) -> Response:
        """Block or unblock a credential."""

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, frozenset(("state",)))
            wanted = fields.needed("state")
            state = one_of("state", wanted, CredentialState, tuple(CredentialState))
            found = credentials.set_state(
                through,
                principal,
                emaid,
                one_of("kind", kind, CredentialKind, tuple(CredentialKind)),
                uid,
                state,
                edition=_edition(),
            )
            return 200, told.credential_json(found)

        return once(self.deployment, work)

    # --- eMSPs and parties -----------------------------------------------------------------------

    def list_emsps(self) -> Response:
        """Return a page of eMSP accounts that the caller may see, by provider id."""
        principal = auth.principal(self.deployment)
        fields = query(request, PAGE)
        limit = page_size(fields)
        found = parties.emsps(self.deployment, principal, after=fields.text("after"), limit=limit)
        page = [told.emsp_json(account, emsp) for account, emsp in found]
        return page_of("emsps", page, page[-1]["providerId"] if len(page) == limit else None)

    def add_emsp(self) -> Response:
        """Open an eMSP account."""

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, EMSP)
            provider = fields.needed("providerId")
            parties.add_emsp(through, principal, provider, fields.text("name"))
            return 201, _emsp(through, principal, provider)

        return once(self.deployment, work)

    def change_emsp(self, provider: str) -> Response:
        """Say how an eMSP is called in roaming and asked in real time; absent is taken away."""

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, EMSP_CHANGE)
            parties.set_emsp(
                through,
                principal,
                provider,
                party_id=fields.text("partyId"),
                realtime_url=fields.text("realtimeUrl", longest=_LONGEST_URL),
                realtime_token=fields.text("realtimeToken", longest=_LONGEST_TOKEN),
                whitelist=fields.choice("whitelist", Whitelist, tuple(Whitelist)),
            )
            return 200, _emsp(through, principal, provider)

        return once(self.deployment, work)

    def list_parties(self) -> Response:
        """Return a page of registered companies, by role and identifier."""
        principal = auth.principal(self.deployment)
        fields = query(request, PAGE)
        limit, after = page_size(fields), fields.text("after")
        role, _, party = (after or "").partition(":")
        found = parties.search(
            self.deployment,
            principal,
            after=(role, party) if after is not None else None,
            limit=limit,
        )
        last = f"{found[-1].role.value}:{found[-1].party_id}" if len(found) == limit else None
        return page_of("parties", [render.party_json(each) for each in found], last)

    def add_party(self) -> Response:
        """Register a company."""

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, PARTY)
            role = one_of("role", fields.needed("role"), Role, COMPANIES)
            party = parties.add_party(
                through, principal, role, fields.needed("partyId"), fields.needed("name")
            )
            return 201, render.party_json(party)

        return once(self.deployment, work)

    def change_party(self, role: str, party: str) -> Response:
        """Say through which hub a party is reached; without `hub`, directly."""

        def work(through: Deployment, principal: Principal, body: Json) -> tuple[int, Json]:
            fields = Fields.of(body, frozenset(("hub",)))
            found = parties.set_hub(
                through,
                principal,
                one_of("role", role, Role, (*COMPANIES, Role.EMSP)),
                party,
                fields.text("hub"),
            )
            return 200, render.party_json(found)

        return once(self.deployment, work)


def _emsp(deployment: Deployment, principal: Principal, provider: str) -> Json:
    return told.emsp_json(*parties.emsp(deployment, principal, provider))


COMPANIES: Final = (Role.CPO, Role.OEM, Role.CPS, Role.HUB)
"""eMSPs come with their account."""


def _edition() -> Edition | None:
    return _edition_of(query(request, _EDITION))


def _edition_of(fields: Fields) -> Edition | None:
    return fields.choice("edition", Edition, tuple(Edition))


def _change(fields: Fields, *, with_state: bool) -> ContractChange:
    """Read what becomes of a contract; null takes away a bound or the rule."""
    known = fields.values
    state = fields.choice("state", ContractState, tuple(ContractState)) if with_state else None
    given = Fields({name: value for name, value in known.items() if value is not None})
    begin, end = given.text("validFrom"), given.text("validUntil")
    return ContractChange(
        state=state or KEEP,
        valid_from=(parse_time(begin) if begin else None) if "validFrom" in known else KEEP,
        valid_until=(parse_time(end) if end else None) if "validUntil" in known else KEEP,
        whitelist=given.choice("whitelist", Whitelist, tuple(Whitelist))
        if "whitelist" in known
        else KEEP,
    )


def blueprint(deployment: Deployment) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("roaming", __name__)
    api = RoamingApi(deployment)
    for method, path, handler in (
        ("GET", "/v1/contracts", api.list_contracts),
        ("POST", "/v1/contracts", api.add_contract),
        ("GET", "/v1/contracts/<emaid>", api.find_contract),
        ("PATCH", "/v1/contracts/<emaid>", api.change_contract),
        ("GET", "/v1/contracts/<emaid>/credentials", api.list_credentials),
        ("POST", "/v1/contracts/<emaid>/credentials", api.add_credential),
        ("PATCH", "/v1/contracts/<emaid>/credentials/<kind>/<uid>", api.change_credential),
        ("GET", "/v1/emsps", api.list_emsps),
        ("POST", "/v1/emsps", api.add_emsp),
        ("PATCH", "/v1/emsps/<provider>", api.change_emsp),
        ("GET", "/v1/parties", api.list_parties),
        ("POST", "/v1/parties", api.add_party),
        ("PATCH", "/v1/parties/<role>/<party>", api.change_party),
    ):
        routes.add_url_rule(path, handler.__name__, handler, methods=[method])
    return routes
