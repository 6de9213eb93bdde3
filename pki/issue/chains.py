"""The certificates above one of ours, and where the CRL of a CA is published."""

from __future__ import annotations

from pki.model import CertificateRecord, Issuer
from pki.ports import Transaction


def chain_of(tx: Transaction, record: CertificateRecord) -> tuple[bytes, ...]:
    """Return the certificate and its issuers below the root, leaf first, as DER."""
    return (record.der, *issuer_chain(tx, record.issuer_id))


def issuer_chain(tx: Transaction, issuer_id: str) -> tuple[bytes, ...]:
    """Return the certificates of a CA and of those above it, below the root, as DER."""
    chain: list[bytes] = []
    issuer = tx.issuers.get(issuer_id)
    while issuer is not None and issuer.parent_id is not None:
        chain.append(issuer.certificate)
        issuer = tx.issuers.get(issuer.parent_id)
    return tuple(chain)


def chain_to_root(tx: Transaction, issuer: Issuer) -> tuple[bytes, ...]:
    """Return the certificates of a CA and of those above it, its root last, as DER."""
    chain, above = [issuer.certificate], issuer.parent_id
    while above is not None and (parent := tx.issuers.get(above)) is not None:
        chain.append(parent.certificate)
        above = parent.parent_id
    return tuple(chain)


def crl_address(public_url: str, issuer: Issuer, shard: int) -> str:
    """Return where an issuer's CRL, or one of its shards, is published."""
    base = f"{plain(public_url)}/crl/{issuer.published_as}"
    return f"{base}/{shard}" if shard else base


def plain(url: str) -> str:
    """Return the address by plain HTTP: status over TLS would need status (RFC 5280 section 8)."""
    return url.replace("https://", "http://", 1)
