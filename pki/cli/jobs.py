"""`pnc jobs run`: the periodic work."""

from __future__ import annotations

import os
import signal
from typing import Final

import click

from pki.cli.output import (
    HomeOption,
    emit,
    installation,
    json_option,
    listing,
    with_errors,
)
from pki.errors import BadInput
from pki.jobs import Runner, holder, run_once
from pki.services import check_start


@click.group("jobs")
def jobs_group() -> None:
    """Periodic work: fresh OCSP answers, responders and CRLs."""


@jobs_group.command("run")
@click.argument("names", nargs=-1)
@click.option("--once", is_flag=True, help="Do each job once and end.")
@click.option(
    "--with-parent",
    type=click.IntRange(min=1),
    metavar="PID",
    help="End when the process PID, which started it, ends.",
)
@json_option
@click.pass_obj
@with_errors
def jobs_run(
    home: HomeOption, *, names: tuple[str, ...], once: bool, with_parent: int | None, as_json: bool
) -> None:
    """
    Run the jobs until stopped; any number of runners may run side by side.

    NAMES limits it to some of them: responders, crls, ocsp-answers, evidence, decisions,
    token-keys, webhooks, approvals, audit.
    """
    with installation(home) as services:
        check_start(services)
        jobs = tuple(job for job in services.jobs() if not names or job.name in names)
        if len(jobs) < len(set(names)):
            known = ", ".join(job.name for job in services.jobs())
            raise BadInput("job_unknown", "A job of that name does not exist.", hint=known)
        if once:
            who = holder()
            done = {job.name: run_once(services.deployment, job, who) for job in jobs}
            rows = [(name, "held elsewhere" if n is None else n) for name, n in done.items()]
            emit(done, as_json=as_json, table=lambda: listing(("job", "done"), rows))
            return
        runner = Runner(deployment=services.deployment, jobs=jobs)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runner.stop())
        # the number that was given, as the parent may have ended before this line
        runner.run(lambda: with_parent is None or os.getppid() == with_parent)


COMMANDS: Final = (jobs_group,)
