"""Two people revoke certificates of one lost key at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pki import audit
from pki.errors import PkiError
from pki.issue import IssueRequest, issue
from pki.model import CertificateRecord, ChangeKind, Reason
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite, generate
from pki.revoke import revoke
from pki.services import Services
from tests.homes import ADMIN
from tests.status import hosts
from tests.status.hosts import wait_for

_WAITING = (
    b"SELECT count(*) FROM pg_stat_activity "
    b"WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def _of_one_key(services: Services, count: int) -> list[CertificateRecord]:
    key: Any = generate(Suite.P256)
    found = []
    for number in range(count):
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"DEMOAC0000000{number}")])
        request = x509.CertificateSigningRequestBuilder().subject_name(name)
        der = request.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
        order = IssueRequest(kind=Kind.CONTRACT, request=der)
        found.append(issue(services.deployment, ADMIN, order).record)
    return found


def _waiting(services: Services) -> int:
    """Return how many transactions wait for a lock of another; SQLite cannot tell, nor need it."""
    if services.settings.database_url.startswith("sqlite"):
        return 2
    with psycopg.connect(services.settings.database_url) as connection:
        row = connection.execute(_WAITING).fetchone()
    return int(row[0]) if row else 0


def _revoke(services: Services, record: CertificateRecord) -> str:
    try:
        revoke(services.deployment, ADMIN, record.fingerprint.value, Reason.KEY_COMPROMISE)
    except PkiError as error:
        return error.code
    return "done"


def test_lost_keys_with_siblings_in_common_are_revoked_at_once_without_a_deadlock(
    anywhere: Services,
) -> None:
    """Each once held its own certificate and waited for the other's: one was told store_busy."""
    records = _of_one_key(anywhere, 3)
    with ThreadPoolExecutor(2) as pool:
        with anywhere.deployment.store.write() as tx:
            tx.status.take_turn()
            told = [pool.submit(_revoke, anywhere, record) for record in records[:2]]
            wait_for(lambda: _waiting(anywhere) >= 2)
        outcomes = sorted(one.result(timeout=30) for one in told)
    assert outcomes == ["already_revoked", "done"]
    assert {hosts.ask(anywhere, record) for record in records} == {hosts.REVOKED}
    assert [r.problem for r in audit.verify(anywhere.deployment.store) if r.problem] == []


def test_who_records_first_and_tells_of_changes_at_the_end_meets_a_revocation_without_a_deadlock(
    anywhere: Services,
) -> None:
    """As an issuance does; a revocation once held the change log and waited for the chain."""
    (record,) = _of_one_key(anywhere, 1)
    with ThreadPoolExecutor(1) as pool:
        with anywhere.deployment.store.write() as tx:
            tx.audit.head(record.issuer_id)
            told = pool.submit(_revoke, anywhere, record)
            wait_for(lambda: _waiting(anywhere) >= 1)
            now = anywhere.deployment.clock.now()
            tx.status.add_change(ChangeKind.CONTRACT, "c", None, now)
        assert told.result(timeout=30) == "done"
    assert hosts.ask(anywhere, record) == hosts.REVOKED
