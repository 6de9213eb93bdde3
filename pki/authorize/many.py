"""Many authorisations at once: as many queries as for one, and one commit for all receipts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pki import access, validate
from pki.authorize.after import Authorised, Roaming, after, questions_of
from pki.authorize.alike import Alike, keep, key_of
from pki.authorize.case import Questions
from pki.authorize.told import to_json
from pki.model import (
    Authorisation,
    ContractCheck,
    ContractEvidence,
    Decision,
    DecisionRecord,
    EmspAnswer,
    EmspQuestion,
    Principal,
)
from pki.ports import Deployment
from pki.realtime import RealTime
from pki.validate.turns import first_behind


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
    repeated: Sequence[DecisionRecord] = (),
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
        found[at] = result if isinstance(result, Exception) else group.result(at, result)
    return found


class _Group:
    """What the questions of one group share, and what became of each."""

    def __init__(self, deployment: Deployment, roaming: Roaming) -> None:
        self._deployment = deployment
        self._directory = roaming.directory.now()
        self._realtime = _AtOnce(roaming.realtime)
        self._roaming = Roaming(directory=roaming.directory, realtime=self._realtime)
        self._found: dict[int, tuple[Authorisation, bool]] = {}
        self._turns: dict[dt.datetime, dt.datetime] = {}

    def asked(self, at: int, ask: Ask) -> validate.Asked:
        """Return the contract decision that is asked first, and how to go on behind it."""

        def further(decision: Decision, evidence: ContractEvidence) -> validate.Behind:
            found, used, like = self._authorised(ask, decision, evidence)
            self._found[at] = found, used
            return validate.Behind(partial(to_json, found), like)

        return validate.Asked(
            principal=ask.principal, check=ask.check, action=ask.action, further=further
        )

    def _authorised(
        self, ask: Ask, decision: Decision, evidence: ContractEvidence
    ) -> tuple[Authorisation, bool, object]:
        """Return it, whether something was asked that no change log tells of, and its like."""
        check, directory = ask.check, self._directory
        turn = self._turn(decision.decided_at)
        key = key_of(directory, ask.principal, check, decision, evidence, turn)
        alike = directory.kept.get(key) if key is not None else None
        verdict, contract = decision.verdict, evidence.contract
        if isinstance(alike, Alike) and verdict.emaid is not None and contract is not None:
            names = (decision.decision_id, decision.decided_at)
            found = alike.again(*names, verdict.emaid, contract, check.evse_id)
            return found, False, alike.like
        self._realtime.used = False
        found = after(self._deployment, self._questions(ask, decision), decision, evidence, check)
        used = self._realtime.used
        alike = keep(directory, key, found) if key is not None and not used else None
        return found, used, alike.like if alike is not None else None

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

    def result(self, at: int, decided: validate.Decided) -> Authorised:
        """Return the authorisation behind a decision."""
        found, used = self._found[at]
        lasting = None if used else decided.lasting
        if lasting is not None:
            end = self._turn(lasting.since)
            lasting = lasting if end >= lasting.until else replace(lasting, until=end)
        return Authorised(
            decision=decided.decision,
            authorisation=found,
            lasting=lasting,
            told=decided.told,
        )
