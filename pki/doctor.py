"""
Self-diagnosis: named checks, each with what it found and what to do about it.

Nothing is changed. A check that fails says the next step; one that cannot be carried out fails.
"""

from __future__ import annotations

import datetime as dt
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from pki import access, audit, gate
from pki.audit import checkpoints
from pki.clock import format_time
from pki.errors import BadInput, PkiError
from pki.model import RESTORED, AuditQuery, Issuer, IssuerState, Principal, ProposalState
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction

SKEW: Final = dt.timedelta(seconds=30)
"""How far clocks may differ."""

_SLOW: Final = dt.timedelta(minutes=10)
_CA_ENDS: Final = dt.timedelta(days=180)
_LEAF_ENDS: Final = dt.timedelta(days=7)
_SERVING: Final = frozenset((IssuerState.ACTIVE, IssuerState.STATUS_ONLY))
_LEAST_SPACE: Final = 200 * 1024 * 1024
_LITTLE_SPACE: Final = 2 * 1024 * 1024 * 1024
_MANY: Final = 1000
_SHOWN: Final = 5
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Health(StrEnum):
    """What a check says."""

    WELL = "well"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    What one check found.

    Attributes:
        advice: what to do; None where all is well.
    """

    check: str
    health: Health
    found: str
    advice: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """
    What is known of the installation besides its deployment.

    Attributes:
        secret: files that only their owner may read, beside those of the home.
        weaknesses: what in the settings weakens it.
        checkpoint_seconds: how often the audit is to be signed.
    """

    home: Path
    secret: tuple[Path, ...]
    weaknesses: tuple[str, ...]
    checkpoint_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Problem:
    """Something that a check does not like."""

    what: str
    advice: str
    failed: bool = True


Check = Callable[[Deployment, Place], Iterator[_Problem]]


def examine(
    deployment: Deployment,
    principal: Principal,
    place: Place,
    names: tuple[str, ...] = (),
    *,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Finding]:
    """
    Carry out the checks of these names, or all, in order.

    Args:
        progress: told the name of each check before it begins.

    Raises:
        BadInput: `check_unknown`.
    """
    access.require(principal, access.Action.READ_AUDIT)
    unknown = [name for name in names if name not in CHECKS]
    if unknown:
        raise BadInput(
            "check_unknown",
            f"There is no check {', '.join(unknown)}.",
            hint="Checks are " + ", ".join(CHECKS) + ".",
        )
    findings = []
    for name in names or tuple(CHECKS):
        progress(name)
        findings.append(_carried_out(name, deployment, place))
    return findings


def _carried_out(name: str, deployment: Deployment, place: Place) -> Finding:
    check, good = CHECKS[name]
    try:
        problems = list(check(deployment, place))
    except PkiError as error:
        problems = [_Problem(what=error.message, advice=error.hint or f"See {error.code}.")]
    except OSError as error:
        problems = [_Problem(what=str(error), advice="Make it readable for this user.")]
    if not problems:
        return Finding(check=name, health=Health.WELL, found=good)
    failed = any(problem.failed for problem in problems)
    more = f" … and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
    return Finding(
        check=name,
        health=Health.FAILED if failed else Health.WARNING,
        found="; ".join(p.what for p in problems[:_SHOWN]) + more,
        advice=" ".join(dict.fromkeys(p.advice for p in problems[:_SHOWN])),
    )


# --- the checks ----------------------------------------------------------------------------------


def _database(deployment: Deployment, place: Place) -> Iterator[_Problem]:  # noqa: ARG001 - as all
    deployment.store.ping()
    yield from ()


def _clocks(deployment: Deployment, place: Place) -> Iterator[_Problem]:  # noqa: ARG001 - as all
    with deployment.store.read() as tx:
        there = tx.key_uses.database_time()
        entries = tx.audit.search(AuditQuery(), 1)
    now = deployment.clock.now()
    bound = deployment.skew.bound if deployment.skew else SKEW
    if there is not None and abs(there - now) > bound:
        yield _Problem(
            what=f"here it is {format_time(now)}, at the database {format_time(there)}",
            advice="Synchronise both clocks (NTP).",
        )
    if entries and entries[0].at - now > bound:
        yield _Problem(
            what=f"the last audit entry is of {format_time(entries[0].at)}, which is to come",
            advice="The clock was ahead, or is behind now: correct it before anything is signed.",
        )


def _certificates(deployment: Deployment, place: Place) -> Iterator[_Problem]:  # noqa: ARG001 - as all
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        issuers = [i for i in tx.issuers.all() if i.state is IssuerState.ACTIVE]
        responders = _latest((r.issuer_id, r.not_after) for r in tx.status.responders())
        leaves = ((f"{s.root} {s.suite}", load(s.chain[0]).not_after) for s in tx.pools.signers())
        cps = _latest(leaves)
    for issuer in issuers:
        ends = load(issuer.certificate).not_after
        if ends - now < _CA_ENDS:
            yield _Problem(
                what=f"the CA {issuer.issuer_id} ends at {format_time(ends)}",
                advice=f"`pnc rotate ca {issuer.name}` shows the way to its next generation.",
                failed=ends <= now,
            )
    for issuer in issuers:
        found = responders.get(issuer.issuer_id)
        if found is not None and found - now < _LEAF_ENDS:
            yield _Problem(
                what=f"the OCSP responder of {issuer.issuer_id} ends at {format_time(found)}",
                advice="The job `responders` renews it: is `pnc jobs run` running?",
                failed=found <= now,
            )
    for name, ends in cps.items():
        if ends - now < _LEAF_ENDS:
            yield _Problem(
                what=f"the last CPS leaf under {name} ends at {format_time(ends)}",
                advice="The job `cps` renews it: is `pnc jobs run` running?",
                failed=ends <= now,
            )


def _latest(ends: Iterable[tuple[str, dt.datetime]]) -> dict[str, dt.datetime]:
    found: dict[str, dt.datetime] = {}
    for name, end in ends:
        found[name] = max(end, found.get(name, end))
    return found


def _intents(deployment: Deployment, place: Place) -> Iterator[_Problem]:  # noqa: ARG001 - as all
    before = deployment.clock.now() - _SLOW
    with deployment.store.read() as tx:
        left = [i for i in tx.intents.unfinished() if i.created_at < before]
        crls = [i for i in tx.status.unfinished_crl_intents() if i.created_at < before]
        running = tx.proposals.page(state=ProposalState.RUNNING)
    for intent in left:
        yield _Problem(
            what=f"the certificate {intent.serial} of {intent.issuer_id} was begun at "
            f"{format_time(intent.created_at)} and not finished",
            advice="`pnc revoke SERIAL --reason unspecified --yes` closes it.",
            failed=False,
        )
    for crl in crls:
        yield _Problem(
            what=f"CRL {crl.number} of {crl.issuer_id} was begun and not finished",
            advice="The next CRL takes its place: is `pnc jobs run` running?",
            failed=False,
        )
    for proposal in running:
        yield _Problem(
            what=f"the proposal {proposal.proposal_id} was begun and not finished",
            advice="Look what was done of it (`pnc audit search`), and propose the rest anew.",
        )


def _status(deployment: Deployment, place: Place) -> Iterator[_Problem]:  # noqa: ARG001 - as all
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        issuers = [i for i in tx.issuers.all() if i.state in _SERVING and i.certificate]
        for issuer in issuers:
            if issuer.kind is not Kind.PE_ROOT:  # its CA publishes nothing here
                yield from _crls(tx, issuer, now)
        late = [a for a in tx.status.due_answers(now, _MANY) if a.next_update <= now]
    if late:
        yield _Problem(
            what=f"{len(late)} OCSP answers are past their nextUpdate",
            advice="The job `ocsp-answers` signs them anew: is `pnc jobs run` running?",
        )


def _crls(tx: Transaction, issuer: Issuer, now: dt.datetime) -> Iterator[_Problem]:
    for shard in range(issuer.crl_shards + 1):
        crl = tx.status.crl(issuer.issuer_id, shard)
        if crl is None or crl.next_update <= now:
            state = "was never made" if crl is None else f"ended at {format_time(crl.next_update)}"
            yield _Problem(
                what=f"CRL {shard} of {issuer.issuer_id} {state}",
                advice="The job `crls` makes it: is `pnc jobs run` running?",
                failed=crl is not None,
            )


def _keys(deployment: Deployment, place: Place) -> Iterator[_Problem]:  # noqa: ARG001 - as all
    with deployment.store.read() as tx:
        found = [i for i in tx.issuers.all() if i.state in _SERVING and i.certificate]
    for issuer in (issuer for issuer in found if not issuer.offline):
        try:
            signer = deployment.keys.signer(issuer.key_label)
        except PkiError as error:
            yield _Problem(
                what=f"the key of {issuer.issuer_id} cannot be used: {error.code}",
                advice=error.hint or "Mount the keys, or correct the passphrase or PIN.",
            )
            continue
        if signer.suite is not issuer.suite:
            yield _Problem(
                what=f"the key of {issuer.issuer_id} is of another suite",
                advice="Put back the key that was certified, from a backup.",
            )


def _files(deployment: Deployment, place: Place) -> Iterator[_Problem]:  # noqa: ARG001 - as all
    for path in (place.home, place.home / "keys", *_secret_files(place)):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & _OTHERS:
            mode = stat.S_IMODE(path.stat().st_mode)
            yield _Problem(
                what=f"others can reach {path} (mode {mode:04o})",
                advice="chmod go= on each of them.",
            )


def _secret_files(place: Place) -> Iterator[Path]:
    for name in ("pnc.toml", "pnc.db", "demo-clients.json"):
        yield place.home / name
    yield from sorted((place.home / "keys").glob("*"))
    yield from place.secret


def _settings(deployment: Deployment, place: Place) -> Iterator[_Problem]:
    for weakness in place.weaknesses:
        yield _Problem(
            what=weakness.rstrip("."),
            advice="See Configure and Two people in the README.",
            failed=False,
        )
    if deployment.approvals.required and gate.alone(deployment):
        yield _Problem(
            what="whoever holds the home directory acts alone",
            advice=f"Register {deployment.approvals.required + 1} administrators: "
            "`pnc client add --role admin --token-hash HASH`.",
        )
    with deployment.store.read() as tx:
        restored = tx.setting(RESTORED)
    if restored:
        yield _Problem(
            what="this is a restored backup that nobody confirmed",
            advice="`pnc restore check` and `pnc restore confirm`.",
        )


def _disk(deployment: Deployment, place: Place) -> Iterator[_Problem]:  # noqa: ARG001 - as all
    free = shutil.disk_usage(place.home).free
    if free < _LITTLE_SPACE:
        yield _Problem(
            what=f"{free // (1024 * 1024)} MiB are free at {place.home}",
            advice="Make room: without it nothing is issued or revoked.",
            failed=free < _LEAST_SPACE,
        )


def _audit(deployment: Deployment, place: Place) -> Iterator[_Problem]:
    for report in audit.verify(deployment.store):
        if report.problem:
            yield _Problem(
                what=f"{report.chain} {report.broken_at}: {report.problem}",
                advice="Keep everything as it is, and compare with the last export and backup.",
            )
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        last = tx.audit.last_checkpoint(audit.ADMIN)
        waiting = checkpoints.waiting(tx)
    late = 3 * dt.timedelta(seconds=place.checkpoint_seconds)
    if waiting and (last is None or now - last.at > late):
        yield _Problem(
            what="no checkpoint was signed"
            + (f" since {format_time(last.at)}" if last else " yet"),
            advice="The job `audit` signs them: is `pnc jobs run` running?",
            failed=False,
        )


CHECKS: Final[Mapping[str, tuple[Check, str]]] = {
    "database": (_database, "it answers, and has our schema"),
    "clock": (_clocks, "host, database and record agree"),
    "certificates": (_certificates, "no CA, responder or CPS leaf ends soon"),
    "intents": (_intents, "nothing was left half-done"),
    "status": (_status, "CRLs and OCSP answers are fresh"),
    "keys": (_keys, "the key of every CA can be used"),
    "files": (_files, "only their owner reaches them"),
    "settings": (_settings, "nothing weakens it"),
    "disk": (_disk, "there is room"),
    "audit": (_audit, "chains are whole, and signed"),
}
"""Name to check and what is said where it finds nothing."""
