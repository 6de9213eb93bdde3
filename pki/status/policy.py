"""What the operator decides about status answers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusPolicy:
    """
    Lifetimes and choices.

    Attributes:
        validity: from thisUpdate to nextUpdate of an OCSP answer; stored ones are signed anew when
            half of it is over.
        max_age: seconds that HTTP caches may keep an answer; bounds how late they see a revocation.
        max_view_age: seconds after which a view that could not follow the change log says tryLater.
        unissued_revoked: answer *revoked* for serials never issued (RFC 6960 2.2), not *unknown*.
        responder_by_name: answers name their signer by its subject, not by its key's SHA-1.
        ca_signs: CAs sign answers themselves, with the keys that sign certificates; their delegated
            signers are renewed and not used.
        crl_validity: from thisUpdate to nextUpdate of a CRL; a new one is made at half of it.
        responder_renewal: a responder is replaced when less than this is left of its certificate.
    """

    validity: dt.timedelta = dt.timedelta(days=7)
    max_age: int = 600
    max_view_age: float = 10.0
    unissued_revoked: bool = False
    responder_by_name: bool = False
    ca_signs: bool = False
    crl_validity: dt.timedelta = dt.timedelta(days=7)
    responder_renewal: dt.timedelta = dt.timedelta(days=30)
