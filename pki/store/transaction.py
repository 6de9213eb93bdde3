"""Everything the store holds, bound to one transaction."""

from __future__ import annotations

from typing import Final

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


class Unit:
    """A transaction; see `pki.ports.Transaction`. Of no use after its `with` block."""

    __slots__ = (
        "_session",
        "audit",
        "audit_keys",
        "certificates",
        "clients",
        "contracts",
        "credentials",
        "decisions",
        "entities",
        "evidence",
        "intents",
        "issuers",
        "key_uses",
        "leases",
        "lists",
        "outbox",
        "page_marks",
        "partner_objects",
        "partners",
        "pools",
        "proposals",
        "radius",
        "roaming",
        "sessions",
        "stations",
        "status",
        "token_keys",
        "trust",
        "webhooks",
    )

    def __init__(self, session: Session) -> None:
        self._session = session
        self.issuers = IssuerRows(session)
        self.intents = IntentRows(session)
        self.certificates = CertificateRows(session)
        self.contracts = ContractRows(session)
        self.trust = TrustRows(session)
        self.clients = ClientRows(session)
        self.decisions = DecisionRows(session)
        self.audit = AuditRows(session)
        self.key_uses = KeyUseRows(session, self.audit)
        self.status = StatusRows(session)
        self.leases = LeaseRows(session)
        self.evidence = EvidenceRows(session)
        self.pools = PoolRows(session)
        self.outbox = OutboxRows(session)
        self.token_keys = TokenKeyRows(session)
        self.partners = PartnerRows(session)
        self.partner_objects = PartnerObjectRows(session)
        self.page_marks = PageMarkRows(session)
        self.radius = RadiusRows(session)
        self.roaming = RoamingRows(session, self.status)
        self.lists = RoamingListRows(session)
        self.credentials = CredentialRows(session)
        self.sessions = SessionRows(session)
        self.webhooks = WebhookRows(session)
        self.proposals = ProposalRows(session)
        self.stations = StationRows(session)
        self.audit_keys = TokenKeyRows(session, audit_keys)
        self.entities = EntityRows(session)

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
