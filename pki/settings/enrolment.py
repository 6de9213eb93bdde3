"""Settings of enrolment: what holds for all, and relaxations of one party."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Final

from pki.errors import BadInput
from pki.ids import HostName
from pki.model import EnrolmentRules, TenantRules
from pki.pkix.profiles import Kind

_MEMBERS: Final = frozenset(("party", "csms_domains", "reuse_keys", "registration", "approval"))
_NOTICE_DAYS: Final = 30
_MAX_DAYS: Final = 3650
_PARTY: Final = re.compile(r"[A-Z0-9](?:[A-Z0-9*._-]{0,34}[A-Z0-9])?")
LEAVES: Final = (
    Kind.SECC,
    Kind.CONTRACT,
    Kind.OEM,
    Kind.CPS,
    Kind.VEHICLE,
    Kind.STATION,
    Kind.CSMS,
)
"""Kinds for which somebody may enrol."""


def read(values: Mapping[str, object], faults: list[str]) -> EnrolmentRules:
    """Read the table `enrol`; what is wrong is added to the faults."""
    approval = values.get("enrol.approval", [])
    names = approval if isinstance(approval, list) else []
    faults.extend(
        f"enrol.approval holds {name!r}, none of {', '.join(LEAVES)}"
        for name in names
        if name not in list(LEAVES)
    )
    tenants: dict[str, TenantRules] = {}
    listed = values.get("enrol.tenants", [])
    for item in listed if isinstance(listed, list) else []:
        try:
            party, rules = _tenant(item)
        except ValueError as error:
            faults.append(f"enrol.tenants holds one that {error}")
        else:
            tenants[party] = rules
    return EnrolmentRules(
        registration=bool(values.get("enrol.require_registration", False)),
        approval=frozenset(kind for kind in LEAVES if kind in names),
        tenants=tenants,
        windows=_windows(values, faults),
        notice=_notice(values, faults),
    )


def _notice(values: Mapping[str, object], faults: list[str]) -> dt.timedelta:
    days = values.get("enrol.notice_days", _NOTICE_DAYS)
    if not isinstance(days, int) or not 1 <= days <= _MAX_DAYS:
        faults.append(f"enrol.notice_days is not between 1 and {_MAX_DAYS}")
        days = _NOTICE_DAYS
    return dt.timedelta(days=days)


def _windows(values: Mapping[str, object], faults: list[str]) -> dict[Kind, dt.timedelta]:
    """Read `[{profile = "secc", days = 30}]`: kinds without duplicates, and when to renew."""
    found: dict[Kind, dt.timedelta] = {}
    listed = values.get("enrol.renewal", [])
    for item in listed if isinstance(listed, list) else []:
        good = isinstance(item, dict) and item.keys() == {"profile", "days"}
        if not good or item["profile"] not in list(LEAVES) or type(item["days"]) is not int:
            faults.append("enrol.renewal holds one that is no table of profile and days")
        elif not 0 <= item["days"] <= _MAX_DAYS:
            faults.append(f"enrol.renewal has days that are not between 0 and {_MAX_DAYS}")
        else:
            found[Kind(item["profile"])] = dt.timedelta(days=item["days"])
    return found


def _tenant(item: object) -> tuple[str, TenantRules]:
    """Read `{party = "DECPA", csms_domains = ["csms.example.com"]}`. Raises ValueError."""
    if not isinstance(item, dict) or item.keys() - _MEMBERS:
        raise ValueError(f"is no table of {', '.join(sorted(_MEMBERS))}")
    party = item.get("party")
    if not isinstance(party, str) or not _PARTY.fullmatch(party):
        raise ValueError("names no party in its canonical form, such as DECPA")
    domains = item.get("csms_domains", [])
    flags = {name: item.get(name) for name in ("reuse_keys", "registration", "approval")}
    if not isinstance(domains, list) or any(
        type(f) not in (bool, type(None)) for f in flags.values()
    ):
        raise ValueError(f"{party}: csms_domains is a list, the others are true or false")
    try:
        hosts = tuple(HostName.parse(str(domain)).value for domain in domains)
    except BadInput as error:
        raise ValueError(f"{party}: {error.message}") from error
    return party, TenantRules(
        csms_domains=hosts,
        reuse_keys=bool(flags["reuse_keys"]),
        registration=flags["registration"],
        approval=flags["approval"],
    )


def lines(rules: EnrolmentRules) -> list[str]:
    """Write the table in the form that `read` reads."""
    tenants = ", ".join(_tenant_toml(party, own) for party, own in rules.tenants.items())
    approval = ", ".join(f'"{kind.value}"' for kind in sorted(rules.approval))
    windows = ", ".join(
        f'{{profile = "{kind.value}", days = {window.days}}}'
        for kind, window in rules.windows.items()
    )
    return [
        "[enrol]",
        f"require_registration = {str(rules.registration).lower()}",
        f"approval = [{approval}]",
        f"tenants = [{tenants}]",
        f"renewal = [{windows}]",
        f"notice_days = {rules.notice.days}",
    ]


def _tenant_toml(party: str, own: TenantRules) -> str:
    domains = ", ".join(f'"{domain}"' for domain in own.csms_domains)
    members = [f'party = "{party}"', f"csms_domains = [{domains}]"]
    flags = (
        ("reuse_keys", own.reuse_keys),
        ("registration", own.registration),
        ("approval", own.approval),
    )
    members += [f"{name} = {str(flag).lower()}" for name, flag in flags if flag is not None]
    return "{" + ", ".join(members) + "}"
