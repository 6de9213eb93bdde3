"""In which namespace each element and attribute stands (the schemas of both editions)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pki.ids import Edition

XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_DEF: Final = "urn:iso:15118:2:2013:MsgDef"
_HEADER: Final = "urn:iso:15118:2:2013:MsgHeader"
_BODY: Final = "urn:iso:15118:2:2013:MsgBody"
_TYPES: Final = "urn:iso:15118:2:2013:MsgDataTypes"
_MESSAGES20: Final = "urn:iso:std:iso:15118:-20:CommonMessages"
_TYPES20: Final = "urn:iso:std:iso:15118:-20:CommonTypes"
_ISSUER: Final = frozenset(("X509IssuerName", "X509SerialNumber"))
_OF_HEADER: Final = {Edition.ISO2: _HEADER, Edition.ISO20: _TYPES20}
_BASE20: Final = frozenset(("Header", "ResponseCode"))

PREFIXES: Final[dict[Edition, dict[str, str]]] = {
    Edition.ISO2: {"v2g": _DEF, "h": _HEADER, "b": _BODY, "t": _TYPES, "ds": _DS},
    Edition.ISO20: {"v2g": _MESSAGES20, "t": _TYPES20, "ds": _DS},
}


@dataclass(frozen=True, slots=True)
class Place:
    """
    An element by where it stands: the namespace follows from that.

    Attributes:
        path: local names from the root down to the parent.
    """

    edition: Edition
    path: tuple[str, ...]
    name: str
    namespace: str

    @classmethod
    def root(cls, edition: Edition, name: str) -> Place:
        """Return the place of a document's root."""
        return cls(edition, (), name, _DEF if edition is Edition.ISO2 else _MESSAGES20)

    @property
    def tag(self) -> str:
        """The qualified name."""
        return f"{{{self.namespace}}}{self.name}"

    def child(self, name: str) -> Place:
        """Return the place of a child of that name."""
        path = (*self.path, self.name)
        return Place(self.edition, path, name, self._child(path, name))

    def attribute(self, name: str) -> str:
        """Return the qualified name of an attribute; xmldsig does not qualify its own."""
        if self.namespace == _DS:
            return name
        if self.edition is Edition.ISO20:
            return f"{{{_MESSAGES20}}}{name}"
        in_message = self.path[-1:] == ("Body",)
        return f"{{{_BODY if in_message else _TYPES}}}{name}"

    def _child(self, path: tuple[str, ...], name: str) -> str:
        if self.namespace == _DS or name in _ISSUER:
            return _DS
        if path[1:] == ("Header",):
            return _DS if name == "Signature" else _OF_HEADER[self.edition]
        if self.edition is Edition.ISO20:
            return _TYPES20 if len(path) == 1 and name in _BASE20 else _MESSAGES20
        match path:
            case ("V2G_Message",):
                return _DEF
            case (_, "Body") | (_, "Body", _):
                return _BODY
            case _:
                return _TYPES
