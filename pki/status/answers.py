"""
OCSP answers (RFC 6960, RFC 5019, RFC 9654): from memory, from the store, or signed on demand.

An answer without nonce is signed once, kept in the store until half of its life is over, and held
in memory in a bounded number. A revocation drops it everywhere: from the store in its own
transaction, from every memory by the change log.
"""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pki.errors import BadInput, PkiError
from pki.ids import SerialNumber
from pki.model import CertificateRecord, Change, ChangeKind, Reason, Responder, StoredAnswer
from pki.pkix import ocsp
from pki.pkix.certificate import load
from pki.pkix.ocsp import CertId, CertStatus, OcspRequest, ResponseStatus, SingleAnswer
from pki.ports import Deployment, Transaction
from pki.status.policy import StatusPolicy
from pki.status.view import KnownIssuer, View

_HELD: Final = 50_000
"""Answers that one process keeps in memory; some 40 MB at the most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    An OCSPResponse.

    Attributes:
        this_update, next_update: of a successful answer that may be cached, else None.
    """

    der: bytes
    this_update: dt.datetime | None = None
    next_update: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    reply: Reply
    about: tuple[str, str]
    refresh_at: dt.datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What one read said about one CertID (DER, as asked)."""

    cert_id: bytes
    serial: SerialNumber | None
    known: KnownIssuer
    record: CertificateRecord | None
    revoked_at: dt.datetime | None
    reason: Reason | None


class Answers:
    """
    Answers OCSP requests for one process; safe to share between threads.

    Args:
        view: tells which changes there were; this object listens to it.
    """

    def __init__(self, deployment: Deployment, view: View, policy: StatusPolicy) -> None:
        self._deployment = deployment
        self._view = view
        self._policy = policy
        self._lock = threading.Lock()
        self._held: dict[bytes, _Held] = {}
        self._about: dict[tuple[str, str], set[bytes]] = {}
        view.listen(self._hear)

    def respond(self, request: bytes) -> Reply:
        """
        Return the answer to one DER OCSPRequest, errors included; never raises for what was asked.

        A database that is gone, a view that is too old and a responder that expired are `tryLater`.
        """
        now = self._deployment.clock.now()
        fresh = self._view.ready()
        held = self._held.get(request)
        if held is not None and fresh and now < held.refresh_at:
            return held.reply
        try:
            parsed = ocsp.parse_request(request)
        except ocsp.OcspError as error:
            return Reply(der=ocsp.error_response(error.status))
        if not fresh:
            return Reply(der=ocsp.error_response(ResponseStatus.TRY_LATER))
        try:
            return self._answer(request, parsed, now)
        except PkiError:
            return Reply(der=ocsp.error_response(ResponseStatus.TRY_LATER))

    def _answer(self, request: bytes, parsed: OcspRequest, now: dt.datetime) -> Reply:
        known = self._issuer(parsed)
        if known is None:
            return Reply(der=ocsp.error_response(ResponseStatus.UNAUTHORIZED))
        responder = known.responder(now)
        if responder is None:
            return Reply(der=ocsp.error_response(ResponseStatus.TRY_LATER))
        single = len(parsed.cert_ids) == 1 and parsed.nonce is None
        with self._deployment.store.read() as tx:
            sequence = tx.status.sequence()
            stored = tx.status.answer(parsed.cert_ids[0].raw) if single else None
            if stored is not None and now < stored.refresh_at:
                return self._hold(request, stored, sequence)
            facts = [_asked(tx, cert_id, known) for cert_id in parsed.cert_ids]
        record = facts[0].record
        if single and record is not None:
            answer = self._sign_stored(facts[0], record, responder, now)
            if self._keep(answer, facts[0]):
                return self._hold(request, answer, sequence)
        der = self._sign(facts, responder, now, parsed.nonce)
        return Reply(der=der)

    def _issuer(self, parsed: OcspRequest) -> KnownIssuer | None:
        """Return the one CA that every CertID names; one responder signs for one CA."""
        found: set[str] = set()
        known: KnownIssuer | None = None
        for cert_id in parsed.cert_ids:
            if cert_id.algorithm is None:
                return None
            key = (cert_id.algorithm, cert_id.name_hash, cert_id.key_hash)
            named = self._view.index.get(key)
            if not named:
                return None
            known = named[-1]
            found.add(known.issuer.issuer_id)
        return known if len(found) == 1 else None

    def renew(self, stored: StoredAnswer) -> bool:
        """
        Sign a stored answer anew; tell whether that was possible.

        Raises:
            Unavailable: store or key out of reach.
        """
        now = self._deployment.clock.now()
        issuers = {k.issuer.issuer_id: k for named in self._view.index.values() for k in named}
        known = issuers.get(stored.issuer_id)
        responder = known.responder(now) if known else None
        if known is None or responder is None:
            return False
        with self._deployment.store.read() as tx:
            facts = _facts(tx, stored.cert_id, stored.serial, known)
        if facts.record is None:
            return False
        return self._keep(self._sign_stored(facts, facts.record, responder, now), facts)

    def _sign_stored(
        self, facts: _Facts, record: CertificateRecord, responder: Responder, now: dt.datetime
    ) -> StoredAnswer:
        """Sign the answer to one CertID in the form in which it is kept."""
        next_update = self._next_update(responder, now)
        return StoredAnswer(
            cert_id=facts.cert_id,
            issuer_id=record.issuer_id,
            serial=record.serial,
            der=self._sign([facts], responder, now, None),
            this_update=now,
            next_update=next_update,
            refresh_at=now + (next_update - now) / 2,
        )

    def _next_update(self, responder: Responder, now: dt.datetime) -> dt.datetime:
        return min(now + self._policy.validity, responder.not_after)

    def _sign(
        self,
        facts: list[_Facts],
        responder: Responder,
        now: dt.datetime,
        nonce: bytes | None,
    ) -> bytes:
        next_update = self._next_update(responder, now)
        answers = tuple(self._single(item, now, next_update) for item in facts)
        tbs = ocsp.response_data(
            responder=_responder_id(responder.der),
            produced_at=now,
            answers=answers,
            nonce=nonce,
            extended_revoked=self._policy.unissued_revoked,
        )
        signer = self._deployment.keys.signer(responder.key_label)
        return ocsp.assemble(tbs, signer.suite, signer.sign(tbs), (responder.der,))

    def _single(self, facts: _Facts, now: dt.datetime, next_update: dt.datetime) -> SingleAnswer:
        if facts.revoked_at is None and facts.record is None:
            return self._unissued(facts, now, next_update)
        expired = facts.record is not None and facts.record.not_after < now
        return SingleAnswer(
            cert_id=facts.cert_id,
            status=CertStatus.GOOD if facts.revoked_at is None else CertStatus.REVOKED,
            revoked_at=facts.revoked_at,
            reason=facts.reason.value if facts.reason else None,
            this_update=now,
            next_update=next_update,
            archive_cutoff=facts.known.certificate.not_before if expired else None,
        )

    def _unissued(self, facts: _Facts, now: dt.datetime, next_update: dt.datetime) -> SingleAnswer:
        if self._policy.unissued_revoked:
            return ocsp.never_issued(facts.cert_id, this_update=now, next_update=next_update)
        return SingleAnswer(
            cert_id=facts.cert_id,
            status=CertStatus.UNKNOWN,
            this_update=now,
            next_update=next_update,
        )

    # --- keeping -------------------------------------------------------------------------------

    def _keep(self, answer: StoredAnswer, facts: _Facts) -> bool:
        """Store an answer unless the status changed since it was read; tell whether it holds."""
        with self._deployment.store.write() as tx:
            revocation = tx.certificates.revocation(answer.issuer_id, answer.serial)
            current = revocation.revoked_at if revocation else None
            if current != facts.revoked_at:
                return False
            tx.status.put_answer(answer)
        return True

    def _hold(self, request: bytes, answer: StoredAnswer, sequence: int) -> Reply:
        """Hold an answer in memory, unless a change came since it was read."""
        reply = Reply(
            der=answer.der, this_update=answer.this_update, next_update=answer.next_update
        )
        about = (answer.issuer_id, answer.serial.value)
        with self._lock:
            if sequence < self._view.sequence:
                return reply
            while len(self._held) >= _HELD:
                self._forget(next(iter(self._held)))
            self._held[request] = _Held(reply=reply, about=about, refresh_at=answer.refresh_at)
            self._about.setdefault(about, set()).add(request)
        return reply

    def _forget(self, request: bytes) -> None:
        held = self._held.pop(request)
        others = self._about[held.about]
        others.discard(request)
        if not others:
            del self._about[held.about]

    def _hear(self, change: Change) -> None:
        """Drop what a change made wrong."""
        with self._lock:
            if change.kind is ChangeKind.ISSUERS or change.serial is None:
                self._held.clear()
                self._about.clear()
                return
            for request in tuple(self._about.get((change.issuer_id, change.serial.value), ())):
                self._forget(request)


def _asked(tx: Transaction, cert_id: CertId, known: KnownIssuer) -> _Facts:
    try:
        serial = SerialNumber.from_int(cert_id.serial)
    except BadInput:  # zero, negative, overlong: nobody issued that
        serial = None
    return _facts(tx, cert_id.raw, serial, known)


def _facts(
    tx: Transaction, cert_id: bytes, serial: SerialNumber | None, known: KnownIssuer
) -> _Facts:
    issuer_id = known.issuer.issuer_id
    revocation = tx.certificates.revocation(issuer_id, serial) if serial else None
    return _Facts(
        cert_id=cert_id,
        serial=serial,
        known=known,
        record=tx.certificates.by_issuer_serial(issuer_id, serial) if serial else None,
        revoked_at=revocation.revoked_at if revocation else None,
        reason=revocation.reason if revocation else None,
    )


@lru_cache(maxsize=256)
def _responder_id(certificate: bytes) -> bytes:
    return ocsp.responder_by_key(load(certificate).spki)
