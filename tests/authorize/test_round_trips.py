"""An authorisation asks the database nothing that the contract decision does not."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import event

from pki.model import ContractCheck
from pki.services import Services
from pki.validate import validate
from tests.authorize.homes import CPO, EVSE, asked, ready, roaming
from tests.homes import EMAID


def _statements(services: Services, work: Callable[[], object]) -> list[str]:
    seen: list[str] = []

    def note(_c: object, _d: object, statement: str, *_more: object) -> None:
        seen.append(statement)

    engine = services.database._backend.engine
    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    return seen


def test_route_and_agreement_come_from_memory(anywhere: Services) -> None:
    ready(anywhere)
    found = roaming(anywhere)
    anywhere.view.start()  # it looks at the change log; otherwise whoever asks has to
    try:
        check = ContractCheck(token=EMAID, evse_id=EVSE, station_id="cs-1")
        asked(anywhere, found)  # reads the directory
        decided = _statements(anywhere, lambda: validate(anywhere.deployment, CPO, check))
        authorised = _statements(anywhere, lambda: asked(anywhere, found))
    finally:
        anywhere.view.stop()
    polls = ("change_sequence", "changes")
    own = [s for s in authorised if not any(name in s for name in polls) and "BEGIN" not in s]
    expected = [s for s in decided if not any(name in s for name in polls) and "BEGIN" not in s]
    assert own == expected
