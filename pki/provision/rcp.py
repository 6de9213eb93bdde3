"""
The root certificate pool: the trust anchors, with what relying parties want to know of them.

Every write repeats the root's SHA-256 fingerprint, learned through a second channel (spec 6.1).
A root that is revoked does not cascade; that is an organisational process (spec 6.2 row 11).
"""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from dataclasses import dataclass

from pki import access, audit, gate, trust
from pki.errors import BadInput, JsonValue, NotFound, PolicyViolation
from pki.ids import Fingerprint, quote
from pki.model import (
    Anchor,
    CrossCertificate,
    Domain,
    Principal,
    RootNote,
    TrustList,
)
from pki.pkix.certificate import Certificate, load
from pki.pkix.path.signatures import certifies
from pki.ports import Deployment, Transaction
from pki.provision import notices

_NAMESPACE = uuid.UUID("4b1d9d7c-3c0e-5c0e-9a5e-8f2f4f6d7a11")


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """
    A root of the pool.

    Attributes:
        root_id: UUID that follows from type and fingerprint, so that it never changes.
        trust_lists: none is the same as `No CTL`.
        cross: certificates by which other roots vouch for its key.
    """

    root_id: str
    domain: Domain
    certificate: Certificate
    added_at: dt.datetime
    trust_lists: tuple[TrustList, ...]
    cross: tuple[CrossCertificate, ...]


def roots(deployment: Deployment, principal: Principal, domain: Domain | None = None) -> list[Root]:
    """Return the roots, of one type where one is named, oldest first."""
    access.require(principal, access.Action.READ_ROOTS)
    with deployment.store.read() as tx:
        return [r for r in _roots(tx) if domain in (None, r.domain)]


def root(deployment: Deployment, principal: Principal, root_id: str) -> Root:
    """Return one root. Raises NotFound (`root_unknown`)."""
    access.require(principal, access.Action.READ_ROOTS)
    with deployment.store.read() as tx:
        return _find(tx, root_id)


def add(  # noqa: PLR0913 - what is added, and its proof
    deployment: Deployment,
    principal: Principal,
    data: bytes,
    domain: Domain,
    *,
    confirm: str,
    trust_lists: tuple[TrustList, ...] = (),
) -> Root:
    """
    Add a root (PEM or DER); it is trusted from the next decision on.

    Args:
        confirm: its fingerprint, once more.

    Raises:
        BadInput: `unreadable`, `anchor_not_ca`, `anchor_key`, `invalid_fingerprint`,
            `fingerprint_not_confirmed`, `root_not_self_signed`.
        Conflict: `anchor_exists`.
    """
    access.require(principal, access.Action.KEEP_TRUST)
    certificate = trust.anchor_certificate(data)
    _confirmed(certificate.fingerprint, confirm)
    if not certificate.self_issued or not certifies(certificate.public_key, certificate.x509):
        raise BadInput("root_not_self_signed", "A root signs itself; this certificate does not.")
    wanted = {
        "certificate": base64.b64encode(certificate.der).decode(),
        "domain": domain.value,
        "trustLists": [each.value for each in trust_lists],
    }
    gate.enter(deployment, principal, "root.add", wanted)
    anchor = Anchor(
        fingerprint=certificate.fingerprint,
        domain=domain,
        der=certificate.der,
        added_at=deployment.clock.now(),
        added_by=principal.name,
    )
    note = RootNote(fingerprint=anchor.fingerprint, domain=domain, trust_lists=trust_lists)
    with deployment.store.write() as tx:
        trust.put(tx, anchor, certificate)
        tx.pools.put_root_note(note)
        added = _find(tx, _id(anchor))
        notices.emit(tx, notices.ROOT_ADDED, "", payload(added), anchor.added_at)
    return added


def remove(
    deployment: Deployment,
    principal: Principal,
    root_id: str,
    *,
    confirm: str,
    dry_run: bool = False,
) -> Root:
    """
    Stop trusting a root; nothing below it is revoked.

    Raises:
        NotFound: `root_unknown`.
        BadInput: `invalid_fingerprint`, `fingerprint_not_confirmed`.
    """
    access.require(principal, access.Action.KEEP_TRUST)
    if dry_run:
        with deployment.store.read() as tx:
            found = _find(tx, root_id)
            _confirmed(found.certificate.fingerprint, confirm)
            return found
    wanted = {"root": root_id, "confirm": confirm}
    gate.enter(deployment, principal, "root.remove", wanted)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        found = _find(tx, root_id)
        _confirmed(found.certificate.fingerprint, confirm)
        tx.trust.remove_anchor(found.certificate.fingerprint, found.domain, now)
        _record(tx, principal, now, "trust.remove", found, {"domain": found.domain.value})
        notices.emit(tx, notices.ROOT_REVOKED, "", payload(found), now)
    return found


def set_trust_lists(
    deployment: Deployment,
    principal: Principal,
    root_id: str,
    lists: tuple[TrustList, ...],
    *,
    confirm: str,
) -> Root:
    """Say on which trust lists a root stands; errors as `remove`."""
    access.require(principal, access.Action.KEEP_TRUST)
    wanted = {"root": root_id, "trustLists": [each.value for each in lists], "confirm": confirm}
    gate.enter(deployment, principal, "root.lists", wanted)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        found = _find(tx, root_id)
        _confirmed(found.certificate.fingerprint, confirm)
        tx.pools.put_root_note(
            RootNote(
                fingerprint=found.certificate.fingerprint, domain=found.domain, trust_lists=lists
            )
        )
        _record(tx, principal, now, "root.lists", found, {"lists": [x.value for x in lists]})
        return _find(tx, root_id)


