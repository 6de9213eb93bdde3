"""Roaming, as `/openapi.json` tells it."""

from __future__ import annotations

from typing import Final

from pki.ids import Edition
from pki.model import (
    Allowed,
    ContractState,
    CredentialKind,
    CredentialState,
    Role,
    SessionProtocol,
    Whitelist,
)
from web.answers import PROBLEM
from web.ocpp_sessions import HOOK
from web.openapi_lists import AFTER, ASKED_TIME, LIMIT, listed, page_of, written
from web.openapi_words import WRITE, body, good, parameter, problems
from web.parsing import MAX_STATION_ID
from web.roaming import COMPANIES
from web.schemas import (
    COUNT,
    EDITION_ASKED,
    LINE,
    TEXT,
    TIME,
    Schema,
    exact,
    many,
    nullable,
    one,
    ref,
)

_RULE: Final = nullable(one(Whitelist))
_EMAID: Final = parameter("emaid", "path", TEXT, "EMAID in any notation.")
_EDITION: Final = parameter("edition", "query", EDITION_ASKED, "Default: -2, then -20.")


def components() -> Schema:
    """Return the named schemas."""
    pages = {
        "Contract": "contracts",
        "Credential": "credentials",
        "Emsp": "emsps",
        "Party": "parties",
        "Session": "sessions",
    }
    return {
        **_contracts(),
        **_credentials(),
        **_parties(),
        **_sessions(),
        **{f"{name}Page": page_of(key, name) for name, key in pages.items()},
        "HookRequest": _hook_request(),
        "HookAnswer": exact(
            {"timestamp": TIME, "data": exact({"allowed": one(Allowed), "reason": TEXT})}
        ),
    }


def _contracts() -> Schema:
    identifier = exact({"emaid": TEXT, "edition": one(Edition)})
    terms = {"validFrom": nullable(TIME), "validUntil": nullable(TIME), "whitelist": _RULE}
    asked = {
        "validFrom": nullable(ASKED_TIME),
        "validUntil": nullable(ASKED_TIME),
        "whitelist": _RULE,
    }
    return {
        "Contract": exact(
            {
                "contractId": TEXT,
                "emaid": TEXT,
                "edition": one(Edition),
                "identifiers": many(identifier),
                "account": TEXT,
                "state": one(ContractState),
                **terms,
                "createdAt": TIME,
            }
        ),
        "ContractRequest": exact(
            {"emaid": LINE, "edition": EDITION_ASKED, "state": one(ContractState), **asked},
            optional=("edition", "state", *asked),
        ),
        "ContractChange": exact({"state": one(ContractState), **asked}, optional=("state", *asked)),
    }


def _credentials() -> Schema:
    optional_texts = ("visualNumber", "issuer", "groupId", "language")
    return {
        "Credential": exact(
            {
                "credentialId": TEXT,
                "kind": one(CredentialKind),
                "uid": TEXT,
                "emsp": TEXT,
                "contract": TEXT,
                "state": one(CredentialState),
                "whitelist": _RULE,
                **dict.fromkeys(optional_texts, nullable(TEXT)),
                "createdAt": TIME,
                "updatedAt": TIME,
            }
        ),
        "CredentialRequest": exact(
            {
                "kind": one(CredentialKind),
                "uid": {"type": "string", "maxLength": 36},
                "whitelist": one(Whitelist),
                **dict.fromkeys(optional_texts, LINE),
            },
            optional=("whitelist", *optional_texts),
        ),
        "CredentialChange": exact({"state": one(CredentialState)}),
    }


def _parties() -> Schema:
    return {
        "Emsp": exact(
            {
                "providerId": TEXT,
                "name": TEXT,
                "partyId": TEXT,
                "realtimeUrl": nullable(TEXT),
                "realtimeToken": {"type": "boolean", "description": "Whether one is kept."},
                "whitelist": _RULE,
                "createdAt": TIME,
            }
        ),
        "EmspRequest": exact({"providerId": LINE, "name": LINE}, optional=("name",)),
        "EmspChange": exact(
            {
                "partyId": LINE,
                "realtimeUrl": {"type": "string", "maxLength": 2000},
                "realtimeToken": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 512,
                    "description": "Sent to realtimeUrl as a bearer token; never shown again.",
                },
                "whitelist": one(Whitelist),
            },
            optional=("partyId", "realtimeUrl", "realtimeToken", "whitelist"),
        ),
        "Party": exact(
            {
                "partyId": TEXT,
                "role": one(Role),
                "name": TEXT,
                "hub": nullable(TEXT),
                "createdAt": TIME,
            }
        ),
        "PartyRequest": exact({"partyId": LINE, "role": one(COMPANIES), "name": LINE}),
        "PartyChange": exact({"hub": LINE}, optional=("hub",)),
    }


