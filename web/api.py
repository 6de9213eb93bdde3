"""Our own API: decide, issue, find, revoke."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, Response, request

from pki import lookup, render
from pki.clock import parse_time
from pki.errors import BadInput, PolicyViolation
from pki.ids import Edition, Fingerprint
from pki.issue import IssueRequest, issue
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from pki.ports import Deployment
from pki.revoke import parse_reason, release, revoke
from web import auth
from web.answers import json_answer
from web.metrics import Metrics
from web.parsing import MAX_BODY, Fields, json_object, one_of, page_size, query

LEAF_KINDS: Final = (
    Kind.SECC,
    Kind.CONTRACT,
    Kind.OEM,
    Kind.CPS,
    Kind.VEHICLE,
    Kind.OCSP,
    Kind.STATION,
    Kind.CSMS,
)
ISSUE_FIELDS: Final = frozenset(
    (
        "profile",
        "csr",
        "edition",
        "suite",
        "issuer",
        "commonName",
        "emaid",
        "party",
        "notAfter",
    )
)
REVOKE_FIELDS: Final = frozenset(("reason", "dryRun"))
RELEASE_FIELDS: Final = frozenset(("dryRun",))
SEARCH_FIELDS: Final = frozenset(("kind", "owner", "commonName", "after", "limit"))


@dataclass(frozen=True, slots=True)
class Api:
    """The handlers, over one installation."""

    deployment: Deployment
    metrics: Metrics

    def issue_certificate(self) -> Response:
        """Issue a leaf from a CSR or, in demo mode, with a key made here and told this once."""
        principal = auth.principal(self.deployment)
        order = issue_request(json_object(request), demo=self.deployment.demo)
        issued = issue(self.deployment, principal, order)
        self.metrics.issued(issued.record.kind.value)
        body = render.issued_json(issued, with_key=self.deployment.demo)
        location = f"/v1/certificates/{issued.record.fingerprint}"
        return json_answer(body, 201, headers={"Location": location})

    def find_certificate(self, reference: str) -> Response:
        """Return one certificate with its status, by serial or fingerprint."""
        principal = auth.principal(self.deployment)
        found = lookup.find(self.deployment, principal, reference)
        return json_answer(render.found_json(found))

    def search_certificates(self) -> Response:
        """Return a page of certificates; `next` is the `after` of the following page."""
        principal = auth.principal(self.deployment)
        fields = query(request, SEARCH_FIELDS)
        limit = page_size(fields)
        after = fields.text("after")
        records = lookup.search(
            self.deployment,
            principal,
            kind=fields.choice("kind", Kind, tuple(Kind)),
            owner=fields.text("owner"),
            common_name=fields.text("commonName"),
            after=Fingerprint.parse(after) if after is not None else None,
            limit=limit,
        )
        page = render.certificates_json(records, lookup.issuers(self.deployment))
        more = records[-1].fingerprint.value if len(records) == limit else None
        return json_answer({"certificates": page, "next": more})

    def revoke_certificate(self, reference: str) -> Response:
        """Revoke by serial or fingerprint, or with `dryRun` say what that would do."""
        principal = auth.principal(self.deployment)
        fields = Fields.of(json_object(request), REVOKE_FIELDS)
        reason, dry_run = parse_reason(fields.needed("reason")), fields.flag("dryRun")
        report = revoke(self.deployment, principal, reference, reason, dry_run=dry_run)
        if not dry_run:
            self.metrics.revoked(reason.value)
        return json_answer(render.revocation_report_json(report))

    def release_certificate(self, reference: str) -> Response:
        """Release from hold, or with `dryRun` say what that would do."""
        principal = auth.principal(self.deployment)
        fields = Fields.of(json_object(request), RELEASE_FIELDS)
        report = release(self.deployment, principal, reference, dry_run=fields.flag("dryRun"))
        return json_answer(render.release_report_json(report))

    def list_issuers(self) -> Response:
        """Return every CA that has a certificate; they are public."""
        found = [issuer for issuer in lookup.issuers(self.deployment) if issuer.certificate]
        return json_answer({"issuers": [render.issuer_json(issuer) for issuer in found]})


def issue_request(body: dict[str, object], *, demo: bool) -> IssueRequest:
    """
    Read the body of `POST /v1/certificates`.

    Raises:
        BadInput: `field_missing`, `unknown_field`, `wrong_type`, `too_long`,
            `invalid_characters`, `invalid_value`, `invalid_time`.
        PolicyViolation: `csr_missing` outside demo mode.
    """
    fields = Fields.of(body, ISSUE_FIELDS)
    csr = fields.lines("csr", longest=MAX_BODY)  # `pki.pkix.csr` has its own limit
    not_after = fields.text("notAfter")
    wanted = IssueRequest(
        kind=one_of("profile", fields.needed("profile"), Kind, LEAF_KINDS),
        request=csr.encode() if csr is not None else None,
        common_name=_common_name(fields),
        edition=fields.choice("edition", Edition, tuple(Edition)),
        suite=fields.choice("suite", Suite, tuple(Suite)),
        issuer=fields.text("issuer"),
        party=fields.text("party"),
        not_after=parse_time(not_after) if not_after is not None else None,
    )
    if csr is None and not demo:
        raise PolicyViolation(
            "csr_missing",
            "In production mode this service hands out no private key over HTTP.",
            hint="Send `csr`, or let `pnc issue --out DIR` make the key where it will be used.",
        )
    return wanted


def _common_name(fields: Fields) -> str | None:
    """Return `commonName`, which for contracts may be called `emaid`."""
    emaid = fields.text("emaid")
    if emaid is None:
        return fields.text("commonName")
    if "commonName" in fields.values or fields.values.get("profile") != Kind.CONTRACT:
        raise BadInput(
            "invalid_value",
            "emaid is the common name of a contract; it stands in place of commonName.",
            data={"field": "emaid"},
        )
    return emaid


def blueprint(deployment: Deployment, metrics: Metrics) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("api", __name__)
    api = Api(deployment, metrics)
    for method, path, handler in (
        ("POST", "/v1/certificates", api.issue_certificate),
        ("GET", "/v1/certificates", api.search_certificates),
        ("GET", "/v1/certificates/<reference>", api.find_certificate),
        ("POST", "/v1/certificates/<reference>/revoke", api.revoke_certificate),
        ("POST", "/v1/certificates/<reference>/release", api.release_certificate),
        ("GET", "/v1/issuers", api.list_issuers),
    ):
        routes.add_url_rule(path, handler.__name__, handler, methods=[method])
    return routes
