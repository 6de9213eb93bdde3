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
from pki.model import (
    ContractCheck,
    ContractEvidence,
    Decision,
    DecisionRecord,
    Principal,
    ReceiptForm,
    SeenCertificate,
)
from pki.ports import Deployment
from pki.validate import forms, receipts, repeats
from pki.validate.after import require_own, seen_in
from pki.validate.decide import decided
from pki.validate.forms import Form
from pki.validate.frame import Frame, concerned, read_frame
from pki.validate.gather import Gathered, gather_many
from pki.validate.lasting import Above, Lasting, above_of, lasting
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks what; `further` asks on behind the decision, in no transaction."""

    principal: Principal
    check: ContractCheck
    action: access.Action
    further: Callable[[Decision, ContractEvidence], Behind] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """
    One of many decisions.

    Attributes:
        told: makes the JSON of it (`pki.validate.render.to_json`), with what was found behind it as
            `authorisation`.
        lasting: how long it may be repeated; None where it must be made anew each time.
    """

    decision: Decision
    told: Callable[[], bytes]
    lasting: Lasting | None


_NOTHING: Final = Behind(dict, "nothing")
_NO_FORM: Final = object()
"""Stands for receipts of which no form can be made."""


@dataclass(slots=True)
class _Kept:
    """What one commit is to keep."""

    records: list[DecisionRecord] = field(default_factory=list)
    forms: dict[str, ReceiptForm] = field(default_factory=dict)
    seen: list[SeenCertificate] = field(default_factory=list)


def validate_many(
    deployment: Deployment, asked: Sequence[Asked], repeated: Sequence[DecisionRecord] = ()
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
    kept = _Kept(records=list(repeated))
    results = iter(_decide_all(deployment, allowed, kept) if allowed else ())
    found = [error if error is not None else next(results) for error in refused]
    if kept.records:
        with deployment.store.write() as tx:
            tx.decisions.add_many(kept.records, list(kept.forms.values()))
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
    return [group.decided(*each) for each in zip(asked, gathered, ids, strict=True)]


@dataclass(frozen=True, slots=True)
class _Group:
    """What decisions of one moment share."""

    frame: Frame
    now: dt.datetime
    at: str
    turn: dt.datetime
    kept: _Kept

    def decided(self, one: Asked, facts: Gathered, reference: str) -> Decided | Exception:
        """Return one of them, or what it raised."""
        chain, evidence, frame, now = facts.chain, facts.evidence, self.frame, self.now
        verdict, way = decided(chain, one.check, evidence, frame.trust, frame.policy, now)
        decision = Decision(decision_id=reference, decided_at=now, verdict=verdict)
        try:
            require_own(one.principal, verdict)
            behind = one.further(decision, evidence.contract) if one.further else _NOTHING
        except Exception as error:  # noqa: BLE001 - told to whoever asked, and to nobody else
            return error
        key = forms.key_of(way, verdict, one.check, behind.like)
        form = frame.kept.get(key) if key is not None else None
        if isinstance(form, Form) and form.holds(now):
            return self._by_form(one, facts, decision, form)
        return self._in_full(one, facts, decision, behind, key)

    def _by_form(self, one: Asked, facts: Gathered, decision: Decision, form: Form) -> Decided:
        verdict = decision.verdict
        own = forms.own_of(facts, verdict, one.check, decision.decision_id, self.at)
        record = DecisionRecord(
            decision_id=decision.decision_id,
            decided_at=self.now,
            accepted=True,
            fault=None,
            emaid=own["emaid"],
            asked_by=one.principal.name,
            record=form.short(own),
        )
        self.kept.records.append(record)
        self.kept.forms[form.kept.form_id] = form.kept
        lasts = self._lasting(record, facts, form.above)
        return Decided(decision=decision, told=partial(form.told, own), lasting=lasts)

    def _in_full(
        self, one: Asked, facts: Gathered, decision: Decision, behind: Behind, key: object
    ) -> Decided:
        chain, evidence, frame, verdict = (
            facts.chain,
            facts.evidence,
            self.frame,
            decision.verdict,
        )
        told, more = to_json(decision), behind.told() if one.further else None
        record = receipts.write(
            one.principal,
            one.check,
            chain,
            evidence,
            frame.trust,
            frame.policy,
            decision,
            told,
            more,
        )
        seen = seen_in(chain, evidence, frame.trust, verdict, self.now)
        self.kept.records.append(record)
        self.kept.seen += seen
        above = above_of(verdict, chain, frame) if not seen else None
        if key is not None and not seen:
            own = forms.own_of(facts, verdict, one.check, decision.decision_id, self.at)
            subject = chain.certificates[0].subject_text
            frame.kept.put(
                key, forms.make(record.record, own, subject, self.now, above) or _NO_FORM
            )
        if more is not None:
            told["authorisation"] = more
        return Decided(
            decision=decision,
            told=lambda: repeats.text(told).encode(),
            lasting=self._lasting(record, facts, above),
        )

    def _lasting(
        self, record: DecisionRecord, facts: Gathered, above: Above | None
    ) -> Lasting | None:
        contract = facts.evidence.contract.contract
        return lasting(record, above, facts.chain, contract, self.turn, self.now)


def _refusal(one: Asked) -> Exception | None:
    try:
        access.require(one.principal, one.action)
    except PkiError as error:
        return error
    return None
