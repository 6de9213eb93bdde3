"""`/docs`: the interface description as a page to read, made from `/openapi.json` at the start."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any, Final

import orjson
from flask import Blueprint, Response

from web.openapi import document
from web.schemas import Schema

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h2{margin-top:2.5rem;border-bottom:1px solid #ccc}h3{margin-top:2rem;font-family:monospace}
b{display:inline-block;min-width:4.5rem;color:#06c}pre{background:#f5f5f5;padding:.7rem;overflow:auto}
td,th{text-align:left;vertical-align:top;padding:.15rem 1rem .15rem 0}li{font-family:monospace}
"""
_POLICY: Final = (
    "default-src 'none'; frame-ancestors 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    + "'"
)
_GROUPS: Final = (
    ("/oauth/", "Access tokens"),
    ("/.well-known/jwks", "Access tokens"),
    ("/v1/root/", "OPCP"),
    ("/v1/oem/", "OPCP"),
    ("/v1/cps/", "OPCP"),
    ("/cps/", "OPCP"),
    ("/v1/ccp/", "OPCP"),
    ("/v1/webhook/", "OPCP"),
    ("/opnc/v1/pki/est", "EST"),
    ("/opnc/", "OPNC"),
    ("/ocpp/", "OCPP"),
    ("/ocpi/", "OCPI"),
    ("/v1/", "Our own interface"),
    ("/ocsp", "Status"),
    ("/crl/", "Status"),
    ("/ca/", "Status"),
)
_METHODS: Final = ("get", "post", "put", "patch", "delete")


def page(api: Schema) -> str:
    """Return the page; everything that stands in it is escaped."""
    title = escape(f"{api['info']['title']} {api['info']['version']}")
    groups: dict[str, list[str]] = {}
    for path, item in api["paths"].items():
        groups.setdefault(_group(path), []).append("".join(_path(path, item)))
    contents = "".join(
        f'<li><a href="#{escape(name)}">{escape(name)}</a></li>' for name in (*groups, "Schemas")
    )
    body = "".join(
        f'<h2 id="{escape(name)}">{escape(name)}</h2>{"".join(parts)}'
        for name, parts in groups.items()
    )
    schemas = "".join(
        f'<h3 id="schema-{escape(name)}">{escape(name)}</h3>{_pre(schema)}'
        for name, schema in sorted(api["components"]["schemas"].items())
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{escape(api['info']['summary'])} "
        'The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>'
        f'<ul>{contents}</ul>{body}<h2 id="Schemas">Schemas</h2>{schemas}</body></html>'
    )


def _group(path: str) -> str:
    for prefix, name in _GROUPS:
        if path.startswith(prefix):
            return name
    return "EST" if "enroll" in path or "cacerts" in path or "csrattrs" in path else "Operation"


def _path(path: str, item: Schema) -> Iterator[str]:
    for method in _METHODS:
        if method in item:
            operation = item[method]
            yield f"<h3><b>{method.upper()}</b> {escape(path)}</h3>"
            yield f"<p>{escape(operation.get('summary', ''))}"
            yield f" {escape(operation.get('description', ''))}</p>"
            parameters = [*item.get("parameters", []), *operation.get("parameters", [])]
            yield _table(
                (p["name"], p["in"], p.get("description", "")) for p in parameters if "name" in p
            )
            if "requestBody" in operation:
                yield f"<p>Takes {_content(operation['requestBody'])}.</p>"
            yield "<table>"
            for status, response in operation["responses"].items():
                what = escape(response.get("description", ""))
                yield f"<tr><th>{escape(status)}</th><td>{what} {_content(response)}</td></tr>"
            yield "</table>"


def _table(rows: Iterator[tuple[str, str, str]]) -> str:
    cells = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table>{cells}</table>" if cells else ""


def _content(part: Schema) -> str:
    """Return media types and schemas; a named schema is a link."""
    told = []
    for media_type, content in part.get("content", {}).items():
        schema = content.get("schema", {})
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        link = f' <a href="#schema-{escape(name)}">{escape(name)}</a>' if name else ""
        told.append(f"{escape(media_type)}{link}")
    return ", ".join(told)


def _pre(schema: Any) -> str:  # noqa: ANN401 - JSON
    return f"<pre>{escape(orjson.dumps(schema, option=orjson.OPT_INDENT_2).decode())}</pre>"


def blueprint(public_url: str) -> Blueprint:
    """Return the route; the page is written once."""
    routes = Blueprint("api_page", __name__)
    text = page(document(public_url))

    def docs() -> Response:
        answer = Response(text, content_type="text/html; charset=utf-8")
        answer.headers["Content-Security-Policy"] = _POLICY
        return answer

    routes.add_url_rule("/docs", "docs", docs)
    return routes
