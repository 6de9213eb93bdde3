"""The body of `POST /v1/certificates`, as it is read."""

from __future__ import annotations

from typing import Final

from pki.clock import parse_time
from pki.errors import BadInput, PolicyViolation
from pki.ids import Edition
from pki.issue import IssueRequest
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite
from web.parsing import MAX_BODY, Fields, one_of

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
