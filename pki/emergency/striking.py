"""See what falls, revoke, block, and put new CAs in place of those that fell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pki import access, audit, gate, lookup, revoke, rotate, trust
from pki.emergency import cases, notices
from pki.emergency.values import Case, Progress, Radius, RootRadius
from pki.errors import Conflict, NotFound
from pki.ids import Fingerprint
from pki.model import CertificateRecord, Issuer, Living, Principal, Reason
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction

_CHARGERS = frozenset((Kind.SECC, Kind.PE_SECC, Kind.STATION))
_CARS = frozenset((Kind.OEM, Kind.VEHICLE))


def radius(deployment: Deployment, principal: Principal, reference: str, reason: Reason) -> Radius:
    """
    Return what falls with a certificate; changes nothing.

    Raises:
        NotFound: `certificate_unknown`.
        Conflict: `serial_ambiguous`.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    try:
        report = revoke.revoke(deployment, principal, reference, reason, dry_run=True)
    except Conflict as error:
        if error.code != "already_revoked":
            raise
        report = None
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        record = _record(tx, reference)
        issuers = _fallen(tx, _with_siblings(tx, record))
        ids = [issuer.issuer_id for issuer in issuers]
        touched = tx.radius.touched(ids, now)
        bundles_for = tx.radius.cars_under(ids)
    alone = [_alone(record)] if not ids else []
    return _radius(record, report, issuers, [*touched, *alone], bundles_for)


def _record(tx: Transaction, reference: str) -> CertificateRecord:
    found = lookup.target(tx, reference)
    if not isinstance(found, CertificateRecord):
        raise NotFound(
            "certificate_unknown",
            "No certificate has this serial; an intent has, which `pnc revoke` closes.",
        )
    return found


def _with_siblings(tx: Transaction, record: CertificateRecord) -> list[CertificateRecord]:
    return [record, *(r for r in tx.certificates.by_key(record.spki_sha256) if r != record)]


def _fallen(tx: Transaction, records: Iterable[CertificateRecord]) -> list[Issuer]:
    """Return the CAs of these certificates and those below them, from the top down."""
    found: list[Issuer] = []
    for record in records:
        found += [i for i in revoke.issuers_below(tx, record) if i not in found]
    return found


def _alone(record: CertificateRecord) -> Living:
    return Living(kind=record.kind, owner=record.owner, count=1, last=record.not_after, names=1)


def _radius(
    record: CertificateRecord,
    report: revoke.RevocationReport | None,
    issuers: list[Issuer],
    touched: list[Living],
    bundles_for: int,
) -> Radius:
    def names(kinds: Iterable[Kind]) -> int:
        return sum(each.names for each in touched if each.kind in kinds)

    return Radius(
        subject=record.subject,
        fingerprint=record.fingerprint,
        report=report,
        issuers=tuple(issuer.issuer_id for issuer in issuers),
        touched=tuple(touched),
        certificates=sum(each.count for each in touched),
        contracts=names((Kind.CONTRACT,)),
        chargers=names(_CHARGERS),
        cars=names(_CARS),
        bundles_for=bundles_for,
        emsps=tuple(sorted({t.owner for t in touched if t.kind is Kind.CONTRACT and t.owner})),
    )


def strike(deployment: Deployment, principal: Principal, reference: str, reason: Reason) -> Case:
    """
    Revoke and block, and put new CAs in place of those that fell; re-issuing is `reissue`.

    From its first commit on every decision and status answer refuses what falls. An interrupted
    run is repeated: what is done is left as it is. Where the root fell, it is no longer trusted.

    Raises:
        NotFound: `certificate_unknown`.
        Conflict: `serial_ambiguous`; `issuer_not_active`: the CA above has no successor.
        ApprovalNeeded: for a CA, as `revoke` and `rotate` have it.
    """
    before = radius(deployment, principal, reference, reason)
    case = _begin(deployment, principal, before, reason)
    if before.report is not None:
        revoke.revoke(deployment, principal, reference, reason)
    if before.issuers:
        replace_cas(deployment, principal, before.fingerprint.value)
    notices.tell_fall(deployment, case, before.touched)
    return case


