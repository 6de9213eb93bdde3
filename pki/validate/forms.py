"""
Receipts in few octets: what usual decisions have in common is kept once, as a form with blanks.

Of the 5 kB of a receipt a tenth is its own: leaf, contract, what was asked, id and time. The rest
(issuers, anchors, policy, statuses, the lines of the verdict) is the same for every leaf on the
same way, as long as nothing of that changes. Filled in, a form is the receipt that
`pki.validate.receipts.write` would have made, octet for octet.

Forms belong to a day: a receipt names a form of its own day and no other. So a form that is older
than the oldest receipt and a day more is named by none.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import re
import secrets
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from pki.clock import format_time
from pki.errors import NotFound
from pki.ids import Emaid, Fingerprint, first_decision_id
from pki.model import (
    EMAID_TOKEN_TYPE,
    Accepted,
    Account,
    ContractCheck,
    ContractEvidence,
    DecisionRecord,
    ReceiptForm,
)
from pki.pkix.certificate import Certificate
from pki.ports import Transaction
from pki.validate.lasting import Above
from pki.validate.repeats import rewritten, text
from pki.validate.usual import Way
from pki.validate.written import contract_json

Json = dict[str, Any]
Own = dict[str, str]
"""What is a receipt's own, by the name of its blank, as it stands in JSON."""

DAY: Final = dt.timedelta(days=1)
_DIGEST: Final = 48
_BEGIN: Final = '{"form":"'
_MARK: Final = secrets.token_hex(16)
"""Stands for blanks while a form is made; nobody outside of this process can know it."""

_TEXTS: Final = ("at", "reference", "leaf", "fingerprint", "subject", "emaid", "contractId")
_VALUES: Final = ("contract", "token", "evse", "station")
"""Blanks within quotes, and blanks that stand for a whole value."""

_BLANK: Final = re.compile(
    f'"{_MARK}-({"|".join(_VALUES)})-"|{_MARK}-({"|".join(_TEXTS)})-',
)


class Blanks(NamedTuple):
    """
    Octets with nothing in the place of each blank, and the names of these.

    A format with names takes three times as long to fill in.
    """

    octets: tuple[bytes, ...]
    names: tuple[str, ...]

    def filled(self, own: Own) -> bytes:
        """Fill in what is a receipt's own."""
        values = {name: value.encode() for name, value in own.items()}
        pieces = list(self.octets)
        pieces[1::2] = [values[name] for name in self.names]
        return b"".join(pieces)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Form:
    """
    What receipts of one kind have in common.

    Attributes:
        kept: as it is stored; a format with the blanks by name.
        answer: the verdict and the authorisation in it, as they are answered.
        since: when its day began.
        above: of every path of its kind.
    """

    kept: ReceiptForm
    answer: Blanks
    since: dt.datetime
    above: Above | None

    def holds(self, now: dt.datetime) -> bool:
        """Tell whether it is of this day."""
        return self.since <= now < self.since + DAY

    def short(self, own: Own) -> str:
        """Return what is stored of a receipt."""
        return (
            f'{_BEGIN}{self.kept.form_id}","leaf":"{own["leaf"]}","subject":"{own["subject"]}"'
            f',"contract":{own["contract"]},'
            f'"asked":[{own["token"]},{own["evse"]},{own["station"]}]}}'
        )

    def told(self, own: Own) -> bytes:
        """Return verdict and authorisation."""
        return self.answer.filled(own)


def key_of(
    way: Way, check: ContractCheck, account: Account, like: object, *, soon: bool
) -> tuple[object, ...] | None:
    """
    Return what receipts of one form share besides trust and policy; None where none is to be made.

    Args:
        way: the usual way by which the verdict came about.
        like: what stands for all of the authorisation but its own; None where nothing does.
        soon: the leaf expires soon.
    """
    if like is None or check.hash_data or check.token_type != EMAID_TOKEN_TYPE:
        return None
    return way, like, check.edition, soon, account.provider_id.value, account.name


def told_by_others(verdict: Accepted) -> bool:
    """Tell whether any of the path grows old by itself."""
    return any(entry.status.source == "foreign" for entry in verdict.path)


def own_of(  # noqa: PLR0913 - whatever is a receipt's own
    leaf: Certificate,
    emaid: Emaid,
    found: ContractEvidence,
    check: ContractCheck,
    reference: str,
    at: str,
) -> Own:
    """Return what is a receipt's own."""
    contract = found.contract
    return {
        "reference": reference,
        "at": at,
        "leaf": base64.b64encode(leaf.der).decode(),
        "fingerprint": leaf.fingerprint.value,
        "subject": _quoted(leaf.subject_text),
        "emaid": emaid.key,
        "contract": text(contract_json(found)),
        "contractId": _quoted(contract.contract_id if contract else ""),
        "token": "null" if check.token is None else _value(check.token),
        "evse": "null" if check.evse_id is None else _value(check.evse_id),
        "station": "null" if check.station_id is None else _value(check.station_id),
    }


