"""The reviewed file of a ceremony: new CAs, rollovers, cross certificates, retirements."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Any, Final

from pki.errors import BadInput
from pki.hierarchy import IssuerPlan, read_document
from pki.rotate import Step

_HIERARCHY: Final[tuple[str, ...]] = ("operator", "edition", "issuer")
_KEYS: Final = {
    "ceremony": {"title", "people"},
    "rollover": {"issuer", "step"},
    "cross": {"by", "subject"},
    "retire": {"issuer", "abandon"},
}
_STEPS: Final = (Step.PREPARE, Step.SWITCH, Step.CLOSE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """
    What a ceremony does, in this order.

    Attributes:
        rollovers: name of a CA and the step of its rotation.
        cross: ids of two generations of roots: who vouches, for whom.
        retired: ids of generations, and whether their living certificates are abandoned.
    """

    title: str
    people: tuple[str, ...]
    plans: tuple[IssuerPlan, ...]
    rollovers: tuple[tuple[str, Step], ...]
    cross: tuple[tuple[str, str], ...]
    retired: tuple[tuple[str, bool], ...]


def read(text: str) -> Script:
    """
    Read the file of a ceremony completely; a file of `pnc init` is one without a title.

    Raises:
        BadInput: `invalid_ceremony`, `invalid_hierarchy`, with every fault in `data["faults"]`.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid([f"not TOML: {error}"]) from error
    faults = [f"unknown table {k!r}" for k in sorted(set(document) - set(_KEYS) - set(_HIERARCHY))]
    about = document.get("ceremony", {"title": "new CAs"})
    faults += _faults("ceremony", about, needed={"title"})
    tables = {name: _tables(document.get(name, []), name, faults) for name in list(_KEYS)[1:]}
    if faults:
        raise _invalid(faults)
    hierarchy = {name: document[name] for name in _HIERARCHY if name in document}
    return Script(
        title=str(about["title"]),
        people=tuple(map(str, about.get("people", []))),
        plans=tuple(read_document(hierarchy)) if hierarchy else (),
        rollovers=tuple((t["issuer"], Step(t.get("step", "prepare"))) for t in tables["rollover"]),
        cross=tuple((t["by"], t["subject"]) for t in tables["cross"]),
        retired=tuple((t["issuer"], bool(t.get("abandon", False))) for t in tables["retire"]),
    )


def _tables(value: object, name: str, faults: list[str]) -> list[dict[str, Any]]:
    listed: list[Any] = value if isinstance(value, list) else [value]
    needed = _KEYS[name] - {"step", "abandon"}
    for item in listed:
        faults += _faults(name, item, needed=needed)
    return listed


def _faults(name: str, value: object, *, needed: set[str]) -> list[str]:
    if not isinstance(value, dict):
        return [f"{name} is no table"]
    faults = [f"unknown key {name}.{key}" for key in sorted(set(value) - _KEYS[name])]
    faults += [f"{name}.{key} is missing" for key in sorted(needed - set(value))]
    for key, item in value.items():
        fits = isinstance(item, {"people": list, "abandon": bool}.get(key, str))
        if not fits or (key == "people" and not all(isinstance(one, str) for one in item)):
            faults.append(f"{name}.{key} is of another type")
        elif key == "step" and item not in _STEPS:
            faults.append(f"{item!r} is no step of a rollover: " + ", ".join(_STEPS))
    return faults


def _invalid(faults: list[str]) -> BadInput:
    return BadInput(
        "invalid_ceremony",
        f"The file of the ceremony has {len(faults)} faults: " + "; ".join(faults) + ".",
        data={"faults": faults},
    )