def _sessions() -> Schema:
    return {
        "Session": exact(
            {
                "sessionId": TEXT,
                "reference": nullable(TEXT),
                "unconfirmedReference": nullable(TEXT)
                | {"description": "Named by the CPO, but of no authorisation given to it."},
                "protocol": one(SessionProtocol),
                "cpo": TEXT,
                "stationId": TEXT,
                "externalId": TEXT,
                "emsp": nullable(TEXT),
                "contract": nullable(TEXT),
                "evseId": nullable(TEXT),
                "startedAt": TIME,
                "stoppedAt": nullable(TIME),
                "energyWh": nullable(COUNT),
                "stopReason": nullable(TEXT),
                "others": COUNT | {"description": "Running on its contract when it began."},
            }
        ),
    }


def _hook_request() -> Schema:
    number: Schema = {"type": ["integer", "string"]}
    optional = ("tenantPartnerId", "locationId", "stationId", "ocppConnectionName")
    return exact(
        {
            "idToken": LINE,
            "idTokenType": LINE,
            "tenantPartnerId": number,
            "locationId": LINE,
            "stationId": LINE,
            "ocppConnectionName": LINE,
            "evseId": number,
            "connectorId": number,
        },
        optional=(*optional, "evseId", "connectorId"),
    )


def paths() -> Schema:
    """Return the paths."""
    return _contract_paths() | _party_paths() | {HOOK: _hook()}


def _contract_paths() -> Schema:
    account = parameter("account", "query", LINE, "Contracts of this provider id only.")
    kind = parameter("kind", "path", one(CredentialKind), "Kind of credential.")
    uid = parameter("uid", "path", TEXT, "Its uid, in any notation.")
    credentials = "/v1/contracts/{emaid}/credentials"
    return {
        "/v1/contracts": {
            "get": listed("Contracts by contract id.", "ContractPage", account, AFTER, LIMIT),
            "post": written("Register a contract.", "ContractRequest", "Contract", 201),
        },
        "/v1/contracts/{emaid}": {
            "parameters": [_EMAID, _EDITION],
            "get": listed("One contract.", "Contract"),
            "patch": written("Change a contract.", "ContractChange", "Contract", 200),
        },
        credentials: {
            "parameters": [_EMAID, _EDITION],
            "get": listed("Credentials by kind and uid.", "CredentialPage", AFTER, LIMIT),
            "post": written("Add a credential.", "CredentialRequest", "Credential", 201),
        },
        f"{credentials}/{{kind}}/{{uid}}": {
            "parameters": [_EMAID, kind, uid, _EDITION],
            "patch": written("Block or unblock.", "CredentialChange", "Credential", 200),
        },
    }


def _party_paths() -> Schema:
    provider = parameter("provider", "path", TEXT, "Provider id.")
    role = parameter("role", "path", one((*COMPANIES, Role.EMSP)), "Role of the party.")
    party = parameter("party", "path", TEXT, "Party id.")
    return {
        "/v1/emsps": {
            "get": listed("eMSP accounts by provider id.", "EmspPage", AFTER, LIMIT),
            "post": written("Open an eMSP account.", "EmspRequest", "Emsp", 201),
        },
        "/v1/emsps/{provider}": {
            "parameters": [provider],
            "patch": written("How an eMSP is asked.", "EmspChange", "Emsp", 200),
        },
        "/v1/parties": {
            "get": listed("Companies by role and identifier.", "PartyPage", AFTER, LIMIT),
            "post": written("Register a company.", "PartyRequest", "Party", 201),
        },
        "/v1/parties/{role}/{party}": {
            "parameters": [role, party],
            "patch": written("Through which hub it is reached.", "PartyChange", "Party", 200),
        },
        "/v1/sessions": {"get": listed("Sessions by id.", "SessionPage", AFTER, LIMIT)},
    }


def _hook() -> Schema:
    header = {"type": "string", "minLength": 1, "maxLength": MAX_STATION_ID}
    return {
        "post": {
            "summary": "May this token charge? As CitrineOS asks in real time.",
            "parameters": [parameter("X-Evse-Id", "header", header, "EVSE id, where known.")],
            "requestBody": body("HookRequest"),
            "responses": {"200": good("The answer, whichever it is.", ref("HookAnswer"))}
            | problems(WRITE, "Problem", PROBLEM),
        }
    }
