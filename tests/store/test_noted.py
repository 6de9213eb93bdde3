"""What decisions remember is told of in the change log, by the store itself and at the commit."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest

from pki import clients, contracts, foreign, trust
from pki.model import (
    ChangeKind,
    ContractState,
    Domain,
    Role,
    StaleRule,
    StatusRule,
)
from pki.services import Services
from tests.builders import NOW, chain
from tests.homes import ADMIN, EMAID

Change = Callable[[Services], object]


def _told(services: Services, change: Change) -> set[ChangeKind]:
    with services.deployment.store.read() as tx:
        before = tx.status.sequence()
    change(services)
    with services.deployment.store.read() as tx:
        return {told.kind for told in tx.status.changes(before, 100)}


def _contract(services: Services) -> None:
    contracts.add(services.deployment, ADMIN, EMAID)


def _block(services: Services) -> None:
    contracts.set_state(services.deployment, ADMIN, EMAID, ContractState.BLOCKED)


def _anchor(services: Services) -> None:
    trust.add(services.deployment, ADMIN, chain().root.der, Domain.MO)


def _rule(services: Services) -> None:
    trust.set_rule(services.deployment, ADMIN, Domain.MO, StatusRule.NOT_REQUIRED)


def _stale(services: Services) -> None:
    foreign.set_stale_rule(services.deployment, ADMIN, Domain.MO, StaleRule.ACCEPT)


def _key(services: Services) -> None:
    with services.deployment.store.write() as tx:
        tx.certificates.block_key(bytes(32), NOW, "test")


def _caller(services: Services) -> None:
    client, _ = clients.add(services.deployment, ADMIN, Role.CPO, ("DECPA",))
    clients.disable(services.deployment, ADMIN, client.client_id)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (_block, ChangeKind.CONTRACT),
        (_anchor, ChangeKind.TRUST),
        (_rule, ChangeKind.TRUST),
        (_stale, ChangeKind.TRUST),
        (_key, ChangeKind.KEYS),
        (_caller, ChangeKind.CLIENTS),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_every_change_that_takes_something_back_is_told(
    anywhere: Services, change: Change, kind: ChangeKind
) -> None:
    _contract(anywhere)
    assert kind in _told(anywhere, change)


def test_a_new_contract_takes_nothing_back(anywhere: Services) -> None:
    assert _told(anywhere, _contract) == set()


def test_what_is_not_committed_is_not_told(small: Services) -> None:
    def fail(services: Services) -> None:
        with suppress(ZeroDivisionError), services.deployment.store.write() as tx:
            tx.certificates.block_key(bytes(32), NOW, "test")
            raise ZeroDivisionError

    assert _told(small, fail) == set()
