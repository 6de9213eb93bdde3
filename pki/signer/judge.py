"""
What the signer asks before it signs, because whoever wrote the intent is not trusted.

A worker that was taken over can commit any intent. So the to-be-signed octets must be what the
intent calls them: a certificate that keeps its profile, a CRL of that CA, an answer that agrees
with the store.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Final

from pki.errors import PolicyViolation
from pki.ids import SerialNumber
from pki.model import CrlIntent, Intent, Issuer
from pki.pkix import build, lint
from pki.pkix.certificate import load
from pki.pkix.der import DerError, children, element_at
from pki.pkix.ocsp import CertStatus, ResponseData
from pki.pkix.profiles import Profile, find
from pki.ports import Transaction

_TIMES: Final = (0x17, 0x18)
_INTEGER: Final = 0x02
_LONG: Final = 0x80
_FIELDS: Final = 4
_LONGEST: Final = dt.timedelta(days=31)
_HOUR: Final = dt.timedelta(hours=1)
_CROSS: Final = ".cross."


def certificate(intent: Intent, issuer: Issuer) -> None:
    """
    Judge the to-be-signed octets of a certificate by the profile that the intent names.

    Raises:
        PolicyViolation: `intent_differs`.
    """
    own = load(issuer.certificate) if issuer.certificate else None
    facts = None
    if own is not None:
        facts = lint.IssuerFacts(
            subject=own.subject,
            key_id=own.key_id,
            not_before=own.not_before,
            not_after=own.not_after,
            path_length=own.basic_constraints.path_length if own.basic_constraints else None,
            suite=issuer.suite,
        )
    whole = build.assemble(intent.tbs, issuer.suite, bytes(64))
    findings = lint.lint(whole, _profile(intent), facts)
    if findings:
        raise _differs(intent.intent_id, findings[0].message)
    if load(whole).serial != intent.serial.as_int:
        raise _differs(intent.intent_id, "the serial number is another")


def _profile(intent: Intent) -> Profile:
    profile = find(intent.kind, intent.edition)
    if _CROSS in intent.profile:  # as `pki.rotate.cross` has it: a root's, but issued
        return replace(profile, issued_by=(intent.kind,), ocsp_url=True)
    return profile


def _differs(intent_id: str, why: str) -> PolicyViolation:
    return PolicyViolation(
        "intent_differs",
        f"The intent {intent_id} is not what it says: {why}.",
        hint="Whoever wrote it is out of order or was taken over; look at the audit log.",
    )


def crl(intent: CrlIntent, issuer: Issuer, tbs: bytes) -> None:
    """
    Judge that to-be-signed octets are a CRL of the CA and can be no certificate.

    Raises:
        PolicyViolation: `intent_differs`.
    """
    try:
        version, _, name, time = _first_fields(tbs)
    except (DerError, ValueError, IndexError) as error:
        raise _differs(intent.intent_id, "it is no CRL") from error
    if version != b"\x02\x01\x01" or time[0] not in _TIMES:
        raise _differs(intent.intent_id, "it is no CRL")
    if name != load(issuer.certificate).subject:
        raise _differs(intent.intent_id, "it is the CRL of another CA")


def _first_fields(tbs: bytes) -> list[bytes]:
    """Return version, algorithm, issuer and thisUpdate (RFC 5280 5.1); a CRL may be very long."""
    at = 2 + (tbs[1] - _LONG if tbs[1] >= _LONG else 0)
    fields = []
    for _ in range(_FIELDS):
        element = element_at(tbs, at, len(tbs))
        fields.append(tbs[element.start : element.end])
        at = element.end
    return fields


def answer(tx: Transaction, issuer: Issuer, data: ResponseData, now: dt.datetime) -> None:
    """
    Judge an OCSP answer by the store: no *good* for what is revoked or was never issued.

    Raises:
        PolicyViolation: `answer_differs`.
    """
    for one in data.answers:
        late = (one.next_update or one.this_update) - now > _LONGEST
        if late or abs(data.produced_at - now) > _HOUR:
            raise PolicyViolation("answer_differs", "The answer is not of this time.")
        if one.status is CertStatus.GOOD and not _is_good(tx, issuer, _serial(one.cert_id)):
            raise PolicyViolation("answer_differs", "The answer says good, the store does not.")


def _is_good(tx: Transaction, issuer: Issuer, serial: SerialNumber) -> bool:
    """Tell whether a CA with this key issued the serial, and none of them revoked it."""
    own = load(issuer.certificate).spki
    issuers = (tx.issuers.get(record.issuer_id) for record in tx.certificates.by_serial(serial))
    same = [i for i in issuers if i is not None and load(i.certificate).spki == own]
    return bool(same) and not tx.certificates.revocations([(i.issuer_id, serial) for i in same])


def _serial(cert_id: bytes) -> SerialNumber:
    try:
        last = list(children(cert_id, element_at(cert_id, 0, len(cert_id))))[-1]
        if last.tag != _INTEGER:
            raise DerError("no number")  # noqa: TRY301 - one way out
        return SerialNumber.from_int(int.from_bytes(cert_id[last.body : last.end]))
    except (DerError, IndexError) as error:
        raise PolicyViolation("answer_differs", "A CertID cannot be read.") from error
