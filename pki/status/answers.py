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

from pki.errors import PkiError
from pki.model import Change, ChangeKind, Responder, StoredAnswer
from pki.pkix import ocsp
from pki.pkix.certificate import load
from pki.pkix.ocsp import CertId, CertStatus, OcspRequest, ResponseStatus, SingleAnswer
from pki.pkix.suites import Suite
from pki.ports import Deployment
from pki.status import templates
from pki.status.facts import Facts, Issued, again, asked, facts_of
from pki.status.openings import Openings
from pki.status.policy import StatusPolicy
from pki.status.view import KnownIssuer, View

_HELD: Final = 50_000
"""Answers that one process keeps in memory; some 60 MB at the most."""
_LONGEST_HELD: Final = 256
"""
Octets of a request that is held; none for one certificate without nonce needs more, and what a
stranger pads must not fill our memory.
"""
_LONGEST_QUICK: Final = 512
"""Octets of a request that is read without a thread; one certificate and any nonce fit."""
_ATTEMPTS: Final = 3
"""Readings of a status that changes while its answer is signed."""


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


_TRY_LATER: Final = Reply(der=ocsp.error_response(ResponseStatus.TRY_LATER))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    reply: Reply
    about: tuple[str, str]
    this_update: dt.datetime
    refresh_at: dt.datetime


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
        self._known: dict[tuple[str, int], Facts] = {}  # by issuer and serial
        self._openings = Openings()
        self._quick_keys: set[str] = set()
        self._index = view.index
        view.listen(self._hear)

    def respond(self, request: bytes) -> Reply:
        """
        Return the answer to one DER OCSPRequest, errors included; never raises for what was asked.

        A database that is gone, a view that is too old and a responder that expired are `tryLater`.
        """
        now = self._deployment.clock.now()
        fresh = self._view.ready()
        held = self._held.get(request)
        if held is not None and fresh and held.this_update <= now < held.refresh_at:
            return held.reply
        try:
            parsed = ocsp.parse_request(request)
        except ocsp.OcspError as error:
            return Reply(der=ocsp.error_response(error.status))
        if not fresh or not self._view.database_answers():
            return _TRY_LATER  # the view may still be young: do not wait for a silent database
        try:
            return self._answer(request, parsed, now)
        except PkiError:
            return _TRY_LATER

    def in_memory(self, request: bytes, now: dt.datetime) -> Reply | None:
        """
        Answer as `respond` does where that takes no wait, else return None; `now` is the clock's.

        That is an answer held in memory, the refusal of what cannot be read, or, for a nonce, one
        quick signature over what is remembered of the certificate.
        """
        if len(request) > _LONGEST_QUICK or not self._view.current():
            return None
        held = self._held.get(request)
        if held is not None:
            return held.reply if held.this_update <= now < held.refresh_at else None
        opening = self._openings.find(request)
        if opening is not None:
            return self._signed_at_once(*opening, now)
        try:
            parsed = ocsp.parse_request(request)
        except ocsp.OcspError as error:
            return Reply(der=ocsp.error_response(error.status))
        if parsed.nonce is None or len(parsed.cert_ids) != 1:
            return None
        return self._signed_at_once(parsed.cert_ids[0], parsed.nonce, now)

    def _signed_at_once(self, cert_id: CertId, nonce: bytes, now: dt.datetime) -> Reply | None:
        named = self._named(cert_id)
        responder = _responder(named, now)
        if responder is None or responder.key_label not in self._quick_keys:
            return None
        for known in named:
            facts = self._known.get((known.issuer.issuer_id, cert_id.serial))
            if facts is not None:
                return Reply(der=self._sign_known(facts, cert_id, responder, now, nonce))
        return None

    def _sign_known(
        self, facts: Facts, cert_id: CertId, responder: Responder, now: dt.datetime, nonce: bytes
    ) -> bytes:
        """Sign an answer about what is remembered; quickly where it is the usual one."""
        issued = facts.issued
        usual = issued is not None and facts.revocation is None and now <= issued.not_after
        if not usual or self._policy.unissued_revoked or len(nonce) < templates.SHORTEST:
            return self._sign([again(facts, cert_id)], responder, now, nonce)
        tbs = templates.good(
            cert_id.raw,
            nonce,
            responder=_responder_id(responder.der),
            now=now,
            next_update=self._next_update(responder, now),
        )
        signer = self._deployment.keys.signer(responder.key_label)
        return templates.framed(tbs, signer.suite, signer.sign(tbs), responder.der)

    def _answer(self, request: bytes, parsed: OcspRequest, now: dt.datetime) -> Reply:
        named = self._issuers(parsed)
        if not named:
            return Reply(der=ocsp.error_response(ResponseStatus.UNAUTHORIZED))
        responder = _responder(named, now)
        if responder is None:
            return _TRY_LATER
        if len(parsed.cert_ids) == 1 and parsed.nonce is None:
            return self._kept(request, parsed.cert_ids[0], named, responder, now)
        with self._deployment.store.read() as tx:
            sequence = tx.status.sequence()
            facts = [asked(tx, cert_id, named) for cert_id in parsed.cert_ids]
        self._openings.keep(request, parsed)
        self._remember(facts, sequence)
        return Reply(der=self._sign(facts, responder, now, parsed.nonce))

    def _kept(
        self,
        request: bytes,
        cert_id: CertId,
        named: tuple[KnownIssuer, ...],
        responder: Responder,
        now: dt.datetime,
    ) -> Reply:
        """Answer about one certificate from the store, or sign an answer and keep it there."""
        for _ in range(_ATTEMPTS):
            with self._deployment.store.read() as tx:
                sequence = tx.status.sequence()
                stored = tx.status.answer(cert_id.raw)
                if stored is not None and _holds(stored, named, now):
                    return self._hold(request, stored, sequence)
                facts = asked(tx, cert_id, named)
            if facts.issued is None:
                return Reply(der=self._sign([facts], responder, now, None))
            answer = self._sign_stored(facts, facts.issued, responder, now)
            if self._keep(answer, facts):
                return self._hold(request, answer, sequence)
        return _TRY_LATER

    def _issuers(self, parsed: OcspRequest) -> tuple[KnownIssuer, ...]:
        """
        Return the one CA that every CertID names, or nothing; one responder signs for one CA.

        Generations with the same name and the same key are one CA to whoever asks.
        """
        found: set[str] = set()
        named: tuple[KnownIssuer, ...] = ()
        for cert_id in parsed.cert_ids:
            named = self._named(cert_id)
            found.add(named[-1].issuer.issuer_id if named else "")
        return named if len(found) == 1 else ()

    def _named(self, cert_id: CertId) -> tuple[KnownIssuer, ...]:
        if cert_id.algorithm is None:
            return ()
        return self._view.index.get((cert_id.algorithm, cert_id.name_hash, cert_id.key_hash), ())

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
            facts = facts_of(tx, stored.cert_id, stored.serial, known)
        if facts.issued is None:
            return False
        return self._keep(self._sign_stored(facts, facts.issued, responder, now), facts)

    def _sign_stored(
        self, facts: Facts, issued: Issued, responder: Responder, now: dt.datetime
    ) -> StoredAnswer:
        """Sign the answer to one CertID in the form in which it is kept."""
        next_update = self._next_update(responder, now)
        return StoredAnswer(
            cert_id=facts.cert_id,
            issuer_id=issued.issuer_id,
            serial=issued.serial,
            der=self._sign([facts], responder, now, None),
            this_update=now,
            next_update=next_update,
            refresh_at=(now + (next_update - now) / 2).replace(microsecond=0),
        )

    def _next_update(self, responder: Responder, now: dt.datetime) -> dt.datetime:
        return min(now + self._policy.validity, responder.not_after)

    def _sign(
        self,
        facts: list[Facts],
        responder: Responder,
        now: dt.datetime,
        nonce: bytes | None,
    ) -> bytes:
        next_update = self._next_update(responder, now)
        answers = [self._single(item, now, next_update) for item in facts]
        tbs = ocsp.response_data(
            responder=_responder_id(responder.der),
            produced_at=now,
            answers=answers,
            nonce=nonce,
            extended_revoked=self._policy.unissued_revoked,
        )
        signer = self._deployment.keys.signer(responder.key_label)
        if signer.suite is Suite.P256:  # by now it is loaded; others take ten times as long
            self._quick_keys.add(responder.key_label)
        return ocsp.assemble(tbs, signer.suite, signer.sign(tbs), (responder.der,))

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

    # --- keeping -------------------------------------------------------------------------------

    def _keep(self, answer: StoredAnswer, facts: Facts) -> bool:
        """Store an answer unless the status changed since it was read; tell whether it holds."""
        with self._deployment.store.write() as tx:
            # a revocation now waits for this commit, and then drops what it finds in the store
            tx.status.hold_changes()
            if tx.certificates.revocation(answer.issuer_id, answer.serial) != facts.revocation:
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
            if sequence < self._view.sequence or len(request) > _LONGEST_HELD:
                return reply
            while len(self._held) >= _HELD:
                self._forget(next(iter(self._held)))
            self._held[request] = _Held(
                reply=reply,
                about=about,
                this_update=answer.this_update,
                refresh_at=answer.refresh_at,
            )
            self._about.setdefault(about, set()).add(request)
        return reply

    def _remember(self, found: list[Facts], sequence: int) -> None:
        """Keep what was read about certificates of ours, unless a change came since."""
        with self._lock:
            if sequence < self._view.sequence:
                return
            for facts in found:
                if facts.issued is not None:
                    while len(self._known) >= _HELD:
                        del self._known[next(iter(self._known))]
                    self._known[facts.issued.issuer_id, facts.issued.serial.as_int] = facts

    def _forget(self, request: bytes) -> None:
        held = self._held.pop(request)
        others = self._about[held.about]
        others.discard(request)
        if not others:
            del self._about[held.about]

    def _hear(self, change: Change) -> None:
        """Drop what a change made wrong: all of it where a CA or a responder came or went."""
        if change.kind is ChangeKind.ROAMING:
            return
        with self._lock:
            if self._index is not self._view.index or change.serial is None:
                self._index = self._view.index
                self._held.clear()
                self._about.clear()
                self._known.clear()
                return
            self._known.pop((change.issuer_id, change.serial.as_int), None)
            for request in tuple(self._about.get((change.issuer_id, change.serial.value), ())):
                self._forget(request)


def _responder(named: tuple[KnownIssuer, ...], now: dt.datetime) -> Responder | None:
    """Return the newest valid signer of a CA; any generation's will do, their key is the same."""
    for known in reversed(named):
        found = known.responder(now)
        if found is not None:
            return found
    return None


def _holds(stored: StoredAnswer, named: tuple[KnownIssuer, ...], now: dt.datetime) -> bool:
    """Tell whether a stored answer may be given: in its time, and its signer was not revoked."""
    if not stored.this_update <= now < stored.refresh_at:
        return False
    return any(signer.der in stored.der for known in named for signer in known.responders)


@lru_cache(maxsize=256)
def _responder_id(certificate: bytes) -> bytes:
    return ocsp.responder_by_key(load(certificate).spki)
