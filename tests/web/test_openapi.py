"""`/openapi.json` is true: the same routes as the app, and a document that parses."""

from __future__ import annotations

import re

from jsonschema import Draft202012Validator

from tests.web.calling import Caller

METHODS = {"get", "post", "put", "patch", "delete"}


def test_every_route_is_documented_and_nothing_else(shared: Caller) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in shared.app.url_map.iter_rules()
        if not rule.rule.startswith("/ocpi/<")  # OCPI has a specification of its own
        for method in (rule.methods or set()) - {"HEAD"}
    }
    documented = {
        (path, method)
        for path, item in shared.api()["paths"].items()
        for method in METHODS & set(item)
    }
    assert documented == routes


def test_every_path_parameter_is_declared(shared: Caller) -> None:
    for path, item in shared.api()["paths"].items():
        declared = {p["name"] for p in item.get("parameters", []) if p["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))


def test_the_schemas_are_schemas_and_every_reference_leads_somewhere(shared: Caller) -> None:
    api = shared.api()
    assert api["openapi"] == "3.1.0"
    schemas = api["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    for target in re.findall(r"'\$ref': '#/components/schemas/([^']+)'", str(api)):
        found = schemas
        for part in target.split("/"):
            found = found[part]
        assert found


def test_the_ocpp_schemas_are_the_official_ones(shared: Caller) -> None:
    schemas = shared.api()["components"]["schemas"]
    assert schemas["Ocpp201AuthorizeRequest"]["properties"]["certificate"]["maxLength"] == 5500
    assert schemas["Ocpp21AuthorizeRequest"]["properties"]["certificate"]["maxLength"] == 10000
    for name, limit in (("Ocpp201", 5500), ("Ocpp21", 18000)):
        answer = schemas[f"{name}GetCertificateStatusResponse"]["properties"]
        assert answer["ocspResult"]["maxLength"] == limit
