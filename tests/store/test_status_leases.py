"""A lease has one holder, until it is given back or lapses."""

from __future__ import annotations

import datetime as dt

from pki.store.db import Database
from tests.store.samples import NOW
from tests.store.status_samples import HOUR

SECOND = dt.timedelta(seconds=1)


def test_a_lease_has_one_holder_who_may_extend_it_and_give_it_back(database: Database) -> None:
    with database.write() as tx:
        assert tx.leases.take("crls", "a", NOW, NOW + HOUR)
        assert not tx.leases.take("crls", "b", NOW, NOW + HOUR)
        assert tx.leases.take("crls", "a", NOW, NOW + 2 * HOUR)
        assert tx.leases.take("responders", "b", NOW, NOW + HOUR)
    with database.write() as tx:
        assert not tx.leases.take("crls", "b", NOW + 2 * HOUR, NOW + 3 * HOUR)
        tx.leases.give_back("crls", "b")
        assert not tx.leases.take("crls", "b", NOW, NOW + HOUR)
        tx.leases.give_back("crls", "a")
        tx.leases.give_back("crls", "a")
        assert tx.leases.take("crls", "b", NOW, NOW + HOUR)


def test_a_lease_lapses_and_its_old_holder_finds_it_taken(database: Database) -> None:
    with database.write() as tx:
        assert tx.leases.take("crls", "a", NOW, NOW + HOUR)
    later = NOW + HOUR + SECOND
    with database.write() as tx:
        assert tx.leases.take("crls", "b", later, later + HOUR)
        assert not tx.leases.take("crls", "a", later, later + HOUR)
        tx.leases.give_back("crls", "a")
        assert not tx.leases.take("crls", "c", later, later + HOUR)
