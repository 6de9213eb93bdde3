"""The generations of one CA, and how far its rotation is."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Final

from pki.clock import parse_time
from pki.errors import NotFound
from pki.ids import quote
from pki.model import Issuer, IssuerState, Living
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.ports import Transaction
from pki.rotate.values import Step

GRACE: Final = dt.timedelta(minutes=5)
"""Between switch and close: nobody takes longer from placing an order to its certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    The generations of one CA.

    Attributes:
        active: oldest first; two of them between switch and close.
        prepared: made and not switched to.
        ending: sign status only.
        highest: number of the last generation there ever was.
    """

    name: str
    active: tuple[Issuer, ...]
    prepared: Issuer | None
    ending: tuple[Issuer, ...]
    switched_at: dt.datetime | None
    highest: int

    @property
    def newest(self) -> Issuer:
        """The last that signs, or signed."""
        return (*self.ending, *self.active)[-1]

    @property
    def step(self) -> Step:
        """What comes next; `retire` comes by itself and is never in the way of a rotation."""
        if len(self.active) > 1:
            return Step.CLOSE
        return Step.SWITCH if self.prepared else Step.PREPARE


def line(tx: Transaction, name: str) -> Line:
    """Return the generations of a CA. Raises NotFound (`issuer_unknown`)."""
    own = [i for i in tx.issuers.all() if i.name == name and i.certificate]
    own.sort(key=lambda issuer: issuer.generation)
    if not own:
        raise NotFound(
            "issuer_unknown",
            f"There is no issuer {quote(name)}.",
            hint="`pnc issuer list` shows them.",
        )
    active = tuple(i for i in own if i.state is IssuerState.ACTIVE)
    waiting = [i for i in own if i.state is IssuerState.STATUS_ONLY]
    switched = json.loads(tx.setting(fact(name)) or "{}")
    last = int(switched.get("generation", active[-1].generation if active else 1))
    prepared = next((i for i in waiting if i.generation > last and not _revoked(tx, i)), None)
    return Line(
        name=name,
        active=active,
        prepared=prepared,
        ending=tuple(i for i in waiting if i != prepared),
        switched_at=parse_time(switched["at"]) if "at" in switched else None,
        highest=own[-1].generation,
    )


def fact(name: str) -> str:
    """Return the name of the fact that tells which generation was switched to, and when."""
    return f"rotated.{name}"


def _revoked(tx: Transaction, issuer: Issuer) -> bool:
    certificate = load(issuer.certificate)
    signed_by = issuer.parent_id or issuer.issuer_id
    return tx.certificates.revocation(signed_by, certificate.serial_number) is not None


def number(found: Line) -> int:
    """Return the number of the generation that is prepared, or would be."""
    return found.prepared.generation if found.prepared else found.highest + 1


def close_from(found: Line, grace: dt.timedelta = GRACE) -> dt.datetime | None:
    """Return when the old generation may be closed."""
    return found.switched_at + grace if found.switched_at else None


def needing(issuer: Issuer, living: list[Living]) -> list[Living]:
    """Return what keeps a CA at work: not its responders, nor what a root has for itself."""
    own = {Kind.OCSP, issuer.kind} if issuer.parent_id is None else {Kind.OCSP}
    return [each for each in living if each.kind not in own]
