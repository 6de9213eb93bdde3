"""The aggregates of the store that provisioning needs."""

from __future__ import annotations

import datetime as dt
from typing import Protocol

from pki.ids import Fingerprint, Pcid, ProviderId
from pki.model import (
    Bundle,
    CpsSigner,
    CrossCertificate,
    Domain,
    Event,
    ProvisioningChain,
    RootNote,
)
from pki.pkix.suites import Suite


class Pools(Protocol):
    """Root pool, provisioning certificate pool, CPS signers and contract certificate pool."""

    def put_root_note(self, note: RootNote) -> None:
        """Keep what is known of a root in place of what was."""

    def root_notes(self) -> dict[tuple[Fingerprint, Domain], RootNote]: ...

    def add_cross_certificate(self, cross: CrossCertificate) -> None:
        """Store one. Raises Conflict (`cross_certificate_exists`)."""

    def cross_certificates(self) -> list[CrossCertificate]: ...

    def remove_cross_certificate(self, fingerprint: Fingerprint) -> bool: ...

    def put_chain(self, chain: ProvisioningChain) -> None:
        """Keep a provisioning chain in place of the one of the same PCID and suite."""

    def chain(self, pcid: Pcid, suite: Suite) -> ProvisioningChain | None: ...

    def chains(self, pcid: Pcid, *, lock: bool = False) -> list[ProvisioningChain]:
        """Return a car's chains; with `lock`, other writers of this car wait for this one."""

    def delete_chains(self, pcid: Pcid) -> int: ...

    def search_chains(
        self, *, wmis: tuple[str, ...] | None, after: tuple[str, str] | None, limit: int
    ) -> list[ProvisioningChain]:
        """Return a page ordered by PCID and suite, beginning behind those of `after`."""

    def add_signer(self, signer: CpsSigner) -> None:
        """Store a CPS leaf. Raises Conflict (`cps_exists`)."""

    def signers(self) -> list[CpsSigner]:
        """Return every CPS leaf, newest first."""

    def put_bundle(self, bundle: Bundle) -> None:
        """Keep a bundle in place of the one of the same car, contract, suite and V2G root."""

    def bundle(self, bundle_id: str) -> Bundle | None: ...

    def bundles(self, pcid: Pcid) -> list[Bundle]:
        """Return a car's bundles, oldest contract first."""

    def bundles_of(self, contract_id: str) -> list[Bundle]: ...

    def bundles_signed_by(self, cps: Fingerprint, limit: int) -> list[Bundle]:
        """Return bundles that a CPS leaf signed, at most `limit`."""

    def search_bundles(
        self, *, accounts: tuple[ProviderId, ...] | None, after: str | None, limit: int
    ) -> list[Bundle]:
        """Return a page ordered by bundle id, beginning behind `after`."""

    def delete_bundles(self, bundle_ids: list[str]) -> int: ...

    def mark_delivered(self, bundle_id: str, session: str, at: dt.datetime) -> None: ...

    def default_contract(self, pcid: Pcid) -> str | None:
        """Return the contract id that a -2 car gets, or None."""

    def put_default(self, pcid: Pcid, contract_id: str) -> None:
        """Make a contract the default in place of the one before."""

    def drop_default(self, pcid: Pcid) -> None: ...


class Outbox(Protocol):
    """Events, written in the transaction of the change that they tell of."""

    def add(self, event: Event) -> None: ...

    def get(self, event_id: str) -> Event | None: ...
