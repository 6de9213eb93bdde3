"""Many decisions at once: as many queries as for one, and one commit for all of their receipts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, NamedTuple

from pki import access
from pki.clock import format_time
from pki.errors import PkiError
from pki.ids import Emaid
from pki.model import (
    Accepted,
    Contract,
    ContractCheck,
    ContractEvidence,
    Decision,
    DecisionRecord,
    Principal,
    ReceiptForm,
    Repetition,
    Role,
    SeenCertificate,
)
from pki.ports import Deployment
from pki.quick import quick
from pki.validate import forms, receipts, repeats, usual
from pki.validate.after import require_own, seen_in
from pki.validate.decide import decide, decided
from pki.validate.forms import Form
from pki.validate.frame import Frame, concerned, read_frame
from pki.validate.gather import Gathered, gather_many
from pki.validate.lasting import Above, Lasting, above_of, lasting
from pki.validate.profile import emaid_of
from pki.validate.render import to_json
from pki.validate.turns import first_behind

Further = Callable[[Decision, ContractEvidence], dict[str, Any]]
"""What is asked behind a decision: the decision and the contract it found, to JSON."""


class Behind(NamedTuple):
    """
    What was found out behind one of many decisions.

    Attributes:
        told: it, as `Further` has it.
        like: stands for all of it but reference, time, contract and place; None where nothing does.
    """

    told: Callable[[], dict[str, Any]]
    like: object


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """
    Who asks what.

    Attributes:
        further: asks on behind the decision, in no transaction.
        like: what `Behind.like` of an acceptance will be, where that is known beforehand; goes with
            `further`.
    """

    principal: Principal
    check: ContractCheck
    action: access.Action
    further: Callable[[Decision, ContractEvidence], Behind] | None = None
    like: Callable[[Emaid, Contract, dt.datetime], object] | None = None

    @property
    def may_be_brief(self) -> bool:
        """Tell whether the verdict need not be looked at for this caller's sake."""
        return self.principal.role is not _EMSP and (self.like is not None or self.further is None)


class Decided(NamedTuple):
    """
    One of many decisions.

    Attributes:
        reference: its id.
        made: makes it.
        told: makes the JSON of it (`pki.validate.render.to_json`), with what was found behind it as
            `authorisation`.
        lasting: how long it may be repeated; None where it must be made anew each time.
    """

    reference: str
    made: Callable[[], Decision]
    told: Callable[[], bytes]
    lasting: Lasting | None

    @property
    def decision(self) -> Decision:
        """The decision."""
        return self.made()


_NOTHING: Final = Behind(dict, "nothing")
_EMSP: Final = Role.EMSP
_NO_FORM: Final = object()
"""Stands for receipts of which no form can be made."""


@dataclass(slots=True)
class _Kept:
    """What one commit is to keep."""

    records: list[DecisionRecord] = field(default_factory=list)
    forms: dict[str, ReceiptForm] = field(default_factory=dict)
    seen: list[SeenCertificate] = field(default_factory=list)


def validate_many(
    deployment: Deployment, asked: Sequence[Asked], repeated: Sequence[Repetition] = ()
) -> list[Decided | Exception]:
    """
    Decide as `validate` does, each for itself; what one of them raises is its result.

    Args:
        repeated: further receipts of the same commit.

    Raises:
        Unavailable: the store cannot be read or the receipts not written; nobody is accepted.
    """
    refused = [_refusal(one) for one in asked]
    allowed = [one for one, error in zip(asked, refused, strict=True) if error is None]
    kept = _Kept()
    results = iter(_decide_all(deployment, allowed, kept) if allowed else ())
    found = [error if error is not None else next(results) for error in refused]
    if kept.records or repeated:
        with deployment.store.write() as tx:
            tx.decisions.add_many(kept.records, list(kept.forms.values()), repeated)
            for certificate in kept.seen:
                tx.evidence.see(certificate)
    return found


def _decide_all(
    deployment: Deployment, asked: Sequence[Asked], kept: _Kept
) -> list[Decided | Exception]:
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        desk = deployment.desk
        frame = desk.shared(tx, read_frame, concerned) if desk else read_frame(tx)
        gathered = gather_many(tx, frame, [one.check for one in asked], now)
    ids = repeats.new_ids(now, len(asked))
    group = _Group(frame, now, format_time(now), first_behind(frame.turns, now), kept)
    # one signature behind the other: each pushes everything else out of the caches
    ways = [group.certified_way(*each) for each in zip(asked, gathered, strict=True)]
    return [group.decided(*each) for each in zip(asked, gathered, ways, ids, strict=True)]


