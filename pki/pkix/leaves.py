"""
Contract leaves that look alike: one of a shape is read completely, the others by cutting.

A CA fills one profile again and again, so that its leaves differ in serial, dates, common name, key
and key identifier only. Everything else, octet by octet, is their shape. Whoever has judged one
leaf keeps it (`keep`); a leaf of the same shape then takes over what that one says, and only what
differs is read. The strict parser must accept its octets all the same, and whatever is unusual in
them is left to `pki.pkix.certificate.load`, which reads every certificate.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509

from pki.ids import Fingerprint
from pki.pkix.certificate import Certificate, Later, NormalName, load
from pki.pkix.leaf_cut import (
    DATES,
    KEY_ID_SIZE,
    KEYS,
    PLAIN,
    UTC_TIME,
    VALIDITY,
    Curve,
    Cut,
    Unusual,
    cut_leaf,
    head_of,
    serial_of,
    signature_of,
    tbs_of,
    time_of,
    value_of,
)
from pki.pkix.recent import Recent

MOST: Final = 512
"""Shapes that one process keeps; a real hierarchy has some per issuer."""

MOST_LEAVES: Final = 4096
"""Leaves whose reading is remembered, some 10 MB at the most."""

_CN_OID: Final = "2.5.4.3"
_ALIKE: Final = 15
"""Shapes besides the newest that are kept although they begin alike and are as long."""

Key = tuple[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """
    A leaf that was read completely, no CA; what others must share with it; how its names go on.

    Attributes:
        cut: where its parts lie.
        before_dates, before_name, before_point, before_key_id, behind: fixed octets.
        curve: that of its keys; None where any octets are a key.
        text, normal: what stands before and behind the CN.
    """

    model: Certificate
    cut: Cut
    before_dates: bytes
    before_name: bytes
    before_point: bytes
    before_key_id: bytes
    behind: bytes
    curve: Curve | None
    text: tuple[str, str]
    normal: tuple[NormalName, NormalName]


class Alike(Certificate):
    """
    A leaf of a known shape: a decision needs few of its fields, so the others are filled in when
    they are first asked for, from its octets or from its model.
    """

    __slots__ = ("tbs_end",)
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


class Leaves:
    """The shapes that one process has learnt; safe to share between threads."""

    def __init__(self, most: int = MOST, most_leaves: int = MOST_LEAVES) -> None:
        self._most = most
        self._shapes: dict[Key, tuple[Shape, ...]] = {}
        self._read: Recent[bytes, Certificate] = Recent(most_leaves)

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
        if not self._shapes:
            return load(der)
        leaf = self._read.get(der)
        if leaf is None:
            leaf = self._cut(der)
            if leaf is None:
                return load(der)  # and refused there if it is wrong
            self._read.put(der, leaf)
        return leaf

    def _cut(self, der: bytes) -> Certificate | None:
        try:
            at, end = head_of(der)
            for shape in self._shapes.get(_key(der, at, end), ()):
                found = _read(der, at, end, shape)
                if found is not None:
                    return found
        except (Unusual, ValueError, IndexError):
            pass
        return None

    def keep(self, leaf: Certificate) -> Shape | None:
        """Learn the shape of a leaf that was found good; None where it is too unusual for that."""
        if leaf.shape is not None and isinstance(leaf.shape, Shape):
            return leaf.shape
        try:
            cut = cut_leaf(leaf.der)
        except (Unusual, ValueError, IndexError):
            return None
        shape = _shape(leaf, cut)
        if shape is None:
            return None
        key = _key(leaf.der, cut.algorithm, cut.algorithm + cut.end)
        while len(self._shapes) >= self._most:
            self._shapes.pop(next(iter(self._shapes)), None)
        held = self._shapes.get(key, ())
        self._shapes[key] = (*held[-_ALIKE:], shape)
        return shape


def _key(der: bytes, at: int, end: int) -> Key:
    """
    Return what shapes are looked up by: how long the rest is, and the issuer's algorithm and name.

    Raises:
        Unusual, IndexError: the name has an unusual length.
    """
    return end - at, der[at : value_of(der, at + 2 + der[at + 1])[1]]


def _read(der: bytes, at: int, end: int, shape: Shape) -> Alike | None:
    """
    Return a leaf, or None if it has another shape.

    Raises:
        Unusual, ValueError, IndexError: it is unusual, or the strict parser refuses it.
    """
    cut = shape.cut
    dates, name, name_end = at + cut.validity, at + cut.name, at + cut.name_end
    point, point_end, key_id = at + cut.point, at + cut.point_end, at + cut.key_id
    if not (
        der.startswith(shape.before_dates, at)
        and der.startswith(UTC_TIME, dates + 17)
        and der.startswith(shape.before_name, dates + DATES)
        and der.startswith(shape.before_point, name_end)
        and der.startswith(shape.before_key_id, point_end)
        and der.startswith(shape.behind, key_id + KEY_ID_SIZE)
        and ((plain := der[name:name_end]).isalnum() or PLAIN.fullmatch(plain))
    ):
        return None
    curve = shape.curve
    if curve is not None and not curve.holds(der[point:point_end]):
        raise Unusual
    text = plain.decode()
    leaf = Alike.__new__(Alike)
    put = object.__setattr__
    put(leaf, "der", der)
    put(leaf, "tbs_end", end)
    put(leaf, "shape", shape)
    put(leaf, "fingerprint", Fingerprint.of(der))
    put(leaf, "subject_text", f"{shape.text[0]}{text}{shape.text[1]}")
    put(leaf, "common_names", (text,))
    put(leaf, "not_before", time_of(der[dates + 4 : dates + 17]))
    put(leaf, "not_after", time_of(der[dates + 19 : dates + DATES]))
    put(leaf, "spki", der[at + cut.spki : point_end])
    put(leaf, "tbs", tbs_of(der, end))
    put(leaf, "signature", signature_of(der, end + cut.head))
    put(leaf, "x509", x509.load_der_x509_certificate(der))
    put(leaf, "suite", cut.suite)
    put(leaf, "later", Later())
    return leaf


def _serial(leaf: Alike) -> int:
    return serial_of(leaf.der, leaf.at(0))


def _subject(leaf: Alike) -> bytes:
    cut = leaf.shape.cut
    return leaf.der[leaf.at(cut.validity + DATES) : leaf.at(cut.spki)]


def _normal_subject(leaf: Alike) -> NormalName:
    before, behind = leaf.shape.normal
    return (*before, frozenset(((_CN_OID, leaf.common_names[0].lower()),)), *behind)


def _key_identifier(leaf: Alike) -> bytes:
    begin = leaf.at(leaf.shape.cut.key_id)
    return leaf.der[begin : begin + KEY_ID_SIZE]


_CUT_LATER: Final[dict[str, Callable[[Alike], Any]]] = {
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
    shape = Shape(
        model=leaf,
        cut=cut,
        before_dates=der[at : at + cut.validity + len(VALIDITY)],
        before_name=der[at + cut.validity + DATES : at + cut.name],
        before_point=der[at + cut.name_end : at + cut.point],
        before_key_id=der[at + cut.point_end : at + cut.key_id],
        # the algorithm stands once more behind the to-be-signed part
        behind=der[at + cut.key_id + KEY_ID_SIZE : at + cut.end] + der[at : at + cut.head],
        curve=KEYS[cut.suite][2],
        text=(f"{texts[0]}CN=", texts[1]),
        normal=(leaf.normal_subject[:where], leaf.normal_subject[where + 1 :]),
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a reader that warns is not to be quick
            again = _read(der, at, at + cut.end, shape)
    except (Unusual, ValueError, IndexError, Warning):
        return None
    return shape if again is not None and same(again, leaf) else None


def same(one: Certificate, other: Certificate) -> bool:
    """Tell whether two readings of the same octets agree in everything that they say."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in Certificate.__dataclass_fields__
        if name not in ("x509", "later", "shape")
    )
