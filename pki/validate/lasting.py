"""How long a verdict holds, and what it hangs on, so that it may be given again until then."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from pki.model import Accepted, Contract, DecisionRecord, Evidence, Rejected
from pki.validate import repeats
from pki.validate.case import EXPIRES_SOON
from pki.validate.frame import Frame
from pki.validate.presented import Presented
from pki.validate.turns import first_behind, turns_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """
    An acceptance that nothing but time and the changes named here can end.

    Attributes:
        original: its receipt, without the inputs.
        since, until: it holds from the one to just before the other.
        serials: of the certificates whose status counted; any CA's certificate of such a number.
        contract_id: the contract that was used.
    """

    original: DecisionRecord
    since: dt.datetime
    until: dt.datetime
    serials: frozenset[int]
    contract_id: str


def lasting(  # noqa: PLR0913 - what the decision looked at, and what became of it
    record: DecisionRecord,
    verdict: Accepted | Rejected,
    chain: Presented,
    evidence: Evidence,
    frame: Frame,
    now: dt.datetime,
) -> Lasting | None:
    """
    Return how long an acceptance lasts, or None where that is not plain.

    Refusals are not plain, since many things mend them; nor is what others told of their
    certificates, which grows old.
    """
    contract = evidence.contract.contract
    if isinstance(verdict, Rejected) or contract is None or chain.by_hash:
        return None
    presented = {certificate.fingerprint: certificate for certificate in chain.certificates}
    serials = {certificate.serial for certificate in chain.certificates}
    for entry in verdict.path:
        certificate = presented.get(entry.fingerprint) or frame.upper.get(entry.fingerprint)
        if certificate is None or entry.status.source == "foreign":
            return None
        serials.add(certificate.serial)
    ends = [now + repeats.LONGEST, first_behind(frame.turns, now), *_own(contract, chain)]
    return Lasting(
        original=repeats.without_inputs(record),
        since=now,
        until=min(end for end in ends if end > now),
        serials=frozenset(serials),
        contract_id=contract.contract_id,
    )


def _own(contract: Contract, chain: Presented) -> Iterator[dt.datetime]:
    """Yield the times at which something about this contract and this chain changes."""
    leaf = chain.certificates[0]
    for soon in EXPIRES_SOON.values():
        yield leaf.not_after - soon
    yield from turns_of(chain.certificates)
    for moment in (contract.valid_from, contract.valid_until):
        if moment is not None:
            yield moment
