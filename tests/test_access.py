"""Who may do what to whose certificates: every role against every kind, one shared party id."""

from __future__ import annotations

from typing import Final

import pytest

from pki import access, clients, lookup
from pki.errors import NotAllowed, NotFound, Unauthenticated
from pki.issue import IssueRequest, issue
from pki.model import Principal, Reason, Role
from pki.pkix.profiles import Kind
from pki.revoke import revoke
from pki.services import Services
from tests.homes import ADMIN, EMAID

SHARED: Final = "DEMOA"
SUBSCRIBERS: Final = (Role.CPO, Role.EMSP, Role.OEM, Role.CPS)


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("kind", list(Kind))
def test_a_certificate_is_its_owners_by_role_and_party(role: Role, kind: Kind) -> None:
    caller = Principal(name="x", role=role, parties=(SHARED,))
    owns = access.OWNER_ROLE.get(kind) is role
    assert access.sees(caller, kind, SHARED) is (owns or role in (Role.ADMIN, Role.AUDITOR))
    assert access.sees(caller, kind, "OTHER") is (role in (Role.ADMIN, Role.AUDITOR))
    if role is Role.ADMIN or owns:
        access.require_owner(caller, access.Action.REVOKE, kind, SHARED)
        return
    with pytest.raises(NotAllowed):
        access.require_owner(caller, access.Action.REVOKE, kind, SHARED)


def test_an_operator_with_the_same_letters_sees_and_revokes_no_contract(small: Services) -> None:
    record = issue(
        small.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, common_name=EMAID)
    ).record
    for role in (Role.CPO, Role.OEM, Role.CPS):
        caller = Principal(name="x", role=role, parties=(SHARED,))
        with pytest.raises(NotFound):
            lookup.find(small.deployment, caller, record.serial.value)
        assert lookup.search(small.deployment, caller) == []
        with pytest.raises(NotAllowed):
            revoke(small.deployment, caller, record.serial.value, Reason.SUPERSEDED)
    owner = Principal(name="x", role=Role.EMSP, parties=("FRMOB", SHARED))
    assert lookup.search(small.deployment, owner) == [record]
    assert lookup.search(small.deployment, owner, kind=Kind.SECC) == []
    assert lookup.search(small.deployment, owner, owner="FRMOB") == []


def test_nobody_but_an_administrator_touches_a_ca(small: Services) -> None:
    with small.deployment.store.read() as tx:
        ca = tx.certificates.search(kinds=(Kind.MO_SUB_CA2,))[0]
    for role in (*SUBSCRIBERS, Role.AUDITOR):
        caller = Principal(name="x", role=role, parties=("", SHARED))
        with pytest.raises(NotAllowed):
            revoke(small.deployment, caller, ca.serial.value, Reason.SUPERSEDED)


def test_only_listed_grants_are_given() -> None:
    for action in access.Action:
        for role in Role:
            caller = Principal(name="x", role=role, parties=(SHARED,))
            if role is Role.ADMIN or role in access.GRANTS[action]:
                access.require(caller, action)
            else:
                with pytest.raises(NotAllowed):
                    access.require(caller, action)


def test_a_token_is_whose_it_was_given_to_until_it_is_removed(small: Services) -> None:
    client, token = clients.add(small.deployment, ADMIN, Role.CPO, ("DE*ABC", "DEABC"))
    caller = access.authenticate(small.deployment, token)
    assert (caller.name, caller.role, caller.parties) == (client.client_id, Role.CPO, ("DEABC",))
    for wrong in ("", token[:-1], token + "x", token.upper(), "\ud800"):
        with pytest.raises(Unauthenticated):
            access.authenticate(small.deployment, wrong)
    clients.disable(small.deployment, ADMIN, client.client_id)
    with pytest.raises(Unauthenticated):
        access.authenticate(small.deployment, token)
    with pytest.raises(NotFound):
        clients.disable(small.deployment, ADMIN, client.client_id)
