"""What verbs of roaming return, as JSON: one form for the command line and for HTTP."""

from __future__ import annotations

import datetime as dt
from typing import Any

from pki.clock import format_time
from pki.model import Account, Agreement, Credential, Emsp, NumberRange, Session

Json = dict[str, Any]


def credential_json(credential: Credential) -> Json:
    """Return a credential; `uid` as it was given."""
    return {
        "credentialId": credential.credential_id,
        "kind": credential.kind.value,
        "uid": credential.presented,
        "emsp": credential.emsp,
        "contract": credential.contract,
        "state": credential.state.value,
        "whitelist": credential.whitelist.value if credential.whitelist else None,
        "visualNumber": credential.visual_number,
        "issuer": credential.issuer,
        "groupId": credential.group_id,
        "language": credential.language,
        "createdAt": format_time(credential.created_at),
        "updatedAt": format_time(credential.updated_at),
    }


def emsp_json(account: Account, emsp: Emsp) -> Json:
    """Return an eMSP account and how it is asked."""
    return {
        "providerId": account.provider_id.value,
        "name": account.name,
        "partyId": emsp.party_id or account.provider_id.value,
        "realtimeUrl": emsp.realtime_url,
        "realtimeToken": emsp.sealed_token is not None,
        "whitelist": emsp.whitelist.value if emsp.whitelist else None,
        "createdAt": format_time(account.created_at),
    }


def agreement_json(agreement: Agreement) -> Json:
    """Return one version of an agreement."""
    terms = agreement.terms
    return {
        "agreementId": agreement.agreement_id,
        "version": agreement.version,
        "state": agreement.state.value,
        "cpo": terms.cpo,
        "emsp": terms.emsp,
        "validFrom": format_time(terms.valid_from),
        "validUntil": _time(terms.valid_until),
        "countries": list(terms.countries),
        "operators": list(terms.operators),
        "evseGroups": list(terms.evse_groups),
        "kinds": [kind.value for kind in terms.kinds],
        "sessions": terms.sessions,
        "tariff": terms.tariff,
        "createdAt": format_time(agreement.created_at),
        "createdBy": agreement.created_by,
    }


def range_json(found: NumberRange) -> Json:
    """Return whose numbers begin so."""
    return {
        "kind": found.kind.value,
        "prefix": found.prefix,
        "role": found.role.value,
        "party": found.party_id,
        "validFrom": format_time(found.valid_from),
        "validUntil": _time(found.valid_until),
        "portedFrom": found.ported_from,
    }


def session_json(session: Session) -> Json:
    """Return a session; `others` counts those of its contract that ran when it began."""
    return {
        "sessionId": session.session_id,
        "reference": session.reference,
        "unconfirmedReference": session.unconfirmed,
        "protocol": session.protocol.value,
        "cpo": session.cpo,
        "stationId": session.station_id,
        "externalId": session.external_id,
        "emsp": session.emsp,
        "contract": session.contract,
        "evseId": session.evse_id,
        "startedAt": format_time(session.started_at),
        "stoppedAt": _time(session.stopped_at),
        "energyWh": session.energy_wh,
        "stopReason": session.stop_reason,
        "others": session.others,
    }


def _time(value: dt.datetime | None) -> str | None:
    return format_time(value) if value else None
