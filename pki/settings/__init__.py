"""
Settings of one installation: `$PNC_HOME/pnc.toml`, overridden by the environment.

Every fault is reported at once, unknown keys are refused. The standard's own values are no
settings.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pki.enrol.policy import EnrolPolicy, Label, read_label
from pki.errors import BadInput
from pki.model import LIMIT_OCPP_21, ApprovalPolicy, AuditPolicy, Budget, TokenPolicy
from pki.outbound import Network, OutboundPolicy
from pki.settings import enrolment, keys
from pki.settings.values import (
    DEFAULT_HOME,
    FILE_NAME,
    MIN_PASSPHRASE,
    Mode,
    Settings,
    default_database,
    usual_approvals,
)
from pki.settings.writing import to_toml
from pki.status.policy import StatusPolicy

_KEYS: Final[Mapping[str, type]] = {
    "mode": str,
    "database_url": str,
    "public_url": str,
    "approvals.required": int,
    "approvals.expire_hours": int,
    "audit.checkpoint_entries": int,
    "audit.checkpoint_minutes": int,
    "decisions.keep_days": int,
    "ocpp.base64url_hash_data": bool,
    "bulk.signers": list,
    "enrol.approval": list,
    "enrol.require_registration": bool,
    "enrol.requests_per_minute": int,
    "enrol.certificates_per_minute": int,
    "enrol.tenants": list,
    "enrol.renewal": list,
    "enrol.notice_days": int,
    "est.labels": list,
    "est.trusted_header": str,
    "est.trusted_proxies": list,
    "outbound.allowed_networks": list,
    "status.ocsp_hours": int,
    "status.max_age": int,
    "status.max_view_age": int,
    "status.unissued": str,
    "status.responder_id": str,
    "status.signer": str,
    "status.crl_hours": int,
    "status.responder_renewal_days": int,
    "tokens.audiences": list,
    "tokens.lifetime_minutes": int,
    "tokens.key_days": int,
    "provisioning.warn_octets": int,
    "provisioning.max_octets": int,
    "provisioning.max_octets_iso20": int,
    "serve.host": str,
    "serve.port": int,
    "serve.workers": int,
    "serve.mtls_port": int,
    "serve.tls_certificate": str,
    "serve.tls_key": str,
    **keys.KEYS,
}
_ENVIRONMENT: Final = {
    "PNC_MODE": "mode",
    "PNC_DATABASE_URL": "database_url",
    "PNC_PUBLIC_URL": "public_url",
    **keys.ENVIRONMENT,
}
_URL: Final = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(?:/[A-Za-z0-9._~\-]+)*", re.ASCII)
_MAX_URL: Final = 60  # each octet stands in every certificate
_DATABASES: Final = ("sqlite:///", "postgresql://", "postgresql+psycopg://")


def load(environment: Mapping[str, str], home: Path | None = None) -> Settings:
    """
    Read the settings of a home directory.

    Args:
        environment: usually `os.environ`.
        home: overrides `PNC_HOME`; default `var`.

    Raises:
        BadInput: `invalid_settings`, with every fault in `data["faults"]`.
    """
    where = (home or Path(environment.get("PNC_HOME") or DEFAULT_HOME)).expanduser().absolute()
    faults: list[str] = []
    values = _file_values(where / FILE_NAME, faults)
    for name, key in _ENVIRONMENT.items():
        if environment.get(name):
            values[key] = environment[name]
            values.pop(key.removesuffix("_file") if key.endswith("_file") else "", None)
    settings = _settings(where, values, environment, faults)
    if faults:
        raise BadInput(
            "invalid_settings",
            f"The settings have {len(faults)} faults: " + "; ".join(faults) + ".",
            hint=f"Correct them in {where / FILE_NAME} or in the environment.",
            data={"faults": faults},
        )
    return settings


def _file_values(path: Path, faults: list[str]) -> dict[str, object]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(f"{path.name} cannot be read: {error}")
        return {}
    values: dict[str, object] = {}
    for key, value in document.items():
        if isinstance(value, dict):
            values.update({f"{key}.{inner}": item for inner, item in value.items()})
        else:
            values[key] = value
    for key in [key for key in values if key not in _KEYS]:
        faults.append(f"unknown key {key}")
        del values[key]
    for key in [k for k, v in values.items() if type(v) is not _KEYS[k]]:
        faults.append(f"{key} is no {_KEYS[key].__name__}")
        del values[key]
    return values


def _settings(
    home: Path,
    values: Mapping[str, object],
    environment: Mapping[str, str],
    faults: list[str],
) -> Settings:
    mode = str(values.get("mode", "demo"))
    if mode not in list(Mode):
        faults.append(f"mode is {mode!r}, not demo or production")
        mode = "demo"
    port = _number(values, "serve.port", 8080, 1, 65535, faults)
    host = str(values.get("serve.host", "127.0.0.1"))
    public_url = str(values.get("public_url", f"http://{host}:{port}")).rstrip("/")
    if not _URL.fullmatch(public_url) or len(public_url) > _MAX_URL:
        faults.append(f"public_url is no http(s) address of at most {_MAX_URL} characters")
    database = str(values.get("database_url", default_database(home)))
    if not database.startswith(_DATABASES):
        faults.append("database_url begins with none of " + ", ".join(_DATABASES))
    return Settings(
        home=home,
        mode=Mode(mode),
        database_url=database,
        public_url=public_url,
        approvals=_approvals(values, faults, Mode(mode)),
        keys=keys.read(values, environment, faults, production=mode == Mode.PRODUCTION),
        host=host,
        port=port,
        workers=_number(values, "serve.workers", 2, 1, 64, faults),
        mtls_port=_number(values, "serve.mtls_port", 0, 0, 65535, faults),
        tls_certificate=_path(values, "serve.tls_certificate"),
        tls_key=_path(values, "serve.tls_key"),
        status=_status(values, faults),
        budget=_budget(values, faults),
        outbound=OutboundPolicy(allowed=_networks("outbound.allowed_networks", values, faults)),
        enrol=_enrol(values, faults),
        enrolment=enrolment.read(values, faults),
        bulk_signers=_paths("bulk.signers", values, faults),
        keep_decisions=dt.timedelta(
            days=_number(values, "decisions.keep_days", 400, 1, 36_500, faults)
        ),
        base64url_hash_data=bool(values.get("ocpp.base64url_hash_data", False)),
        tokens=_tokens(values, faults),
        audit=AuditPolicy(
            entries=_number(values, "audit.checkpoint_entries", 1000, 10, 1_000_000, faults),
            seconds=60 * _number(values, "audit.checkpoint_minutes", 10, 1, 1440, faults),
        ),
    )


def _approvals(values: Mapping[str, object], faults: list[str], mode: Mode) -> ApprovalPolicy:
    """Read who must agree; in production nobody acts alone."""
    least, usual = 0 if mode is Mode.DEMO else 1, usual_approvals(mode)
    hours = _number(values, "approvals.expire_hours", 72, 1, 720, faults)
    return ApprovalPolicy(
        required=_number(values, "approvals.required", usual, least, 9, faults),
        lifetime=dt.timedelta(hours=hours),
    )


def _tokens(values: Mapping[str, object], faults: list[str]) -> TokenPolicy:
    audiences = values.get("tokens.audiences", [])
    names = audiences if isinstance(audiences, list) else []
    if not all(isinstance(name, str) for name in names):
        faults.append("tokens.audiences holds what is no text")
    return TokenPolicy(
        lifetime=dt.timedelta(
            minutes=_number(values, "tokens.lifetime_minutes", 1440, 1, 10_080, faults)
        ),
        key_life=dt.timedelta(days=_number(values, "tokens.key_days", 90, 1, 730, faults)),
        audiences=tuple(str(name) for name in names),
    )


def _path(values: Mapping[str, object], key: str) -> Path | None:
    text = values.get(key)
    return Path(str(text)).expanduser() if text else None


def _paths(key: str, values: Mapping[str, object], faults: list[str]) -> tuple[Path, ...]:
    listed = values.get(key, [])
    names = listed if isinstance(listed, list) else []
    if not all(isinstance(name, str) for name in names):
        faults.append(f"{key} holds what is no text")
    return tuple(Path(str(name)).expanduser() for name in names)


def _networks(key: str, values: Mapping[str, object], faults: list[str]) -> tuple[Network, ...]:
    found: list[Network] = []
    listed = values.get(key, [])
    for text in listed if isinstance(listed, list) else []:
        try:
            found.append(ipaddress.ip_network(text))
        except (ValueError, TypeError):
            faults.append(f"{key} holds {text!r}, which is no network")
    return tuple(found)


def _enrol(values: Mapping[str, object], faults: list[str]) -> EnrolPolicy:
    labels: dict[str, Label] = {}
    listed = values.get("est.labels", [])
    for item in listed if isinstance(listed, list) else []:
        try:
            name, label = read_label(item)
        except ValueError as error:
            faults.append(f"est.labels holds one that {error}")
        else:
            labels[name] = label
    header = values.get("est.trusted_header") or None
    proxies = _networks("est.trusted_proxies", values, faults)
    if header is not None and not proxies:
        faults.append("est.trusted_header needs est.trusted_proxies: whom to believe it")
    return EnrolPolicy(
        labels=labels,
        trusted_header=str(header) if header is not None else None,
        trusted_proxies=proxies,
        requests_per_minute=_number(
            values, "enrol.requests_per_minute", 1200, 0, 1_000_000, faults
        ),
        certificates_per_minute=_number(
            values, "enrol.certificates_per_minute", 12_000, 0, 1_000_000, faults
        ),
    )


def _status(values: Mapping[str, object], faults: list[str]) -> StatusPolicy:
    def number(key: str, default: int, low: int, high: int) -> int:
        return _number(values, f"status.{key}", default, low, high, faults)

    def second(key: str, first: str, other: str) -> bool:
        """Read a choice of two words; tell whether it is the other than the default."""
        chosen = values.get(f"status.{key}", first)
        if chosen not in (first, other):
            faults.append(f"status.{key} is neither {first} nor {other}")
        return chosen == other

    return StatusPolicy(
        validity=dt.timedelta(hours=number("ocsp_hours", 168, 1, 720)),
        max_age=number("max_age", 600, 0, 86_400),
        max_view_age=float(number("max_view_age", 10, 1, 3600)),
        unissued_revoked=second("unissued", "unknown", "revoked"),
        responder_by_name=second("responder_id", "key", "name"),
        ca_signs=second("signer", "delegated", "ca"),
        crl_validity=dt.timedelta(hours=number("crl_hours", 168, 1, 8760)),
        responder_renewal=dt.timedelta(days=number("responder_renewal_days", 30, 1, 60)),
    )


def _budget(values: Mapping[str, object], faults: list[str]) -> Budget:
    standard = Budget()

    def number(key: str, default: int) -> int:
        return _number(values, f"provisioning.{key}", default, 1, LIMIT_OCPP_21, faults)

    return Budget(
        warning=number("warn_octets", standard.warning),
        refusal=number("max_octets", standard.refusal),
        refusal_iso20=number("max_octets_iso20", standard.refusal_iso20),
    )


def _number(  # noqa: PLR0913 - name, default and bounds of one number
    values: Mapping[str, object], key: str, default: int, low: int, high: int, faults: list[str]
) -> int:
    value = values.get(key, default)
    if isinstance(value, int) and low <= value <= high:
        return value
    faults.append(f"{key} is not between {low} and {high}")
    return default


__all__ = ["DEFAULT_HOME", "FILE_NAME", "MIN_PASSPHRASE", "Mode", "Settings", "load", "to_toml"]
