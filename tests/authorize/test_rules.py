"""Whitelist and agreement rules against a simple model, through any sequence of changes."""

from __future__ import annotations

import datetime as dt
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pki import agreements, contracts, credentials
from pki.model import (
    Allowed,
    ContractState,
    CredentialKind,
    CredentialState,
    Terms,
    Whitelist,
)
from tests.authorize.homes import BEGIN, EVSE, Partner, asked, ready, roaming
from tests.homes import ADMIN, EMAID, MO_BRANCH, make_home, opened

CARD = "04A23BC1"
_COUNTRIES = st.sampled_from([(), ("DE",), ("FR",), ("FR", "DE")])
_KINDS = st.sampled_from([(), (CredentialKind.EMAID,), (CredentialKind.RFID,)])
_ENDS = st.sampled_from(
    [None, BEGIN + dt.timedelta(days=1), dt.datetime(2099, 1, 1, tzinfo=dt.UTC)]
)


class Rules(RuleBasedStateMachine):
    """One contract with a card, an eMSP that may be asked, and agreements that come and go."""

    template: Path

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pnc-rules-"))
        home = shutil.copytree(self.template, self.folder / "home")
        self.opened = opened(home)
        self.services = self.opened.__enter__()
        ready(self.services, None)
        wanted = credentials.Wanted(kind=CredentialKind.RFID, uid=CARD)
        credentials.add(self.services.deployment, ADMIN, EMAID, wanted)
        self.partner = Partner()
        self.roaming = roaming(self.services, self.partner)
        self.state = ContractState.ACTIVE
        self.rule_ = Whitelist.ALLOWED
        self.blocked: set[CredentialKind] = set()
        self.held: dict[str, Terms] = {}
        self.names = 0

    def teardown(self) -> None:
        if hasattr(self, "opened"):
            self.opened.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    @rule(state=st.sampled_from(ContractState))
    def set_state(self, state: ContractState) -> None:
        contracts.set_state(self.services.deployment, ADMIN, EMAID, state)
        self.state = state

    @rule(whitelist=st.sampled_from(Whitelist))
    def set_rule(self, whitelist: Whitelist) -> None:
        change = contracts.ContractChange(whitelist=whitelist)
        contracts.change(self.services.deployment, ADMIN, EMAID, change)
        self.rule_ = whitelist

    @rule(kind=st.sampled_from([CredentialKind.EMAID, CredentialKind.RFID]), blocked=st.booleans())
    def block(self, kind: CredentialKind, blocked: bool) -> None:  # noqa: FBT001 - drawn
        uid = CARD if kind is CredentialKind.RFID else EMAID
        state = CredentialState.BLOCKED if blocked else CredentialState.ACTIVE
        credentials.set_state(self.services.deployment, ADMIN, EMAID, kind, uid, state)
        self.blocked = self.blocked | {kind} if blocked else self.blocked - {kind}

    @rule(answer=st.sampled_from([None, *Allowed]))
    def partner_says(self, answer: Allowed | None) -> None:
        self.partner.answer = answer

    @rule(
        countries=_COUNTRIES,
        kinds=_KINDS,
        end=_ENDS,
        cpo=st.sampled_from(["*", "DECPA", "DEXYZ"]),
        emsp=st.sampled_from(["*", "DEMOA", "FRMOB"]),
    )
    def agree(
        self,
        countries: tuple[str, ...],
        kinds: tuple[CredentialKind, ...],
        end: dt.datetime | None,
        cpo: str,
        emsp: str,
    ) -> None:
        terms = Terms(
            cpo=cpo,
            emsp=emsp,
            valid_from=BEGIN,
            valid_until=end,
            countries=countries,
            kinds=kinds,
        )
        self.names += 1
        name = f"a{self.names}"
        agreements.add(self.services.deployment, ADMIN, terms, agreement_id=name)
        self.held[name] = terms

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        if self.held:
            name = data.draw(st.sampled_from(sorted(self.held)))
            agreements.withdraw(self.services.deployment, ADMIN, name)
            del self.held[name]

    @invariant()
    def the_model_agrees(self) -> None:
        if not hasattr(self, "held"):
            return
        for kind, token, token_type in (
            (CredentialKind.EMAID, EMAID, "eMAID"),
            (CredentialKind.RFID, CARD, "ISO14443"),
        ):
            self.partner.asked.clear()
            # each question is its own: the breaker has tests of its own
            fresh = roaming(self.services, self.partner)
            told = asked(self.services, fresh, token, kind=token_type, evse=EVSE)
            assert told.allowed is self.expected(kind), told.explanation
            assert bool(self.partner.asked) is self.asks(kind)

    def agreed(self, kind: CredentialKind) -> bool:
        return any(
            terms.cpo in ("*", "DECPA")
            and terms.emsp in ("*", "DEMOA")
            and (terms.valid_until is None or terms.valid_until.year > 2090)
            and (not terms.countries or "DE" in terms.countries)
            and (not terms.kinds or kind in terms.kinds)
            for terms in self.held.values()
        )

    def refused_here(self, kind: CredentialKind) -> Allowed | None:
        if self.state is ContractState.ENDED:
            return Allowed.EXPIRED
        if self.state is not ContractState.ACTIVE:
            return Allowed.BLOCKED
        # the certificate verdict comes before any whitelist; of a card, NEVER leaves it to the eMSP
        if kind in self.blocked and (
            kind is CredentialKind.EMAID or self.rule_ is not Whitelist.NEVER
        ):
            return Allowed.BLOCKED
        return None if self.agreed(kind) else Allowed.NOT_ALLOWED

    def asks(self, kind: CredentialKind) -> bool:
        real_time = self.rule_ in (Whitelist.ALLOWED_OFFLINE, Whitelist.NEVER)
        return self.refused_here(kind) is None and real_time

    def expected(self, kind: CredentialKind) -> Allowed:
        here = self.refused_here(kind)
        if here is not None:
            return here
        if not self.asks(kind):
            return Allowed.ALLOWED
        if self.partner.answer is not None:
            return self.partner.answer
        offline = self.rule_ is Whitelist.ALLOWED_OFFLINE
        return Allowed.ALLOWED if offline else Allowed.NOT_ALLOWED


def test_the_rules_hold_through_any_sequence_of_changes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    from hypothesis.stateful import run_state_machine_as_test  # noqa: PLC0415

    home = tmp_path_factory.mktemp("rules") / "home"
    make_home(home, *MO_BRANCH)
    Rules.template = home
    run_state_machine_as_test(
        Rules,
        settings=settings(
            max_examples=12,
            stateful_step_count=12,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
