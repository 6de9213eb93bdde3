"""Find what was issued, as far as the caller may see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pki import access
from pki.errors import BadInput, Conflict, NotFound
from pki.ids import Fingerprint, SerialNumber, quote
from pki.issue import chain_of
from pki.model import CertificateRecord, CrlIntent, Intent, Issuer, Principal, Revocation
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction

_FINGERPRINT_DIGITS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A certificate of ours with its chain below the root (DER, leaf first) and its revocation."""

    record: CertificateRecord
    chain: tuple[bytes, ...]
    revocation: Revocation | None


def find(deployment: Deployment, principal: Principal, reference: str) -> Found:
    """
    Return the certificate with this serial or fingerprint.

    Raises:
        NotFound: `certificate_unknown`, also for what the caller may not see.
        Conflict: `serial_ambiguous`.
        BadInput: `invalid_reference`.
    """
    access.require(principal, access.Action.READ_CERTIFICATES)
    with deployment.store.read() as tx:
        record = target(tx, reference)
        visible = access.sees(principal, record.kind, record.owner)
        if not isinstance(record, CertificateRecord) or not visible:
            raise _unknown(reference)
        return Found(
            record=record,
            chain=chain_of(tx, record),
            revocation=tx.certificates.revocation(record.issuer_id, record.serial),
        )


def target(tx: Transaction, reference: str) -> CertificateRecord | Intent:
    """Return the certificate or unfinished intent of a reference; errors as `find`."""
    text = reference.replace(":", "").strip()
    if len(text) == _FINGERPRINT_DIGITS:
        record = tx.certificates.by_fingerprint(Fingerprint.parse(text))
        if record is None:
            raise _unknown(reference)
        return record
    try:
        serial = SerialNumber.parse(text)
    except BadInput as error:
        raise BadInput(
            "invalid_reference",
            f"{quote(reference)} is neither a serial number nor a SHA-256 fingerprint, in hex.",
        ) from error
    return _only([*tx.certificates.by_serial(serial), *_unfinished(tx, serial)], serial, reference)


def _unfinished(tx: Transaction, serial: SerialNumber) -> list[Intent]:
    return tx.intents.find(serial)


def _only(
    found: list[CertificateRecord | Intent], serial: SerialNumber, reference: str
) -> CertificateRecord | Intent:
    if not found:
        raise _unknown(reference)
    if len(found) > 1:
        fingerprints = [r.fingerprint.value for r in found if isinstance(r, CertificateRecord)]
        raise Conflict(
            "serial_ambiguous",
            f"{len(found)} certificates carry the serial {serial}.",
            hint="Name the one you mean by its fingerprint: " + ", ".join(fingerprints) + ".",
            data={"fingerprints": fingerprints},
        )
    return found[0]


def _unknown(reference: str) -> NotFound:
    return NotFound(
        "certificate_unknown",
        f"We issued no certificate {quote(reference)}.",
        hint="`pnc list` shows what was issued.",
    )


def search(  # noqa: PLR0913 - one keyword per filter
    deployment: Deployment,
    principal: Principal,
    *,
    kind: Kind | None = None,
    common_name: str | None = None,
    issuer_id: str | None = None,
    owner: str | None = None,
    after: Fingerprint | None = None,
    limit: int = 100,
) -> list[CertificateRecord]:
    """Return a page of certificates that the caller may see, ordered by fingerprint."""
    access.require(principal, access.Action.READ_CERTIFICATES)
    owners = access.visible_owners(principal)
    if owner is not None:
        owners = (owner,) if owners is None or owner in owners else ()
    kinds = access.visible_kinds(principal)
    if kind is not None:
        kinds = (kind,) if kinds is None or kind in kinds else ()
    with deployment.store.read() as tx:
        return tx.certificates.search(
            kinds=kinds,
            owners=owners,
            issuer_id=issuer_id,
            common_name=common_name,
            after=after,
            limit=limit,
        )


def intents(deployment: Deployment, principal: Principal) -> list[Intent]:
    """Return unfinished intents, oldest first: what a crash left behind."""
    access.require(principal, access.Action.READ_AUDIT)
    with deployment.store.read() as tx:
        return tx.intents.unfinished()


def crl_intents(deployment: Deployment, principal: Principal) -> list[CrlIntent]:
    """Return CRLs that were begun and not finished, oldest first: under way, or cut short."""
    access.require(principal, access.Action.READ_AUDIT)
    with deployment.store.read() as tx:
        return tx.status.unfinished_crl_intents()


def issuers(deployment: Deployment) -> list[Issuer]:
    """Return every CA of ours; their certificates are public."""
    with deployment.store.read() as tx:
        return tx.issuers.all()
