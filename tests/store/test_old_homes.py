"""What a home held before there was roaming is kept, and its EMAIDs become credentials."""

from __future__ import annotations

from alembic import command
from sqlalchemy import text

from pki.ids import Edition, ProviderId
from pki.model import Account, CredentialKind, Party, Role
from pki.store.db import Database
from pki.store.migrate import configuration
from tests.store.samples import DE8AA, NOW, client, contract, emaid

_BEFORE = """
INSERT INTO parties (role, party_id, name, created_at) VALUES ('cpo', 'DEABC', 'Cpo', {now});
INSERT INTO accounts (provider_id, name, created_at) VALUES ('DE8AA', 'Emsp', {now});
INSERT INTO contracts (contract_id, account, state, created_at)
 VALUES ('c1', 'DE8AA', 'active', {now}), ('c2', 'DE8AA', 'active', {now});
INSERT INTO contract_identifiers (edition, key, contract_id, presented, check_digit) VALUES
 ('2', 'DE8AACA2B3C4D5', 'c1', 'DE8AACA2B3C4D5', 'absent'),
 ('20', 'DE8AACA2B3C4D5L', 'c1', 'DE8AACA2B3C4D5L', 'not_judged'),
 ('20', 'DE8AACXXXXXXXXXXXX', 'c2', 'DE8AACXXXXXXXXXXXX', 'not_judged');
INSERT INTO change_sequence (id, sequence) VALUES (1, 1);
INSERT INTO changes (sequence, kind, issuer_id, changed_at) VALUES (1, 'issuers', 'mo.g1', {now})
"""


def _up_to(store: Database, revision: str) -> None:
    """Bring an empty database to an older revision, and write what that one could hold."""
    with store._backend.engine.connect() as connection:
        for statement in store._backend.before_migration:
            connection.exec_driver_sql(statement)
        command.upgrade(configuration(connection), revision)
        for statement in _BEFORE.format(now=int(NOW.timestamp())).split(";"):
            connection.execute(text(statement))
        connection.commit()


def test_contracts_parties_and_changes_of_an_older_schema_are_kept(database_url: str) -> None:
    store = Database(database_url)
    if database_url.startswith("sqlite"):
        from pathlib import Path  # noqa: PLC0415

        Path(database_url.removeprefix("sqlite:///")).touch()
    _up_to(store, "0006")
    store.migrate()
    both = (emaid("DE8AACA2B3C4D5"), emaid("DE8AACA2B3C4D5L", Edition.ISO20))
    with store.read() as tx:
        assert tx.contracts.get("c1") == contract("c1", *both)
        assert tx.contracts.accounts() == [Account(provider_id=DE8AA, name="Emsp", created_at=NOW)]
        assert tx.contracts.parties() == [
            Party(party_id="DEABC", role=Role.CPO, name="Cpo", created_at=NOW)
        ]
        assert [(c.kind, c.uid, c.emsp) for c in tx.credentials.of_contract("c1")] == [
            (CredentialKind.EMAID, "DE8AACA2B3C4D5", "DE8AA")
        ]
        assert [c.uid for c in tx.credentials.of_contract("c2")] == ["DE8AACXXXXXXXXXXXX"]
        assert [change.issuer_id for change in tx.status.changes(0, 9)] == ["mo.g1"]
        assert tx.roaming.agreements() == []
    with store.write() as tx:
        tx.clients.add(client(token="t"))
        tx.contracts.add_party(Party(party_id="NLHUB", role=Role.HUB, name="Hub", created_at=NOW))
        tx.roaming.changed(NOW)
        assert tx.contracts.hand_over("DE8AAC", ProviderId(value="FRMOB"), 9, at=NOW) == 2
    store.close()
