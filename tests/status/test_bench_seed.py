"""The benchmarks' seeded home is one that the service itself could have made."""

from __future__ import annotations

from pathlib import Path

import pytest

from pki.issue import chain_of
from pki.model import ContractCheck, Decision, Fault, Rejected
from pki.pkix.certificate import load
from pki.status import crls
from pki.validate import validate
from scripts.bench import homes, scale, seed
from tests.web import asking

ISSUED, REVOKED, REAL = 10_000, 1000, 20


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("seed") / "home"
    homes.make(home)
    with homes.opened(home) as services:
        seed.seed(services, ISSUED, REVOKED, REAL, contracts=True)
    return home


def test_what_was_loaded_is_answered_like_what_was_issued(home: Path) -> None:
    with homes.opened(home) as services:
        issuer = homes.issuer(services)
        authority = load(issuer.certificate)
        with services.deployment.store.read() as tx:
            assert tx.certificates.count(issuer.issuer_id) == ISSUED + REAL + 1  # its responder
            records = tx.certificates.search(issuer_id=issuer.issuer_id, limit=500)
            keys = [(r.issuer_id, r.serial) for r in records]
            revoked = tx.certificates.revocations(keys)
        for record, request in zip(records, homes.requests_for(services, records), strict=True):
            expected = "revoked" if (record.issuer_id, record.serial) in revoked else "good"
            assert asking.read(services.answers.respond(request).der).status == expected
        assert 10 < len(revoked) < 150
        for record in records[:20]:
            certificate = load(record.der)
            assert certificate.serial == record.serial.as_int
            certificate.x509.verify_directly_issued_by(authority.x509)
            assert record.common_name in certificate.common_names


def test_the_crl_lists_what_was_revoked(home: Path) -> None:
    with homes.opened(home) as services:
        policy = services.settings.status
        record = crls.publish(services.deployment, homes.ACTOR, homes.issuer(services), 0, policy)
        assert record.entries == REVOKED + REAL // 10


def test_a_contract_that_was_loaded_is_accepted_unless_it_was_revoked(home: Path) -> None:
    with scale.opened(home) as population:
        assert population.contracts == ISSUED
        with population.services.deployment.store.read() as tx:
            records = [tx.certificates.by_contract(seed.contract_id(n))[0] for n in (0, ISSUED - 1)]
            chains = [tuple(chain_of(tx, record)) for record in records]
        faults = [
            getattr(
                validate(population.services.deployment, homes.ACTOR, check).verdict, "fault", None
            )
            for check in (ContractCheck(chain=chain) for chain in chains)
        ]
    assert faults == [Fault.REVOKED, None]


def _fault(decision: Decision) -> Fault | None:
    return decision.verdict.fault if isinstance(decision.verdict, Rejected) else None
