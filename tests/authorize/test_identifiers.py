"""Contract ids and uids in every form, good and broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki import contracts
from pki.errors import BadInput, PkiError
from pki.ids import CredentialUid, ProviderId, fold_prefix
from pki.model import Account, AuthorisationFault
from pki.services import Services
from tests.authorize.homes import BEGIN, TERMS, asked, ready, roaming
from tests.homes import ADMIN


def _vectors(vectors: Path, name: str) -> list[dict[str, Any]]:
    document = json.loads((vectors / "ocpi" / "contract_ids.json").read_text("utf-8"))
    found: list[dict[str, Any]] = document[name]
    return found


def test_every_published_form_names_its_contract_and_its_emsp(
    small: Services, vectors: Path
) -> None:
    cases = _vectors(vectors, "contract_ids")
    ready(small, TERMS)
    good = [case for case in cases if case["valid_syntax"]]
    with small.database.write() as tx:
        for provider in {case["provider"] for case in good}:
            tx.contracts.add_account(
                Account(provider_id=ProviderId(value=provider), name=provider, created_at=BEGIN)
            )
    found = roaming(small)
    for case in good:
        contracts.add(small.deployment, ADMIN, case["input"])
        for form in (case["canonical_14"], case["canonical_15"], case["display"].lower()):
            told = asked(small, found, form)
            assert (told.contract, told.emsp) == (case["canonical_14"], case["provider"])
            assert told.fault is AuthorisationFault.NO_AGREEMENT
    for case in cases:
        if not case["valid_syntax"]:
            told = asked(small, found, case["input"])
            assert told.token_status in ("Unknown", "Invalid"), case["id"]


def test_one_contract_in_two_notations_is_one_and_two_are_two(
    small: Services, vectors: Path
) -> None:
    ready(small, TERMS)
    with small.database.write() as tx:
        for provider in ("DE8AA", "DE8AC"):
            tx.contracts.add_account(
                Account(provider_id=ProviderId(value=provider), name=provider, created_at=BEGIN)
            )
    for case in _vectors(vectors, "same_contract"):
        contracts.add(small.deployment, ADMIN, case["values"][0])
        told = [asked(small, roaming(small), value).contract_id for value in case["values"]]
        assert (len(set(told)) == 1) is case["same"]


@pytest.mark.parametrize(
    "text", ["04A23BC1", "04a23bc1", "04:a2:3b:c1", "04-A2-3B-C1", "04 a2 3b c1"]
)
def test_the_notations_of_a_card_are_one_uid(text: str) -> None:
    assert CredentialUid.parse(text).value == "04A23BC1"


@pytest.mark.parametrize("text", ["", " 04", "04 ", "x" * 37, "ü", "٠٤", "a\nb", "a\0b", "\ud800"])
def test_what_is_no_uid_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        CredentialUid.parse(text)
    assert refused.value.code == "invalid_uid"


@given(st.text(max_size=80))
def test_a_uid_is_canonical_or_refused(text: str) -> None:
    try:
        uid = CredentialUid.parse(text)
    except PkiError:
        return
    assert CredentialUid.parse(uid.value) == uid
    assert uid.value.isascii()
    assert len(uid.value) <= 36


@given(st.text(max_size=80))
def test_a_prefix_is_canonical_or_refused(text: str) -> None:
    try:
        folded = fold_prefix(text)
    except PkiError:
        return
    assert fold_prefix(folded) == folded


@given(st.text(max_size=300), st.text(max_size=30))
def test_whatever_is_shown_gets_a_verdict(token: str, kind: str) -> None:
    from pki.authorize.case import place  # noqa: PLC0415

    assert place(token, kind).evse_id == token
