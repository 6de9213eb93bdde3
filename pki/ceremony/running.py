"""Carry out a reviewed file: dry first, then with a transcript that is printed and kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pki import access, gate, hierarchy, rotate
from pki.ceremony.script import Script, read
from pki.ceremony.values import Transcript, digest, kept, of_certificate, told, transcript
from pki.errors import NotFound
from pki.ids import quote
from pki.model import Issuer, Principal
from pki.pkix.certificate import load
from pki.ports import Deployment
from pki.rotate import Rotation, Step, cross


def run(
    deployment: Deployment,
    principal: Principal,
    text: str,
    *,
    dry_run: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Transcript:
    """
    Do what the file says, each act once: what exists already is left as it is.

    Others approve the file as a whole, not each of its acts.

    Raises:
        BadInput: `invalid_ceremony`, `invalid_hierarchy`.
        NotFound: `issuer_unknown`.
        Conflict: as `pki.rotate` has it.
        PolicyViolation: `lint_failed`, `cross_certificate_foreign`.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    script = read(text)
    if dry_run:
        lines = _rehearsed(deployment, principal, script)
    else:
        gate.enter(deployment, principal, "ceremony.run", {"file": text})
        agreed = replace(deployment, approvals=replace(deployment.approvals, required=0))
        lines = _done(agreed, principal, script, progress)
    return transcript(
        deployment,
        principal,
        script.title,
        {"file": digest(text)},
        lines,
        people=script.people,
        dry_run=dry_run,
    )


def _rehearsed(deployment: Deployment, principal: Principal, script: Script) -> list[str]:
    with deployment.store.read() as tx:
        known = {issuer.issuer_id for issuer in tx.issuers.all()}
    lines = []
    for plan in script.plans:
        if f"{plan.name}.g1" in known:
            lines.append(f"leave {plan.name} as it is")
        else:
            above = f"under {plan.parent}" if plan.parent else "which signs itself"
            name = f"{plan.common_name}, {plan.organization}, {plan.country}"
            kind = f"{plan.kind.value} ({plan.suite.value})"
            lines.append(f"make the {kind} {plan.name}, {name}, {above}")
    for name, step in script.rollovers:
        shown = rotate.plan(deployment, principal, name)
        lines.append(f"{step.value} {shown.new} after {shown.old}")
    lines += [f"have {by} vouch for {subject}" for by, subject in script.cross]
    lines += [f"retire {one}" + _abandoning(abandon) for one, abandon in script.retired]
    return lines


def _abandoning(abandon: bool) -> str:  # noqa: FBT001 - a column of the script
    return " although certificates live" if abandon else ""


def _done(
    deployment: Deployment,
    principal: Principal,
    script: Script,
    progress: Callable[[str], None],
) -> list[str]:
    created = hierarchy.create(deployment, principal, list(script.plans), progress=progress)
    lines = [("left " if made.existed else "made ") + told(made.issuer) for made in created]
    for name, step in script.rollovers:
        done = _rolled(deployment, principal, name, step)
        lines.append(f"{step.value}: " + told(_issuer(deployment, str(done.new))))
        progress(name)
    for by, subject in script.cross:
        signer, certified = _issuer(deployment, by), _issuer(deployment, subject)
        record = cross.certify(deployment, principal, by=signer, subject=certified)
        what = of_certificate(load(record.der)) if record else "which it does already"
        lines.append(f"{by} vouches for {subject}: {what}")
    for issuer_id, abandon in script.retired:
        rotate.retire(deployment, principal, issuer_id, abandon=abandon)
        lines.append(f"retired {issuer_id}" + _abandoning(abandon))
    return lines


def _rolled(deployment: Deployment, principal: Principal, name: str, step: Step) -> Rotation:
    match step:
        case Step.PREPARE:
            return rotate.prepare(deployment, principal, name)
        case Step.SWITCH:
            return rotate.switch(deployment, principal, name)
        case _:
            return rotate.close(deployment, principal, name)


def _issuer(deployment: Deployment, issuer_id: str) -> Issuer:
    with deployment.store.read() as tx:
        found = tx.issuers.get(issuer_id)
    if found is None or not found.certificate:
        raise NotFound(
            "issuer_unknown",
            f"There is no issuer {quote(issuer_id)}.",
            hint="`pnc issuer list` shows them; write the generation as well, as in v2g-2.g1.",
        )
    return found


def transcripts(deployment: Deployment, principal: Principal) -> dict[str, str]:
    """Return the text of every transcript by its id, oldest first."""
    access.require(principal, access.Action.KEEP_HIERARCHY)
    with deployment.store.read() as tx:
        return kept(tx)
