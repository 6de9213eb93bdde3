"""The rehearsal of a CA's rotation: who feels which step, and when."""

from __future__ import annotations

from pki import access
from pki.model import Issuer, Living, Principal
from pki.pkix.certificate import load
from pki.ports import Deployment
from pki.rotate.lines import Line, close_from, line, needing, number
from pki.rotate.values import Effect, Rotation, Step


def plan(deployment: Deployment, principal: Principal, name: str) -> Rotation:
    """Return the next step of a CA's rotation and who feels which step when; changes nothing."""
    access.require(principal, access.Action.KEEP_HIERARCHY)
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        found = line(tx, name)
        old = found.active[0] if found.active else found.newest
        below = [i for i in tx.issuers.all() if i.parent_id == old.issuer_id]
        living = needing(old, tx.certificates.living(old.issuer_id, now))
    return Rotation(
        key=f"ca {name}",
        step=found.step,
        old=old.issuer_id,
        new=_new(found),
        following=_following(found.step),
        wait_until=close_from(found) if found.step is Step.CLOSE else None,
        effects=(*effects(old, living), *map(_child_effect, below)),
        dry_run=True,
    )


def _new(found: Line) -> str:
    if len(found.active) > 1:
        return found.active[-1].issuer_id
    return f"{found.name}.g{number(found)}"


def _following(step: Step) -> Step | None:
    steps = list(Step)
    return steps[steps.index(step) + 1] if step is not Step.RETIRE else None


def effects(old: Issuer, living: list[Living]) -> tuple[Effect, ...]:
    """Return who feels it when another generation takes the place of this one."""
    ends = max((each.last for each in living), default=load(old.certificate).not_after)
    told = [
        Effect(
            step=Step.SWITCH,
            who="whoever pins the certificate of the CA",
            what=f"refuses what is issued from then on, until it holds the one after "
            f"{old.issuer_id}",
        )
    ]
    told += [
        Effect(
            step=Step.SWITCH,
            who=each.owner or "this PKI",
            what=f"keeps its {each.kind.value} certificates of {old.issuer_id}, good until they "
            "end; renewals come from the next generation",
            at=each.last,
            count=each.count,
        )
        for each in living
    ]
    told.append(
        Effect(
            step=Step.RETIRE,
            who="whoever asks for status",
            what=f"hears nothing of {old.issuer_id} any more; its last certificate has ended",
            at=ends,
        )
    )
    return tuple(told)


def _child_effect(child: Issuer) -> Effect:
    return Effect(
        step=Step.SWITCH,
        who=f"CA {child.issuer_id}",
        what="stays under the old generation until it is rotated itself",
        at=load(child.certificate).not_after,
    )
