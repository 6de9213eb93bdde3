"""Versions, modules and endpoints: what a platform says that it speaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pki.errors import BadInput
from pki.roaming.ocpi import shapes
from pki.roaming.ocpi.shapes import ci, many, needed_text, shape


class Version(StrEnum):
    """The versions that we speak."""

    V2_2_1 = "2.2.1"
    V2_3_0 = "2.3.0"


class Module(StrEnum):
    """The modules that we speak; a partner may list others."""

    CREDENTIALS = "credentials"
    TOKENS = "tokens"
    SESSIONS = "sessions"
    CDRS = "cdrs"
    TARIFFS = "tariffs"
    COMMANDS = "commands"
    HUB_CLIENT_INFO = "hubclientinfo"


class InterfaceRole(StrEnum):
    """Which end of a module an endpoint is."""

    SENDER = "SENDER"
    RECEIVER = "RECEIVER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where one module answers; `identifier` may be a module that we do not know."""

    identifier: str
    role: InterfaceRole
    url: str

    def to_json(self) -> dict[str, str]:
        """Return the endpoint as OCPI writes it."""
        return {"identifier": self.identifier, "role": self.role.value, "url": self.url}


_LISTED: Final = shape({"version": ci(10), "url": shapes.url})
_VERSIONS: Final = many(_LISTED, most=50)
_ENDPOINT: Final = shape({"identifier": ci(50), "url": shapes.url}, {"role": ci(20)})
_DETAILS: Final = shape({"version": ci(10), "endpoints": many(_ENDPOINT, least=1, most=200)})


def parse_versions(data: object) -> dict[str, str]:
    """
    Return version to address from the data of a `versions` answer, unknown versions included.

    Raises:
        BadInput: `ocpi_…` of the first fault.
    """
    _VERSIONS(data, "data")
    listed = data if isinstance(data, list) else []
    return {item["version"]: item["url"] for item in listed}


def best(versions: dict[str, str]) -> tuple[Version, str]:
    """
    Return the newest version that both sides speak, with its address.

    Raises:
        BadInput: `ocpi_no_common_version`.
    """
    for version in sorted(Version, reverse=True):
        if version.value in versions:
            return version, versions[version.value]
    raise BadInput(
        "ocpi_no_common_version",
        "The partner speaks neither OCPI 2.2.1 nor 2.3.0.",
        hint="It speaks " + (", ".join(sorted(versions)[:10]) or "nothing") + ".",
    )


def parse_details(data: object) -> tuple[Endpoint, ...]:
    """
    Return the endpoints of a version.

    The role of the credentials endpoint has no meaning; whatever stands there is taken. An endpoint
    of another module with a role that is none is dropped.

    Raises:
        BadInput: `ocpi_…` of the first fault, `ocpi_endpoints_missing` without credentials.
    """
    _DETAILS.check(data)
    rows = data["endpoints"] if isinstance(data, dict) else []
    found = tuple(e for row in rows if (e := _endpoint(row)) is not None)
    if find(found, Module.CREDENTIALS, InterfaceRole.SENDER) is None:
        raise BadInput("ocpi_endpoints_missing", "The partner lists no credentials endpoint.")
    return found


def _endpoint(row: dict[str, object]) -> Endpoint | None:
    identifier = needed_text(row, "identifier").lower()
    role = str(row.get("role", "")).upper()
    if identifier == Module.CREDENTIALS:
        role = InterfaceRole.SENDER.value
    if role not in list(InterfaceRole):
        return None
    return Endpoint(identifier=identifier, role=InterfaceRole(role), url=needed_text(row, "url"))


def find(endpoints: Sequence[Endpoint], module: Module, role: InterfaceRole) -> str | None:
    """Return the address of a module's end, or None."""
    for endpoint in endpoints:
        if endpoint.identifier == module.value and endpoint.role is role:
            return endpoint.url
    return None


def versions_json(base: str) -> list[dict[str, str]]:
    """Return our own `versions`; `base` is the address of `/ocpi`."""
    return [{"version": v.value, "url": f"{base}/{v.value}"} for v in Version]


_SIDES: Final[tuple[tuple[str, Module, InterfaceRole], ...]] = (
    ("cpo", Module.TOKENS, InterfaceRole.RECEIVER),
    ("cpo", Module.COMMANDS, InterfaceRole.RECEIVER),
    ("emsp", Module.TOKENS, InterfaceRole.SENDER),
    ("emsp", Module.COMMANDS, InterfaceRole.SENDER),
    ("emsp", Module.SESSIONS, InterfaceRole.RECEIVER),
    ("emsp", Module.CDRS, InterfaceRole.RECEIVER),
    ("emsp", Module.TARIFFS, InterfaceRole.RECEIVER),
    ("hub", Module.HUB_CLIENT_INFO, InterfaceRole.RECEIVER),
)
"""Which module we offer in which of our roles; `hub` is what a partner that is a hub may call."""


def details_json(base: str, version: Version, sides: frozenset[str]) -> dict[str, object]:
    """
    Return our own endpoints of a version, those of the roles in `sides`.

    Addresses end in a slash: there are peers that append to them as they are, and those that put
    another slash between are understood as well.
    """
    root = f"{base}/{version.value}"
    own = Endpoint(
        identifier=Module.CREDENTIALS, role=InterfaceRole.SENDER, url=f"{root}/credentials"
    )
    rest = [
        Endpoint(identifier=module, role=role, url=f"{root}/{side}/{module}/")
        for side, module, role in _SIDES
        if side in sides
    ]
    return {"version": version.value, "endpoints": [e.to_json() for e in (own, *rest)]}
