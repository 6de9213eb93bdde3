"""A home with a CPO, two eMSPs and cards, and partners that answer as a test tells them to."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field, replace

from pki import agreements, contracts, parties
from pki.authorize import Roaming, authorize
from pki.directory import Follower
from pki.errors import NotFound, Unavailable
from pki.ids import CredentialUid
from pki.model import (
    Allowed,
    Authorisation,
    ContractCheck,
    Credential,
    CredentialKind,
    CredentialState,
    EmspAnswer,
    EmspQuestion,
    Principal,
    Role,
    Terms,
    Whitelist,
)
from pki.realtime import RealTime
from pki.services import Services
from tests.homes import ADMIN, EMAID

CPO = Principal(name="cpo-1", role=Role.CPO, parties=("DECPA",))
BEGIN = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
TERMS = Terms(cpo="DECPA", emsp="DEMOA", valid_from=BEGIN)
EVSE = "DE*CPA*E45B*78C"


@dataclass
class Partner:
    """An eMSP that is asked in real time; `answer` None is silence, `unknown` a 404."""

    emsps: tuple[str, ...] = ("DEMOA", "FRMOB", "NLHUB")
    answer: Allowed | None = Allowed.ALLOWED
    unknown: bool = False
    asked: list[EmspQuestion] = field(default_factory=list)

    def reaches(self, emsp: str, hub: str | None) -> bool:
        return (hub or emsp) in self.emsps

    def ask(self, question: EmspQuestion, seconds: float) -> EmspAnswer:
        assert seconds <= 2.0
        self.asked.append(question)
        if self.unknown:
            raise NotFound("token_unknown", "No such token.")
        if self.answer is None:
            raise Unavailable("outbound_timeout", "It did not answer in time.")
        return EmspAnswer(allowed=self.answer, reference="theirs-1", info=None)


def roaming(services: Services, *ways: Partner) -> Roaming:
    """Return what authorisations use, with these partners."""
    follower = Follower(services.database, services.view)
    return Roaming(directory=follower, realtime=RealTime(ways))


def ready(services: Services, terms: Terms | None = TERMS) -> None:
    """Register the CPO, the contract and, unless it is None, an agreement called `a`."""
    parties.add_party(services.deployment, ADMIN, Role.CPO, "DE*CPA", "Demo Charging")
    contracts.add(services.deployment, ADMIN, EMAID)
    if terms is not None:
        agreements.add(services.deployment, ADMIN, terms, agreement_id="a")


def asked(
    services: Services,
    found: Roaming,
    token: str = EMAID,
    *,
    kind: str = "eMAID",
    evse: str | None = EVSE,
    principal: Principal = CPO,
) -> Authorisation:
    """Return the authorisation of a token."""
    check = ContractCheck(token=token, token_type=kind, evse_id=evse, station_id="cs-1")
    return authorize(services.deployment, found, principal, check).authorisation


def set_rule(services: Services, rule: Whitelist, emaid: str = EMAID) -> None:
    """Write a contract's whitelist rule."""
    with services.database.write() as tx:
        known = tx.credentials.named(CredentialKind.EMAID, emaid)[0]
        contract = tx.contracts.get(known.contract_id or "")
        assert contract is not None
        tx.contracts.set_terms(replace(contract, whitelist=rule))


def card(
    services: Services,
    uid: str = "04A23BC1",
    *,
    emsp: str = "DEMOA",
    rule: Whitelist | None = None,
    state: CredentialState = CredentialState.ACTIVE,
    kind: CredentialKind = CredentialKind.RFID,
    partner: bool = False,
) -> Credential:
    """Store a card; of a partner, or on the contract EMAID."""
    with services.database.write() as tx:
        known = tx.credentials.named(CredentialKind.EMAID, EMAID)
        credential = Credential(
            credential_id=f"{emsp}-{uid}",
            emsp=emsp,
            kind=kind,
            uid=CredentialUid.parse(uid).value,
            presented=uid,
            contract_id=None if partner else known[0].contract_id,
            contract=EMAID if not partner else f"{emsp}C99999999",
            state=state,
            created_at=BEGIN,
            updated_at=BEGIN,
            whitelist=rule,
            partner=partner,
        )
        tx.credentials.put(credential)
    return credential
