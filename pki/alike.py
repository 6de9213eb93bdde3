"""Which contracts an EMAID could name: those that are registered near it, of either edition."""

from __future__ import annotations

from typing import Final

from pki.errors import Conflict
from pki.ids import Edition, Emaid
from pki.model import Contract
from pki.ports import Transaction

_SHARED_LENGTHS: Final = (14, 15)
"""Characters with which both editions know identifiers."""


def near(tx: Transaction, emaid: Emaid) -> list[Contract]:
    """Return the contract of an EMAID, and all that 14 or 15 such characters could name."""
    if len(emaid.normalised) in _SHARED_LENGTHS:
        return tx.contracts.find_like(emaid.key[:14])
    found = tx.contracts.find(emaid.edition, emaid.key)
    return [found] if found else []


def holder(around: list[Contract], edition: Edition, key: str) -> Contract | None:
    """Return the one of them whose identifier of that edition has exactly this key."""
    wanted = (edition, key)
    return next((c for c in around if wanted in [(i.edition, i.key) for i in c.identifiers]), None)


def same_contract(emaid: Emaid, around: list[Contract]) -> Contract | None:
    """Return the contract that holds the same EMAID for the other edition."""
    if len(emaid.normalised) not in _SHARED_LENGTHS:
        return None
    if emaid.edition is Edition.ISO20:
        other = holder(around, Edition.ISO2, emaid.key[:14])
        names = {form for i in (other.identifiers if other else ()) for form in _forms(i)}
        return other if emaid.key in names else None
    found = (holder(around, Edition.ISO20, form) for form in dict.fromkeys(_forms(emaid)))
    return next((contract for contract in found if contract is not None), None)


def _forms(emaid: Emaid) -> tuple[str, ...]:
    """Return every spelling under which one contract's EMAID may stand in a certificate."""
    if emaid.edition is Edition.ISO20:
        return (emaid.key,)
    return (emaid.normalised, emaid.key, emaid.with_check_character)


def refuse_twin(emaid: Emaid, around: list[Contract], same: Contract | None) -> None:
    """Return unless a token would name another contract as well. Raises `emaid_ambiguous`."""
    for other in _twins(emaid, around):
        if same is None or other.contract_id != same.contract_id:
            raise Conflict(
                "emaid_ambiguous",
                f"A token {emaid} would also name the contract {other.identifiers[0]} "
                f"of ISO 15118-{other.identifiers[0].edition.value}.",
                hint="Give one of the two contracts another identifier.",
            )


def _twins(emaid: Emaid, around: list[Contract]) -> list[Contract]:
    """Return contracts of the other edition that some 14 or 15 characters would name as well."""
    return [
        contract
        for contract in around
        if any(i.edition is not emaid.edition and _alike(i, emaid) for i in contract.identifiers)
    ]


def _alike(one: Emaid, other: Emaid) -> bool:
    lengths = {len(one.key), len(other.key)}
    return one.key[:14] == other.key[:14] and lengths <= set(_SHARED_LENGTHS)
