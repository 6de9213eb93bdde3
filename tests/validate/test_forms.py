"""A receipt of which a form keeps the most reads as if it had been written out."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pki import authorize, revoke, validate
from pki.errors import NotFound
from pki.ids import first_decision_id
from pki.model import DecisionRecord, Reason
from pki.pkix.certificate import load
from pki.services import Services
from pki.validate import forms
from tests.homes import ADMIN, EMAID
from tests.web.deciding import OCPP, OTHER, World, body_of, new_world, reference
from web.decisions import V1
from web.hot import HotRequest, HotResponse

_STRANGE = '"%(at)s\\ %% {form}'


@pytest.fixture
def world(small_home: Path) -> Iterator[World]:
    with ExitStack() as stack:
        yield new_world(stack, small_home)


def _another(world: World, path: str, station: str, emaid: str = OTHER) -> HotRequest:
    """Return a question that was not asked before, about the same leaf."""
    request = world.request(emaid, path, **{"x-station-id": station})
    return replace(request, body=request.body + b" " * len(station))


def _learnt(world: World, path: str = V1) -> None:
    """Have a form made: of the third leaf, behind one for the shape and one for the way."""
    for number, emaid in enumerate((EMAID, OTHER, EMAID, OTHER)):
        world.ask(_another(world, path, "learn" + "-" * number, emaid))


def _whole(world: World, answer: HotResponse) -> DecisionRecord:
    return validate.find(world.services.deployment, ADMIN, reference(answer))


def _is_short(record: DecisionRecord) -> bool:
    return record.record.startswith('{"form":')


@pytest.mark.parametrize("path", [V1, OCPP])
def test_a_short_receipt_is_octet_for_octet_the_full_one(world: World, path: str) -> None:
    _learnt(world, path)
    for emaid, station in ((OTHER, "abc"), (EMAID, "abcd"), (OTHER, _STRANGE)):
        request = _another(world, path, station, emaid)
        answer, anew = world.ask(request), world.anew(request)
        stored, found, full = (
            world.receipt(answer),
            _whole(world, answer),
            _whole(world, anew),
        )
        assert _is_short(stored)
        assert not _is_short(world.receipt(anew))
        assert len(stored.record) < len(full.record) / 3
        assert found.record == full.record.replace(full.decision_id, found.decision_id)
        assert replace(found, decision_id="", record="") == replace(full, decision_id="", record="")
        assert body_of(answer) == body_of(anew)
        if path == V1:
            told, other = (a.octets.decode() for a in (answer, anew))
            assert told == other.replace(full.decision_id, found.decision_id)
        deployment = world.services.deployment
        assert validate.replay(deployment, ADMIN, reference(answer)).same
        shown = [authorize.find(deployment, ADMIN, reference(a)) for a in (answer, anew)]
        assert shown[0] is not None
        assert shown[1] is not None
        assert replace(shown[0], reference="") == replace(shown[1], reference="")


def test_both_databases_keep_it(anywhere: Services) -> None:
    with ExitStack() as stack:
        home, url = anywhere.settings.home, anywhere.settings.database_url
        world = new_world(stack, home, url)
        _learnt(world)
        request = _another(world, V1, "abc")
        answer, anew = world.ask(request), world.anew(request)
        assert _is_short(world.receipt(answer))
        full = _whole(world, anew).record
        assert _whole(world, answer).record == full.replace(reference(anew), reference(answer))
        assert validate.replay(anywhere.deployment, ADMIN, reference(answer)).same


def test_what_repeats_a_short_receipt_comes_as_of_its_own_time(world: World) -> None:
    _learnt(world)
    request = _another(world, V1, "abc")
    first = world.ask(request)
    world.clock.at += dt.timedelta(minutes=5)
    later, anew = world.ask(request), world.anew(request)
    assert world.receipt(later).repeats == reference(first)
    found, full = _whole(world, later), _whole(world, anew)
    assert json.loads(found.record) == json.loads(
        full.record.replace(full.decision_id, found.decision_id)
    )
    assert validate.replay(world.services.deployment, ADMIN, reference(later)).same


def test_names_that_look_like_blanks_stay_what_they_are(world: World) -> None:
    with world.elsewhere.database._backend.engine.connect() as connection:
        connection.execute(text("UPDATE accounts SET name = :name"), {"name": f"Zürich {_STRANGE}"})
        connection.commit()
    _learnt(world)
    request = _another(world, V1, "abc")
    answer, anew = world.ask(request), world.anew(request)
    assert _is_short(world.receipt(answer))
    full = _whole(world, anew).record
    assert _STRANGE in json.loads(full)["verdict"]["emsp"]["name"]
    assert _whole(world, answer).record == full.replace(reference(anew), reference(answer))


def test_a_form_is_of_one_day_and_goes_when_no_receipt_can_name_it(world: World) -> None:
    deployment, keep = world.services.deployment, dt.timedelta(days=1)
    begin = world.clock.at.replace(hour=23, minute=59, second=0) + dt.timedelta(days=1)
    world.clock.at = begin
    _learnt(world)
    answers = [world.ask(_another(world, V1, "abc"))]
    world.clock.at += dt.timedelta(minutes=2)
    answers += [world.ask(_another(world, V1, "x" * n)) for n in (5, 6)]
    names = [json.loads(world.receipt(a).record).get("form") for a in answers]
    midnight = int(begin.timestamp()) + 60
    assert names[0].startswith(first_decision_id(midnight - 24 * 3600))
    assert names[1] is None  # it was of the day before, and this one is the model of the next
    assert names[2].startswith(first_decision_id(midnight))

    def there() -> list[bool]:
        with deployment.store.read() as tx:
            return [tx.decisions.form(name) is not None for name in (names[0], names[2])]

    world.clock.at = begin + keep + dt.timedelta(minutes=30)  # it may have been repeated since
    assert validate.prune(deployment, keep) == 0
    assert there() == [True, True]
    world.clock.at += dt.timedelta(minutes=31)  # the receipts of before midnight are gone
    assert validate.prune(deployment, keep) == 5
    assert validate.replay(deployment, ADMIN, reference(answers[2])).same
    world.clock.at += dt.timedelta(hours=1)
    validate.prune(deployment, keep)
    assert there() == [False, True]
    world.clock.at += dt.timedelta(days=1)
    validate.prune(deployment, keep)
    assert there() == [False, False]


def test_a_form_that_was_lost_is_named(world: World) -> None:
    _learnt(world)
    answer = world.ask(_another(world, V1, "abc"))
    with world.elsewhere.database._backend.engine.connect() as connection:
        connection.execute(text("DELETE FROM receipt_forms"))
        connection.commit()
    with pytest.raises(NotFound) as caught:
        _whole(world, answer)
    assert caught.value.code == "receipt_form_unknown"
    again = world.ask(_another(world, V1, "abcd"))  # which brings its form with it
    assert _is_short(world.receipt(again))
    assert _whole(world, answer).decision_id == reference(answer)


def test_a_refusal_is_written_out(world: World) -> None:
    _learnt(world)
    serial = load(world.chains[OTHER][0]).serial_number.value
    revoke.revoke(world.elsewhere.deployment, ADMIN, serial, Reason.SUPERSEDED)
    answer = world.ask(_another(world, V1, "abc"))
    assert json.loads(answer.octets)["fault"] == "revoked"
    assert not _is_short(world.receipt(answer))


def test_a_record_that_lacks_a_place_makes_no_form(world: World) -> None:
    answer = world.anew(world.request())
    record: dict[str, Any] = json.loads(_whole(world, answer).record)
    leaf = load(world.chains[EMAID][0])
    own = dict.fromkeys(("at", "reference", "leaf", "subject", "emaid", "contractId"), "")
    own |= dict.fromkeys(("contract", "token", "evse", "station"), "null")
    own |= {"fingerprint": leaf.fingerprint.value}
    now = world.clock.at
    assert forms.make(json.dumps(record), own, leaf.subject_text, now, None) is None
    assert forms.make(json.dumps(record), own, "CN=another", now, None) is None