@dataclass(frozen=True, slots=True)
class _Group:
    """What decisions of one moment share."""

    frame: Frame
    now: dt.datetime
    at: str
    turn: dt.datetime
    kept: _Kept

    def certified_way(self, one: Asked, facts: Gathered) -> usual.Way | None:
        """Return the usual way of a leaf if it is ours, good, and signed by its issuer."""
        chain, frame = facts.chain, self.frame
        try:
            way = usual.way_of(chain, one.check, frame.trust, frame.policy)
            if way is None or not (one.may_be_brief and usual.are_good(way, facts)):
                return None
            return way if usual.certified(way, chain.certificates[0]) else None
        except Exception:  # noqa: BLE001 - which comes again where it is told to whoever asked
            return None

    def decided(
        self, one: Asked, facts: Gathered, way: usual.Way | None, reference: str
    ) -> Decided | Exception:
        """Return one of them, or what it raised."""
        try:
            told = self._by_form(one, facts, way, reference) if way is not None else None
            return told or self._in_full(one, facts, reference)
        except Exception as error:  # noqa: BLE001 - told to whoever asked, and to nobody else
            return error

    def _by_form(
        self, one: Asked, facts: Gathered, way: usual.Way, reference: str
    ) -> Decided | None:
        """
        Decide by what decisions about leaves like this one have in common; None where that is not
        known, or anything is not plainly good.
        """
        chain, check, frame, now = facts.chain, one.check, self.frame, self.now
        found, leaf = facts.contract, chain.certificates[0]
        soon = usual.expires_soon(way, chain, check, found, now)
        emaid, contract, account = emaid_of(leaf), found.contract, found.account
        if soon is None or emaid is None or contract is None or account is None:
            return None
        like = one.like(emaid, contract, now) if one.like else _NOTHING.like
        key = forms.key_of(way, check, account, like, soon=soon)
        form = frame.kept.get(key) if key is not None else None
        if not isinstance(form, Form) or not form.holds(now):
            return None
        own = forms.own_of(leaf, emaid, found, check, reference, self.at)
        record = DecisionRecord(
            decision_id=reference,
            decided_at=now,
            accepted=True,
            fault=None,
            emaid=emaid.key,
            asked_by=one.principal.name,
            record=form.short(own),
        )
        self.kept.records.append(record)
        self.kept.forms[form.kept.form_id] = form.kept
        return Decided(
            reference,
            partial(self._decision, facts, check, reference),
            partial(form.told, own),
            lasting(reference, form.above, leaf, contract, self.turn, now),
        )

    def _decision(self, facts: Gathered, check: ContractCheck, reference: str) -> Decision:
        """Return the decision that a form told."""
        frame, now = self.frame, self.now
        verdict = decide(facts.chain, check, facts.evidence, frame.trust, frame.policy, now)
        return Decision(decision_id=reference, decided_at=now, verdict=verdict)

    def _in_full(self, one: Asked, facts: Gathered, reference: str) -> Decided:
        """Decide, and write everything down."""
        chain, check, evidence, frame, now = (
            facts.chain,
            one.check,
            facts.evidence,
            self.frame,
            self.now,
        )
        verdict, way = decided(chain, check, evidence, frame.trust, frame.policy, now)
        decision = Decision(decision_id=reference, decided_at=now, verdict=verdict)
        require_own(one.principal, verdict)
        behind = one.further(decision, evidence.contract) if one.further else _NOTHING
        told, more = to_json(decision), behind.told() if one.further else None
        record = receipts.write(
            one.principal,
            check,
            chain,
            evidence,
            frame.trust,
            frame.policy,
            decision,
            told,
            more,
        )
        seen = seen_in(chain, evidence, frame.trust, verdict, now)
        self.kept.records.append(record)
        self.kept.seen += seen
        above = above_of(verdict, chain, frame) if not seen else None
        if way is not None and isinstance(verdict, Accepted) and not seen:
            self._learn(way, facts, check, verdict, behind.like, record, above)
        if more is not None:
            told["authorisation"] = more
        contract = evidence.contract.contract
        lasts = (
            lasting(reference, above, chain.certificates[0], contract, self.turn, now)
            if above is not None
            else None
        )
        return Decided(reference, lambda: decision, lambda: repeats.text(told).encode(), lasts)

    def _learn(  # noqa: PLR0913 - what was decided, and what it hangs on
        self,
        way: usual.Way,
        facts: Gathered,
        check: ContractCheck,
        verdict: Accepted,
        like: object,
        record: DecisionRecord,
        above: Above | None,
    ) -> None:
        """Make a form of what was written down, for others."""
        emaid, account = verdict.emaid, verdict.account
        if emaid is None or account is None or forms.told_by_others(verdict):
            return
        key = forms.key_of(way, check, account, like, soon=verdict.expires_soon)
        if key is None:
            return
        leaf = facts.chain.certificates[0]
        own = forms.own_of(leaf, emaid, facts.contract, check, record.decision_id, self.at)
        made = forms.make(record.record, own, leaf.subject_text, self.now, above)
        self.frame.kept.put(key, made or _NO_FORM)


def _refusal(one: Asked) -> Exception | None:
    try:
        access.require(one.principal, one.action)
    except PkiError as error:
        return error
    return None
