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
from dataclasses import dataclass
from typing import Final

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
    Cut,
    Unusual,
    cut_leaf,
    head_of,
    signature_of,
    tbs_of,
    time_of,
)

MOST: Final = 512
"""Shapes that one process keeps; a real hierarchy has some per issuer."""

_CN_OID: Final = "2.5.4.3"
_WINDOW: Final = 64
_ALIKE: Final = 15
"""Shapes besides the newest that are kept although they begin alike and are as long."""

Key = tuple[int, bytes]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """
    A leaf that was read completely, what others must share with it, and how its names go on.

    Attributes:
        cut: where its parts lie.
        before_dates, before_name, before_point, before_key_id, behind: fixed octets.
        text, normal: what stands before and behind the CN.
    """

    model: Certificate
    cut: Cut
    before_dates: bytes
    before_name: bytes
    before_point: bytes
    before_key_id: bytes
    behind: bytes
    text: tuple[str, str]
    normal: tuple[NormalName, NormalName]


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
        if self._shapes:
            try:
                serial, at, end = head_of(der)
                for shape in self._shapes.get(_key(der, at, end), ()):
                    found = _read(der, serial, at, end, shape)
                    if found is not None:
                        return found
            except (Unusual, ValueError, IndexError):
                pass  # read completely, and refused there if it is wrong
        return load(der)

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
    """Return what shapes are looked up by: how long the rest is, and how it begins."""
    return end - at, der[at : at + _WINDOW]


def _read(der: bytes, serial: int, at: int, end: int, shape: Shape) -> Certificate | None:
    """
    Return a leaf, or None if it has another shape.

    Raises:
        Unusual, ValueError, IndexError: it is unusual, or the strict parser refuses it.
    """
    model, cut = shape.model, shape.cut
    dates, name, name_end = at + cut.validity, at + cut.name, at + cut.name_end
    point, point_end, key_id = at + cut.point, at + cut.point_end, at + cut.key_id
    if not (
        der.startswith(shape.before_dates, at)
        and der.startswith(UTC_TIME, dates + 17)
        and der.startswith(shape.before_name, dates + DATES)
        and der.startswith(shape.before_point, name_end)
        and der.startswith(shape.before_key_id, point_end)
        and der.startswith(shape.behind, key_id + KEY_ID_SIZE)
        and PLAIN.fullmatch(der, name, name_end)
    ):
        return None
    curve = KEYS[cut.suite][2]
    if curve is not None and not curve.holds(der[point:point_end]):
        raise Unusual
    text = der[name:name_end].decode()
    before, behind = shape.normal
    return Certificate(
        der=der,
        fingerprint=Fingerprint.of(der),
        version=model.version,
        serial=serial,
        subject=der[dates + DATES : at + cut.spki],
        issuer=model.issuer,
        normal_subject=(*before, frozenset(((_CN_OID, text.lower()),)), *behind),
        normal_issuer=model.normal_issuer,
        subject_text=f"{shape.text[0]}{text}{shape.text[1]}",
        common_names=(text,),
        domain_components=model.domain_components,
        not_before=time_of(der[dates + 4 : dates + 17]),
        not_after=time_of(der[dates + 19 : dates + DATES]),
        spki=der[at + cut.spki : point_end],
        suite=cut.suite,
        named_curve=True,
        signature_oid=model.signature_oid,
        basic_constraints=model.basic_constraints,
        key_usage=model.key_usage,
        key_usage_critical=model.key_usage_critical,
        extended_key_usage=model.extended_key_usage,
        key_id=der[key_id : key_id + KEY_ID_SIZE],
        authority_key_id=model.authority_key_id,
        extension_oids=model.extension_oids,
        deviations=(),
        tbs=tbs_of(der, end),
        signature=signature_of(der, end + cut.head),
        x509=x509.load_der_x509_certificate(der),
        later=Later(),
        shape=shape,
    )


def _shape(leaf: Certificate, cut: Cut) -> Shape | None:
    """Take a leaf for a model, if reading it by cutting gives exactly what `load` gave."""
    der, at = leaf.der, cut.algorithm
    name = der[at + cut.name : at + cut.name_end].decode()
    texts = leaf.subject_text.split(f"CN={name}")
    member = frozenset(((_CN_OID, name.lower()),))
    if leaf.deviations or len(texts) != 2 or leaf.normal_subject.count(member) != 1:  # noqa: PLR2004 - before and behind
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
        text=(f"{texts[0]}CN=", texts[1]),
        normal=(leaf.normal_subject[:where], leaf.normal_subject[where + 1 :]),
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a reader that warns is not to be quick
            again = _read(der, cut.serial, at, at + cut.end, shape)
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
