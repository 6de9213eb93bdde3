"""What was presented, parsed; a fault of parsing is a value, since it is a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pki.errors import BadInput
from pki.model import ContractCheck, Fault
from pki.pkix.certificate import Certificate, load
from pki.pkix.leaves import Leaves

MAX_PRESENTED: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """
    Certificates, leaf first, or the reason why they cannot be judged.

    Attributes:
        by_hash: they were named by hash data and come from our store.
    """

    certificates: tuple[Certificate, ...] = ()
    fault: tuple[Fault, str] | None = None
    by_hash: bool = False

    @property
    def leaf(self) -> Certificate | None:
        """The first certificate, where parsing went well."""
        return self.certificates[0] if self.certificates and self.fault is None else None


NOTHING: Final = Presented()

LEAVES: Final = Leaves()
"""How leaves of known shapes are read; it changes how long that takes and nothing else."""

_issuer: Final = lru_cache(maxsize=1024)(load)
"""CA certificates come again and again."""


@lru_cache(maxsize=256)
def _issuers(ders: tuple[bytes, ...]) -> tuple[Certificate, ...]:
    """Read what comes with leaves, which is the same again and again."""
    return tuple(map(_issuer, ders))


def read(check: ContractCheck) -> Presented:
    """Parse what was presented and ask what needs no path: count, duplicates, order."""
    if check.unreadable is not None:
        return Presented(fault=_named(check.unreadable))
    if check.chain is None:
        return NOTHING
    if not check.chain:
        return Presented(fault=(Fault.UNREADABLE, "no certificate was presented"))
    if len(check.chain) > MAX_PRESENTED:
        detail = f"{len(check.chain)}, at most {MAX_PRESENTED} are read"
        return Presented(fault=(Fault.TOO_MANY_CERTIFICATES, detail))
    try:
        certificates = (LEAVES.read(check.chain[0]), *_issuers(check.chain[1:]))
    except BadInput as error:
        return Presented(fault=(Fault.UNREADABLE, error.message.rstrip(".")))
    usual = certificates[0].shape is not None and len(set(check.chain)) == len(check.chain)
    return Presented(certificates=certificates, fault=None if usual else _order_fault(certificates))


def unknown_hash(detail: str) -> Presented:
    """Say that hash data name something that we do not know."""
    return Presented(fault=(Fault.HASH_DATA_UNKNOWN, detail), by_hash=True)


def of_known(ders: tuple[bytes, ...]) -> Presented:
    """Take certificates from our own store; hash data come in any order, the leaf goes first."""
    certificates = tuple(sorted((load(der) for der in ders), key=lambda c: c.is_ca))
    return Presented(certificates=certificates, fault=_order_fault(certificates), by_hash=True)


def _named(text: str) -> tuple[Fault, str]:
    """Split `fault: detail` as `web` and `cli` report a chain that they could not take apart."""
    code, _, detail = text.partition(": ")
    return Fault(code), detail


def _order_fault(certificates: tuple[Certificate, ...]) -> tuple[Fault, str] | None:
    if len(set(certificates)) < len(certificates):
        twice = next(c for at, c in enumerate(certificates) if c in certificates[:at])
        return Fault.DUPLICATE_CERTIFICATE, twice.subject_text
    first = certificates[0]
    if not first.is_ca:
        return None
    leaves = [c for c in certificates[1:] if not c.is_ca]
    if leaves:
        return Fault.LEAF_NOT_FIRST, f"{first.subject_text} comes before {leaves[0].subject_text}"
    return Fault.LEAF_IS_CA, first.subject_text
