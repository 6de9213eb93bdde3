"""Roaming, as `/openapi.json` tells it."""

from __future__ import annotations

from typing import Final

from pki.ids import Edition
from pki.model import (
    AgreementState,
    Allowed,
    ContractState,
    CredentialKind,
    CredentialState,
    RangeKind,
    Role,
    SessionProtocol,
    Whitelist,
)
from web.answers import PROBLEM
from web.ocpp_sessions import HOOK
from web.openapi_words import READ, WRITE, body, good, parameter, problems
from web.parsing import DEFAULT_PAGE, MAX_PAGE, MAX_STATION_ID
from web.repeated import IDEMPOTENCY
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
_ASKED_TIME: Final = LINE | {"description": "Such as 2027-06-30T00:00:00Z."}
_KEY: Final = parameter(
    IDEMPOTENCY,
    "header",
    {"type": "string", "minLength": 1, "maxLength": 64},
    "For a day, the same request under this key gets the same answer.",
)
_AFTER: Final = parameter("after", "query", LINE, "`next` of the page before.")
_LIMIT: Final = parameter(
    "limit",
    "query",
    {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
    "Things on a page.",
)
_EMAID: Final = parameter("emaid", "path", TEXT, "EMAID in any notation.")
_EDITION: Final = parameter("edition", "query", EDITION_ASKED, "Default: -2, then -20.")


def components() -> Schema:
    """Return the named schemas."""
    pages = {"Contract": "contracts", "Emsp": "emsps", "Party": "parties", "Session": "sessions"}
    return {
        **_contracts(),
        **_credentials(),
        **_parties(),
        **_sessions(),
        **_agreements(),
        **_ranges(),
        **{f"{name}Page": _page(key, name) for name, key in pages.items()},
        "AgreementPage": _page("agreements", "Agreement"),
        "HookRequest": _hook_request(),
        "HookAnswer": exact(
            {"timestamp": TIME, "data": exact({"allowed": one(Allowed), "reason": TEXT})}
        ),
    }


def _page(key: str, name: str) -> Schema:
    return exact({key: many(ref(name)), "next": nullable(TEXT)})


def _contracts() -> Schema:
    identifier = exact({"emaid": TEXT, "edition": one(Edition)})
    terms = {"validFrom": nullable(TIME), "validUntil": nullable(TIME), "whitelist": _RULE}
    asked = {
        "validFrom": nullable(_ASKED_TIME),
        "validUntil": nullable(_ASKED_TIME),
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
        "CredentialList": exact({"credentials": many(ref("Credential"))}),
    }


def _parties() -> Schema:
    return {
        "Emsp": exact(
            {
                "providerId": TEXT,
                "name": TEXT,
                "partyId": TEXT,
                "realtimeUrl": nullable(TEXT),
                "whitelist": _RULE,
                "createdAt": TIME,
            }
        ),
        "EmspRequest": exact({"providerId": LINE, "name": LINE}, optional=("name",)),
        "EmspChange": exact(
            {
                "partyId": LINE,
                "realtimeUrl": {"type": "string", "maxLength": 2000},
                "whitelist": one(Whitelist),
            },
            optional=("partyId", "realtimeUrl", "whitelist"),
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


def _agreements() -> Schema:
    terms: Schema = {
        "cpo": LINE | {"description": "Operator id, or * for every CPO registered here."},
        "emsp": LINE | {"description": "Provider id, or * for every eMSP registered here."},
    }
    lists = {
        "countries": many(TEXT),
        "operators": many(TEXT),
        "evseGroups": many(TEXT) | {"description": "Heads of EVSE ids."},
        "kinds": many(one(CredentialKind)),
    }
    sessions = {"type": "integer", "minimum": 1, "maximum": 1000}
    asked = {"validFrom": _ASKED_TIME, "validUntil": _ASKED_TIME, **lists}
    optional = ("validFrom", "validUntil", *lists, "sessions", "tariff")
    wanted = terms | asked | {"sessions": sessions, "tariff": LINE}
    return {
        "Agreement": exact(
            {
                "agreementId": TEXT,
                "version": COUNT,
                "state": one(AgreementState),
                **terms,
                "validFrom": TIME,
                "validUntil": nullable(TIME),
                **lists,
                "sessions": nullable(COUNT),
                "tariff": nullable(TEXT),
                "createdAt": TIME,
                "createdBy": TEXT,
            }
        ),
        "AgreementRequest": exact(
            {"agreementId": LINE, **wanted}, optional=("agreementId", *optional)
        ),
        "AgreementChange": exact({"version": COUNT, **wanted}, optional=optional),
        "AgreementVersions": exact({"versions": many(ref("Agreement"))}),
    }


def _ranges() -> Schema:
    number_range = {"kind": one(RangeKind), "prefix": LINE, "party": LINE}
    return {
        "Nothing": exact({}),
        "Range": exact(
            {
                **number_range,
                "role": one(Role),
                "validFrom": TIME,
                "validUntil": nullable(TIME),
                "portedFrom": nullable(TEXT),
            }
        ),
        "RangeRequest": exact(
            {**number_range, "validFrom": _ASKED_TIME, "validUntil": _ASKED_TIME},
            optional=("validFrom", "validUntil"),
        ),
        "RangeList": exact({"ranges": many(ref("Range"))}),
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


def _list(summary: str, name: str, *parameters: Schema) -> Schema:
    return {
        "summary": summary,
        "parameters": list(parameters),
        "responses": {"200": good("What the caller may see.", ref(name))}
        | problems((*READ, 404, 409), "Problem", PROBLEM),
    }


def _write(summary: str, asked: str, answer: str, status: int, *parameters: Schema) -> Schema:
    return {
        "summary": summary,
        "parameters": [_KEY, *parameters],
        "requestBody": body(asked),
        "responses": {str(status): good("Done.", ref(answer))}
        | problems((*WRITE, 404, 409, 422), "Problem", PROBLEM),
    }


def paths() -> Schema:
    """Return the paths."""
    return _contract_paths() | _party_paths() | _agreement_paths() | {HOOK: _hook()}


def _contract_paths() -> Schema:
    account = parameter("account", "query", LINE, "Contracts of this provider id only.")
    kind = parameter("kind", "path", one(CredentialKind), "Kind of credential.")
    uid = parameter("uid", "path", TEXT, "Its uid, in any notation.")
    credentials = "/v1/contracts/{emaid}/credentials"
    return {
        "/v1/contracts": {
            "get": _list("Contracts by contract id.", "ContractPage", account, _AFTER, _LIMIT),
            "post": _write("Register a contract.", "ContractRequest", "Contract", 201),
        },
        "/v1/contracts/{emaid}": {
            "parameters": [_EMAID, _EDITION],
            "get": _list("One contract.", "Contract"),
            "patch": _write("Change a contract.", "ContractChange", "Contract", 200),
        },
        credentials: {
            "parameters": [_EMAID, _EDITION],
            "get": _list("Credentials of a contract.", "CredentialList"),
            "post": _write("Add a credential.", "CredentialRequest", "Credential", 201),
        },
        f"{credentials}/{{kind}}/{{uid}}": {
            "parameters": [_EMAID, kind, uid, _EDITION],
            "patch": _write("Block or unblock.", "CredentialChange", "Credential", 200),
        },
    }


def _party_paths() -> Schema:
    provider = parameter("provider", "path", TEXT, "Provider id.")
    role = parameter("role", "path", one((*COMPANIES, Role.EMSP)), "Role of the party.")
    party = parameter("party", "path", TEXT, "Party id.")
    return {
        "/v1/emsps": {
            "get": _list("eMSP accounts by provider id.", "EmspPage", _AFTER, _LIMIT),
            "post": _write("Open an eMSP account.", "EmspRequest", "Emsp", 201),
        },
        "/v1/emsps/{provider}": {
            "parameters": [provider],
            "patch": _write("How an eMSP is asked.", "EmspChange", "Emsp", 200),
        },
        "/v1/parties": {
            "get": _list("Companies by role and identifier.", "PartyPage", _AFTER, _LIMIT),
            "post": _write("Register a company.", "PartyRequest", "Party", 201),
        },
        "/v1/parties/{role}/{party}": {
            "parameters": [role, party],
            "patch": _write("Through which hub it is reached.", "PartyChange", "Party", 200),
        },
        "/v1/ranges": {
            "get": _list("Whose identifiers begin how.", "RangeList"),
            "post": _write("Give a range to a party.", "RangeRequest", "Range", 201),
        },
        "/v1/sessions": {"get": _list("Sessions by id.", "SessionPage", _AFTER, _LIMIT)},
    }


def _agreement_paths() -> Schema:
    agreement = parameter("agreement", "path", TEXT, "Agreement id.")
    return {
        "/v1/agreements": {
            "get": _list("Agreements by id.", "AgreementPage", _AFTER, _LIMIT),
            "post": _write("Write an agreement.", "AgreementRequest", "Agreement", 201),
        },
        "/v1/agreements/{agreement}": {
            "parameters": [agreement],
            "get": _list("Every version, oldest first.", "AgreementVersions"),
            "patch": _write("Write a new version.", "AgreementChange", "Agreement", 200),
        },
        "/v1/agreements/{agreement}/withdraw": {
            "parameters": [agreement],
            "post": _write("End an agreement now.", "Nothing", "Agreement", 200),
        },
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
