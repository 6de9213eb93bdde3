"""Where else a driver may charge: a partner may ask about several EVSEs of a location at once."""

from __future__ import annotations

import datetime as dt

from pki import agreements, route
from pki.authorize import Roaming
from pki.model import Agreement, CredentialKind, Principal


def covers(  # noqa: PLR0913 - who, with what, of whom, where and when
    roaming: Roaming,
    principal: Principal,
    kind: CredentialKind,
    account: str,
    evse: str | None,
    at: dt.datetime,
) -> bool:
    """
    Tell whether an agreement of the CPO that asks with an eMSP account holds at an EVSE.

    Args:
        principal: the CPO with its party ids.
        evse: canonical EVSE id; None where it is not known, which an agreement on places denies.
    """
    directory = roaming.directory.now()
    owner = route.to_cpo(directory, evse, at) if evse is not None else None
    cpos = principal.parties if owner is None else {owner} & set(principal.parties)
    names = route.of_account(directory, account).names
    uses = (agreements.Use(cpo=cpo, emsps=names, kind=kind, evse=evse, at=at) for cpo in cpos)
    return any(isinstance(agreements.fitting(directory, use), Agreement) for use in uses)
