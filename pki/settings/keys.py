"""Settings of keys: where they lie, what opens them, how often they sign."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

from pki.model.keys import ANSWER, CRL, KeyLimit
from pki.pkix.profiles import Kind

E = TypeVar("E", bound=StrEnum)

KEYS: Final[Mapping[str, type]] = {
    "keys.backend": str,
    "keys.delegated": str,
    "keys.passphrase": str,
    "keys.passphrase_file": str,
    "keys.pkcs11_module": str,
    "keys.pkcs11_token": str,
    "keys.pin": str,
    "keys.pin_file": str,
    "keys.limits": list,
    "keys.prove": str,
    "clock.max_skew_seconds": int,
    "signer.socket": str,
    "signer.database_url": str,
    "signer.group": str,
}
ENVIRONMENT: Final = {
    "PNC_KEY_PASSPHRASE_FILE": "keys.passphrase_file",
    "PNC_KEY_PIN_FILE": "keys.pin_file",
    "PNC_SIGNER_SOCKET": "signer.socket",
    "PNC_SIGNER_DATABASE_URL": "signer.database_url",
}
_CREDENTIAL: Final = "credential:"
_INHERITED: Final = Path("/proc/self/fd")
_PROMPT: Final = "prompt"
_DIRECTORY: Final = "CREDENTIALS_DIRECTORY"
_MOST: Final = 10_000_000
_LIMIT_KEYS: Final = frozenset(("issuer", "per_minute", "per_day", "kinds"))
_KINDS: Final = frozenset((*(kind.value for kind in Kind), CRL, ANSWER))


class Backend(StrEnum):
    """Where keys lie."""

    FILES = "files"
    PKCS11 = "pkcs11"


class Delegated(StrEnum):
    """Where those lie that are no CA's: with them, or in files of whoever uses them."""

    SAME = "same"
    FILES = "files"


class Prove(StrEnum):
    """
    Which signatures of CAs are verified before anything is stored.

    With `share` those of software keys of P-256 in the very process are: of each group the last,
    and one of many. Those that another process or a token made are always verified, each.
    """

    EACH = "each"
    SHARE = "share"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSource:
    """
    Where a passphrase or PIN comes from.

    Attributes:
        path: a file; None: the terminal.
        credential: name of the systemd credential that the file is, else empty.
    """

    path: Path | None
    credential: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySettings:
    """
    Keys of one installation.

    Attributes:
        passphrase: of the key files and the storage key; None: a demo makes its own.
        module, token, pin: the PKCS#11 module, the label of the token, its user's PIN.
        max_skew: how far clocks may differ before nothing is signed.
        socket: where `pnc signer` is reached; None: every process signs by itself.
        signer_database: the signer's own way into the database; None: as everybody's.
        group: whose members may ask the signer besides its own user.
    """

    backend: Backend = Backend.FILES
    delegated: Delegated = Delegated.SAME
    passphrase: SecretSource | None = None
    module: Path | None = None
    token: str = ""
    pin: SecretSource | None = None
    limits: tuple[KeyLimit, ...] = ()
    prove: Prove = Prove.SHARE
    max_skew: dt.timedelta = dt.timedelta(seconds=60)
    socket: Path | None = None
    signer_database: str | None = field(default=None, repr=False)
    group: str = ""

    @property
    def descriptors(self) -> tuple[int, ...]:
        """Of secrets that a parent holds in memory for its children."""
        paths = [source.path for source in (self.passphrase, self.pin) if source and source.path]
        return tuple(int(path.name) for path in paths if path.parent == _INHERITED)


def read(
    values: Mapping[str, object],
    environment: Mapping[str, str],
    faults: list[str],
    *,
    production: bool,
) -> KeySettings:
    """Read what belongs to keys; add what is wrong to `faults`."""
    found = _read(values, environment, faults)
    if production and found.socket is None:
        faults.append(
            "signer.socket (PNC_SIGNER_SOCKET) is needed in production mode: where no "
            "process that answers strangers holds the key of a CA"
        )
    if production and found.passphrase is None:
        faults.append("keys.passphrase_file (PNC_KEY_PASSPHRASE_FILE) is needed in production mode")
    return found


def _read(
    values: Mapping[str, object], environment: Mapping[str, str], faults: list[str]
) -> KeySettings:
    backend = _choice(values, "keys.backend", Backend.FILES, faults)
    module = _path(values, "keys.pkcs11_module")
    token = str(values.get("keys.pkcs11_token", ""))
    pin = _source("pin", values, environment, faults)
    if backend is Backend.PKCS11 and not (module and token and pin):
        faults.append("keys.backend pkcs11 needs pkcs11_module, pkcs11_token and pin_file or pin")
    socket = _path(values, "signer.socket")
    usual = Delegated.FILES if socket else Delegated.SAME
    skew = values.get("clock.max_skew_seconds", 60)
    if not isinstance(skew, int) or not 1 <= skew <= 86_400:  # noqa: PLR2004 - a day
        faults.append("clock.max_skew_seconds is not between 1 and 86400")
        skew = 60
    return KeySettings(
        backend=backend,
        delegated=_choice(values, "keys.delegated", usual, faults),
        passphrase=_source("passphrase", values, environment, faults),
        module=module,
        token=token,
        pin=pin,
        limits=_limits(values, faults),
        prove=_choice(values, "keys.prove", Prove.SHARE, faults),
        max_skew=dt.timedelta(seconds=skew),
        socket=socket,
        signer_database=str(values["signer.database_url"])
        if values.get("signer.database_url")
        else None,
        group=str(values.get("signer.group", "")),
    )


