"""
Identifiers: each is parsed once, at the edge, and is canonical from there on.

Every `parse` takes outside text of any length and content and either returns a value or raises
`BadInput` with the code named in its docstring. Only ASCII letters and digits count: a full-width
or Arabic digit, a Kelvin sign or a dotless i never becomes part of an identifier.
"""

from pki.ids.base import CheckDigit, Edition, quote
from pki.ids.certificates import CpsName, Fingerprint, SerialNumber
from pki.ids.check_characters import check_character, check_character_din, check_character_iso20
from pki.ids.contracts import DinEvcoId, Emaid
from pki.ids.credentials import LONGEST_UID, CredentialUid, fold_prefix
from pki.ids.decisions import first_decision_id
from pki.ids.parties import OperatorId, ProviderId, Wmi
from pki.ids.stations import EvseId, HostName, SeccId, StationSerial
from pki.ids.vehicles import EvccId, Pcid

__all__ = [
    "LONGEST_UID",
    "CheckDigit",
    "CpsName",
    "CredentialUid",
    "DinEvcoId",
    "Edition",
    "Emaid",
    "EvccId",
    "EvseId",
    "Fingerprint",
    "HostName",
    "OperatorId",
    "Pcid",
    "ProviderId",
    "SeccId",
    "SerialNumber",
    "StationSerial",
    "Wmi",
    "check_character",
    "check_character_din",
    "check_character_iso20",
    "first_decision_id",
    "fold_prefix",
    "quote",
]
