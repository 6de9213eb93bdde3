"""Everything the store holds, bound to one transaction."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Final, Generic, TypeVar

from sqlalchemy import bindparam, select

from pki.store.audit import AuditRows
from pki.store.certificates import CertificateRows
from pki.store.clients import ClientRows
from pki.store.contracts import ContractRows
from pki.store.credentials import CredentialRows
from pki.store.decisions import DecisionRows
from pki.store.entities import EntityRows
from pki.store.evidence import EvidenceRows
from pki.store.hot import hot
from pki.store.intents import IntentRows
from pki.store.issuers import IssuerRows
from pki.store.keys import KeyUseRows
from pki.store.leases import LeaseRows
from pki.store.outbox import OutboxRows
from pki.store.page_marks import PageMarkRows
from pki.store.partner_objects import PartnerObjectRows
from pki.store.partners import PartnerRows
from pki.store.pools import PoolRows
from pki.store.proposals import ProposalRows
from pki.store.radius import RadiusRows
from pki.store.roaming import RoamingRows
from pki.store.roaming_lists import RoamingListRows
from pki.store.schema import settings
from pki.store.schema_audit import audit_keys
from pki.store.session import Insert, Session, Upsert
from pki.store.sessions import SessionRows
from pki.store.stations import StationRows
from pki.store.status import StatusRows
from pki.store.tokens import TokenKeyRows
from pki.store.trust import TrustRows
from pki.store.webhooks import WebhookRows


def _replace_value(insert: Insert) -> Insert:
    return insert.on_conflict_do_update(
        index_elements=["name"], set_={"value": insert.excluded.value}
    )


_SETTING: Final = hot(select(settings.c.value).where(settings.c.name == bindparam("name")))
_PUT_SETTING: Final = Upsert.of(settings, _replace_value)


Rows = TypeVar("Rows")


class _Aggregate(Generic[Rows]):
    """Made when a transaction first asks for it: most need few of them."""

    def __init__(self, make: Callable[[Session], Rows]) -> None:
        self._make = make

    def __set_name__(self, _: type[Unit], name: str) -> None:
        self._name = name

    def __get__(self, unit: Unit, _: type[Unit]) -> Rows:
        made = unit.__dict__[self._name] = self._make(unit._session)  # noqa: SLF001 - part of it
        return made


class Unit:
    """A transaction; see `pki.ports.Transaction`. Of no use after its `with` block."""

    issuers = _Aggregate(IssuerRows)
    intents = _Aggregate(IntentRows)
    certificates = _Aggregate(CertificateRows)
    contracts = _Aggregate(ContractRows)
    trust = _Aggregate(TrustRows)
    clients = _Aggregate(ClientRows)
    decisions = _Aggregate(DecisionRows)
    audit = _Aggregate(AuditRows)
    status = _Aggregate(StatusRows)
    leases = _Aggregate(LeaseRows)
    evidence = _Aggregate(EvidenceRows)
    pools = _Aggregate(PoolRows)
    outbox = _Aggregate(OutboxRows)
    token_keys = _Aggregate(TokenKeyRows)
    partners = _Aggregate(PartnerRows)
    partner_objects = _Aggregate(PartnerObjectRows)
    page_marks = _Aggregate(PageMarkRows)
    radius = _Aggregate(RadiusRows)
    lists = _Aggregate(RoamingListRows)
    credentials = _Aggregate(CredentialRows)
    sessions = _Aggregate(SessionRows)
    webhooks = _Aggregate(WebhookRows)
    proposals = _Aggregate(ProposalRows)
    stations = _Aggregate(StationRows)
    audit_keys = _Aggregate(partial(TokenKeyRows, table=audit_keys))
    entities = _Aggregate(EntityRows)

    def __init__(self, session: Session) -> None:
        self._session = session

    @cached_property
    def key_uses(self) -> KeyUseRows:
        """The aggregate; it goes on with the audit chains of this transaction."""
        return KeyUseRows(self._session, self.audit)

    @cached_property
    def roaming(self) -> RoamingRows:
        """The aggregate; its changes go into the change log of this transaction."""
        return RoamingRows(self._session, self.status)

    def setting(self, name: str) -> str | None:
        """Return a fact about the installation, or None."""
        row = self._session.first(_SETTING, {"name": name})
        return str(row.value) if row else None

    def put_setting(self, name: str, value: str) -> None:
        """Store a fact about the installation in place of the one before."""
        self._session.put(_PUT_SETTING, {"name": name, "value": value})

    def commit_lazily(self) -> None:
        """Let the commit of this write return before the disk has it, on PostgreSQL."""
        self._session.commit_lazily()
