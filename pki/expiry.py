"""What expires when: asked for, counted, and told to webhooks once each, also after an outage."""

from __future__ import annotations

import datetime as dt
from typing import Final

from pki import access
from pki.clock import UTC, parse_time
from pki.errors import BadInput
from pki.ids import Fingerprint, quote
from pki.issue import EXPIRING, mark_of, tell
from pki.model import CertificateRecord, Expiring, Principal
from pki.pkix.profiles import Kind
from pki.ports import Deployment, Transaction

EXPIRED: Final = "certificate.expired"
MAX_DAYS: Final = 3650
_PAGE: Final = 200

Place = tuple[dt.datetime, Fingerprint]
"""End and fingerprint of a certificate: how lists of what expires are ordered."""


def expiring(  # noqa: PLR0913 - one keyword per filter
    deployment: Deployment,
    principal: Principal,
    *,
    days: int = 30,
    kind: Kind | None = None,
    owner: str | None = None,
    issuer_id: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> list[Expiring]:
    """
    Return a page of the caller's certificates that end within some days, the soonest first.

    What has ended or was revoked is not among them; what has a successor is, and says so.

    Args:
        after: `place_of` the last one of the page before.

    Raises:
        BadInput: `invalid_days`, `invalid_place`.
    """
    access.require(principal, access.Action.READ_CERTIFICATES)
    if not 0 <= days <= MAX_DAYS:
        raise BadInput("invalid_days", f"days is a number from 0 to {MAX_DAYS}.")
    owners, kinds = access.visible_owners(principal), access.visible_kinds(principal)
    if owner is not None:
        owners = (owner,) if owners is None or owner in owners else ()
    if kind is not None:
        kinds = (kind,) if kinds is None or kind in kinds else ()
    now = deployment.clock.now()
    begin = (now, None) if after is None else _place(after)
    with deployment.store.read() as tx:
        return tx.certificates.expiring(
            max(begin[0], now),
            begin[1] if begin[0] >= now else None,
            now + dt.timedelta(days=days),
            kinds=kinds,
            owners=owners,
            issuer_id=issuer_id,
            limit=limit,
        )


def place_of(record: CertificateRecord) -> str:
    """Return where a page ended, as `expiring` takes it."""
    return f"{record.not_after.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ},{record.fingerprint.value}"


def _place(text: str) -> tuple[dt.datetime, Fingerprint | None]:
    time, _, fingerprint = text.partition(",")
    try:
        return parse_time(time), Fingerprint.parse(fingerprint)
    except BadInput as error:
        raise BadInput("invalid_place", f"{quote(text)} is no place in this list.") from error


def counts(deployment: Deployment, days: int) -> dict[Kind, int]:
    """Return how many certificates in force end within some days, by kind."""
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        return tx.certificates.ending(now, now + dt.timedelta(days=days))


# --- the job -------------------------------------------------------------------------------------


def notify(deployment: Deployment) -> int:
    """
    Tell of what will expire soon, and of what has expired since the last run; return how many.

    Marks in the store say how far each went, so that an outage delays but loses nothing.
    """
    now = deployment.clock.now()
    soon = now + deployment.enrolment.notice
    return _tell_up_to(deployment, EXPIRING, soon) + _tell_up_to(deployment, EXPIRED, now)


def _tell_up_to(deployment: Deployment, event: str, end: dt.datetime) -> int:
    told, more = 0, True
    while more:
        with deployment.store.write() as tx:
            found, more = _tell_page(deployment, tx, event, end)
        told += found
    return told


def _tell_page(
    deployment: Deployment, tx: Transaction, event: str, end: dt.datetime
) -> tuple[int, bool]:
    """Tell of one page behind the mark, and move the mark, in one transaction."""
    name, now = mark_of(event), deployment.clock.now()
    mark = tx.setting(name)
    page: list[Expiring] = []
    if mark is not None and event in tx.webhooks.wanted():
        begin, last = _place(mark) if "," in mark else (parse_time(mark), None)
        page = tx.certificates.expiring(begin, last, end, limit=_PAGE)
        for each in page:
            tell(tx, event, each.record, now)
    full = len(page) == _PAGE
    # the first run begins with now: what had ended before is nobody's news
    tx.put_setting(name, place_of(page[-1].record) if full else f"{end:%Y-%m-%dT%H:%M:%SZ}")
    return len(page), full
