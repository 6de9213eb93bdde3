"""Our own API: decide, issue, find, revoke."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import orjson
from flask import Blueprint, Response, request

from pki import expiry, lookup, render, repeat
from pki.enrol import admit
from pki.errors import PkiError, PolicyViolation
from pki.ids import Fingerprint
from pki.issue import Issued, IssueRequest, made_before
from pki.model import Principal
from pki.pkix.profiles import Kind
from pki.ports import Deployment
from pki.repeat import Turn
from pki.revoke import parse_reason, release, revoke
from web import auth
from web.answers import json_answer
from web.issue_request import issue_request
from web.issuing import FAILURE, PATH
from web.limits import Limits
from web.metrics import Metrics
from web.parsing import Fields, days_of, json_object, page_size, query
from web.repeated import IDEMPOTENCY

REVOKE_FIELDS: Final = frozenset(("reason", "dryRun"))
RELEASE_FIELDS: Final = frozenset(("dryRun",))
EXPIRING_FIELDS: Final = frozenset(("days", "kind", "owner", "issuer", "after", "limit"))
SEARCH_FIELDS: Final = frozenset(("kind", "owner", "commonName", "after", "limit"))


@dataclass(frozen=True, slots=True)
class Api:
    """The handlers, over one installation."""

    deployment: Deployment
    metrics: Metrics
    limits: Limits

    def issue_certificate(self) -> Response:
        """Issue a leaf from a CSR or, in demo mode, with a key made here and told this once."""
        failure: PkiError | None = request.environ.get(FAILURE)
        if failure is not None:
            raise failure
        principal = auth.principal(self.deployment)
        self.limits.check_certificate(principal)
        body = json_object(request)
        order = issue_request(body, demo=self.deployment.demo)

        key = request.headers.get(IDEMPOTENCY)
        if key is None:
            return _made(*self._issued(principal, order))
        if order.request is None:  # its answer holds a private key, which is never kept
            raise PolicyViolation("csr_missing", "A request with an Idempotency-Key needs a CSR.")
        text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
        digest = repeat.digest("POST", PATH, text)

        def work(turn: Turn) -> tuple[int, str]:
            for mark in turn.earlier:
                made = made_before(self.deployment, principal, order, mark)
                if made is not None:
                    return _told(made, demo=False)
            return self._issued(principal, replace(order, intent_id=turn.mark))

        again = repeat.once_apart(self.deployment, principal, key, digest, work)
        return _made(
            again.status, again.answer, {"Idempotency-Replayed": "true"} if again.again else {}
        )

    def _issued(self, principal: Principal, order: IssueRequest) -> tuple[int, str]:
        issued = admit(self.deployment, principal, order)
        self.metrics.issued(issued.record.kind.value)
        return _told(issued, demo=self.deployment.demo)

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

    def expiring_certificates(self) -> Response:
        """Return a page of what ends soon; `next` is the `after` of the following page."""
        principal = auth.principal(self.deployment)
        fields = query(request, EXPIRING_FIELDS)
        limit = page_size(fields)
        found = expiry.expiring(
            self.deployment,
            principal,
            days=days_of(fields),
            kind=fields.choice("kind", Kind, tuple(Kind)),
            owner=fields.text("owner"),
            issuer_id=fields.text("issuer"),
            after=fields.text("after"),
            limit=limit,
        )
        more = expiry.place_of(found[-1].record) if len(found) == limit else None
        page = [render.expiring_json(each) for each in found]
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


def _told(issued: Issued, *, demo: bool) -> tuple[int, str]:
    return 201, orjson.dumps(render.issued_json(issued, with_key=demo)).decode()


def _made(status: int, text: str, headers: Mapping[str, str] = MappingProxyType({})) -> Response:
    body = orjson.loads(text)
    location = {"Location": f"{PATH}/{body['fingerprint']}"}
    return json_answer(body, status, headers={**location, **headers})


def blueprint(deployment: Deployment, metrics: Metrics, limits: Limits) -> Blueprint:
    """Return the routes."""
    routes = Blueprint("api", __name__)
    api = Api(deployment, metrics, limits)
    for method, path, handler in (
        ("POST", "/v1/certificates", api.issue_certificate),
        ("GET", "/v1/certificates", api.search_certificates),
        ("GET", "/v1/certificates/expiring", api.expiring_certificates),
        ("GET", "/v1/certificates/<reference>", api.find_certificate),
        ("POST", "/v1/certificates/<reference>/revoke", api.revoke_certificate),
        ("POST", "/v1/certificates/<reference>/release", api.release_certificate),
        ("GET", "/v1/issuers", api.list_issuers),
    ):
        routes.add_url_rule(path, handler.__name__, handler, methods=[method])
    return routes
