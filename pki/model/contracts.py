"""Contracts of drivers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pki.ids import Emaid, ProviderId
from pki.model.roaming import Whitelist
from pki.quick import quick


class ContractState(StrEnum):
    """What an eMSP says of a contract."""

    ACTIVE = "active"
    BLOCKED = "blocked"
    SUSPENDED = "suspended"
    ENDED = "ended"


_ACTIVE: Final = ContractState.ACTIVE
"""Looking up a member of an enumeration takes a while, and every decision does it."""


@quick
@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """
    A driver's contract with an eMSP.

    Attributes:
        identifiers: its EMAIDs; two where the car holds a -2 and a -20 certificate for one
            contract.
        account: provider id of the account, present or not (an account may come later).
        valid_from, valid_until: None: not bounded; the end is exclusive.
        blocked: those of its identifiers that may not be used, for a certificate that was lost.
        whitelist: when the eMSP is asked (`pki.model.Whitelist`); None: the rule of its account.
    """

    contract_id: str
    identifiers: tuple[Emaid, ...]
    account: ProviderId
    state: ContractState
    created_at: dt.datetime
    valid_from: dt.datetime | None = None
    valid_until: dt.datetime | None = None
    blocked: tuple[Emaid, ...] = ()
    whitelist: Whitelist | None = None

    def state_at(self, now: dt.datetime) -> ContractState:
        """Return the state, validity included: before it begins `suspended`, behind it `ended`."""
        if self.state is not _ACTIVE:
            return self.state
        if self.valid_until is not None and now >= self.valid_until:
            return ContractState.ENDED
        begun = self.valid_from is None or now >= self.valid_from
        return _ACTIVE if begun else ContractState.SUSPENDED
