"""`pnc station` and `pnc enrolment`: what an administrator does about stations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pki import clients
from pki.enrol import admit
from pki.errors import ConsentNeeded
from pki.issue import IssueRequest
from pki.model import Principal, Role
from pki.pkix import pem
from pki.pkix.profiles import Kind
from tests.cli.test_cli import ok, refused
from tests.homes import ADMIN, opened
from tests.web.calling import csr

CPO = Principal(name="cpo", role=Role.CPO, parties=("DECPA",))
ASK = ("station", "ask", "cs-1", "GetInstalledCertificateIds", "--operator", "DE*CPA")


def test_a_station_is_asked_and_told_to_install_a_root(small_home: Path, tmp_path: Path) -> None:
    asked = ok(small_home, *ASK)
    assert (asked["state"], asked["operator"], asked["payload"]) == ("pending", "DECPA", {})
    with opened(small_home) as services, services.deployment.store.read() as tx:
        root = next(i.certificate for i in tx.issuers.all() if i.parent_id is None)
    file = tmp_path / "root.pem"
    file.write_text(pem.encode(root))
    words = ("station", "install", "cs-1", str(file), "--operator", "DECPA")
    told = ok(small_home, *words, "--use", "MORootCertificate", "--version", "1.6")
    assert json.loads(told["payload"]["data"])["certificateType"] == "MORootCertificate"
    listed = ok(small_home, "station", "list", "--station", "cs-1", "--state", "pending")
    assert [m["id"] for m in listed["messages"]] == [asked["id"], told["id"]]
    assert ok(small_home, "station", "show", told["id"]) == told
    assert ok(small_home, "station", "list", "--action", "DeleteCertificate") == {"messages": []}


def test_what_no_station_can_do_is_refused(small_home: Path, tmp_path: Path) -> None:
    assert refused(small_home, *ASK, "--payload", "x")["code"] == "json_invalid"
    assert refused(small_home, *ASK, "--payload", "[]")["code"] == "body_not_object"
    delete = ("station", "ask", "cs-1", "DeleteCertificate", "--operator", "DECPA")
    assert refused(small_home, *delete)["code"] == "payload_incomplete"
    assert refused(small_home, "station", "show", "x")["code"] == "message_unknown"
    file = tmp_path / "root.pem"
    file.write_text("no certificate")
    words = ("station", "install", "cs-1", str(file), "--operator", "DECPA")
    assert refused(small_home, *words, "--use", "V2GRootCertificate")["code"] == "unreadable"


def test_an_enrolment_is_listed_accepted_and_rejected(full_home: Path) -> None:
    (full_home / "pnc.toml").write_text('[enrol]\napproval = ["secc"]\n', "utf-8")
    requests = [
        IssueRequest(kind=Kind.SECC, request=csr(f"DECPAE{number}").encode()) for number in (1, 2)
    ]
    with opened(full_home) as services:
        clients.add(services.deployment, ADMIN, Role.CPO, ("DECPA",), name="Operator")
        for request in requests:
            with pytest.raises(ConsentNeeded):
                admit(services.deployment, CPO, request)
    first, second = ok(full_home, "enrolment", "list")["enrolments"]
    assert {first["commonName"], second["commonName"]} == {"DECPAE1", "DECPAE2"}
    assert ok(full_home, "enrolment", "accept", first["enrolmentId"])["state"] == "accepted"
    no = ok(full_home, "enrolment", "reject", second["enrolmentId"], "--reason", "unknown site")
    assert (no["state"], no["reason"]) == ("rejected", "unknown site")
    assert ok(full_home, "enrolment", "list") == {"enrolments": []}
    assert len(ok(full_home, "enrolment", "list", "--state", "all")["enrolments"]) == 2
    again = refused(full_home, "enrolment", "accept", second["enrolmentId"])
    assert again["code"] == "enrolment_decided"
