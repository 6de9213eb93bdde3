"""`pnc rotate`: new keys in place of old ones, without an outage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import click

from pki import lookup, rotate
from pki.cli.output import (
    HomeOption,
    emit,
    installation,
    json_option,
    listing,
    operator,
    with_errors,
    yes_option,
)
from pki.clock import format_time
from pki.rotate import Rotation, Step
from pki.services import Services

plan_option = click.option(
    "--plan", is_flag=True, help="A rehearsal: who feels which step, and when. Changes nothing."
)


def step_option(*steps: Step) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option that names a step."""
    return click.option(
        "--step",
        type=click.Choice([step.value for step in steps]),
        help="Default: the one that comes next.",
    )


@click.group("rotate")
def rotate_group() -> None:
    """
    Rotate keys: CAs, OCSP responders, CPS leaves, token, webhook and storage keys.

    The next generation is prepared, then signs, and the old one goes on answering for what it
    signed until the last of it has ended. Without --yes only the next step is shown; --plan tells
    who feels which step and when.
    """


@rotate_group.command("ca")
@click.argument("name")
@step_option(*Step)
@click.option("--generation", type=click.IntRange(1), help="Which one to retire.")
@click.option(
    "--abandon", is_flag=True, help="Retire although certificates live; their status ends with it."
)
@plan_option
@yes_option
@json_option
@click.pass_obj
@with_errors
def rotate_ca(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    name: str,
    step: str | None,
    generation: int | None,
    abandon: bool,
    plan: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """
    Rotate a CA: prepare, switch, close, retire; the job `rotation` closes and retires by itself.

    Relying parties fetch the prepared certificate at /ca/NAME.gN; leave them time before `switch`.
    A root gets cross certificates with the one before it; rotate the CAs below it afterwards.
    """
    with installation(home) as services:
        found = rotate.plan(services.deployment, operator(), name)
        if yes and not plan:
            chosen = Step(step) if step else found.step
            old = f"{name}.g{generation}" if generation else found.old or name
            found = _ca_step(services, name, chosen, old, abandon=abandon)
    _show([found], as_json=as_json, plan=plan)


def _ca_step(services: Services, name: str, step: Step, old: str, *, abandon: bool) -> Rotation:
    deployment, who = services.deployment, operator()
    match step:
        case Step.PREPARE:
            return rotate.prepare(deployment, who, name)
        case Step.SWITCH:
            return rotate.switch(deployment, who, name)
        case Step.CLOSE:
            return rotate.close(deployment, who, name)
        case Step.RETIRE:
            return rotate.retire(deployment, who, old, abandon=abandon)


@rotate_group.command("responder")
@click.argument("name")
@plan_option
@yes_option
@json_option
@click.pass_obj
@with_errors
def rotate_responder(home: HomeOption, *, name: str, plan: bool, yes: bool, as_json: bool) -> None:
    """Give a CA (or one generation of it) a new delegated OCSP signer."""
    with installation(home) as services:
        done = rotate.responder(services.deployment, operator(), name, dry_run=plan or not yes)
    _show(done, as_json=as_json, plan=plan)


@rotate_group.command("cps")
@click.argument("name")
@plan_option
@yes_option
@json_option
@click.pass_obj
@with_errors
def rotate_cps(home: HomeOption, *, name: str, plan: bool, yes: bool, as_json: bool) -> None:
    """Give a CPS sub-CA 2 a new leaf, which signs the waiting contract bundles anew."""
    with installation(home) as services:
        done = rotate.cps(services.deployment, operator(), name, dry_run=plan or not yes)
    _show([done], as_json=as_json, plan=plan)


@rotate_group.command("token")
@plan_option
@yes_option
@json_option
@click.pass_obj
@with_errors
def rotate_token(home: HomeOption, *, plan: bool, yes: bool, as_json: bool) -> None:
    """Sign access tokens with a new key; tokens that were handed out stay good."""
    with installation(home) as services:
        done = rotate.token(services.deployment, operator(), dry_run=plan or not yes)
    _show([done], as_json=as_json, plan=plan)


@rotate_group.command("webhooks")
@step_option(Step.PREPARE, Step.SWITCH)
@plan_option
@yes_option
@json_option
@click.pass_obj
@with_errors
def rotate_webhooks(
    home: HomeOption, *, step: str | None, plan: bool, yes: bool, as_json: bool
) -> None:
    """
    Rotate the key of the webhooks' secrets.

    After `prepare` owners read `nextSecret` beside `secret`, and every delivery carries
    X-Operator-Signature-Next as well; after `switch` the next secret is the secret.
    """
    chosen = Step(step) if step else None
    with installation(home) as services:
        done = rotate.webhooks(services.deployment, operator(), chosen, dry_run=plan or not yes)
    _show([done], as_json=as_json, plan=plan)


@rotate_group.command("storage")
@step_option(Step.PREPARE, Step.SWITCH, Step.RETIRE)
@plan_option
@yes_option
@json_option
@click.pass_obj
@with_errors
def rotate_storage(
    home: HomeOption, *, step: str | None, plan: bool, yes: bool, as_json: bool
) -> None:
    """
    Rotate the key that encrypts the secrets of partners.

    Where several hosts serve, bring the file of the next key to each of them after `prepare`.
    An interrupted `switch` is taken up by calling it again.
    """
    chosen = Step(step) if step else None
    with installation(home) as services:
        done = rotate.storage(services.deployment, operator(), chosen, dry_run=plan or not yes)
    _show([done], as_json=as_json, plan=plan)


@rotate_group.command("list")
@json_option
@click.pass_obj
@with_errors
def rotate_list(home: HomeOption, *, as_json: bool) -> None:
    """Show how far the rotation of every CA is."""
    with installation(home) as services:
        names = sorted({issuer.name for issuer in lookup.issuers(services.deployment)})
        found = [rotate.plan(services.deployment, operator(), name) for name in names]
    _show(found, as_json=as_json, plan=False)


# --- showing -------------------------------------------------------------------------------------


def _show(found: list[Rotation], *, as_json: bool, plan: bool) -> None:
    body = {"rotations": [_json(each) for each in found]}
    rows = [
        (
            r.key,
            r.step.value,
            r.old,
            r.new,
            r.following.value if r.following else None,
            r.wait_until,
        )
        for r in found
    ]
    columns = ("key", "next" if found[0].dry_run else "done", "old", "new", "then", "not before")
    emit(body, as_json=as_json, table=lambda: listing(columns, rows))
    if as_json:
        return
    if plan:
        effects = [
            (e.step.value, e.at.date() if e.at else None, e.who, e.count, e.what)
            for r in found
            for e in r.effects
        ]
        emit({}, as_json=False, table=lambda: listing(_EFFECTS, effects))
    if found[0].dry_run:
        click.echo("Nothing was changed. Add --yes to take the step.")


_EFFECTS: Final = ("step", "until", "who", "count", "what")


def _json(found: Rotation) -> dict[str, Any]:
    return {
        "key": found.key,
        "step": found.step.value,
        "dryRun": found.dry_run,
        "old": found.old,
        "new": found.new,
        "following": found.following.value if found.following else None,
        "waitUntil": format_time(found.wait_until) if found.wait_until else None,
        "effects": [
            {
                "step": effect.step.value,
                "who": effect.who,
                "what": effect.what,
                "at": format_time(effect.at) if effect.at else None,
                "count": effect.count,
            }
            for effect in found.effects
        ],
    }


COMMANDS: Final = (rotate_group,)
