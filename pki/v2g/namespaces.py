"""
Labels of protocol versions, as OCPP, OPCP and OPNC write them (spec 4.5).

Those of -20 are several, none of them fixed; all are read as one, and a caller is answered in its
own.
"""

from __future__ import annotations

from typing import Final

from pki.errors import BadInput
from pki.ids import Edition, quote

_EDITIONS: Final = {
    "urn:iso:15118:2:2013:msgdef": Edition.ISO2,
    "urn:iso:15118:2:2010:msgdef": Edition.ISO2,
    "urn:iso:std:iso:15118:-20:commonmessages": Edition.ISO20,
    "urn:iso:15118:20:2020:msgdef": Edition.ISO20,
    "urn:iso:15118:20:2022:msgdef": Edition.ISO20,
}


def edition_of(label: str) -> Edition:
    """Return the edition that a label means. Raises BadInput (`namespace_unknown`)."""
    found = _EDITIONS.get(label.strip().casefold())
    if found is None:
        raise BadInput(
            "namespace_unknown",
            f"{quote(label, 60)} names no edition of ISO 15118 that is known here.",
            hint="Use urn:iso:15118:2:2013:MsgDef or urn:iso:std:iso:15118:-20:CommonMessages.",
        )
    return found
