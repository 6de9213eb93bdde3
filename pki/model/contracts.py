"""Contracts of drivers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from pki.ids import Emaid, ProviderId


class ContractState(StrEnum):
    """What an eMSP says of a contract."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    SUSPENDED = "suspended"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """
    A driver's contract with an eMSP.

    Attributes:
        identifiers: its EMAIDs; two where the car holds a -2 and a -20 certificate for one
            contract.
        account: provider id of the account, present or not (an account may come later).
    """

    contract_id: str
    identifiers: tuple[Emaid, ...]
    account: ProviderId
    state: ContractState
    created_at: dt.datetime
