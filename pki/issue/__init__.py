"""
Two-phase issuance: reserve, lint a twin, commit the intent, sign once, prove, commit the
certificate.

From a CSR come the public key and the CN; everything else comes from the profile, the issuer and
the
registration of the party. A crash anywhere leaves nothing, or an intent that `pnc list --intents`
shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import x448
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
)

from pki import access
from pki.issue.order import IssueRequest, newest_issuer, place
from pki.issue.phases import (
    Order,
    carry_out,
    chain_of,
    chain_to_root,
    crl_address,
    issuer_chain,
    linted_twin,
    longest,
    spki_hash,
    twin_of,
    validity_end,
)
from pki.model import CertificateRecord, Principal
from pki.pkix.suites import PrivateKey
from pki.ports import Deployment


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


def issue(deployment: Deployment, principal: Principal, request: IssueRequest) -> Issued:
    """
    Issue one leaf certificate.

    Raises:
        NotAllowed: `role_not_allowed`, `party_not_allowed`, `host_not_allowed`.
        BadInput: `csr_unreadable`, `csr_signature_invalid`, `invalid_…` for a CN of another form,
            `common_name_mismatch`, `not_after_past`.
        NotFound: `issuer_unknown`.
        PolicyViolation: `key_not_allowed`, `key_weak`, `key_blocked`, `key_reused`,
            `suite_mismatch`, `account_unknown`, `party_unknown`, `outlives_issuer`,
            `validity_too_long`, `lint_failed`.
        Conflict: `emaid_ambiguous`, `common_name_taken`, `issuer_not_active`.
        Unavailable: store or key out of reach.
    """
    access.require(principal, access.ISSUE_ACTIONS.get(request.kind, access.Action.KEEP_HIERARCHY))
    placed = place(deployment, principal, request)
    record = carry_out(deployment, principal, placed.order)
    with deployment.store.read() as tx:
        chain = chain_of(tx, record)
    return Issued(
        record=record,
        chain=chain,
        ignored=placed.ignored,
        private_key=placed.private_key,
        alternate_key=placed.alternate_key,
    )


def preview(
    deployment: Deployment, principal: Principal, request: IssueRequest
) -> tuple[bytes, ...]:
    """
    Return the chain that a request would get, its leaf as long as it can become and unsigned.

    Nothing is reserved, stored or signed. Raises as `issue`.
    """
    access.require(principal, access.ISSUE_ACTIONS.get(request.kind, access.Action.KEEP_HIERARCHY))
    order = place(deployment, principal, request).order
    with deployment.store.read() as tx:
        above = issuer_chain(tx, order.issuer.issuer_id)
    return (longest(deployment, order), *above)


__all__ = [
    "IssueRequest",
    "Issued",
    "Order",
    "carry_out",
    "chain_of",
    "chain_to_root",
    "crl_address",
    "issue",
    "linted_twin",
    "newest_issuer",
    "preview",
    "spki_hash",
    "twin_of",
    "validity_end",
]
