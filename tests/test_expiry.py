"""What expires is listed, counted and told once each; renewal windows and duplicates."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from pki import clients, events, expiry
from pki.cli import main
from pki.clock import FixedClock
from pki.errors import BadInput, Conflict, PkiError
from pki.issue import EXPIRING, IssueRequest, issue, issue_many
from pki.model import EnrolmentRules, Expiring, Naming, Principal, Reason, Role
from pki.outbound import OutboundPolicy
from pki.pkix.profiles import Kind
from pki.ports import Deployment
from pki.revoke import revoke
from pki.services import Services
from pki.settings import load
from tests.homes import ADMIN

DAY = dt.timedelta(days=1)
EMSP = Principal(name="emsp-1", role=Role.EMSP, parties=("DEMOA",))


def _contract(deployment: Deployment, number: int, days: float) -> str:
    request = IssueRequest(
        kind=Kind.CONTRACT,
        common_name=f"DEMOAC{number:08d}",
        not_after=deployment.clock.now() + dt.timedelta(days=days),
    )
    return issue(deployment, ADMIN, request).record.serial.value


def _at(deployment: Deployment, time: dt.datetime) -> Deployment:
    return replace(deployment, clock=FixedClock(time))


def _names(found: list[Expiring]) -> list[str]:
    return [each.record.common_name[-1] for each in found]


def test_what_ends_soon_is_listed_soonest_first_page_by_page(anywhere: Services) -> None:
    deployment = anywhere.deployment
    for number, days in ((1, 20), (2, 5), (3, 5), (4, 40), (5, 10)):
        serial = _contract(deployment, number, days)
        if number == 5:
            revoke(deployment, ADMIN, serial, Reason.SUPERSEDED)
    _contract(deployment, 2, 300)
    found = expiry.expiring(deployment, EMSP)
    assert sorted(_names(found)[:2]) == ["2", "3"]
    assert _names(found)[2:] == ["1"]
    assert {each.record.common_name[-1] for each in found if each.renewed} == {"2"}
    paged, after = [], None
    while page := expiry.expiring(deployment, EMSP, after=after, limit=1):
        paged += page
        after = expiry.place_of(page[-1].record)
    assert paged == found
    other = Principal(name="emsp-2", role=Role.EMSP, parties=("DEOTH",))
    assert expiry.expiring(deployment, other) == []
    assert expiry.expiring(deployment, EMSP, owner="DEOTH") == []
    assert expiry.expiring(deployment, EMSP, kind=Kind.SECC) == []
    assert expiry.counts(deployment, 7) == {Kind.CONTRACT: 2}
    assert expiry.counts(deployment, 90)[Kind.CONTRACT] == 4
    with pytest.raises(BadInput):
        expiry.expiring(deployment, EMSP, after="nonsense")


def _listen(services: Services, role: Role, party: str, *names: str) -> Principal:
    client, _ = clients.add(services.deployment, ADMIN, role, (party,))
    principal = Principal(name=client.client_id, role=role, parties=(party,))
    wanted = events.Wanted(url="https://hook.example/x", events=names)
    policy = OutboundPolicy()
    events.add(services.deployment, principal, policy, wanted, Naming.OPCP)
    return principal


def _told(services: Services) -> list[tuple[str, str]]:
    with services.deployment.store.read() as tx:
        queued = tx.webhooks.queued(1000)
    told = [(event.type, json.loads(event.payload)) for event in queued]
    # responders of our own end meanwhile as well
    return sorted((kind, of["commonName"][-1]) for kind, of in told if of["kind"] == "contract")


def test_expiry_is_told_once_each_also_after_an_outage(anywhere: Services) -> None:
    _listen(anywhere, Role.EMSP, "DEMOA", EXPIRING, expiry.EXPIRED)
    now = anywhere.deployment.clock.now()
    assert expiry.notify(anywhere.deployment) == 0
    for number, days in ((1, 31), (2, 45), (3, 200)):
        _contract(anywhere.deployment, number, days)
    later = _at(anywhere.deployment, now + 3 * DAY)
    assert expiry.notify(later) == 1
    assert expiry.notify(later) == 0
    assert _told(anywhere) == [(EXPIRING, "1")]
    # nobody ran the job for two months
    assert expiry.notify(_at(anywhere.deployment, now + 60 * DAY)) >= 3
    assert _told(anywhere) == [
        (expiry.EXPIRED, "1"),
        (expiry.EXPIRED, "2"),
        (EXPIRING, "1"),
        (EXPIRING, "2"),
    ]
    assert expiry.notify(_at(anywhere.deployment, now + 61 * DAY)) == 0
    assert len(_told(anywhere)) == 4


def test_what_ends_within_the_notice_from_its_begin_is_told_of_at_once(anywhere: Services) -> None:
    _listen(anywhere, Role.EMSP, "DEMOA", EXPIRING)
    now = anywhere.deployment.clock.now()
    assert expiry.notify(anywhere.deployment) == 0
    for number, days in ((1, 10), (2, 31)):
        _contract(anywhere.deployment, number, days)
    assert _told(anywhere) == [(EXPIRING, "1")]
    assert expiry.notify(_at(anywhere.deployment, now + 3 * DAY)) == 1
    assert _told(anywhere) == [(EXPIRING, "1"), (EXPIRING, "2")]


def test_issue_and_renewal_are_told_to_whose_certificate_it_is(small: Services) -> None:
    _listen(small, Role.EMSP, "DEMOA", "certificate.issued", "certificate.renewed")
    _contract(small.deployment, 1, 90)
    _contract(small.deployment, 1, 120)
    assert _told(small) == [
        ("certificate.issued", "1"),
        ("certificate.issued", "1"),
        ("certificate.renewed", "1"),
    ]
    with small.deployment.store.read() as tx:
        event = tx.webhooks.queued(1)[0]
    heard = {}
    for role, party in ((Role.EMSP, "DEMOA"), (Role.CPO, "DEMOA"), (Role.EMSP, "DEOTH")):
        client, _ = clients.add(small.deployment, ADMIN, role, (party,))
        heard[role, party] = events.heard_by(event, client)
    assert heard == {
        (Role.EMSP, "DEMOA"): True,
        (Role.CPO, "DEMOA"): False,
        (Role.EMSP, "DEOTH"): False,
    }


def _refused(deployment: Deployment, number: int) -> str:
    try:
        _contract(deployment, number, 90)
    except PkiError as error:
        return error.code
    return ""


def test_a_kind_without_duplicates_is_renewed_in_its_window_only(small: Services) -> None:
    rules = EnrolmentRules(windows={Kind.CONTRACT: 30 * DAY})
    deployment = replace(small.deployment, enrolment=rules)
    _contract(deployment, 1, 90)
    assert _refused(deployment, 1) == "certificate_current"
    assert _refused(deployment, 2) == ""
    for days, code in ((89, "certificate_current"), (91, "")):
        wider = EnrolmentRules(windows={Kind.CONTRACT: days * DAY})
        assert _refused(replace(small.deployment, enrolment=wider), 1) == code
    revoke(deployment, ADMIN, _contract(deployment, 3, 90), Reason.SUPERSEDED)
    assert _refused(deployment, 3) == ""
    twice = [
        (ADMIN, IssueRequest(kind=Kind.CONTRACT, common_name="DEMOAC00000009")) for _ in range(2)
    ]
    first, second = issue_many(deployment, twice)
    assert not isinstance(first, PkiError)
    assert isinstance(second, Conflict)


def test_the_settings_name_windows_and_notice(tmp_path: Path) -> None:
    text = '[enrol]\nrenewal = [{profile = "secc", days = 14}]\nnotice_days = 10\n'
    (tmp_path / "pnc.toml").write_text(text, "utf-8")
    rules = load({}, tmp_path).enrolment
    assert rules.windows == {Kind.SECC: 14 * DAY}
    assert rules.notice == 10 * DAY
    bad = '[enrol]\nrenewal = [{profile = "root", days = 1}, {profile = "secc", days = -1}]\n'
    (tmp_path / "pnc.toml").write_text(bad + "notice_days = 0\n", "utf-8")
    with pytest.raises(BadInput) as caught:
        load({}, tmp_path)
    assert len(caught.value.data["faults"]) == 3  # type: ignore[arg-type]  # a list


def test_the_command_lists_as_json(small: Services, small_home: Path) -> None:
    _contract(small.deployment, 1, 5)
    words = ["--home", str(small_home), "expiring", "--days", "7", "--json"]
    (told,) = json.loads(CliRunner().invoke(main, words).stdout)
    assert (told["commonName"], told["kind"], told["renewed"]) == (
        "DEMOAC00000001",
        "contract",
        False,
    )
