"""Who signs OCSP answers: a delegated signer, or the CA itself where a setting wants it so."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from pki import sign
from pki.model import Issuer, IssuerState
from pki.pkix import ocsp
from pki.pkix.certificate import load
from pki.pkix.ocsp import CertStatus, SingleAnswer
from pki.ports import Deployment, Signer
from pki.status import templates
from pki.status.facts import Facts
from pki.status.policy import StatusPolicy
from pki.status.tally import Tally
from pki.status.view import KnownIssuer

_SIGNING_STATES: Final = frozenset((IssuerState.ACTIVE, IssuerState.STATUS_ONLY))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatory:
    """
    A key that signs answers about the certificates of one CA.

    Attributes:
        certificate: DER of the certificate of that key.
        key_label: of the delegated signer's key; "" where the CA itself signs.
        responder_id: DER ResponderID.
    """

    issuer: Issuer
    certificate: bytes = field(repr=False)
    key_label: str
    not_after: dt.datetime
    responder_id: bytes

    @property
    def enclosed(self) -> tuple[bytes, ...]:
        """What goes into `certs`: nothing where the CA signs, whom every caller knows."""
        return (self.certificate,) if self.key_label else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """
    Who signs for a CA in one second, and the sheet for it.

    Attributes:
        issuer_ids: the generations of the CA.
    """

    now: dt.datetime
    signatory: Signatory
    sheet: templates.Sheet
    issuer_ids: tuple[str, ...]


class Signing:
    """Signs for one process; safe to share between threads."""

    def __init__(self, deployment: Deployment, policy: StatusPolicy) -> None:
        self._deployment = deployment
        self._policy = policy
        self._signers: dict[str, Signer] = {}  # those that were used: no key is to be loaded
        self.tally = Tally(deployment)

    def signatory(self, named: Sequence[KnownIssuer], now: dt.datetime) -> Signatory | None:
        """
        Return who signs for a CA now, the newest that is valid, or None.

        Args:
            named: the generations of the CA, oldest first; all have one key.
        """
        for known in reversed(named):
            found = self._signatory(known, now)
            if found is not None:
                return found
        return None

    def _signatory(self, known: KnownIssuer, now: dt.datetime) -> Signatory | None:
        by_name = self._policy.responder_by_name
        if self._policy.ca_signs:
            end = known.certificate.not_after
            may = known.issuer.state in _SIGNING_STATES and known.certificate.not_before <= now
            if not may or now > end:
                return None
            return _of(known.issuer, known.issuer.certificate, "", end, by_name=by_name)
        found = known.responder(now)
        if found is None:
            return None
        return _of(known.issuer, found.der, found.key_label, found.not_after, by_name=by_name)

    def is_by(self, answer: bytes, named: Sequence[KnownIssuer]) -> bool:
        """
        Tell whether a stored answer names a signer of today, in the way of today's settings.

        The signer may have been revoked since, and the settings changed.
        """
        by_name = self._policy.responder_by_name
        if self._policy.ca_signs:
            return any(_id(known.issuer.certificate, by_name=by_name) in answer for known in named)
        signers = [signer.der for known in named for signer in known.responders]
        return any(der in answer and _id(der, by_name=by_name) in answer for der in signers)

    def next_update(self, signatory: Signatory, now: dt.datetime) -> dt.datetime:
        """Return how long an answer of now may hold."""
        return min(now + self._policy.validity, signatory.not_after)

    def sign(
        self, facts: Sequence[Facts], signatory: Signatory, now: dt.datetime, nonce: bytes | None
    ) -> bytes:
        """
        Return the signed answer about some certificates.

        Raises:
            Unavailable: store or key out of reach; `demo_key`.
            Conflict: `issuer_not_active`.
        """
        next_update = self.next_update(signatory, now)
        data = ocsp.ResponseData(
            responder=signatory.responder_id,
            produced_at=now,
            answers=tuple(self._single(item, now, next_update) for item in facts),
            nonce=nonce,
            extended_revoked=self._policy.unissued_revoked,
        )
        self.tally.add(signatory.issuer.issuer_id, signatory.certificate)
        if not signatory.key_label:
            tbs, signature = sign.sign_answer(self._deployment, signatory.issuer.issuer_id, data)
            return ocsp.assemble(tbs, signatory.issuer.suite, signature)
        signer = self._deployment.keys.signer(signatory.key_label)
        tbs = data.der()
        signature = signer.sign(tbs)
        self._signers[signatory.key_label] = signer
        return ocsp.assemble(tbs, signer.suite, signature, signatory.enclosed)

    def moment(self, named: Sequence[KnownIssuer], now: dt.datetime) -> Moment | None:
        """Return what signs for a CA now without a wait, or None; arguments as `signatory` has."""
        signatory = self.signatory(named, now)
        signer = self._signers.get(signatory.key_label) if signatory is not None else None
        if signatory is None or signer is None or not signer.quick:
            return None
        sheet = templates.Sheet(
            signer,
            responder=signatory.responder_id,
            certificate=signatory.certificate,
            now=now,
            next_update=self.next_update(signatory, now),
        )
        issuer_ids = tuple(known.issuer.issuer_id for known in named)
        return Moment(now=now, signatory=signatory, sheet=sheet, issuer_ids=issuer_ids)

    def sign_good(self, cert_id: bytes, moment: Moment, nonce: bytes) -> bytes:
        """Return what `sign` does for a certificate that is *good*; of `templates.SHORTEST` on."""
        signatory = moment.signatory
        self.tally.add(signatory.issuer.issuer_id, signatory.certificate)
        return moment.sheet.signed(cert_id, nonce)

    def _single(self, facts: Facts, now: dt.datetime, next_update: dt.datetime) -> SingleAnswer:
        revocation = facts.revocation
        if revocation is None and facts.issued is None:
            return self._unissued(facts, now, next_update)
        expired = facts.issued is not None and facts.issued.not_after < now
        return SingleAnswer(
            cert_id=facts.cert_id,
            status=CertStatus.REVOKED if revocation else CertStatus.GOOD,
            revoked_at=revocation.revoked_at if revocation else None,
            reason=revocation.reason.value if revocation else None,
            this_update=now,
            next_update=next_update,
            archive_cutoff=facts.known.certificate.not_before if expired else None,
        )

    def _unissued(self, facts: Facts, now: dt.datetime, next_update: dt.datetime) -> SingleAnswer:
        if self._policy.unissued_revoked:
            return ocsp.never_issued(facts.cert_id, this_update=now, next_update=next_update)
        return SingleAnswer(
            cert_id=facts.cert_id,
            status=CertStatus.UNKNOWN,
            this_update=now,
            next_update=next_update,
        )


def _of(
    issuer: Issuer, certificate: bytes, key_label: str, not_after: dt.datetime, *, by_name: bool
) -> Signatory:
    return Signatory(
        issuer=issuer,
        certificate=certificate,
        key_label=key_label,
        not_after=not_after,
        responder_id=_id(certificate, by_name=by_name),
    )


@lru_cache(maxsize=256)
def _id(certificate: bytes, *, by_name: bool) -> bytes:
    """Return the ResponderID of whom this certificate is (RFC 6960 4.2.1)."""
    loaded = load(certificate)
    if by_name:
        return ocsp.responder_by_name(loaded.subject)
    return ocsp.responder_by_key(loaded.spki)
