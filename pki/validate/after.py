"""What follows a verdict: whether the caller may hear it, and which certificates were seen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from pki.errors import NotAllowed
from pki.model import Accepted, Evidence, Principal, Rejected, Role, SeenCertificate, Trust
from pki.pkix.hashes import identity
from pki.validate.presented import Presented


def require_own(principal: Principal, verdict: Accepted | Rejected) -> None:
    """An eMSP learns nothing of contracts that are not its own. Raises NotAllowed."""
    if principal.role is not Role.EMSP:
        return
    if verdict.emaid is not None and verdict.emaid.provider.value not in principal.parties:
        raise NotAllowed("party_not_allowed", "This client may ask for its own contracts only.")


def seen_in(
    chain: Presented,
    evidence: Evidence,
    trust: Trust,
    verdict: Accepted | Rejected,
    now: dt.datetime,
) -> list[SeenCertificate]:
    """Return foreign certificates of the path, whose status is asked ahead from now on."""
    path = {status.fingerprint for status in verdict.path}
    # what no anchor vouches for is not remembered
    return [c for c in _foreign(chain, evidence, trust, now) if c.fingerprint in path]


def _foreign(
    chain: Presented, evidence: Evidence, trust: Trust, now: dt.datetime
) -> Iterator[SeenCertificate]:
    """Yield presented certificates whose issuer's responder a job asks."""
    if not evidence.asked_responders:
        return
    issuers = (*chain.certificates[1:], *(anchor.certificate for anchor in trust.anchors))
    for certificate in chain.certificates:
        for issuer in issuers:
            named = issuer.normal_subject == certificate.normal_issuer
            if named and identity(issuer) in evidence.asked_responders:
                yield SeenCertificate(
                    fingerprint=certificate.fingerprint,
                    issuer_hash=identity(issuer),
                    der=certificate.der,
                    seen_at=now,
                    not_after=certificate.not_after,
                )
