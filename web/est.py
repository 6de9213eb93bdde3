"""
EST (RFC 7030, RFC 8951) under every path that clients of the field use, all one handler.

Line feeds in the base64 of an answer are a matter of the label: libest needs them, strongSwan
fails on them. Errors are one line of text; a 401 has no body, on which Bouncy Castle fails.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from flask import Blueprint, Response, request
from werkzeug.exceptions import NotFound as NoSuchPath
from werkzeug.exceptions import RequestEntityTooLarge

from pki import enrol
from pki.enrol import Branch, EnrolPolicy, Label, Target
from pki.errors import BadInput, NotAllowed, PolicyViolation
from pki.ids import Edition
from pki.issue import Issued
from pki.pkix import cms, der
from pki.pkix.suites import Suite
from pki.ports import Deployment
from web import auth, parsing, peer, problems
from web.metrics import Metrics

MAX_CSR_BODY: Final = 24 * 1024
"""Octets; a CSR of 16 KiB in base64 with its line feeds."""

CERTS_ONLY: Final = "application/pkcs7-mime; smime-type=certs-only"
CA_CERTS: Final = "application/pkcs7-mime"
CSR_ATTRIBUTES: Final = "application/csrattrs"

OPERATIONS: Final = {
    "cacerts": "GET",
    "csrattrs": "GET",
    "simpleenroll": "POST",
    "simplereenroll": "POST",
}
FORMS: Final = {
    "/.well-known/est/{}": "plain",
    "/.well-known/est/<label>/{}": "label",
    "/<label>/.well-known/est/{}": "label",
    "/.well-known/est/<ca>/{}/<iso>": "branch",
    "/.well-known/est/<ca>/{}/<iso>/<algorithm>": "branch",
    "/.well-known/<ca>/{}": "branch",
    "/.well-known/<ca>/{}/<iso>": "branch",
    "/.well-known/<ca>/{}/<iso>/<algorithm>": "branch",
    "/<ca>/{}": "branch",
    "/<ca>/{}/<iso>": "branch",
    "/<ca>/{}/<iso>/<algorithm>": "branch",
    "/opnc/v1/pki/est/{}": "opnc",
}
"""Every form of path in use; what names the operation stands for `{}`."""

_EDITIONS: Final = {"iso15118-2": Edition.ISO2, "iso15118-20": Edition.ISO20}
_SUITES: Final = {
    "secp256r1": Suite.P256,
    "secp521r1": Suite.P521,
    "ed448": Suite.ED448,
}
_BRANCHES: Final = {
    **{branch.value: branch for branch in Branch},
    "emsp": Branch.MO,
    "vehicle": Branch.VEHICLE,
}
_TENANT: Final = re.compile(r"(?:[A-Za-z0-9_-]{1,40}-)?([a-z]{2,7})", re.ASCII)

_ATTRIBUTES: Final[dict[Suite, tuple[str, ...]]] = {
    # id-ecPublicKey with its curve, and the signature (RFC 7030 4.5.2, RFC 9908)
    Suite.P256: ("301506072a8648ce3d0201310a06082a8648ce3d030107", "06082a8648ce3d040302"),
    Suite.P521: ("301206072a8648ce3d0201310706052b81040023", "06082a8648ce3d040304"),
    Suite.ED448: ("06032b6571",),
}


@dataclass(frozen=True, slots=True)
class Est:
    """The handlers, over one installation."""

    deployment: Deployment
    metrics: Metrics
    policy: EnrolPolicy

    def plain(self, operation: str) -> Response:
        """Answer `/.well-known/est/…`: the role of the caller is the branch."""
        return self._answer(Label(target=Target()), operation)

    def labelled(self, label: str, operation: str) -> Response:
        """Answer `/{label}/.well-known/est/…`."""
        return self._answer(self._label(label), operation)

    def branched(
        self, ca: str, operation: str, iso: str | None = None, algorithm: str | None = None
    ) -> Response:
        """Answer the forms with a branch, and perhaps edition and algorithm, in the path."""
        label = self._label(ca)
        if iso is not None:
            label = replace(label, target=replace(label.target, edition=_edition(iso)))
        if algorithm is not None:
            label = replace(label, target=replace(label.target, suite=_suite(algorithm)))
        return self._answer(_consistent(label), operation)

    def opnc(self, operation: str) -> Response:
        """Answer the form of OPNC, whose branch and edition stand in the query."""
        ca, iso = request.args.get("caDomain", ""), request.args.get("iso15118Version")
        return self.branched(ca.lower(), operation, iso)

    def _label(self, name: str) -> Label:
        return self.policy.label(name) or Label(target=Target(branch=_branch(name)))

    def _answer(self, label: Label, operation: str) -> Response:
        match operation:
            case "cacerts":
                chain = enrol.authorities(self.deployment, label.target)
                return _encoded(cms.certs_only(chain), CA_CERTS, label)
            case "csrattrs":
                return _encoded(_attributes(label.target), CSR_ATTRIBUTES, label)
            case "simpleenroll":
                return self._issued(self._enrol(label), label)
            case _:
                return self._issued(self._reenrol(label), label)

    def _enrol(self, label: Label) -> Issued:
        current = peer.certificate(self.policy)
        if current is not None and "Authorization" not in request.headers:
            return self._renew(current, label)
        principal = auth.principal_or_client(self.deployment)
        consented = not label.approval
        return enrol.enrol(self.deployment, principal, label.target, _csr(), consented=consented)

    def _reenrol(self, label: Label) -> Issued:
        current = peer.certificate(self.policy)
        if current is None:
            raise NotAllowed(
                "client_certificate_missing",
                "simplereenroll needs the current certificate as TLS client certificate.",
                hint="Connect to the port of `serve --mtls-port`, or let a trusted proxy pass it.",
            )
        return self._renew(current, label)

    def _renew(self, current: bytes, label: Label) -> Issued:
        consented = not label.approval
        return enrol.reenrol(self.deployment, current, label.target, _csr(), consented=consented)

    def _issued(self, issued: Issued, label: Label) -> Response:
        self.metrics.issued(issued.record.kind.value)
        chain = issued.chain if label.chain else issued.chain[:1]
        return _encoded(cms.certs_only(chain), CERTS_ONLY, label)


def _attributes(target: Target) -> bytes:
    return der.encode(der.SEQUENCE, bytes.fromhex("".join(_ATTRIBUTES[target.suite_or_default()])))


def _branch(text: str) -> Branch:
    """Return the branch of `cpo` or `tenant-cpo`; whose the tenant is, the credentials say."""
    found = _TENANT.fullmatch(text)
    branch = _BRANCHES.get(found[1]) if found else None
    if branch is None:
        raise NoSuchPath
    return branch


def _edition(text: str) -> Edition:
    edition = _EDITIONS.get(text.lower())
    if edition is None:
        raise NoSuchPath
    return edition


def _suite(text: str) -> Suite:
    suite = _SUITES.get(text.lower())
    if suite is None:
        raise NoSuchPath
    return suite


def _consistent(label: Label) -> Label:
    """Return the label. Raises PolicyViolation: its edition knows no such key."""
    edition, suite = label.target.edition, label.target.suite
    if edition is not None and suite is not None and suite.edition is not edition:
        known = " or ".join(name for name, each in _SUITES.items() if each.edition is edition)
        raise PolicyViolation(
            "suite_mismatch",
            "The path names an algorithm that its edition of ISO 15118 does not know.",
            hint=f"This edition goes with {known}; leave out one of both.",
        )
    return label


def _csr() -> bytes:
    """
    Return the CSR of the body: DER, or base64 in any layout, whatever the headers call it.

    Raises:
        BadInput: `csr_unreadable`.
        RequestEntityTooLarge: more than MAX_CSR_BODY octets.
        ContentEncoded: the body is compressed.
    """
    parsing.require_plain(request.headers.get("Content-Encoding"))
    request.max_content_length = MAX_CSR_BODY + 1
    body = request.get_data(cache=False)
    if len(body) > MAX_CSR_BODY:
        raise RequestEntityTooLarge
    return csr_of(body)


def csr_of(body: bytes) -> bytes:
    """Return DER, or PEM, of a CSR from a body. Raises BadInput (`csr_unreadable`)."""
    if body[:1] == b"\x30" or body.lstrip().startswith(b"-----BEGIN "):
        return body
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error as error:
        raise BadInput(
            "csr_unreadable",
            "The body is neither base64 nor DER.",
            hint="Send a PKCS #10 request as base64 without armour (RFC 8951 3).",
        ) from error


def _encoded(octets: bytes, media_type: str, label: Label) -> Response:
    return Response(
        _base64(octets, label.columns),
        headers={"Content-Transfer-Encoding": "base64"},  # Bouncy Castle takes the rest for DER
        content_type=media_type,
    )


def _base64(octets: bytes, columns: int) -> bytes:
    text = base64.b64encode(octets)
    if columns == 0:
        return text
    lines = (text[at : at + columns] for at in range(0, len(text), columns))
    return b"".join(line + b"\n" for line in lines)


def blueprint(deployment: Deployment, metrics: Metrics, policy: EnrolPolicy) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("est", __name__)
    routes.register_error_handler(Exception, problems.est_answer)
    est = Est(deployment, metrics, policy)
    handlers: dict[str, Callable[..., Response]] = {
        "plain": est.plain,
        "label": est.labelled,
        "branch": est.branched,
        "opnc": est.opnc,
    }
    for number, (form, kind) in enumerate(FORMS.items()):
        for operation, method in OPERATIONS.items():
            routes.add_url_rule(
                form.format(operation),
                f"{operation}_{number}",
                handlers[kind],
                methods=[method],
                defaults={"operation": operation},
                strict_slashes=False,
            )
    return routes