def _path(values: Mapping[str, object], key: str) -> Path | None:
    text = values.get(key)
    return Path(str(text)).expanduser() if text else None


def _choice(values: Mapping[str, object], key: str, default: E, faults: list[str]) -> E:
    chosen = str(values.get(key, default.value))
    kind = type(default)
    if chosen not in list(kind):
        faults.append(f"{key} is none of {', '.join(kind)}")
        return default
    return kind(chosen)


def _source(
    name: str, values: Mapping[str, object], environment: Mapping[str, str], faults: list[str]
) -> SecretSource | None:
    path = _path(values, f"keys.{name}_file")
    other = str(values.get(f"keys.{name}", ""))
    if path is not None and other:
        faults.append(f"keys.{name} and keys.{name}_file are both there: leave one out")
    if path is not None:
        return SecretSource(path=path)
    if other.startswith(_CREDENTIAL):
        return _credential(other.removeprefix(_CREDENTIAL), environment, faults)
    if other not in ("", _PROMPT):
        faults.append(f"keys.{name} is neither prompt nor credential:NAME; it is no place for it")
    return SecretSource(path=None) if other == _PROMPT else None


def _credential(name: str, environment: Mapping[str, str], faults: list[str]) -> SecretSource:
    """Return the file in which systemd gives a credential (LoadCredential=)."""
    directory = environment.get(_DIRECTORY)
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        faults.append("a credential is named by letters, digits, - _ and dots")
    elif not directory:
        faults.append(f"{_DIRECTORY} is not set, so there is no credential {name}")
    return SecretSource(path=Path(directory or "/") / name, credential=name)


def _limits(values: Mapping[str, object], faults: list[str]) -> tuple[KeyLimit, ...]:
    listed = values.get("keys.limits", [])
    found = [_limit(item) for item in (listed if isinstance(listed, list) else [])]
    if None in found:
        faults.append(
            "keys.limits holds one that is not {issuer, per_minute, per_day, kinds} with numbers "
            "above 0 and known kinds"
        )
    limits = tuple(limit for limit in found if limit is not None)
    if len({limit.issuer for limit in limits}) != len(limits):
        faults.append("keys.limits names an issuer twice")
    return limits


def _limit(item: object) -> KeyLimit | None:
    if not isinstance(item, dict) or not set(item) <= _LIMIT_KEYS:
        return None
    issuer, kinds = item.get("issuer"), item.get("kinds", [])
    numbers = [item.get(key) for key in ("per_minute", "per_day")]
    if not isinstance(issuer, str) or not issuer or not isinstance(kinds, list):
        return None
    if any(n is not None and (type(n) is not int or not 0 < n <= _MOST) for n in numbers):
        return None
    if not all(isinstance(kind, str) and kind in _KINDS for kind in kinds):
        return None
    return KeyLimit(
        issuer=issuer, per_minute=numbers[0], per_day=numbers[1], kinds=frozenset(kinds)
    )


def to_lines(settings: KeySettings) -> list[str]:
    """Write these settings as TOML; only what differs from what is usual."""
    usual = KeySettings(delegated=Delegated.FILES if settings.socket else Delegated.SAME)
    keys = [
        *_line("backend", settings.backend.value, usual.backend.value),
        *_line("delegated", settings.delegated.value, usual.delegated.value),
        *_source_lines("passphrase", settings.passphrase),
        *_line("pkcs11_module", str(settings.module or ""), ""),
        *_line("pkcs11_token", settings.token, ""),
        *_source_lines("pin", settings.pin),
        *_limit_lines(settings.limits),
        *_line("prove", settings.prove.value, usual.prove.value),
    ]
    signer = [
        *_line("socket", str(settings.socket or ""), ""),
        *_line("database_url", settings.signer_database or "", ""),
        *_line("group", settings.group, ""),
    ]
    skew = int(settings.max_skew.total_seconds())
    return [
        *(["", "[keys]", *keys] if keys else []),
        *(["", "[signer]", *signer] if signer else []),
        *(["", "[clock]", f"max_skew_seconds = {skew}"] if skew != 60 else []),  # noqa: PLR2004
    ]


def _line(key: str, value: str, usual: str) -> list[str]:
    return [f"{key} = {quoted(value)}"] if value != usual else []


def _source_lines(name: str, source: SecretSource | None) -> list[str]:
    if source is None:
        return []
    if source.credential:
        return [f"{name} = {quoted(_CREDENTIAL + source.credential)}"]
    if source.path is None:
        return [f'{name} = "{_PROMPT}"']
    return [f"{name}_file = {quoted(str(source.path))}"]


def _limit_lines(limits: tuple[KeyLimit, ...]) -> list[str]:
    if not limits:
        return []
    return ["limits = [", *(f"  {_limit_toml(limit)}," for limit in limits), "]"]


def _limit_toml(limit: KeyLimit) -> str:
    parts = [f"issuer = {quoted(limit.issuer)}"]
    if limit.per_minute is not None:
        parts.append(f"per_minute = {limit.per_minute}")
    if limit.per_day is not None:
        parts.append(f"per_day = {limit.per_day}")
    if limit.kinds:
        parts.append(f"kinds = [{', '.join(quoted(kind) for kind in sorted(limit.kinds))}]")
    return "{" + ", ".join(parts) + "}"


def quoted(text: str) -> str:
    """Return a TOML string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
