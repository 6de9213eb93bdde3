"""Agreements and ranges, as `/openapi.json` tells them."""

from __future__ import annotations

from pki.agreements.files import COLUMNS
from pki.model import AgreementState, CredentialKind, RangeKind, Role
from web.openapi_lists import AFTER, ASKED_TIME, LIMIT, listed, page_of, written
from web.openapi_words import parameter
from web.schemas import COUNT, LINE, TEXT, TIME, Schema, exact, many, nullable, one, ref


def components() -> Schema:
    """Return the named schemas."""
    return {
        **_agreements(),
        **_ranges(),
        "RangePage": page_of("ranges", "Range"),
        "AgreementPage": page_of("agreements", "Agreement"),
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
    asked = {"validFrom": ASKED_TIME, "validUntil": ASKED_TIME, **lists}
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
        "AgreementsWritten": exact(
            {"dryRun": {"type": "boolean"}, "agreements": many(ref("Agreement"))}
        ),
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
            {**number_range, "validFrom": ASKED_TIME, "validUntil": ASKED_TIME},
            optional=("validFrom", "validUntil"),
        ),
    }


def paths() -> Schema:
    """Return the paths."""
    agreement = parameter("agreement", "path", TEXT, "Agreement id.")
    return {
        "/v1/ranges": {
            "get": listed("Ranges by kind, prefix and begin.", "RangePage", AFTER, LIMIT),
            "post": written("Give a range to a party.", "RangeRequest", "Range", 201),
        },
        "/v1/agreements": {
            "get": listed("Agreements by id.", "AgreementPage", AFTER, LIMIT),
            "post": written("Write an agreement.", "AgreementRequest", "Agreement", 201),
        },
        "/v1/agreements/import": {
            "parameters": [parameter("dryRun", "query", {"type": "boolean"}, "Only check.")],
            "post": _import(),
        },
        "/v1/agreements/{agreement}": {
            "parameters": [agreement],
            "get": listed("Every version, oldest first.", "AgreementVersions"),
            "patch": written("Write a new version.", "AgreementChange", "Agreement", 200),
        },
        "/v1/agreements/{agreement}/withdraw": {
            "parameters": [agreement],
            "post": written("End an agreement now.", "Nothing", "Agreement", 200),
        },
    }


def _import() -> Schema:
    columns = ", ".join(COLUMNS)
    file = {"type": "string", "description": f"A CSV file with the columns {columns}."}
    write = written("Write the agreements of a CSV file.", "Nothing", "AgreementsWritten", 200)
    return write | {"requestBody": {"required": True, "content": {"text/csv": {"schema": file}}}}
