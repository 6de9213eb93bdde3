"""
Contract leaves that look alike: one of a shape is read completely, the others by cutting.

A CA fills one profile again and again, so that its leaves differ in serial, dates, common name, key
and key identifier only. Everything else, octet by octet, is their shape. Whoever has judged one
leaf keeps it (`keep`); a leaf of the same shape then takes over what that one says, and only what
differs is read. The strict parser must accept its octets all the same, and whatever is unusual in
them is left to `pki.pkix.certificate.load`, which reads every certificate.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509

from pki.errors import BadInput
from pki.ids import Edition, Emaid, Fingerprint
from pki.pkix.certificate import Certificate, Later, NormalName, load
from pki.pkix.leaf_cut import (
    BETWEEN_DATES,
    DATES,
    DIGITS,
    KEY_ID_SIZE,
    KEYS,
    PLAIN,
    TBS,
    VALIDITY,
    Curve,
    Cut,
    Unusual,
    cut_leaf,
    head_of,
    serial_of,
    signature_of,
    time_of,
)

MOST: Final = 512
"""Shapes that one process keeps; a real hierarchy has some per issuer."""

_CN_OID: Final = "2.5.4.3"
_ALIKE: Final = 15
"""Shapes besides the newest that are kept although they begin alike and are as long."""

_UNUSUAL: Final = (Unusual, ValueError, IndexError, struct.error)
_NAMED: Final = 14
"""Octets of an ECDSA algorithm and of the head of a short name behind it."""

Key = tuple[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """
    A leaf that was read completely, no CA; what others must share with it; how its names go on.

    Attributes:
        cut: where its parts lie.
        parts: takes a leaf apart behind its serial: fixed octets, then what varies, in turn.
        fixed: octets of the former.
        curve: that of its keys; None where any octets are a key.
        edition: which its EMAID follows.
        text, normal: what stands before and behind the CN.
    """

    model: Certificate
    cut: Cut
    parts: struct.Struct
    fixed: tuple[bytes, ...]
    curve: Curve | None
    edition: Edition
    text: tuple[str, str]
    normal: tuple[NormalName, NormalName]


class Alike(Certificate):
    """
    A leaf of a known shape: a decision needs few of its fields, so the others are filled in when
    they are first asked for, from its octets or from its model.

    Attributes:
        begins, ends: digits of its dates, see `pki.pkix.leaf_cut.digits_of`.
    """

    __slots__ = ("begins", "common_name", "emaid", "ends", "tbs_end")
    begins: bytes
    common_name: str
    emaid: Emaid | None
    ends: bytes
    tbs_end: int
    shape: Shape

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - of any field
        """Fill in a field that is empty so far."""
        make = _CUT_LATER.get(name)
        found = make(self) if make is not None else getattr(self.shape.model, name)
        object.__setattr__(self, name, found)
        return found

    def at(self, place: int) -> int:
        """Return where a place of the shape's cut lies in these octets."""
        return self.tbs_end - self.shape.cut.end + place


class _Draft(Alike):
    """
    What becomes an `Alike` once it is filled in.

    A frozen dataclass costs 70 ns for each of its fields, this one 10.
    """

    __slots__ = ()
    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__


