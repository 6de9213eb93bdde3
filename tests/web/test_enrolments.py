"""Registration before enrolment, consent to enrolments, and how often one client may ask."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from pki import services
from pki.clock import FixedClock
from pki.enrol import consent
from pki.model import Role
from pki.services import Services
from pki.settings import load
from tests.builders import NOW
from tests.web.calling import Caller, code, csr
from tests.web.conftest import PUBLIC_URL, tokens
from tests.web.test_ocpp_stations import later, sign, transfer, waiting
from web.app import create_app
from web.limits import Buckets

Opened = Callable[..., tuple[Services, Caller]]
NAME = "DECPAE1"
STATION = {"commonName": "DE*CPA*E1", "evseID": ["DE*CPA*E1*1"], "evseISOversion": "15118-2"}


@pytest.fixture
def opened(home: Path) -> Iterator[Opened]:
    """Open the home with a table `enrol` in its settings."""
    running: list[Services] = []

    def open_it(enrol: str, est: str = "") -> tuple[Services, Caller]:
        text = f"[enrol]\n{enrol}\n[est]\n{est}\n"
        (home / "pnc.toml").write_text(text, "utf-8")
        built = services.build(load({"PNC_PUBLIC_URL": PUBLIC_URL}, home), clock=FixedClock(NOW))
        running.append(built)
        return built, Caller(create_app(built), tokens(home))

    yield open_it
    for each in running:
        each.close()


def der(text: str) -> bytes:
    return x509.load_pem_x509_csr(text.encode()).public_bytes(Encoding.DER)


def est(caller: Caller, text: str, path: str = "/cpo/simpleenroll") -> TestResponse:
    headers = {"Content-Type": "application/pkcs10"}
    return caller.post(path, data=base64.b64encode(der(text)), role="cpo", headers=headers)


def count(running: Services) -> int:
    with running.deployment.store.read() as tx:
        return len(tx.certificates.search(limit=1000)) + len(tx.intents.unfinished())


# --- registration ---------------------------------------------------------------------------------


def test_only_what_is_registered_gets_a_certificate_over_every_protocol(opened: Opened) -> None:
    running, caller = opened("require_registration = true")
    before = count(running)
    text = csr("DECPAE1")
    refused = est(caller, text)
    assert (refused.status_code, refused.text.split(":")[0]) == (403, "not_registered")
    told = sign(caller, text, "V2GCertificate").json or {}
    assert told["statusInfo"]["additionalInfo"].startswith("not_registered")
    rest = caller.post("/v1/certificates", {"profile": "secc", "csr": text}, role="cpo")
    assert rest.status_code == 403
    bare = caller.post("/v1/certificates", {"profile": "secc", "commonName": NAME}, role="cpo")
    assert code(bare) == (403, "not_registered")
    assert count(running) == before
    made = caller.call("PUT", "/v1/vra/cpo/endEntities", body=STATION, role="cpo")
    assert made.status_code == 200
    assert est(caller, text).status_code == 200
    assert sign(caller, csr("DE*CPA*E1"), "V2GCertificate").json == {"status": "Accepted"}
    assert sign(caller, csr("SN-1"), "ChargingStationCertificate").json == {"status": "Accepted"}
    gone = caller.call("DELETE", "/v1/vra/cpo/endEntities/DECPAE1", role="cpo")
    assert gone.status_code == 200
    assert est(caller, csr("DECPAE1")).status_code == 403


def test_a_tenant_may_be_let_off_registration(opened: Opened) -> None:
    _, caller = opened(
        'require_registration = true\ntenants = [{party = "DECPA", registration = false}]'
    )
    assert est(caller, csr("DECPAE1")).status_code == 200


def test_registrations_are_listed_by_page_to_their_operator(caller: Caller) -> None:
    for number in (1, 2, 3):
        body = {"commonName": f"DECPAE{number}", "deviceName": "box", "unknown": 5}
        answer = caller.call("PUT", "/v1/vra/cpo/endEntities", body=body, role="cpo")
        assert answer.status_code == 200
    again = caller.call("PUT", "/v1/vra/cpo/endEntities", body=STATION, role="cpo")
    assert (again.json or {})["evseID"] == ["DE*CPA*E1*1"]
    page = caller.get("/v1/vra/cpo/endEntities?limit=2", role="cpo").json or {}
    assert [e["commonName"] for e in page["endEntities"]] == ["DE*CPA*E1", "DECPAE2"]
    rest = caller.get(f"/v1/vra/cpo/endEntities?after={page['next']}", role="cpo").json or {}
    assert [e["commonName"] for e in rest["endEntities"]] == ["DECPAE3"]
    assert caller.get("/v1/vra/cpo/endEntities", role="emsp").status_code == 403


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"commonName": "DEXYZE1"}, 403),
        ({"evseID": ["DE*XYZ*E1"]}, 403),
        ({"commonName": None}, 400),
        ({"commonName": "x"}, 400),
        ({"evseID": ["x"]}, 400),
        ({"evseID": ["DECPAE1"] * 101}, 400),
        ({"evseISOversion": "15118-3"}, 400),
        ({"deviceName": "x" * 256}, 400),
        ({"manufacture": 5}, 400),
    ],
)
def test_what_cannot_be_registered_is_refused(
    shared: Caller, change: dict[str, Any], status: int
) -> None:
    answer = shared.call("PUT", "/v1/vra/cpo/endEntities", body=STATION | change, role="cpo")
    assert answer.status_code == status
    assert (answer.json or {})["errorMessages"]


# --- consent --------------------------------------------------------------------------------------


def enrolments(caller: Caller, query: str = "", role: str = "admin") -> list[dict[str, Any]]:
    answer = caller.get(f"/v1/enrolments{query}", role=role)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = (answer.json or {})["enrolments"]
    return found


def decide(caller: Caller, found: dict[str, Any], verb: str, role: str = "admin") -> TestResponse:
    body = {"reason": "no such station"} if verb == "reject" else {}
    return caller.post(f"/v1/enrolments/{found['enrolmentId']}/{verb}", body, role=role)


def test_an_enrolment_waits_and_is_issued_once_when_it_was_accepted(opened: Opened) -> None:
    running, caller = opened('approval = ["secc"]')
    before = count(running)
    text = csr("DECPAE1")
    for _ in range(2):
        answer = est(caller, text)
        assert (answer.status_code, answer.headers["Retry-After"]) == (202, "60")
    (found,) = enrolments(caller)
    assert (found["commonName"], found["owner"], found["state"]) == ("DECPAE1", "DECPA", "waiting")
    assert enrolments(caller, role="cpo") == [found]
    assert count(running) == before
    assert decide(caller, found, "accept", "cpo").status_code == 403
    assert decide(caller, found, "accept").status_code == 200
    assert est(caller, text).status_code == 200
    (done,) = enrolments(caller, "?state=issued")
    assert done["certificate"] is not None
    assert est(caller, text).status_code == 202  # a request of its own
    assert est(caller, csr("DECPAE1")).status_code == 202  # another key
    assert count(running) == before + 1
    assert decide(caller, found, "reject").status_code == 409


def test_a_rejected_request_is_told_why(opened: Opened) -> None:
    running, caller = opened('approval = ["secc"]')
    text = csr("DECPAE1")
    est(caller, text)
    assert decide(caller, enrolments(caller)[0], "reject").status_code == 200
    answer = est(caller, text)
    assert answer.status_code == 403
    assert answer.text.startswith("enrolment_rejected: ")
    assert "no such station" in answer.text
    with running.deployment.store.read() as tx:
        actions = [e.action for e in tx.audit.entries("admin") if "enrolment" in e.action]
    assert actions == ["enrolment.ask", "enrolment.rejected"]


def test_a_label_may_demand_consent_where_its_kind_does_not(opened: Opened) -> None:
    _, caller = opened("", 'labels = [{name = "slow", ca = "cpo", approval = true}]')
    assert est(caller, csr("DECPAE1"), "/slow/.well-known/est/simpleenroll").status_code == 202
    assert est(caller, csr("DECPAE1")).status_code == 200


def test_what_is_wrong_with_a_request_is_said_before_it_waits(opened: Opened) -> None:
    _, caller = opened('approval = ["secc"]')
    assert est(caller, csr("DEXYZE1")).status_code == 403
    assert est(caller, csr("DECPAE1", ec.generate_private_key(ec.SECP224R1()))).status_code == 400
    assert enrolments(caller, "?state=all") == []


def test_over_rest_it_waits_as_well_and_an_administrator_needs_nobody(opened: Opened) -> None:
    _, caller = opened('approval = ["secc"]')
    body = {"profile": "secc", "csr": csr("DECPAE1")}
    answer = caller.post("/v1/certificates", body, role="cpo")
    assert (answer.status_code, answer.headers["Retry-After"]) == (202, "60")
    assert (answer.json or {})["code"] == "enrolment_waits"
    assert caller.post("/v1/certificates", body, role="admin").status_code == 201


def test_a_request_that_must_be_accepted_has_a_csr(opened: Opened) -> None:
    running, caller = opened('approval = ["secc"]')
    before = count(running)
    body = {"profile": "secc", "commonName": NAME}
    assert code(caller.post("/v1/certificates", body, role="cpo")) == (422, "csr_missing")
    assert (count(running), enrolments(caller)) == (before, [])
    other = {"profile": "station", "commonName": "SN-1"}
    assert caller.post("/v1/certificates", other, role="cpo").status_code == 201


@pytest.mark.parametrize("version", ["2.1", "1.6"])
def test_a_station_gets_its_certificate_when_it_was_accepted(opened: Opened, version: str) -> None:
    _, caller = opened('approval = ["secc"]')
    text = csr("DECPAE1")
    if version == "2.1":
        assert sign(caller, text, "V2GCertificate", "2.1").json == {"status": "Accepted"}
    else:
        asked = {"csr": text, "certificateType": "V2GCertificate"}
        assert transfer(caller, "SignCertificate", asked)["status"] == "Accepted"
    assert waiting(caller) == []
    (found,) = enrolments(caller)
    assert found["station"] == "cs-1"
    assert (decide(caller, found, "accept").json or {})["state"] == "issued"
    (message,) = waiting(caller)
    assert (message["version"], message["action"]) == (version, "CertificateSigned")
    if version == "2.1":  # the station asks again before it heard
        assert sign(caller, text, "V2GCertificate", "2.1").json == {"status": "Accepted"}
        assert (waiting(caller), enrolments(caller)) == ([message], [])


def test_requests_that_nobody_decides_expire_and_are_forgotten(opened: Opened) -> None:
    running, caller = opened('approval = ["secc"]')
    est(caller, csr("DECPAE1"))
    later(running, consent.LIFE.total_seconds())
    assert consent.prune(running.deployment) == 1
    assert [e["state"] for e in enrolments(caller, "?state=all")] == ["expired"]
    later(running, consent.RETENTION.total_seconds())
    assert consent.prune(running.deployment) == 1
    assert enrolments(caller, "?state=all") == []


def test_no_more_requests_wait_than_there_is_room_for(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, caller = opened('approval = ["secc"]')
    monkeypatch.setattr(consent, "MOST_WAITING", 1)
    assert est(caller, csr("DECPAE1")).status_code == 202
    full = est(caller, csr("DECPAE2"))
    assert (full.status_code, full.text.split(":")[0]) == (400, "queue_full")


# --- how often ------------------------------------------------------------------------------------


def test_who_asks_too_often_is_told_when_to_come_back_in_each_protocol(opened: Opened) -> None:
    _, caller = opened("requests_per_minute = 1")
    assert est(caller, csr("DECPAE1")).status_code == 200
    answer = est(caller, csr("DECPAE1"))
    assert (answer.status_code, answer.mimetype) == (429, "text/plain")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    over_ocpp = sign(caller, csr("DECPAE1"))
    assert (over_ocpp.status_code, (over_ocpp.json or {})["errorCode"]) == (429, "GenericError")
    assert transfer_status(caller) == 429
    wanted = {"grant_type": "client_credentials", "client_id": "x", "client_secret": "y"}
    assert caller.post("/oauth/token", wanted).status_code == 401
    told = caller.post("/oauth/token", wanted)
    assert (told.status_code, (told.json or {})["error"]) == (429, "temporarily_unavailable")
    behind = {"X-Forwarded-For": "198.51.100.9"}
    assert caller.post("/oauth/token", wanted, headers=behind).status_code == 429  # not believed
    local = replace(caller, peer="127.0.0.1")
    assert local.post("/oauth/token", wanted, headers=behind).status_code == 401
    other = caller.post(
        "/cpo/simpleenroll", data=b"x", role="emsp", headers={"Content-Type": "application/pkcs10"}
    )
    assert other.status_code == 400
    assert caller.get("/cpo/cacerts").status_code == 200


def transfer_status(caller: Caller) -> int:
    body = {"vendorId": "org.openchargealliance.iso15118pnc", "messageId": "SignCertificate"}
    headers = {"X-Station-Id": "cs-1"}
    data = body | {"data": '{"csr": "x"}'}
    return caller.post("/ocpp/1.6/DataTransfer", data, role="cpo", headers=headers).status_code


@given(st.lists(st.floats(0, 30), max_size=200), st.integers(1, 600))
def test_a_bucket_gives_its_rate_and_no_more(pauses: list[float], rate: int) -> None:
    buckets, now, given_out = Buckets(rate), 0.0, 0
    for pause in pauses:
        now += pause
        given_out += buckets.take("a", now) == 0
    assert given_out <= rate + now * rate / 60 + 1


def test_a_bucket_fills_again_and_says_when() -> None:
    buckets = Buckets(2)
    assert [buckets.take("a", 0.0) for _ in range(2)] == [0, 0]
    assert buckets.take("a", 0.0) == pytest.approx(30)
    assert buckets.take("b", 0.0) == 0
    assert buckets.take("a", 30.5) == 0


def test_clients_are_remembered_within_bounds() -> None:
    buckets = Buckets(1, most=100)
    for number in range(1000):
        buckets.take(str(number), 0.0)
    assert len(buckets) == 100
    assert buckets.take("999", 0.0) > 0


# --- sent twice -----------------------------------------------------------------------------------


def issue(caller: Caller, text: str, key: str, **more: Any) -> TestResponse:
    body = {"profile": "secc", "csr": text} | more
    return caller.post("/v1/certificates", body, role="cpo", headers={"Idempotency-Key": key})


def test_a_request_under_a_key_issues_once_and_gets_the_same_certificate(
    caller: Caller, running: Services
) -> None:
    before, text = count(running), csr("DECPAE1")
    first = issue(caller, text, "k1")
    again = issue(caller, text, "k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    assert first.headers["Location"] == again.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert count(running) == before + 1
    assert issue(caller, csr("DECPAE1"), "k1").status_code == 422
    assert issue(caller, text, "k2").json != first.json


def test_at_once_under_a_key_one_works_and_the_others_are_told(
    caller: Caller, running: Services
) -> None:
    before, text = count(running), csr("DECPAE1")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: issue(caller, text, "k1").status_code, range(4)))
    assert set(answers) <= {201, 409}
    assert 201 in answers
    assert count(running) == before + 1


def test_what_was_refused_leaves_its_key_free_and_a_crash_for_a_minute(
    caller: Caller, running: Services
) -> None:
    assert issue(caller, csr("DEXYZE1"), "k1").status_code == 403
    text = csr("DECPAE1")
    first = issue(caller, text, "k1")
    assert first.status_code == 201
    with running.deployment.store.write() as tx:
        client = next(c.client_id for c in tx.clients.all() if c.role is Role.CPO)
        left = tx.roaming.remembered(client, "k1")
        (made,) = tx.certificates.search(common_name="DECPAE1")
        assert left is not None
        # a crash behind the certificate, and one of the next try before it asked anything
        tx.roaming.answer(replace(left, status=0, answer=f"{made.intent_id} request-second"))
    before = count(running)
    assert issue(caller, text, "k1").status_code == 409
    later(running, 61)
    again = issue(caller, text, "k1")
    assert (again.status_code, again.json) == (201, first.json)  # it had been issued by then
    assert issue(caller, text, "k1").json == first.json
    assert count(running) == before


def test_a_key_made_here_is_never_kept(caller: Caller) -> None:
    body = {"profile": "secc", "commonName": "DECPAE1"}
    answer = caller.post("/v1/certificates", body, role="cpo", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 422
