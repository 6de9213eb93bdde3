"""What the operator decides about enrolment, and how clients name what they enrol."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pki.ids import Edition
from pki.outbound import Network
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite


class Branch(StrEnum):
    """A branch of the PKI by the name that stands in the paths of EST and OPCP."""

    CPO = "cpo"
    MO = "mo"
    OEM = "oem"
    CPS = "cps"
    VEHICLE = "veh"
    STATION = "station"
    CSMS = "csms"

    @property
    def kind(self) -> Kind:
        """The leaf of this branch."""
        return _KIND[self]


_KIND: Final = {
    Branch.CPO: Kind.SECC,
    Branch.MO: Kind.CONTRACT,
    Branch.OEM: Kind.OEM,
    Branch.CPS: Kind.CPS,
    Branch.VEHICLE: Kind.VEHICLE,
    Branch.STATION: Kind.STATION,
    Branch.CSMS: Kind.CSMS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    What is to be enrolled.

    Attributes:
        branch: None lets the role of the caller decide.
        edition, suite: None lets the key of the CSR decide; without a CSR, -2 and P-521.
    """

    branch: Branch | None = None
    edition: Edition | None = None
    suite: Suite | None = None

    def suite_or_default(self) -> Suite:
        """Return the suite, or the one that a client means who names none."""
        if self.suite is not None:
            return self.suite
        iso20 = self.edition is Edition.ISO20 or self.branch is Branch.VEHICLE
        return Suite.P521 if iso20 else Suite.P256


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """
    What one EST address of the service stands for.

    Attributes:
        columns: of base64 in a line of the answers; 0: one line without line feed.
        chain: an enrolment is answered with the sub-CAs too, against RFC 7030 4.2.3.
        approval: somebody must accept each enrolment, whatever its kind.
    """

    target: Target
    columns: int = 64
    chain: bool = False
    approval: bool = False


def _own_labels() -> Iterator[tuple[str, Label]]:
    for branch in Branch:
        for name, edition, suite in (
            ("", None, None),
            ("-2", Edition.ISO2, None),
            ("-20", Edition.ISO20, None),
            ("-20-ed448", Edition.ISO20, Suite.ED448),
        ):
            if edition is Edition.ISO20 and branch in (Branch.STATION, Branch.CSMS):
                continue  # TLS between station and CSMS knows no editions
            target = Target(branch=branch, edition=edition, suite=suite)
            yield f"{branch.value}{name}", Label(target=target)
            yield f"{branch.value}{name}-flat", Label(target=target, columns=0)


LABELS: Final[Mapping[str, Label]] = dict(_own_labels())
"""Always there: `cpo`, `cpo-2`, `cpo-20`, `cpo-20-ed448` and so on; `…-flat` without line feeds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolPolicy:
    """
    Labels of the operator, and whose word counts for a client certificate.

    Attributes:
        labels: by name; they stand before those that are always there.
        trusted_header: request header in which a proxy passes the client certificate, as RFC 9440
            (`:base64:`) or as URL-encoded PEM; None: no header is believed.
        trusted_proxies: addresses from which that header is believed.
        requests_per_minute: of one client, at each worker; 0: as many as it likes.
        certificates_per_minute: likewise, what it asks for at `POST /v1/certificates`, where back
            ends ask for many.
    """

    labels: Mapping[str, Label] = field(default_factory=dict)
    trusted_header: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
    requests_per_minute: int = 1200
    certificates_per_minute: int = 12_000

    def label(self, name: str) -> Label | None:
        """Return what a label stands for, or None."""
        return self.labels.get(name) or LABELS.get(name)


_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,40}", re.ASCII)
_MEMBERS: Final = frozenset(("name", "ca", "edition", "suite", "columns", "chain", "approval"))
_COLUMNS: Final = (0, 64, 76)


def read_label(item: object) -> tuple[str, Label]:
    """
    Read one label of the settings, such as `{name = "alfa", ca = "cpo", columns = 0}`.

    Raises:
        ValueError: what is wrong, as the rest of a sentence.
    """
    if not isinstance(item, dict) or item.keys() - _MEMBERS:
        raise ValueError(f"is no table of {', '.join(sorted(_MEMBERS))}")
    name = item.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError("has a name that is not 1 to 40 letters, digits, - or _")
    columns, chain = item.get("columns", 64), item.get("chain", False)
    approval = item.get("approval", False)
    if columns not in _COLUMNS or not isinstance(chain, bool) or not isinstance(approval, bool):
        raise ValueError(f"{name}: columns is 0, 64 or 76, chain and approval true or false")
    try:
        target = Target(
            branch=Branch(item["ca"]) if "ca" in item else None,
            edition=Edition(item["edition"]) if "edition" in item else None,
            suite=Suite(item["suite"]) if "suite" in item else None,
        )
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return name, Label(target=target, columns=columns, chain=chain, approval=approval)


def label_toml(name: str, label: Label) -> str:
    """Write one label in the form that `read_label` reads."""
    target = label.target
    named = (("ca", target.branch), ("edition", target.edition), ("suite", target.suite))
    members = [f'name = "{name}"', *(f'{key} = "{value.value}"' for key, value in named if value)]
    members += [f"columns = {label.columns}", f"chain = {str(label.chain).lower()}"]
    members += [f"approval = {str(label.approval).lower()}"]
    return "{" + ", ".join(members) + "}"
