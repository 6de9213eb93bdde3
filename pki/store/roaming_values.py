"""Rows of ranges, agreements and eMSPs to values, and terms to text."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Row

from pki.ids import ProviderId
from pki.model import (
    Agreement,
    AgreementState,
    CredentialKind,
    Emsp,
    NumberRange,
    RangeKind,
    Role,
    Terms,
    Whitelist,
)


def to_range(row: Row[Any]) -> NumberRange:
    """Read a range."""
    return NumberRange(
        kind=RangeKind(row.kind),
        prefix=row.prefix,
        role=Role(row.role),
        party_id=row.party_id,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        ported_from=row.ported_from,
    )


def terms_text(terms: Terms) -> str:
    """Write what an agreement says beyond its parties and times."""
    told = {
        "countries": terms.countries,
        "operators": terms.operators,
        "evseGroups": terms.evse_groups,
        "kinds": terms.kinds,
        "sessions": terms.sessions,
        "tariff": terms.tariff,
    }
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def to_agreement(row: Row[Any]) -> Agreement:
    """Read a version of an agreement."""
    told = json.loads(row.terms)
    return Agreement(
        agreement_id=row.agreement_id,
        version=row.version,
        state=AgreementState(row.state),
        terms=Terms(
            cpo=row.cpo,
            emsp=row.emsp,
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            countries=tuple(told["countries"]),
            operators=tuple(told["operators"]),
            evse_groups=tuple(told["evseGroups"]),
            kinds=tuple(CredentialKind(kind) for kind in told["kinds"]),
            sessions=told["sessions"],
            tariff=told["tariff"],
        ),
        created_at=row.created_at,
        created_by=row.created_by,
    )


def to_emsp(row: Row[Any]) -> Emsp:
    """Read how an eMSP is asked; nothing was set where it has no row."""
    return Emsp(
        provider_id=ProviderId(value=row.provider_id),
        party_id=row.party_id,
        realtime_url=row.realtime_url,
        whitelist=Whitelist(row.whitelist) if row.whitelist else None,
        sealed_token=row.sealed_token,
    )
