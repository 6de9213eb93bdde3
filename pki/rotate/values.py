"""What the verbs of rotation return."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum


class Step(StrEnum):
    """
    How far the rotation of a key is, by what comes next.

    `prepare`: the next generation is made and known to everybody. `switch`: it signs from then on,
    the old one finishes what it began. `close`: the old one signs status only. `retire`: its last
    certificate is gone, and it signs nothing any more.
    """

    PREPARE = "prepare"
    SWITCH = "switch"
    CLOSE = "close"
    RETIRE = "retire"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """
    Who feels a step, and when.

    Attributes:
        at: None where it happens at the step, whenever that is.
        count: of certificates, webhooks or secrets that it is about.
    """

    step: Step
    who: str
    what: str
    at: dt.datetime | None = None
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """
    Where the rotation of a key stands, or what a step of it did.

    Attributes:
        key: what is rotated, such as `ca mo2-2`.
        step: done, or, with `dry_run`, next.
        old, new: the generations, as far as there are.
        following: the step after it; None where nothing follows.
        wait_until: the step is refused before.
    """

    key: str
    step: Step
    old: str | None
    new: str | None
    following: Step | None = None
    wait_until: dt.datetime | None = None
    effects: tuple[Effect, ...] = ()
    dry_run: bool = False