def add_cross_certificate(
    deployment: Deployment, principal: Principal, data: bytes, *, confirm: str
) -> Root:
    """
    Add a certificate by which one root of the pool vouches for the key of another.

    It must not outlive either ([V2G20-1853]).

    Raises:
        BadInput: `unreadable`, `anchor_not_ca`, `anchor_key`, `fingerprint_not_confirmed`.
        PolicyViolation: `cross_certificate_foreign` (issuer or subject is no root of the pool, or
            the signature does not verify), `outlives_issuer`.
        Conflict: `cross_certificate_exists`.
    """
    access.require(principal, access.Action.KEEP_TRUST)
    certificate = trust.anchor_certificate(data)
    _confirmed(certificate.fingerprint, confirm)
    wanted = {"certificate": base64.b64encode(certificate.der).decode()}
    gate.enter(deployment, principal, "root.cross.add", wanted)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        certified = _crossed(certificate, _roots(tx))
        tx.pools.add_cross_certificate(
            CrossCertificate(
                fingerprint=certificate.fingerprint,
                certified=certified.certificate.fingerprint,
                der=certificate.der,
                added_at=now,
                added_by=principal.name,
            )
        )
        _record(
            tx,
            principal,
            now,
            "root.cross.add",
            certified,
            {"cross": certificate.fingerprint.value},
        )
        return _find(tx, certified.root_id)


def remove_cross_certificate(
    deployment: Deployment, principal: Principal, fingerprint: Fingerprint, *, confirm: str
) -> None:
    """Remove one. Raises NotFound (`cross_certificate_unknown`), BadInput as `remove`."""
    access.require(principal, access.Action.KEEP_TRUST)
    _confirmed(fingerprint, confirm)
    wanted = {"fingerprint": fingerprint.value}
    gate.enter(deployment, principal, "root.cross.remove", wanted)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        if not tx.pools.remove_cross_certificate(fingerprint):
            raise NotFound("cross_certificate_unknown", "There is no such cross certificate.")
        audit.note(tx, now, principal.name, "root.cross.remove", fingerprint.value)


def payload(found: Root) -> dict[str, JsonValue]:
    """Return what events say of a root."""
    names = found.certificate.common_names
    return {
        "rootCertificateId": found.root_id,
        "distinguishedName": found.certificate.subject_text,
        "commonName": names[0] if names else None,
        "rootType": found.domain.value.upper(),
        "rootSerialNumber": f"{found.certificate.serial:x}",
        "signatureAlgorithm": notices.CURVES[found.certificate.suite]
        if found.certificate.suite
        else None,
        "fingerprintSHA256": found.certificate.fingerprint.value,
    }


def _id(anchor: Anchor) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{anchor.domain.value} {anchor.fingerprint}"))


def _roots(tx: Transaction) -> list[Root]:
    notes = tx.pools.root_notes()
    cross = tx.pools.cross_certificates()
    return [
        Root(
            root_id=_id(anchor),
            domain=anchor.domain,
            certificate=load(anchor.der),
            added_at=anchor.added_at,
            trust_lists=note.trust_lists if note else (),
            cross=tuple(c for c in cross if c.certified == anchor.fingerprint),
        )
        for anchor in tx.trust.anchors()
        for note in (notes.get((anchor.fingerprint, anchor.domain)),)
    ]


def _find(tx: Transaction, root_id: str) -> Root:
    for found in _roots(tx):
        if found.root_id == root_id.lower():
            return found
    raise NotFound(
        "root_unknown",
        f"There is no root certificate {quote(root_id)}.",
        hint="`pnc root list` shows the roots.",
    )


def _confirmed(fingerprint: Fingerprint, confirm: str) -> None:
    if Fingerprint.parse(confirm) != fingerprint:
        raise BadInput(
            "fingerprint_not_confirmed",
            "The fingerprint that was given is not that of this certificate.",
            hint="Learn it from its owner through a second channel, and repeat it in the call.",
        )


def _crossed(cross: Certificate, known: list[Root]) -> Root:
    """Return the root whose key a cross certificate certifies."""
    certified = [r for r in known if r.certificate.spki == cross.spki]
    issuers = [
        r
        for r in known
        if r.certificate.normal_subject == cross.normal_issuer
        and certifies(r.certificate.public_key, cross.x509)
    ]
    if not certified or not issuers or cross.self_issued:
        raise PolicyViolation(
            "cross_certificate_foreign",
            "A cross certificate is signed by one root of the pool and certifies another's key.",
        )
    ends = min(certified[0].certificate.not_after, issuers[0].certificate.not_after)
    if cross.not_after > ends:
        raise PolicyViolation("outlives_issuer", "A cross certificate outlives neither root.")
    return certified[0]


def _record(  # noqa: PLR0913 - the columns of an audit row
    tx: Transaction,
    principal: Principal,
    at: dt.datetime,
    action: str,
    found: Root,
    details: dict[str, JsonValue],
) -> None:
    audit.note(tx, at, principal.name, action, found.certificate.fingerprint.value, details)
