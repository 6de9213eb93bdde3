"""
Authorisations that say the same but for whose contract it is, found out once for all of them.

Which agreement of which companies holds where is nothing of one contract. An answer that nobody was
asked for and that counted no sessions comes again for every contract of the eMSP's, of the same
whitelist rule, until a range or an agreement begins or ends.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import Final

from pki import route
from pki.authorize.after import Outcome, outcome_of
from pki.authorize.case import place
from pki.authorize.told import Json, to_ocpp_of_accepted
from pki.directory import Directory
from pki.ids import Emaid
from pki.model import (
    Authorisation,
    AuthorisationFault,
    Contract,
    ContractCheck,
    CredentialKind,
    Principal,
    RangeKind,
)

Key = tuple[object, ...]
_NEVER: Final = dt.datetime.max.replace(tzinfo=dt.UTC)
_OF_NO_CONTRACT: Final = frozenset(
    (
        None,
        AuthorisationFault.CPO_UNKNOWN,
        AuthorisationFault.NO_AGREEMENT,
        AuthorisationFault.KIND_NOT_AGREED,
        AuthorisationFault.NOT_HERE,
    )
)
"""Faults that are no contract's own."""
_PARTY_ID: Final = 5
"""Characters of an identifier that name its eMSP where no range does."""


class Like:
    """Stands for all that authorisations say but contract, time and place."""


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """
    What authorisations share.

    Attributes:
        model: one of them.
        like: the same for all that say the same; None where the place stands in what they say.
        outcome: what is counted of one.
        ocpp: what OCPP is told behind an acceptance.
    """

    model: Authorisation
    like: Like | None
    outcome: Outcome
    ocpp: Json

    def again(
        self, reference: str, at: dt.datetime, emaid: Emaid, contract: Contract, evse: str | None
    ) -> Authorisation:
        """Return the one about another contract, at another time or place."""
        model = self.model
        return Authorisation(
            reference=reference,
            at=at,
            allowed=model.allowed,
            fault=model.fault,
            explanation=model.explanation,
            token_status=model.token_status,
            checks=model.checks,
            cpo=model.cpo,
            emsp=model.emsp,
            kind=CredentialKind.EMAID,
            contract_id=contract.contract_id,
            contract=emaid.key,
            evse_id=evse,
            agreement=model.agreement,
            tariff=model.tariff,
            rule=model.rule,
            asked=model.asked,
        )


def key_of(  # noqa: PLR0913 - what the questions look at
    directory: Directory,
    principal: Principal,
    check: ContractCheck,
    emaid: Emaid,
    contract: Contract,
    now: dt.datetime,
    turn: dt.datetime,
) -> Key:
    """
    Return all that the questions behind an acceptance look at.

    Args:
        turn: when the next range or agreement begins or ends.
    """
    found = route.longest(directory, RangeKind.EMAID, emaid.key, now)
    return (
        principal.role,
        principal.parties,
        emaid.key[:_PARTY_ID] if found is None else found,
        contract.whitelist,
        place(check.evse_id, None).evse if check.evse_id is not None else None,
        turn,
    )


def keep(directory: Directory, key: Key, found: Authorisation) -> Alike | None:
    """Keep an authorisation for others, if it may come again."""
    if not _may_come_again(found):
        return None
    said = replace(found, reference="", at=_NEVER, contract_id=None, contract=None, evse_id=None)
    like = directory.kept.get(said)
    if not isinstance(like, Like):
        like = Like()
        directory.kept.put(said, like)
    at_one_place = found.fault is AuthorisationFault.NOT_HERE
    outcome = outcome_of(None, found)._replace(decided="accepted")
    alike = Alike(found, None if at_one_place else like, outcome, to_ocpp_of_accepted(found))
    directory.kept.put(key, alike)
    return alike


def _may_come_again(found: Authorisation) -> bool:
    """Tell whether an authorisation is one of those that differ in their contract alone."""
    return (
        found.fault in _OF_NO_CONTRACT
        and found.kind is CredentialKind.EMAID
        and found.asked == "no"
        and found.fallback is None
        and found.emsp_reference is None
    )
