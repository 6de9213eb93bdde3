"""Evidence from files: CRLs and OCSP answers that somebody hands over with a chain."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Final

from pki.ids import Fingerprint
from pki.model import CLOCK_SKEW, CertificateStatus, Reason, Status, Trust
from pki.pkix import crl_check, ocsp_check
from pki.pkix.certificate import Certificate
from pki.validate.presented import Presented

_MAX_AGE: Final = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceFiles:
    """DER CRLs and OCSP answers; what does not verify under an issuer of the chain is not used."""

    crls: tuple[bytes, ...] = ()
    responses: tuple[bytes, ...] = ()


def statuses(
    files: EvidenceFiles, chain: Presented, trust: Trust, now: dt.datetime
) -> dict[Fingerprint, CertificateStatus]:
    """
    Return what the files say of the presented certificates, *revoked* before *good*.

    Raises:
        BadInput: `crl_unreadable`, for a file that is no CRL.
    """
    crls = tuple(crl_check.read(data) for data in files.crls)
    issuers = (*chain.certificates[1:], *(anchor.certificate for anchor in trust.anchors))
    found: dict[Fingerprint, CertificateStatus] = {}
    for certificate in chain.certificates:
        for issuer in issuers:
            if issuer.normal_subject != certificate.normal_issuer:
                continue
            told = [
                *(_by_crl(crl, certificate, issuer, now) for crl in crls),
                *(_by_answer(data, certificate, issuer, now) for data in files.responses),
            ]
            known = [status for status in told if status is not None]
            known.sort(key=lambda status: status.status is not Status.REVOKED)
            if known:
                found[certificate.fingerprint] = known[0]
    return found


def _by_crl(
    crl: crl_check.Crl, certificate: Certificate, issuer: Certificate, now: dt.datetime
) -> CertificateStatus | None:
    checked = crl_check.check(crl, (issuer,), at=now, skew=CLOCK_SKEW)
    if isinstance(checked, crl_check.CrlRefused):
        return None
    answer = checked.status_of(certificate)
    if answer.status not in (crl_check.CrlStatus.GOOD, crl_check.CrlStatus.REVOKED):
        return None
    entry = answer.revoked
    return CertificateStatus(
        status=Status.GOOD if entry is None else Status.REVOKED,
        source="foreign",
        as_of=crl.this_update,
        reason=_reason(entry.reason) if entry else None,
        revoked_at=entry.at if entry else None,
        next_update=crl.next_update,
    )


def _by_answer(
    data: bytes, certificate: Certificate, issuer: Certificate, now: dt.datetime
) -> CertificateStatus | None:
    target = ocsp_check.Target.of(certificate)
    answer = ocsp_check.check(data, target, issuer, at=now, max_age=_MAX_AGE, skew=CLOCK_SKEW)
    if answer.status not in (ocsp_check.OcspStatus.GOOD, ocsp_check.OcspStatus.REVOKED):
        return None
    revoked = answer.status is ocsp_check.OcspStatus.REVOKED
    return CertificateStatus(
        status=Status.REVOKED if revoked else Status.GOOD,
        source="foreign",
        as_of=answer.this_update or now,
        reason=_reason(answer.reason) if revoked else None,
        revoked_at=answer.revoked_at,
        next_update=answer.next_update,
    )


def _reason(name: str | None) -> Reason:
    return Reason(name) if name in list(Reason) else Reason.UNSPECIFIED
