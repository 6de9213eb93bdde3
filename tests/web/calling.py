"""Calls whose answers are held against `/openapi.json`, every one of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.test import TestResponse

from web import problems

JSON_TYPES = ("application/json", "application/problem+json")


@dataclass(frozen=True)
class Caller:
    """A test client that knows the demo tokens and trusts no answer."""

    app: Flask
    tokens: dict[str, str]
    peer: str = "192.0.2.7"
    document: dict[str, Any] = field(default_factory=dict)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        data: bytes | str | None = None,
        role: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> TestResponse:
        """Send a request; with `role`, with that demo client's token."""
        sent = dict(headers or {})
        if role is not None:
            sent.setdefault("Authorization", f"Bearer {self.tokens[role]}")
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        answer = self.app.test_client().open(
            path,
            method=method,
            json=body,
            data=data,
            headers=sent,
            environ_base={"REMOTE_ADDR": self.peer},
        )
        self._check(method, path.partition("?")[0], answer)
        return answer

    def get(self, path: str, *, role: str | None = None, **more: Any) -> TestResponse:
        return self.call("GET", path, role=role, **more)

    def post(
        self, path: str, body: Any = None, *, role: str | None = None, **more: Any
    ) -> TestResponse:
        return self.call("POST", path, body=body, role=role, **more)

    def authorize(self, body: Any, *, version: str = "2.0.1", **more: Any) -> TestResponse:
        return self.post(f"/ocpp/{version}/Authorize", body, role="cpo", **more)

    def issue(self, emaid: str = "DEMOAC00000001", **more: Any) -> dict[str, Any]:
        """Have a contract certificate issued."""
        body = {"profile": "contract", "csr": csr(emaid)} | more
        answer = self.post("/v1/certificates", body, role="emsp")
        assert answer.status_code == 201, answer.text
        return dict(answer.json or {})

    def api(self) -> dict[str, Any]:
        """Return `/openapi.json`."""
        if not self.document:
            self.document.update(self.app.test_client().get("/openapi.json").json or {})
        return self.document

    def _check(self, method: str, path: str, answer: TestResponse) -> None:
        schema = documented(self.api(), method, path, answer)
        if schema is not None:
            document = {"components": self.api()["components"]}
            Draft202012Validator(document | schema).validate(answer.json)


def documented(
    api: dict[str, Any], method: str, path: str, answer: TestResponse
) -> dict[str, Any] | None:
    """Return the schema that an answer must keep to; None where it is not JSON."""
    operation = _operation(api, method, path)
    if operation is None:  # no such path or method: the error form of the protocol all the same
        if problems.EST_PATH.match(path):
            return None
        forms = {"/ocpp/": "OcppError", "/ocpi/": "OcpiAnswer"}
        forms |= dict.fromkeys(problems.OPCP_PREFIXES, "PoolError")
        form = next((f for prefix, f in forms.items() if path.startswith(prefix)), "Problem")
        return {"$ref": f"#/components/schemas/{form}"}
    response = operation["responses"].get(str(answer.status_code))
    assert response is not None, f"{method} {path} does not document {answer.status_code}"
    if "content" not in response:
        assert not answer.data, f"{method} {path} documents no body of {answer.status_code}"
        return None
    content = response["content"].get(answer.mimetype)
    assert content is not None, f"{method} {path} does not document {answer.mimetype}"
    return content["schema"] if answer.mimetype in JSON_TYPES else None


def _operation(api: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    for template, item in api["paths"].items():
        pattern = template.replace(".", r"\.").replace("{request}", ".+")
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path, re.DOTALL):
            found: dict[str, Any] | None = item.get(method.lower())
            return found
    return None


def code(answer: TestResponse) -> tuple[int, str]:
    """Return status and code of an error, whichever form it has."""
    body = answer.json or {}
    details = body.get("errorDetails", body)
    return answer.status_code, details["code"]


def ocpp_code(answer: TestResponse) -> tuple[int, str]:
    """Return status and OCPP's own code."""
    return answer.status_code, (answer.json or {})["errorCode"]


def short(value: object) -> str:
    """Return the id of a test case: the same in every process, whatever keys it was made with."""
    return str(value)[:40]


def csr(common_name: str, key: ec.EllipticCurvePrivateKey | None = None) -> str:
    """Return a CSR as PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = key or ec.generate_private_key(ec.SECP256R1())
    built = x509.CertificateSigningRequestBuilder().subject_name(name).sign(signer, hashes.SHA256())
    return built.public_bytes(Encoding.PEM).decode()


def token(emaid: str = "DEMOAC00000001") -> dict[str, str]:
    """Return an OCPP idToken."""
    return {"idToken": emaid, "type": "eMAID"}
