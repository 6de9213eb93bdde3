"""The benchmark's contracts and cards are such as the service itself keeps."""

from __future__ import annotations

from pathlib import Path

from pki.authorize import authorize
from pki.model import Allowed, ContractCheck, Principal, Role
from scripts.bench import contracts, homes, legs

CONTRACTS, CARDS = 10_000, 100


def test_what_was_loaded_may_charge(tmp_path: Path) -> None:
    home = tmp_path / "home"
    homes.make(home)
    with homes.opened(home) as services:
        for _ in range(2):  # what is there already is kept
            contracts.seed(services, CONTRACTS, CARDS)
        legs.callers(services)
        cpo = Principal(name="bench", role=Role.CPO, parties=("DEBEN",))
        for token, kind in (
            (contracts.emaid(0), "eMAID"),
            (contracts.emaid(CONTRACTS - 1), "eMAID"),
            (contracts.card(CARDS - 1), "ISO14443"),
        ):
            check = ContractCheck(token=token, token_type=kind)
            told = authorize(services.deployment, services.roaming, cpo, check).authorisation
            assert told.allowed is Allowed.ALLOWED, told.explanation
        check = ContractCheck(token=contracts.emaid(CONTRACTS))
        told = authorize(services.deployment, services.roaming, cpo, check).authorisation
        assert told.token_status == "Unknown"
