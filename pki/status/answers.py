"""
OCSP answers (RFC 6960, RFC 5019, RFC 9654): from memory, from the store, or signed on demand.

An answer without nonce is signed once, kept in the store until half of its life is over, and held
in memory in a bounded number. A revocation drops it everywhere: from the store in its own
transaction, from every memory by the change log.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
from dataclasses import dataclass, replace
from typing import Final

from pki.errors import PkiError
from pki.model import Change, ChangeKind, StoredAnswer
from pki.pkix import ocsp
from pki.pkix.ocsp import CertId, OcspRequest, ResponseStatus
from pki.ports import Deployment
from pki.status import templates
from pki.status.facts import Facts, Issued, again, asked, facts_of
from pki.status.openings import Openings
from pki.status.policy import StatusPolicy
from pki.status.signing import Moment, Signatory, Signing
from pki.status.view import Index, KnownIssuer, View

_LOG: Final = logging.getLogger(__name__)
_HELD: Final = 50_000
"""
Answers that one process keeps in memory, and certificates of which it remembers what is needed to
sign at once. An answer takes 1.7 kB with what finds it, a certificate 0.9 kB: 125 MB at the most,
in each process and not shared by them.
"""
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
        self._signing = Signing(deployment, policy)
        self._moments: dict[tuple[str, bytes, bytes], tuple[Index, Moment]] = {}
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

    def account(self, *, at_once: bool = False) -> None:
        """
        Tell the audit log how many answers were signed, now and then or at once; never raises.

        What cannot be told now is told the next time.
        """
        try:
            self._signing.tally.hand_over(at_once=at_once)
        except PkiError as error:
            _LOG.warning("signed OCSP answers could not be told to the audit log: %s", error)

    def _signed_at_once(self, cert_id: CertId, nonce: bytes, now: dt.datetime) -> Reply | None:
        moment = self._moment(cert_id, now)
        if moment is None:
            return None
        for issuer_id in moment.issuer_ids:
            facts = self._known.get((issuer_id, cert_id.serial))
            if facts is None:
                continue
            if self._is_usual(facts, now) and len(nonce) >= templates.SHORTEST:
                return Reply(der=self._signing.sign_good(cert_id.raw, moment, nonce))
            return Reply(
                der=self._signing.sign([again(facts, cert_id)], moment.signatory, now, nonce)
            )
        return None

    def _moment(self, cert_id: CertId, now: dt.datetime) -> Moment | None:
        """Return who signs about this certificate now without a wait; made once a second."""
        if cert_id.algorithm is None:
            return None
        key = (cert_id.algorithm, cert_id.name_hash, cert_id.key_hash)
        index = self._view.index
        kept = self._moments.get(key)
        if kept is not None and kept[0] is index and kept[1].now == now:
            return kept[1]
        moment = self._signing.moment(index.get(key, ()), now)
        if moment is not None:
            self._moments[key] = index, moment  # at most as many as the index has
        return moment

    def _is_usual(self, facts: Facts, now: dt.datetime) -> bool:
        """Tell whether the answer is a plain *good* without extensions."""
        issued = facts.issued
        usual = issued is not None and facts.revocation is None and now <= issued.not_after
        return usual and not self._policy.unissued_revoked

    def _answer(self, request: bytes, parsed: OcspRequest, now: dt.datetime) -> Reply:
        named = self._issuers(parsed)
        if not named:
            return Reply(der=ocsp.error_response(ResponseStatus.UNAUTHORIZED))
        signatory = self._signing.signatory(named, now)
        if signatory is None:
            return _TRY_LATER
        if len(parsed.cert_ids) == 1 and parsed.nonce is None:
            return self._kept(request, parsed.cert_ids[0], named, signatory, now)
        with self._deployment.store.read() as tx:
            sequence = tx.status.sequence()
            facts = [asked(tx, cert_id, named) for cert_id in parsed.cert_ids]
        self._openings.keep(request, parsed)
        self._remember(facts, sequence)
        return Reply(der=self._signing.sign(facts, signatory, now, parsed.nonce))

    def _kept(
        self,
        request: bytes,
        cert_id: CertId,
        named: tuple[KnownIssuer, ...],
        signatory: Signatory,
        now: dt.datetime,
    ) -> Reply:
        """Answer about one certificate from the store, or sign an answer and keep it there."""
        for _ in range(_ATTEMPTS):
            with self._deployment.store.read() as tx:
                sequence = tx.status.sequence()
                stored = tx.status.answer(cert_id.raw)
                if stored is not None and self._holds(stored, named, now):
                    return self._hold(request, stored, sequence)
                facts = asked(tx, cert_id, named)
            if facts.issued is None:
                return Reply(der=self._signing.sign([facts], signatory, now, None))
            answer = self._sign_stored(facts, facts.issued, signatory, now)
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
        signatory = self._signing.signatory((known,), now) if known else None
        if known is None or signatory is None:
            return False
        with self._deployment.store.read() as tx:
            facts = facts_of(tx, stored.cert_id, stored.serial, known)
        if facts.issued is None:
            return False
        return self._keep(self._sign_stored(facts, facts.issued, signatory, now), facts)

    def _sign_stored(
        self, facts: Facts, issued: Issued, signatory: Signatory, now: dt.datetime
    ) -> StoredAnswer:
        """Sign the answer to one CertID in the form in which it is kept."""
        next_update = self._signing.next_update(signatory, now)
        return StoredAnswer(
            cert_id=facts.cert_id,
            issuer_id=issued.issuer_id,
            serial=issued.serial,
            der=self._signing.sign([facts], signatory, now, None),
            this_update=now,
            next_update=next_update,
            refresh_at=(now + (next_update - now) / 2).replace(microsecond=0),
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

    def _holds(
        self, stored: StoredAnswer, named: tuple[KnownIssuer, ...], now: dt.datetime
    ) -> bool:
        """Tell whether a stored answer may be given: in its time, and by a signer of today."""
        in_time = stored.this_update <= now < stored.refresh_at
        return in_time and self._signing.is_by(stored.der, named)

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
                    key = (facts.issued.issuer_id, facts.issued.serial.as_int)
                    self._known[key] = replace(facts, cert_id=b"")  # each asks with its own

    def _forget(self, request: bytes) -> None:
        held = self._held.pop(request)
        others = self._about[held.about]
        others.discard(request)
        if not others:
            del self._about[held.about]

    def _hear(self, change: Change) -> None:
        """Drop what a change made wrong: all of it where a CA or a responder came or went."""
        if change.serial is None and change.kind is not ChangeKind.ISSUERS:
            return  # of contracts, trust, callers: nothing that a status depends on
        with self._lock:
            if self._index is not self._view.index or change.serial is None:
                self._index = self._view.index
                self._moments.clear()
                self._held.clear()
                self._about.clear()
                self._known.clear()
                return
            self._known.pop((change.issuer_id, change.serial.as_int), None)
            for request in tuple(self._about.get((change.issuer_id, change.serial.value), ())):
                self._forget(request)
