"""What many keys find at once is what each finds alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from pki.errors import Unavailable
from pki.ids import CheckDigit, Edition, Fingerprint, ProviderId
from pki.model import (
    Account,
    CertificateRecord,
    Contract,
    ContractEvidence,
    ContractState,
    Standing,
    Whitelist,
)
from pki.store.db import Database
from pki.store.transaction import Unit
from tests.store import samples
from tests.store.samples import DE8AA, NOW, emaid

COUNTS = (0, 1, 2, 3, 8, 9)
"""Full powers of two, and what has to be filled up to one."""


def _add_contracts(tx: Unit) -> None:
    nobody = ProviderId(value="DEXXX")
    tx.contracts.add_account(Account(provider_id=DE8AA, name="Zürich", created_at=NOW))
    for n in range(8):
        contract = samples.contract(
            f"c{n}",
            emaid(f"DE8AACA2B3C4D{n}"),
            emaid(f"DE8AACA2B3C4D{n}X", Edition.ISO20),
            account=DE8AA if n % 3 else nobody,
        )
        tx.contracts.add(contract)
    tx.contracts.block("c2", "DE8AACA2B3C4D2X", NOW)
    tx.contracts.set_state("c1", ContractState.SUSPENDED)
    until = NOW + dt.timedelta(days=1)
    terms = replace(contract, valid_from=NOW, valid_until=until, whitelist=Whitelist.NEVER)
    tx.contracts.set_terms(terms)


def _named_alone(tx: Unit, contracts: list[Contract]) -> dict[Any, ContractEvidence]:
    found: dict[Any, ContractEvidence] = {}
    for contract in contracts:
        account = tx.contracts.account(contract.account)
        for each in contract.identifiers:
            found[each.edition, each.key] = ContractEvidence(contract=contract, account=account)
    return found


def test_contracts_that_are_named_at_once_are_those_that_are_named_alone(
    database: Database,
) -> None:
    with database.write() as tx:
        _add_contracts(tx)
    with database.read() as tx:
        contracts = [c for n in range(8) if (c := tx.contracts.get(f"c{n}")) is not None]
        for count in COUNTS:
            asked = [emaid(f"DE8AACA2B3C4D{n}") for n in range(count)]  # the ninth names nothing
            asked += [emaid(f"DE8AACA2B3C4D{n}X", Edition.ISO20) for n in range(0, count, 2)]
            found = tx.contracts.named(asked)
            assert found == _named_alone(tx, contracts[:count])
            assert _presented(found) == _presented(_named_alone(tx, contracts[:count]))
    assert len(contracts) == 8


def _presented(found: Mapping[Any, ContractEvidence]) -> list[tuple[str, CheckDigit]]:
    """Return what the equality of identifiers leaves out."""
    contracts = [evidence.contract for evidence in found.values() if evidence.contract]
    return sorted((i.presented, i.check_digit) for c in contracts for i in c.identifiers)


def _certificate(serial: int) -> CertificateRecord:
    return samples.certificate(serial, key=f"key {serial}")


def test_standings_at_once_are_those_of_each(database: Database) -> None:
    with database.write() as tx:
        tx.issuers.add(samples.issuer())
        for serial in range(1, 9):
            tx.intents.add(samples.intent(serial))
            tx.certificates.add(_certificate(serial))
        tx.certificates.revoke(samples.revocation(2))
    records = [_certificate(serial) for serial in range(1, 10)]  # the ninth is nobody's
    with database.read() as tx:
        alone = {
            record.fingerprint: Standing(
                issuer_id=record.issuer_id,
                serial=record.serial,
                revocation=tx.certificates.revocation(record.issuer_id, record.serial),
            )
            for record in records[:8]
        }
        for count in COUNTS:
            wanted = [record.fingerprint for record in records[:count]]
            found = tx.certificates.standings(wanted)
            assert found == {name: alone[name] for name in wanted if name in alone}
            gone = tx.certificates.revocations_of(wanted)
            assert gone == {name: standing.revocation for name, standing in found.items()}
        none = [Fingerprint.of(b"%d" % n) for n in range(3000)]  # more than one question takes
        assert list(tx.certificates.standings([*none, wanted[0]])) == [wanted[0]]
    assert [name for name, each in alone.items() if each.revocation] == [wanted[1]]


def test_what_the_driver_refuses_is_told_as_ever_and_spoils_the_transaction(
    database: Database,
) -> None:
    def ask() -> None:
        with database.write() as tx:
            tx.put_setting("kept", "no")
            with suppress(Unavailable):
                tx.certificates._session.driver_rows("SELECT nothing FROM nowhere", ())

    with pytest.raises(Unavailable):
        ask()
    with database.read() as tx:
        assert tx.setting("kept") is None
