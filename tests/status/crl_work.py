"""What tests of CRLs do: publish, revoke, look at what is left."""

from __future__ import annotations

from pki.model import CrlIntent, Reason
from pki.revoke import revoke
from pki.services import Services
from pki.status import StatusPolicy, crls
from tests.homes import ADMIN
from tests.status import hosts
from tests.status.hosts import LEAF_ISSUER

POLICY = StatusPolicy()


def publish_due(services: Services, policy: StatusPolicy = POLICY) -> int:
    return crls.publish_due(services.deployment, ADMIN, policy)


def publish(services: Services, issuer_id: str = LEAF_ISSUER, shard: int = 0) -> int:
    issuer = hosts.issuer_of(services, issuer_id)
    return crls.publish(services.deployment, ADMIN, issuer, shard, POLICY).number


def revoked(services: Services, reason: Reason = Reason.SUPERSEDED) -> int:
    """Issue a certificate and revoke it; return its serial."""
    record = hosts.issued(services)
    revoke(services.deployment, ADMIN, record.fingerprint.value, reason)
    return record.serial.as_int


def intents(services: Services) -> list[CrlIntent]:
    """Return every CRL intent of the issuer of leaves, in order of number."""
    with services.deployment.store.read() as tx:
        rows = tx.status._session._connection.exec_driver_sql(  # type: ignore[attr-defined]
            "SELECT intent_id FROM crl_intents ORDER BY number"
        ).all()
        found = [tx.status.crl_intent(row[0]) for row in rows]
    return [intent for intent in found if intent and intent.issuer_id == LEAF_ISSUER]
