"""What was presented, parsed; a fault of parsing is a value, since it is a verdict."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from pki.errors import BadInput
from pki.model import ContractCheck, Fault
from pki.pkix.certificate import Certificate, load
from pki.pkix.leaves import Alike, Leaves

MAX_PRESENTED: Final = 10


class Presented(NamedTuple):
    """
    Certificates, leaf first, or the reason why they cannot be judged.

    A tuple, as every decision makes one.

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

_new: Final = tuple.__new__

LEAVES: Final = Leaves()
"""How leaves of known shapes are read; it changes how long that takes and nothing else."""

_issuer: Final = lru_cache(maxsize=1024)(load)
"""CA certificates come again and again."""


@lru_cache(maxsize=256)
def _issuers(ders: tuple[bytes, ...]) -> tuple[tuple[Certificate, ...], bool]:
    """Read what comes with leaves, the same again and again, and tell whether none comes twice."""
    return tuple(map(_issuer, ders)), len(set(ders)) == len(ders)


def read(check: ContractCheck) -> Presented:
    """Parse what was presented and ask what needs no path: count, duplicates, order."""
    chain = check.chain
    if not chain or check.unreadable is not None or len(chain) > MAX_PRESENTED:
        return _unread(check)
    first, beside = chain[0], chain[1:]
    try:
        leaf = LEAVES.read(first)
        issuers, distinct = _issuers(beside)
    except BadInput as error:
        return Presented(fault=(Fault.UNREADABLE, error.message.rstrip(".")))
    certificates = (leaf, *issuers)
    if type(leaf) is Alike and distinct and first not in beside:
        return _new(Presented, (certificates, None, False))
    return Presented(certificates, _order_fault(certificates))


def _unread(check: ContractCheck) -> Presented:
    """Say why nothing is parsed."""
    if check.unreadable is not None:
        return Presented(fault=_named(check.unreadable))
    if check.chain is None:
        return NOTHING
    if not check.chain:
        return Presented(fault=(Fault.UNREADABLE, "no certificate was presented"))
    detail = f"{len(check.chain)}, at most {MAX_PRESENTED} are read"
    return Presented(fault=(Fault.TOO_MANY_CERTIFICATES, detail))


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
