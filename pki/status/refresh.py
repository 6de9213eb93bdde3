"""The periodic work of the status authority."""

from __future__ import annotations

from typing import Final

from pki.jobs import Job
from pki.model import Principal, Role
from pki.ports import Deployment
from pki.status import crls, responders
from pki.status.answers import Answers
from pki.status.policy import StatusPolicy
from pki.status.view import View

ACTOR: Final = Principal(name="jobs", role=Role.ADMIN)
_BATCH: Final = 500


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
            every=30.0,
            work=lambda: refresh_answers(deployment, view, answers),
        ),
    )


def refresh_answers(deployment: Deployment, view: View, answers: Answers) -> int:
    """Sign anew every stored answer that is due; return how many were."""
    view.follow()
    renewed = 0
    while True:
        with deployment.store.read() as tx:
            due = tx.status.due_answers(deployment.clock.now(), _BATCH)
        fresh = [answer for answer in due if answers.renew(answer)]
        renewed += len(fresh)
        if len(due) < _BATCH or not fresh:
            return renewed
