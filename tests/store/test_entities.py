"""Registered end entities and waiting enrolments, on both databases."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from pki.ids import SeccId
from pki.model import EndEntity, Enrolment, EnrolmentState
from pki.pkix.profiles import Kind
from pki.store.db import Database
from tests.store.samples import NOW

ENTITY = EndEntity(
    secc_id=SeccId.parse("DE*CPA*E1"), details="{}", registered_at=NOW, registered_by="test"
)
ENROLMENT = Enrolment(
    enrolment_id="1-a",
    kind=Kind.SECC,
    owner="DECPA",
    common_name="DECPAE1",
    digest="d1",
    request=b"csr",
    requested_by="cpo",
    state=EnrolmentState.WAITING,
    created_at=NOW,
    expires_at=NOW + dt.timedelta(days=1),
)


def test_an_entity_is_found_in_any_notation_replaced_and_removed(database: Database) -> None:
    with database.write() as tx:
        tx.entities.put(ENTITY)
        tx.entities.put(replace(ENTITY, details='{"a":1}'))
        other = replace(ENTITY, secc_id=SeccId.parse("DEXYZE1"))
        tx.entities.put(other)
    with database.write() as tx:
        found = tx.entities.get(SeccId.parse("decpae1"))
        assert found is not None
        assert (found.details, found.secc_id.value) == ('{"a":1}', "DE*CPA*E1")
        assert tx.entities.page(("DEXYZ",), "", 9) == [other]
        assert len(tx.entities.page(None, "", 9)) == 2
        assert tx.entities.page(None, "DECPAE1", 9) == [other]
        assert tx.entities.remove(ENTITY.secc_id)
        assert not tx.entities.remove(ENTITY.secc_id)


def test_of_one_digest_one_enrolment_is_open_and_a_rejected_one_is_remembered(
    database: Database,
) -> None:
    again = replace(ENROLMENT, enrolment_id="2-b")
    with database.write() as tx:
        assert tx.entities.add_enrolment(ENROLMENT)
        assert not tx.entities.add_enrolment(again)
        assert tx.entities.count_waiting("DECPA") == 1
        assert tx.entities.enrolment_like("d1") == ENROLMENT
        no = replace(ENROLMENT, state=EnrolmentState.REJECTED, decided_by="x", decided_at=NOW)
        assert tx.entities.move_enrolment(no, EnrolmentState.WAITING)
        assert not tx.entities.move_enrolment(no, EnrolmentState.WAITING)
        assert tx.entities.enrolment("1-a") == no
        assert tx.entities.enrolment_like("d1") == no
        done = replace(no, state=EnrolmentState.ISSUED)
        assert tx.entities.move_enrolment(done, EnrolmentState.REJECTED)
        assert tx.entities.enrolment_like("d1") is None
        assert tx.entities.add_enrolment(again)


def test_enrolments_are_paged_expired_and_forgotten(database: Database) -> None:
    with database.write() as tx:
        for number in range(4):
            row = replace(ENROLMENT, enrolment_id=f"{number}", digest=f"d{number}")
            tx.entities.add_enrolment(replace(row, owner="DECPA" if number % 2 else "DEXYZ"))
        page = tx.entities.enrolments(("DECPA",), EnrolmentState.WAITING, "", 1)
        assert [e.enrolment_id for e in page] == ["1"]
        rest = tx.entities.enrolments(("DECPA",), None, "1", 9)
        assert [e.enrolment_id for e in rest] == ["3"]
        assert tx.entities.expire_enrolments(NOW) == 0
        assert tx.entities.prune_enrolments("9", 9) == 0
        assert tx.entities.expire_enrolments(ENROLMENT.expires_at) == 4
        assert tx.entities.prune_enrolments("3", 2) == 2
        assert tx.entities.prune_enrolments("3", 2) == 1