def make(record: str, own: Own, subject: str, now: dt.datetime, above: Above | None) -> Form | None:
    """
    Return the form of a receipt, or None where it is not quite what it should be.

    Args:
        record: the receipt as `receipts.write` made it.
        own: what is its own.
        subject: of its leaf.
    """
    marked = json.loads(record)
    if not _mark(marked, own["fingerprint"], subject):
        return None
    form = _format(text(marked))
    told = marked["verdict"]
    if "authorisation" in marked:
        told |= {"authorisation": marked["authorisation"]}
    since = now.replace(hour=0, minute=0, second=0, microsecond=0)
    digest = hashlib.sha256(form.encode()).hexdigest()[:_DIGEST]
    form_id = f"{first_decision_id(int(since.timestamp()))}{digest}"
    if form % own != record:
        return None
    kept = ReceiptForm(form_id=form_id, text=form)
    return Form(kept=kept, answer=_blanks(text(told)), since=since, above=above)


def get(tx: Transaction, decision_id: str) -> DecisionRecord | None:
    """
    Return a receipt as `receipts.write` would have written it, or None.

    Raises:
        NotFound: `receipt_form_unknown`; the database lost it.
    """
    found = tx.decisions.get(decision_id)
    if found is None:
        return None
    whole = replace(found, record=_filled(tx, found))
    return whole if whole.repeats is None else replace(whole, record=rewritten(whole))


def _filled(tx: Transaction, found: DecisionRecord) -> str:
    if not found.record.startswith(_BEGIN):
        return found.record
    kept = json.loads(found.record)
    form = tx.decisions.form(kept["form"])
    if form is None:
        raise NotFound(
            "receipt_form_unknown",
            f"What the receipt {found.decision_id} shares with others is not there.",
            hint="Restore the table receipt_forms from a backup.",
        )
    token, evse, station = map(_value, kept["asked"])
    own = {
        "reference": found.decision_id,
        "at": format_time(found.decided_at),
        "leaf": kept["leaf"],
        "fingerprint": Fingerprint.of(base64.b64decode(kept["leaf"])).value,
        "subject": _quoted(kept["subject"]),
        "emaid": found.emaid or "",
        "contract": text(kept["contract"]),
        "contractId": _quoted(kept["contract"]["id"] or ""),
        "token": token,
        "evse": evse,
        "station": station,
    }
    return form % own


# ----------------------------------------------------------------------


def _quoted(value: str) -> str:
    """Return a text as it stands within quotes."""
    return text(value)[1:-1]


def _value(value: str | None) -> str:
    return "null" if value is None else text(value)


def _mark(record: Json, fingerprint: str, subject: str) -> bool:
    """Put marks where blanks will be; tell whether every place was there."""
    record["now"] = record["readAt"] = _of("at")
    record["check"] |= {"token": _of("token"), "evseId": _of("evse"), "stationId": _of("station")}
    record["chain"][0] = _of("leaf")
    record["contract"] = _of("contract")
    record["statuses"] = {
        _of("fingerprint") if name == fingerprint else name: status | {"asOf": _of("at")}
        for name, status in record["statuses"].items()
    }
    authorisation = record.get("authorisation")
    if authorisation is not None:
        authorisation |= {
            "reference": _of("reference"),
            "at": _of("at"),
            "contractId": _of("contractId"),
            "contract": _of("emaid"),
            "evseId": _of("evse"),
        }
    return _mark_verdict(record["verdict"], subject)


def _mark_verdict(verdict: Json, subject: str) -> bool:
    verdict |= {"decisionId": _of("reference"), "decidedAt": _of("at"), "emaid": _of("emaid")}
    for status in verdict["evidence"]:
        status["asOf"] = _of("at")
    verdict["evidence"][0] |= {"subject": _of("subject"), "fingerprint": _of("fingerprint")}
    paths = [check for check in verdict["checks"] if check["question"] == "path"]
    if len(paths) != 1 or not paths[0]["detail"].startswith(subject):
        return False
    paths[0]["detail"] = _of("subject") + paths[0]["detail"][len(subject) :]
    return True


def _of(name: str) -> str:
    return f"{_MARK}-{name}-"


def _format(marked: str) -> str:
    """Return the format whose blanks are where the marks are."""
    fixed, names = _parts(marked)
    blanks = [*(f"%({name})s" for name in names), ""]
    whole = zip(fixed, blanks, strict=True)
    return "".join(text.replace("%", "%%") + blank for text, blank in whole)


def _blanks(marked: str) -> Blanks:
    """Return the octets whose blanks are where the marks are."""
    fixed, names = _parts(marked)
    octets = [piece for text in fixed for piece in (text.encode(), b"")]
    return Blanks(tuple(octets[:-1]), tuple(names))


def _parts(marked: str) -> tuple[list[str], list[str]]:
    """Return what stands around the marks, and their names."""
    found = _BLANK.split(marked)
    names = [value or text for value, text in zip(found[1::3], found[2::3], strict=True)]
    return found[::3], names
