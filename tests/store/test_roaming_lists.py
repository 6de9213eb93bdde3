"""Pages of companies, ranges and agreements hold what concerns whoever looks, on both databases."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from pki.ids import ProviderId
from pki.model import (
    Account,
    Agreement,
    AgreementState,
    Emsp,
    NumberRange,
    Party,
    RangeKind,
    Role,
    Terms,
    Viewer,
)
from pki.store.db import Database
from pki.store.transaction import Unit
from tests.store.samples import NOW

DAY = dt.timedelta(days=1)
CPO_A = Viewer(role=Role.CPO, names=("DEAAA",))
CPO_B = Viewer(role=Role.CPO, names=("DEBBB",))
EMSP_A = Viewer(role=Role.EMSP, names=("DEMOA", "DEXYZ"))
HUB = Viewer(role=Role.HUB, names=("NLHUB",))
COMPANIES = (
    (Role.CPO, "DEAAA", None),
    (Role.CPO, "DEBBB", None),
    (Role.CPO, "FRCCC", "NLHUB"),
    (Role.EMSP, "DEMOA", None),
    (Role.EMSP, "FRMOB", "NLHUB"),
    (Role.EMSP, "ITMOC", "NLHUX"),
    (Role.HUB, "NLHUB", None),
    (Role.HUB, "NLHUX", None),
    (Role.OEM, "WMI", None),
)


def _agreement(
    name: str,
    cpo: str,
    emsp: str,
    version: int = 1,
    *,
    ended: bool = False,
    days: int | None = None,
) -> Agreement:
    until = None if days is None else NOW + days * DAY
    terms = Terms(cpo=cpo, emsp=emsp, valid_from=NOW - 30 * DAY, valid_until=until)
    return Agreement(
        agreement_id=name,
        version=version,
        state=AgreementState.WITHDRAWN if ended else AgreementState.ACTIVE,
        terms=terms,
        created_at=NOW,
        created_by="admin",
    )


def _fill(database: Database) -> None:
    with database.write() as tx:
        for role, name, hub in COMPANIES:
            tx.contracts.add_party(
                Party(party_id=name, role=role, name=name, created_at=NOW, hub=hub)
            )
        for name in ("DEMOA", "FRMOB", "ITMOC"):
            provider = ProviderId(value=name)
            tx.contracts.add_account(Account(provider_id=provider, name=name, created_at=NOW))
        tx.roaming.put_emsp(Emsp(provider_id=ProviderId(value="DEMOA"), party_id="DEXYZ"))
        for each in (
            _agreement("a1", "DEAAA", "FRMOB"),
            _agreement("a2", "DEBBB", "FRMOB", days=-1),  # over
            _agreement("a3", "DEBBB", "ITMOC"),
            _agreement("a3", "DEBBB", "ITMOC", 2, ended=True),
            _agreement("a4", "DEBBB", "DEXYZ"),  # by its party id
            _agreement("a5", "FRCCC", "*"),
        ):
            tx.roaming.add_agreement(each)
        for prefix, party, before in (("DE1", "DEMOA", None), ("FR2", "FRMOB", "DEMOA")):
            tx.roaming.add_range(
                NumberRange(
                    kind=RangeKind.EMAID,
                    prefix=prefix,
                    role=Role.EMSP,
                    party_id=party,
                    valid_from=NOW,
                    ported_from=before,
                )
            )


def _parties(tx: Unit, viewer: Viewer | None) -> list[str]:
    """Read page by page, two at a time."""
    found: list[Party] = []
    while True:
        after = (found[-1].role.value, found[-1].party_id) if found else None
        page = tx.lists.parties(viewer, NOW, after=after, limit=2)
        found += page
        if len(page) < 2:
            return [party.party_id for party in found]


def test_a_company_is_shown_itself_and_whom_it_may_deal_with(database: Database) -> None:
    _fill(database)
    with database.read() as tx:
        assert _parties(tx, None) == sorted(
            (name for _, name, _ in COMPANIES), key=[n for _, n, _ in COMPANIES].index
        )
        assert _parties(tx, CPO_A) == ["DEAAA", "FRMOB", "NLHUB"]
        assert _parties(tx, CPO_B) == ["DEBBB", "DEMOA"]  # the others are over or withdrawn
        assert _parties(tx, EMSP_A) == ["DEBBB", "FRCCC", "DEMOA", "NLHUB"]
        assert _parties(tx, Viewer(role=Role.CPO, names=("FRCCC",))) == [
            "FRCCC",
            "DEMOA",
            "FRMOB",
            "ITMOC",
            "NLHUB",
            "NLHUX",
        ]
        assert _parties(tx, HUB) == ["FRCCC", "FRMOB", "NLHUB"]
        # a provider id is no operator id
        assert _parties(tx, Viewer(role=Role.CPO, names=("FRMOB",))) == []


def test_ranges_follow_the_companies_and_whose_they_were(database: Database) -> None:
    _fill(database)
    with database.read() as tx:

        def prefixes(viewer: Viewer | None) -> list[str]:
            return [found.prefix for found in tx.lists.ranges(viewer, NOW)]

        assert prefixes(None) == ["DE1", "FR2"]
        assert prefixes(CPO_A) == ["FR2"]
        assert prefixes(CPO_B) == ["DE1"]
        assert prefixes(EMSP_A) == ["DE1", "FR2"]
        assert prefixes(HUB) == ["FR2"]
        first = tx.lists.ranges(None, NOW, limit=1)
        place = (first[0].kind, first[0].prefix, first[0].valid_from)
        assert [r.prefix for r in tx.lists.ranges(None, NOW, after=place)] == ["FR2"]


def test_agreements_are_shown_to_whom_they_name_by_their_newest_version(
    database: Database,
) -> None:
    _fill(database)
    with database.read() as tx:

        def names(viewer: Viewer | None, after: str | None = None) -> list[tuple[str, int]]:
            page = tx.lists.agreements(viewer, after=after, limit=10)
            return [(found.agreement_id, found.version) for found in page]

        assert names(None) == [("a1", 1), ("a2", 1), ("a3", 2), ("a4", 1), ("a5", 1)]
        assert names(None, "a2") == [("a3", 2), ("a4", 1), ("a5", 1)]
        assert names(CPO_A) == [("a1", 1)]
        assert names(EMSP_A) == [("a4", 1), ("a5", 1)]
        assert names(HUB) == []
        assert len(tx.lists.agreements(None, limit=2)) == 2


def test_accounts_come_with_how_they_are_asked(database: Database) -> None:
    _fill(database)
    with database.read() as tx:
        page = tx.lists.emsps(None, limit=2)
        assert [(a.provider_id.value, e.party_id) for a, e in page] == [
            ("DEMOA", "DEXYZ"),
            ("FRMOB", None),
        ]
        assert [a.name for a, _ in tx.lists.emsps(None, after="FRMOB")] == ["ITMOC"]
        assert [a.name for a, _ in tx.lists.emsps(("FRMOB",))] == ["FRMOB"]
        emsp = page[0][1]
        assert emsp == replace(emsp, provider_id=page[0][0].provider_id)