def _begin(deployment: Deployment, by: Principal, before: Radius, reason: Reason) -> Case:
    """Keep what the case is about before anything falls, as it is hard to find out afterwards."""
    with deployment.store.write() as tx:
        known = cases.find(tx, before.fingerprint.value)
        if known is not None:
            return known
        record = tx.certificates.by_fingerprint(before.fingerprint)
        records = _with_siblings(tx, record) if record else []
        case = Case(
            reference=before.fingerprint.value,
            reason=reason,
            issuers=before.issuers,
            fingerprints=tuple(r.fingerprint.value for r in records),
            begun_at=deployment.clock.now(),
            progress=Progress(),
        )
        cases.keep(tx, case)
        details = {"reason": reason.value, "issuers": list(case.issuers)}
        audit.note(tx, case.begun_at, by.name, "emergency.begin", case.reference, details)
    return case


def replace_cas(deployment: Deployment, principal: Principal, reference: str) -> list[str]:
    """
    Make and use the next generation of every CA of a case that issues no more, top down.

    Others approved it as one act, so that none of its steps asks them again.

    Raises:
        NotFound: `emergency_unknown`.
        Conflict: `issuer_not_active`: the CA above has no successor.
    """
    access.require(principal, access.Action.KEEP_HIERARCHY)
    with deployment.store.read() as tx:
        case = cases.find(tx, reference)
        if case is None:
            raise unknown(reference)
        issuers = [i for i in map(tx.issuers.get, case.issuers) if i is not None]
        missing = [i.name for i in issuers if tx.issuers.active(i.name) is None]
    if not missing:
        return []
    wanted = {"fingerprint": reference, "issuers": list(case.issuers)}
    gate.enter(deployment, principal, "emergency.replace", wanted)
    agreed = replace(deployment, approvals=replace(deployment.approvals, required=0))
    made = []
    for issuer in issuers:
        if issuer.parent_id is None:
            _distrust(agreed, principal, Fingerprint.of(issuer.certificate))
        if issuer.name in missing:
            rotate.prepare(agreed, principal, issuer.name)
            made.append(str(rotate.switch(agreed, principal, issuer.name).new))
    return made


def unknown(reference: str) -> NotFound:
    """Return the error for a certificate that no emergency is about."""
    return NotFound(
        "emergency_unknown",
        f"No emergency was begun for {reference[:64]}.",
        hint="`pnc emergency revoke` begins one.",
    )


def _distrust(deployment: Deployment, principal: Principal, root: Fingerprint) -> None:
    with deployment.store.read() as tx:
        held = any(anchor.fingerprint == root for anchor in tx.trust.anchors())
    if held:
        trust.remove(deployment, principal, root)


# --- foreign roots -------------------------------------------------------------------------------


def distrust(
    deployment: Deployment, principal: Principal, fingerprint: Fingerprint, *, dry_run: bool
) -> RootRadius:
    """
    Stop trusting a root of somebody else's, everywhere, and tell everybody.

    Raises:
        NotFound: `anchor_unknown`.
        ApprovalNeeded: as `trust.remove` has it.
    """
    access.require(principal, access.Action.KEEP_TRUST)
    found = trust.find(deployment, principal, fingerprint)
    domains = tuple(anchor.domain for anchor in found)
    with deployment.store.read() as tx:
        cars, bundles = tx.radius.under_root(fingerprint)
        sources = sum(source.domain in domains for source in tx.evidence.sources())
    if not dry_run:
        trust.remove(deployment, principal, fingerprint)
        notices.tell_distrust(deployment, load(found[0].der))
    return RootRadius(
        fingerprint=fingerprint,
        subject=load(found[0].der).subject_text,
        domains=domains,
        cars=cars,
        bundles=bundles,
        sources=sources,
        dry_run=dry_run,
    )
