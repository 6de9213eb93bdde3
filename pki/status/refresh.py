"""The periodic work of the status authority."""

from __future__ import annotations

import time
from typing import Final

from pki.errors import PkiError
from pki.jobs import Job
from pki.model import Principal, Role, StoredAnswer
from pki.ports import Deployment
from pki.status import crls, responders
from pki.status.answers import Answers
from pki.status.policy import StatusPolicy
from pki.status.view import View

ACTOR: Final = Principal(name="jobs", role=Role.ADMIN)
_BATCH: Final = 500
_BUDGET: Final = 10.0
"""Seconds after which the job lets go, for a runner that wants to end."""
_OUTAGES: Final = frozenset(("store_unavailable", "store_busy"))


def jobs(
    deployment: Deployment, view: View, answers: Answers, policy: StatusPolicy
) -> tuple[Job, ...]:
    """Return the jobs that keep answers, responders and CRLs fresh."""
    return (
        Job(
            name="responders",
            every=600.0,
            work=lambda: responders.renew(deployment, ACTOR, policy),
        ),
        Job(name="crls", every=2.0, work=lambda: crls.publish_due(deployment, ACTOR, policy)),
        Job(
            name="ocsp-answers",
            every=10.0,
            work=lambda: refresh_answers(deployment, view, answers),
        ),
    )


def refresh_answers(deployment: Deployment, view: View, answers: Answers) -> int:
    """
    Sign anew the stored answers that are due, for some seconds; return how many were.

    What cannot be signed is dropped, since nobody is given an answer in the second half of its
    life, and the next ones must not wait behind it.

    Raises:
        PkiError: the first failure, after the others had their turn; at once where the store is
            out of reach.
    """
    view.follow()
    begun = time.monotonic()
    renewed = 0
    failures: list[PkiError] = []
    while time.monotonic() - begun < _BUDGET:
        with deployment.store.read() as tx:
            due = tx.status.due_answers(deployment.clock.now(), _BATCH)
        lost = [answer for answer in due if not _renew(answers, answer, failures)]
        renewed += len(due) - len(lost)
        _drop(deployment, lost)
        if len(due) < _BATCH:
            break
    answers.account()
    if failures:
        raise failures[0]
    return renewed


def _renew(answers: Answers, answer: StoredAnswer, failures: list[PkiError]) -> bool:
    try:
        return answers.renew(answer)
    except PkiError as error:
        if error.code in _OUTAGES:
            raise
        failures.append(error)
        return False


def _drop(deployment: Deployment, lost: list[StoredAnswer]) -> None:
    if lost:
        with deployment.store.write() as tx:
            for answer in lost:
                tx.status.drop_answers(answer.issuer_id, answer.serial)