class Leaves:
    """The shapes that one process has learnt; safe to share between threads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._shapes: dict[Key, tuple[Shape, ...]] = {}

    @property
    def size(self) -> int:
        """How many kinds of beginnings are kept."""
        return len(self._shapes)

    def read(self, der: bytes) -> Certificate:
        """
        Return what `load` returns, quickly for a leaf of a known shape.

        Raises:
            BadInput: as `load`.
        """
        return self._cut(der) or load(der)  # and refused there if it is wrong

    def _cut(self, der: bytes) -> Alike | None:
        try:
            at, end = head_of(der)
            for shape in self._shapes.get(_key(der, at, end), ()):
                leaf = _read(der, at, end, shape)
                if leaf is not None:
                    return leaf
        except _UNUSUAL:
            pass
        return None

    def keep(self, leaf: Certificate) -> Shape | None:
        """Learn the shape of a leaf that was found good; None where it is too unusual for that."""
        known = leaf if isinstance(leaf, Alike) else self._cut(leaf.der)
        if known is not None:
            return known.shape
        try:
            cut = cut_leaf(leaf.der)
        except _UNUSUAL:
            return None
        shape = _shape(leaf, cut)
        if shape is None:
            return None
        key = _key(leaf.der, cut.algorithm, cut.algorithm + cut.end)
        while len(self._shapes) >= self._most:
            self._shapes.pop(next(iter(self._shapes)), None)
        held = self._shapes.get(key, ())
        self._shapes[key] = (shape, *held[:_ALIKE])
        return shape


def _key(der: bytes, at: int, end: int) -> Key:
    """
    Return what shapes are looked up by: how long the rest is, and how it begins.

    That is the algorithm and the whole name of the issuer, if the one is ECDSA and the other short.
    """
    return end - at, der[at : at + _NAMED + der[at + _NAMED - 1]]


def _read(der: bytes, at: int, end: int, shape: Shape) -> Alike | None:
    """
    Return a leaf, or None if it has another shape.

    Raises:
        Unusual, ValueError, IndexError, struct.error: it is unusual, or the strict parser refuses
            it.
    """
    parts = shape.parts.unpack_from(der, at)
    if parts[::2] != shape.fixed:
        return None
    begins, ends, name, x, y, _ = parts[1::2]
    if not (name.isalnum() or PLAIN.fullmatch(name)):
        return None
    curve, cut = shape.curve, shape.cut
    if curve is not None and not curve.holds(x, y):
        raise Unusual
    strict = x509.load_der_x509_certificate(der)  # dates and outer form hang on it
    before, behind = shape.text
    leaf: Any = _DRAFT(_Draft)
    leaf.x509 = strict
    leaf.der = der
    leaf.tbs_end = end
    leaf.shape = shape
    leaf.fingerprint = Fingerprint.of(der)
    leaf.begins = begins
    leaf.ends = ends
    text = name.decode()
    leaf.common_name = text
    leaf.subject_text = f"{before}{text}{behind}"
    leaf.signature = signature_of(der, end + cut.head)
    leaf.suite = cut.suite
    try:
        leaf.emaid = Emaid.parse(text, shape.edition)
    except BadInput:
        leaf.emaid = None
    leaf.__class__ = Alike
    made: Alike = leaf
    return made


_DRAFT: Final = _Draft.__new__


def _serial(leaf: Alike) -> int:
    return serial_of(leaf.der, leaf.at(0))


def _subject(leaf: Alike) -> bytes:
    cut = leaf.shape.cut
    return leaf.der[leaf.at(cut.validity + DATES) : leaf.at(cut.spki)]


def _normal_subject(leaf: Alike) -> NormalName:
    before, behind = leaf.shape.normal
    return (*before, frozenset(((_CN_OID, leaf.common_name.lower()),)), *behind)


def _key_identifier(leaf: Alike) -> bytes:
    begin = leaf.at(leaf.shape.cut.key_id)
    return leaf.der[begin : begin + KEY_ID_SIZE]


def _spki(leaf: Alike) -> bytes:
    cut = leaf.shape.cut
    return leaf.der[leaf.at(cut.spki) : leaf.at(cut.point_end)]


_CUT_LATER: Final[dict[str, Callable[[Alike], Any]]] = {
    "common_names": lambda leaf: (leaf.common_name,),
    "later": lambda _: Later(),
    "tbs": lambda leaf: leaf.der[TBS : leaf.tbs_end],
    "x509": lambda leaf: x509.load_der_x509_certificate(leaf.der),
    "not_before": lambda leaf: time_of(leaf.begins),
    "not_after": lambda leaf: time_of(leaf.ends),
    "spki": _spki,
    "serial": _serial,
    "subject": _subject,
    "normal_subject": _normal_subject,
    "key_id": _key_identifier,
}
"""Fields that differ from leaf to leaf and that hardly any decision needs."""


def _shape(leaf: Certificate, cut: Cut) -> Shape | None:
    """Take a leaf for a model, if reading it by cutting gives exactly what `load` gave."""
    der, at = leaf.der, cut.algorithm
    name = der[at + cut.name : at + cut.name_end].decode()
    texts = leaf.subject_text.split(f"CN={name}")
    member = frozenset(((_CN_OID, name.lower()),))
    if leaf.is_ca or leaf.deviations or len(texts) != 2 or leaf.normal_subject.count(member) != 1:  # noqa: PLR2004 - before and behind
        return None
    where = leaf.normal_subject.index(member)
    parts = _parts(cut)
    shape = Shape(
        model=leaf,
        cut=cut,
        parts=parts,
        fixed=parts.unpack_from(der, at)[::2],
        curve=KEYS[cut.suite][2],
        edition=cut.suite.edition,
        text=(f"{texts[0]}CN=", texts[1]),
        normal=(leaf.normal_subject[:where], leaf.normal_subject[where + 1 :]),
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a reader that warns is not to be quick
            again = _read(der, at, at + cut.end, shape)
    except (*_UNUSUAL, Warning):
        return None
    return shape if again is not None and same(again, leaf) else None


def _parts(cut: Cut) -> struct.Struct:
    """Return what takes a leaf apart: its algorithm stands once more behind the rest of it."""
    first = cut.point_end - cut.point if (curve := KEYS[cut.suite][2]) is None else curve.size
    sizes = (
        (cut.validity + len(VALIDITY), DIGITS),
        (len(BETWEEN_DATES), DIGITS),
        (cut.name - cut.validity - DATES + 1, cut.name_end - cut.name),
        (cut.point - cut.name_end, first),
        (0, cut.point_end - cut.point - first),
        (cut.key_id - cut.point_end, KEY_ID_SIZE),
        (cut.end - cut.key_id - KEY_ID_SIZE + cut.head, 0),
    )
    return struct.Struct(
        "".join(f"{fixed}s{varying}s" for fixed, varying in sizes[:-1]) + f"{sizes[-1][0]}s"
    )


def same(one: Certificate, other: Certificate) -> bool:
    """Tell whether two readings of the same octets agree in everything that they say."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in Certificate.__dataclass_fields__
        if name not in ("x509", "later", "shape")
    )
