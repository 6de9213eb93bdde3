"""What an operator of this PKI decides about enrolment."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field

from pki.ids import HostName
from pki.pkix.profiles import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantRules:
    """
    What holds for one operator id, provider id, WMI or CPS, beside what holds for all.

    Attributes:
        csms_domains: names of CSMS certificates are among these or below them.
        reuse_keys: a key of a profile that wants its own may stand in several certificates.
        registration, approval: None: as for all.
    """

    csms_domains: tuple[str, ...] = ()
    reuse_keys: bool = False
    registration: bool | None = None
    approval: bool | None = None


_NONE = TenantRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolmentRules:
    """
    What is asked before a certificate is issued to whoever enrols.

    Attributes:
        registration: SECC leaves only for what was registered as an end entity.
        approval: kinds that wait until somebody accepts the request.
        tenants: by party id.
        windows: kinds that have no duplicates: a further certificate is issued in the window
            before the end of the one in force only.
        notice: how long before their end certificates are told of to webhooks.
    """

    registration: bool = False
    approval: frozenset[Kind] = frozenset()
    tenants: Mapping[str, TenantRules] = field(default_factory=dict)
    windows: Mapping[Kind, dt.timedelta] = field(default_factory=dict)
    notice: dt.timedelta = dt.timedelta(days=30)

    @property
    def asks(self) -> bool:
        """Tell whether anything is asked of anybody before a certificate is issued."""
        return (
            self.registration
            or bool(self.approval)
            or any(own.registration or own.approval for own in self.tenants.values())
        )

    def tenant(self, party: str) -> TenantRules:
        """Return what holds for a party alone."""
        return self.tenants.get(party, _NONE)

    def may_name(self, party: str, host: HostName) -> bool:
        """Tell whether a CSMS of a party may have a certificate for a host; no list, no host."""
        return any(host.within(domain) for domain in self.tenant(party).csms_domains)

    def registers(self, party: str) -> bool:
        """Tell whether the stations of a party must be registered first."""
        own = self.tenant(party).registration
        return self.registration if own is None else own

    def approves(self, party: str, kind: Kind) -> bool:
        """Tell whether somebody must accept a request first."""
        own = self.tenant(party).approval
        return kind in self.approval if own is None else own
