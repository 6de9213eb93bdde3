"""The signer's own role of PostgreSQL: enough to sign, and no more."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors, sql

from pki import hierarchy, parties
from pki.errors import BadInput
from pki.services import signer_grants
from pki.settings import FILE_NAME
from pki.status import crls
from pki.status.policy import StatusPolicy
from tests.cli.test_cli import run
from tests.databases import PostgresServer
from tests.homes import ADMIN, MO_BRANCH, PROVIDER, demo_plans
from tests.signing import beside, short_path, signing
from tests.status import hosts


@pytest.fixture
def role(postgres_server: PostgresServer, postgres_url: str) -> Iterator[str]:
    """A role without any right, and nothing left of it afterwards."""
    name = f"signer_{secrets.token_hex(4)}"
    postgres_server.run(f"CREATE ROLE {name} LOGIN")
    yield name
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(name)))
    postgres_server.run(f"DROP ROLE {name}")


def test_a_signer_works_with_the_rights_that_are_printed(
    postgres_url: str, role: str, tmp_path: Path
) -> None:
    own = postgres_url.replace("postgres:@", f"{role}:@")
    assert own != postgres_url
    (tmp_path / "worker").mkdir()
    (tmp_path / "signer").mkdir()
    for home in ("signer", "worker"):
        (tmp_path / home / FILE_NAME).write_text('[status]\nsigner = "ca"\n')
    given_to = {"PNC_SIGNER_DATABASE_URL": own}
    with (
        short_path() as place,
        signing(tmp_path / "signer", place, given_to),
        beside(tmp_path / "worker", place, postgres_url) as worker,
    ):
        worker.database.migrate()
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(run(tmp_path, "signer", "--grants", role).stdout.encode())
        hierarchy.create(worker.deployment, ADMIN, demo_plans(*MO_BRANCH))
        parties.add_emsp(worker.deployment, ADMIN, PROVIDER, "Demo Mobility")
        record = hosts.issued(worker)
        assert hosts.ask(worker, record) == hosts.GOOD
        crls.publish(worker.deployment, ADMIN, hosts.issuer_of(worker), 0, StatusPolicy())
    with psycopg.connect(own) as connection:
        for forbidden in (
            "INSERT INTO intents SELECT * FROM intents",
            "UPDATE intents SET tbs = ''",
            "DELETE FROM audit",
            "UPDATE audit SET actor = 'x'",
            "SELECT * FROM clients",
            "DELETE FROM revocations",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(forbidden.encode())
            connection.rollback()


def test_a_role_is_a_plain_name() -> None:
    for name in ("", "a; DROP TABLE audit", "A", "a" * 64, 'a"'):
        with pytest.raises(BadInput):
            signer_grants(name)
