"""Many authorisations at once: as many queries as for one, and one commit for all receipts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from pki import access, validate
from pki.authorize.after import Authorised, Roaming, after, outcome_of, questions_of
from pki.authorize.alike import Alike, Key, keep, key_of
from pki.authorize.case import Questions
from pki.authorize.told import to_json
from pki.ids import Emaid
from pki.model import (
    Accepted,
    Authorisation,
    Contract,
    ContractCheck,
    ContractEvidence,
    Decision,
    EmspAnswer,
    EmspQuestion,
    Principal,
    Repetition,
)
from pki.ports import Deployment
from pki.quick import quick
from pki.realtime import RealTime
from pki.validate.turns import first_behind


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Who asks what."""

    principal: Principal
    check: ContractCheck
    action: access.Action = access.Action.AUTHORIZE


class NotAtOnce(Exception):
    """The question cannot be answered among many: somebody else must be asked, or it is rare."""


class _AtOnce(RealTime):
    """
    Knows who could be asked, and asks nobody: one eMSP must not hold up everybody's answers.

    Attributes:
        used: something was asked that no change log tells of.
    """

    def __init__(self, real: RealTime) -> None:
        super().__init__()
        self._real = real
        self.used = False

    def reaches(self, emsp: str, hub: str | None) -> bool:
        """Tell whether any way leads to an eMSP."""
        self.used = True
        return self._real.reaches(emsp, hub)

    def ask(self, question: EmspQuestion) -> EmspAnswer:
        """Raise NotAtOnce."""
        raise NotAtOnce(question.emsp)


def authorize_many(
    deployment: Deployment,
    roaming: Roaming,
    asks: Sequence[Ask],
    repeated: Sequence[Repetition] = (),
) -> list[Authorised | Exception]:
    """
    Decide as `authorize` does, with as many queries as for one and one commit.

    What one of them raises is its result, among that NotAtOnce for what `authorize` alone can do.

    Args:
        repeated: further receipts of the same commit.

    Raises:
        Unavailable: the store cannot be read or the receipts not written; nobody is accepted.
    """
    if not asks:
        validate.validate_many(deployment, (), repeated)
        return []
    group = _Group(deployment, roaming)
    chosen = [at for at, ask in enumerate(asks) if ask.check.chain is not None]
    asked = [group.asked(at, asks[at]) for at in chosen]
    results = validate.validate_many(deployment, asked, repeated)
    found: list[Authorised | Exception] = [NotAtOnce("no chain was presented") for _ in asks]
    for at, result in zip(chosen, results, strict=True):
        found[at] = result if isinstance(result, Exception) else group.result(at, asks[at], result)
    return found


class _Group:
    """What the questions of one group share, and what became of each."""

    def __init__(self, deployment: Deployment, roaming: Roaming) -> None:
        self._deployment = deployment
        self._directory = roaming.directory.now()
        self._realtime = _AtOnce(roaming.realtime)
        self._roaming = Roaming(directory=roaming.directory, realtime=self._realtime)
        self._found: dict[int, tuple[Authorisation, bool]] = {}
        self._alike: dict[int, tuple[Alike, Emaid, Contract]] = {}
        self._turns: dict[dt.datetime, dt.datetime] = {}

    def asked(self, at: int, ask: Ask) -> validate.Asked:
        """Return the contract decision that is asked first, and how to go on behind it."""
        return validate.Asked(
            principal=ask.principal,
            check=ask.check,
            action=ask.action,
            further=partial(self._further, at, ask),
            like=partial(self._like, at, ask),
        )

    def _like(
        self, at: int, ask: Ask, emaid: Emaid, contract: Contract, now: dt.datetime
    ) -> object:
        """Return what stands for an authorisation behind an acceptance, if one like it is kept."""
        key = self._key(ask, emaid, contract, now)
        alike = self._directory.kept.get(key)
        if not isinstance(alike, Alike):
            return None
        self._alike[at] = alike, emaid, contract
        return alike.like

    def _further(
        self, at: int, ask: Ask, decision: Decision, evidence: ContractEvidence
    ) -> validate.Behind:
        found, used, like = self._authorised(ask, decision, evidence)
        self._found[at] = found, used
        return validate.Behind(partial(to_json, found), like)

    def _authorised(
        self, ask: Ask, decision: Decision, evidence: ContractEvidence
    ) -> tuple[Authorisation, bool, object]:
        """Return it, whether something was asked that no change log tells of, and its like."""
        check, directory, now = ask.check, self._directory, decision.decided_at
        verdict, contract = decision.verdict, evidence.contract
        key = None
        if isinstance(verdict, Accepted) and verdict.emaid is not None and contract is not None:
            key = self._key(ask, verdict.emaid, contract, now)
            alike = directory.kept.get(key)
            if isinstance(alike, Alike):
                names = (decision.decision_id, now, verdict.emaid, contract)
                return alike.again(*names, check.evse_id), False, alike.like
        self._realtime.used = False
        found = after(self._deployment, self._questions(ask, decision), decision, evidence, check)
        used = self._realtime.used
        kept = keep(directory, key, found) if key is not None and not used else None
        return found, used, kept.like if kept is not None else None

    def _key(self, ask: Ask, emaid: Emaid, contract: Contract, now: dt.datetime) -> Key:
        about = (self._directory, ask.principal, ask.check)
        return key_of(*about, emaid, contract, now, self._turn(now))

    def _turn(self, now: dt.datetime) -> dt.datetime:
        """Return when the next range or agreement begins or ends."""
        found = self._turns.get(now)
        if found is None:
            found = self._turns[now] = first_behind(self._directory.turns, now)
        return found

    def _questions(self, ask: Ask, decision: Decision) -> Questions:
        about = (self._roaming, self._directory, ask.principal, ask.check)
        named = (decision.decision_id, decision.decided_at)
        questions = questions_of(self._deployment, *about, *named)
        questions.running = self._counted(questions.running)
        return questions

    def _counted(self, running: Callable[[str], int]) -> Callable[[str], int]:
        def counted(contract_id: str) -> int:
            self._realtime.used = True  # sessions begin and end without a word in the change log
            return running(contract_id)

        return counted

    def result(self, at: int, ask: Ask, decided: validate.Decided) -> Authorised:
        """Return the authorisation behind a decision."""
        known = self._found.get(at)
        if known is None:
            alike, emaid, contract = self._alike[at]
            made = partial(_again, alike, emaid, contract, ask.check.evse_id, decided)
            lasts = self._until(decided.lasting)
            spoken = decided.reference, alike.ocpp
            return Authorised(made, alike.outcome, lasts, decided.told, spoken)
        found, used = known
        decision = decided.decision
        return Authorised(
            lambda: (decision, found),
            outcome_of(decision, found),
            None if used else self._until(decided.lasting),
            decided.told,
        )

    def _until(self, lasting: validate.Lasting | None) -> validate.Lasting | None:
        """Return how long an authorisation lasts, too."""
        if lasting is None:
            return None
        end = self._turn(lasting.since)
        return lasting if end >= lasting.until else lasting._replace(until=end)


def _again(
    alike: Alike, emaid: Emaid, contract: Contract, evse: str | None, decided: validate.Decided
) -> tuple[Decision, Authorisation]:
    """Make what a form told."""
    decision = decided.decision
    names = (decision.decision_id, decision.decided_at)
    return decision, alike.again(*names, emaid, contract, evse)
