"""
Two-phase issuance: reserve, lint a twin, commit the intent, sign once, prove, commit the
certificate.

From a CSR come the public key and the CN; everything else comes from the profile, the issuer and
the
registration of the party. A crash anywhere leaves nothing, or an intent that `pnc list --intents`
shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import x448
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
)

from pki.errors import PkiError
from pki.issue.chains import chain_of, chain_to_root, crl_address, issuer_chain
from pki.issue.order import (
    IssueRequest,
    Placed,
    Wanted,
    ignored_by,
    newest_issuer,
    place,
    place_many,
)
from pki.issue.own import attribute, own_leaf
from pki.issue.phases import UNFINISHED, abandon, carry_out, carry_out_many
from pki.issue.telling import EXPIRING, mark_of, tell
from pki.issue.twins import lint_fully, linted_twin, longest, twin_of
from pki.issue.values import Beside, Order, spki_hash, suite_for, validity_end
from pki.model import CertificateRecord, Principal
from pki.pkix.suites import PrivateKey
from pki.ports import Deployment, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """
    A certificate with the chain below its root, leaf first, as DER.

    Attributes:
        ignored: what the CSR asked for and did not get.
        alternate_key: X448 key beside an Ed448 one.
        private_key: only where it was generated here; never stored.
    """

    record: CertificateRecord
    chain: tuple[bytes, ...]
    ignored: tuple[str, ...] = ()
    private_key: PrivateKey | None = field(default=None, repr=False)
    alternate_key: x448.X448PrivateKey | None = field(default=None, repr=False)

    def private_pem(self, encryption: KeySerializationEncryption) -> bytes:
        """Return the generated keys, PEM blocks one after the other; empty where there are none."""
        keys = (key for key in (self.private_key, self.alternate_key) if key is not None)
        return b"".join(
            k.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption) for k in keys
        )


def issue(
    deployment: Deployment,
    principal: Principal,
    request: IssueRequest,
    beside: Beside | None = None,
) -> Issued:
    """
    Issue one leaf certificate.

    Args:
        beside: is stored with it.

    Raises:
        NotAllowed: `role_not_allowed`, `party_not_allowed`, `host_not_allowed`.
        BadInput: `csr_unreadable`, `csr_signature_invalid`, `invalid_…` for a CN of another form,
            `common_name_mismatch`, `not_after_past`.
        NotFound: `issuer_unknown`.
        PolicyViolation: `key_not_allowed`, `key_weak`, `key_blocked`, `key_reused`,
            `suite_mismatch`, `account_unknown`, `party_unknown`, `outlives_issuer`,
            `validity_too_long`, `lint_failed`.
        Conflict: `emaid_ambiguous`, `common_name_taken`, `certificate_current`,
            `issuer_not_active`.
        Unavailable: store or key out of reach.
    """
    placed = place(deployment, principal, request)
    return _issued(placed, carry_out(deployment, principal, placed.order, beside))


def issue_many(deployment: Deployment, wanted: Sequence[Wanted]) -> list[Issued | PkiError]:
    """
    Issue leaf certificates together: one read and two commits for all, or three beside a signer.

    What `issue` would raise for one of them stands in its place, and leaves the others alone.

    Raises:
        Unavailable: the store is out of reach before anything was begun.
    """
    placed = place_many(deployment, wanted)
    orders = [
        (principal, each.order)
        for (principal, _), each in zip(wanted, placed, strict=True)
        if isinstance(each, Placed)
    ]
    records = iter(carry_out_many(deployment, orders))
    return [
        each if isinstance(each, PkiError) else _issued_or_error(each, next(records))
        for each in placed
    ]


def _issued_or_error(placed: Placed, record: CertificateRecord | PkiError) -> Issued | PkiError:
    return record if isinstance(record, PkiError) else _issued(placed, record)


def _issued(placed: Placed, record: CertificateRecord) -> Issued:
    return Issued(
        record=record,
        chain=(record.der, *placed.above),
        ignored=placed.ignored,
        private_key=placed.private_key,
        alternate_key=placed.alternate_key,
    )


def made_under(tx: Transaction, intent_id: str) -> CertificateRecord | None:
    """Return what was issued under a name for an intent, unless it was revoked since."""
    made = next(iter(tx.certificates.by_intents([intent_id])), None)
    if made is None or tx.certificates.revocation(made.issuer_id, made.serial) is not None:
        return None
    return made


def made_before(
    deployment: Deployment, principal: Principal, request: IssueRequest, intent_id: str
) -> Issued | None:
    """
    Return what a try that was cut short issued for the same CSR under `intent_id`, or None.

    Raises: as `issue`, of what the request says by itself.
    """
    ignored = ignored_by(principal, request)
    with deployment.store.read() as tx:
        made = made_under(tx, intent_id)
        if made is None:
            return None
        return Issued(record=made, chain=chain_of(tx, made), ignored=ignored)


def judged(deployment: Deployment, principal: Principal, request: IssueRequest) -> Order:
    """Return what a request would become; nothing is reserved or signed. Raises as `issue`."""
    return place(deployment, principal, request).order


def preview(
    deployment: Deployment, principal: Principal, request: IssueRequest
) -> tuple[bytes, ...]:
    """
    Return the chain that a request would get, its leaf as long as it can become and unsigned.

    Nothing is reserved, stored or signed. Raises as `issue`.
    """
    placed = place(deployment, principal, request)
    return (longest(deployment, placed.order), *placed.above)


__all__ = [
    "EXPIRING",
    "UNFINISHED",
    "Beside",
    "IssueRequest",
    "Issued",
    "Order",
    "Wanted",
    "abandon",
    "attribute",
    "carry_out",
    "carry_out_many",
    "chain_of",
    "chain_to_root",
    "crl_address",
    "issue",
    "issue_many",
    "issuer_chain",
    "judged",
    "lint_fully",
    "linted_twin",
    "made_before",
    "made_under",
    "mark_of",
    "newest_issuer",
    "own_leaf",
    "place_many",
    "preview",
    "spki_hash",
    "suite_for",
    "tell",
    "twin_of",
    "validity_end",
]
