"""Two people over HTTP: 202 with the proposal, then approvals of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pki import access, clients, lookup
from pki.model import Role
from pki.pkix import pem
from pki.pkix.profiles import Kind
from pki.services import Services
from tests.builders import Spec, make
from tests.web.calling import Caller, code
from tests.web.conftest import ADMIN, installation, tokens
from web.app import create_app


@pytest.fixture
def controlled(home: Path) -> Iterator[Services]:
    """An installation where one other person must approve."""
    (home / "pnc.toml").write_text("[approvals]\nrequired = 1\n")
    built = installation(home)
    yield built
    built.close()


@pytest.fixture
def people(controlled: Services) -> Caller:
    """A caller that also holds the token of a second administrator, `bob`."""
    token = clients.new_token()
    wanted = clients.new(Role.ADMIN, (), access.token_hash(token), client_id="admin-bob")
    clients.register(controlled.deployment, ADMIN, wanted)
    known = tokens(controlled.settings.home) | {"bob": token}
    return Caller(create_app(controlled), known)


def _ca(controlled: Services) -> str:
    return lookup.search(controlled.deployment, ADMIN, kind=Kind.CPO_SUB_CA2)[0].serial.value


def _revocation(people: Caller, serial: str) -> dict[str, Any]:
    body = {"reason": "superseded"}
    answer = people.post(f"/v1/certificates/{serial}/revoke", body, role="admin")
    assert answer.status_code == 202
    told = dict(answer.json or {})
    assert answer.headers["Location"] == f"/v1/proposals/{told['proposalId']}"
    return told


def test_a_ca_is_revoked_when_another_person_approved(controlled: Services, people: Caller) -> None:
    serial = _ca(controlled)
    told = _revocation(people, serial)
    path = f"/v1/proposals/{told['proposalId']}"
    page = people.get("/v1/proposals?state=pending&limit=1", role="auditor").json or {}
    assert [p["proposalId"] for p in page["proposals"]] == [told["proposalId"]]
    assert page["next"] == told["proposalId"]
    shown = people.get(path, role="auditor").json or {}
    assert (shown["verb"], shown["arguments"]["serial"]) == ("ca.revoke", serial)
    for role, status in (("admin", "own_proposal"), ("auditor", "role_not_allowed")):
        answer = people.post(f"{path}/accept", {"sha256": told["sha256"]}, role=role)
        assert code(answer) == (403, status)
    wrong = people.post(f"{path}/accept", {"sha256": "00" * 32}, role="bob")
    assert code(wrong) == (409, "not_what_was_proposed")
    assert code(people.post(f"{path}/accept", {"sha256": "x"}, role="bob"))[0] == 400
    assert code(people.post(f"{path}/run", role="bob")) == (409, "approvals_missing")
    found = people.get(f"/v1/certificates/{serial}", role="admin").json or {}
    assert found["status"] == "good"
    done = people.post(f"{path}/accept", {"sha256": told["sha256"]}, role="bob")
    assert (done.json or {})["state"] == "done"
    found = people.get(f"/v1/certificates/{serial}", role="admin").json or {}
    assert found["status"] == "revoked"
    assert code(people.post(f"{path}/reject", role="bob")) == (409, "proposal_ended")


def test_a_rejection_and_an_unknown_proposal(controlled: Services, people: Caller) -> None:
    told = _revocation(people, _ca(controlled))
    done = people.post(f"/v1/proposals/{told['proposalId']}/reject", role="bob")
    assert (done.json or {})["state"] == "rejected"
    assert code(people.get("/v1/proposals/none", role="admin")) == (404, "proposal_unknown")


def test_a_root_waits_in_every_protocol(people: Caller) -> None:
    root = make(Spec(common_name="Another Root")).certificate
    fingerprint = root.fingerprint.value
    text = pem.encode(root.der)
    opcp = {"caCertificate": text, "rootType": "V2G", "confirmFingerprint": fingerprint}
    first = people.call("PUT", "/v1/root/rootCerts", body=opcp, role="admin")
    again = people.call("PUT", "/opnc/v1/rcp/rootcertificates", body=opcp, role="bob")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json == again.json
