"""Two hosts at once over one database: I1 to I4 hold between them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pki import audit, lookup, rotate
from pki.errors import Conflict, PkiError, Unavailable
from pki.issue import IssueRequest, issue
from pki.model import CertificateRecord, Reason
from pki.pkix.profiles import Kind
from pki.revoke import revoke
from pki.services import Services
from pki.status import StatusPolicy, crls
from tests.homes import ADMIN
from tests.status import hosts


def _issued(services: Services, number: int) -> CertificateRecord:
    request = IssueRequest(kind=Kind.CONTRACT, common_name=f"DEMOAC0000{number:04d}")
    while True:
        try:
            return issue(services.deployment, ADMIN, request).record
        except Unavailable as error:
            if error.code != "store_busy":
                raise


def test_i2_two_nodes_that_issue_and_revoke_at_once_keep_serials_and_chains_apart(
    anywhere: Services, tmp_path: Path
) -> None:
    with (
        hosts.other_host(anywhere, tmp_path / "other") as other,
        ThreadPoolExecutor(4) as pool,
    ):
        nodes = (anywhere, other)
        records = list(pool.map(lambda n: _issued(nodes[n % 2], n), range(16)))
        assert len({record.serial for record in records}) == 16
        told = list(pool.map(lambda n: _revoked(nodes[n % 2], records[n // 2]), range(16)))
        # of two nodes that revoke the same certificate one is told that it was done already
        assert sorted(told) == ["already_revoked"] * 8 + ["revoked"] * 8
        for node in nodes:
            assert not any(report.problem for report in audit.verify(node.deployment.store))
            for record in records[:8]:
                assert hosts.ask(node, record, nonce=bytes(16)) == hosts.REVOKED
    assert lookup.intents(anywhere.deployment, ADMIN) == []


def _revoked(services: Services, record: CertificateRecord) -> str:
    while True:
        try:
            revoke(services.deployment, ADMIN, record.fingerprint.value, Reason.SUPERSEDED)
        except Conflict as error:
            return error.code
        except Unavailable as error:
            if error.code != "store_busy":
                raise
        else:
            return "revoked"


def test_i1_two_nodes_that_publish_the_same_crl_number_it_once(
    anywhere: Services, tmp_path: Path
) -> None:
    issuer, policy = hosts.issuer_of(anywhere), StatusPolicy()

    def publish(services: Services) -> int:
        try:
            return crls.publish(services.deployment, ADMIN, issuer, 0, policy).number
        except PkiError as error:
            assert error.code in {"crl_number_taken", "intent_spent", "store_busy"}  # noqa: PT017 - either may win
            return 0

    with (
        hosts.other_host(anywhere, tmp_path / "other") as other,
        ThreadPoolExecutor(2) as pool,
    ):
        made = list(pool.map(publish, (anywhere, other) * 3))
    numbers = [number for number in made if number]
    assert numbers
    assert len(set(numbers)) == len(numbers)
    assert not any(report.problem for report in audit.verify(anywhere.deployment.store))


def test_two_nodes_that_rotate_a_ca_make_one_generation(anywhere: Services, tmp_path: Path) -> None:
    def prepare(services: Services) -> str:
        try:
            return str(rotate.prepare(services.deployment, ADMIN, "mo2-2").new)
        except PkiError as error:
            return error.code

    with (
        hosts.other_host(anywhere, tmp_path / "other") as other,
        ThreadPoolExecutor(2) as pool,
    ):
        made = list(pool.map(prepare, (anywhere, other)))
    assert "mo2-2.g2" in made
    names = [i.issuer_id for i in lookup.issuers(anywhere.deployment) if i.name == "mo2-2"]
    assert names == ["mo2-2.g1", "mo2-2.g2"]
    assert not any(report.problem for report in audit.verify(anywhere.deployment.store))
