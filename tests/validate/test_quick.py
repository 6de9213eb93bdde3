"""The quick way of a decision, held to the long way: same reading, same verdict, same fault."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from typing import Any, Final

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from pki.errors import BadInput
from pki.ids import Emaid
from pki.model import (
    Accepted,
    CertificateStatus,
    Domain,
    Fault,
    Rejected,
    Status,
    Trust,
    TrustAnchor,
)
from pki.pkix import path as paths
from pki.pkix.certificate import Certificate, load
from pki.pkix.der import SEQUENCE, encode
from pki.pkix.leaf_cut import digits_of, time_of
from pki.pkix.leaves import Alike, Leaves, same
from pki.pkix.suites import Suite, sign
from pki.validate.presented import LEAVES
from tests.builders import CONTRACT_USAGE, NOW, YEAR, Spec, chain, make
from tests.validate.worlds import World, trust_in, world_of

BIT_STRING: Final = 0x03


def _both(world: World, der: bytes) -> tuple[Accepted | Rejected, Accepted | Rejected]:
    """Decide quickly, where that is possible, and the long way."""
    quick, slow = LEAVES.read(der), load(der)
    assert same(quick, slow)
    assert slow.shape is None
    return world.decide(quick), world.decide(slow)


@pytest.mark.parametrize("suite", list(Suite))
def test_a_leaf_of_a_known_shape_is_read_quickly_and_alike(suite: Suite) -> None:
    world = world_of(suite)
    der = world.leaf()
    assert LEAVES.read(der).shape is not None
    quick, slow = _both(world, der)
    assert quick == slow
    assert isinstance(quick, Accepted)


@pytest.mark.parametrize("suite", list(Suite))
def test_a_remembered_signature_does_not_hide_a_date_or_a_revocation(suite: Suite) -> None:
    world = world_of(suite)
    leaf = LEAVES.read(world.leaf())
    assert isinstance(world.decide(leaf), Accepted)
    late = world.decide(leaf, now=NOW + 2 * YEAR)
    assert isinstance(late, Rejected)
    assert late.fault is Fault.EXPIRED
    bad = CertificateStatus(status=Status.REVOKED, source="own", as_of=NOW)
    revoked = World(world.made, world.trust, bad).decide(leaf)
    assert isinstance(revoked, Rejected)
    assert revoked.fault is Fault.REVOKED


def test_nothing_is_remembered_across_a_change_of_trust() -> None:
    world = world_of(Suite.P256)
    leaf = LEAVES.read(world.leaf())
    assert isinstance(world.decide(leaf), Accepted)
    for anchors in ((), trust_in(chain()).anchors):
        other = Trust(version=2, anchors=anchors, pool=world.trust.pool)
        verdict = world.decide(leaf, trust=other)
        assert isinstance(verdict, Rejected)
        assert verdict.fault in (Fault.NO_PATH, Fault.SIGNATURE_INVALID)


def test_trust_that_differs_anywhere_has_another_identity() -> None:
    trust = world_of(Suite.P256).trust
    anchor = trust.anchors[0].certificate
    anchors = (TrustAnchor(certificate=anchor, domains=frozenset((Domain.MO, Domain.V2G))),)
    others = (
        Trust(version=2, anchors=trust.anchors, pool=trust.pool),
        Trust(version=1, anchors=anchors, pool=trust.pool),
        Trust(version=1, anchors=trust.anchors, pool=trust.pool[:1]),
        Trust(version=1, anchors=(), pool=trust.pool),
    )
    assert len({trust.identity, *(other.identity for other in others)}) == 5


def test_a_twin_of_the_issuer_has_not_signed() -> None:
    world = world_of(Suite.P256)
    twin = chain()  # the same names, other keys
    spec = Spec(
        common_name="DEMOAC00000007",
        ca=False,
        key_usage=CONTRACT_USAGE,
        authority_key_id=world.issuer.certificate.key_id,
    )
    quick, slow = _both(world, make(spec, twin.sub_cas[0]).der)
    assert isinstance(quick, Rejected)
    assert quick.fault is Fault.SIGNATURE_INVALID
    assert quick == slow


def _resigned(world: World, suite: Suite, tbs: bytes) -> bytes:
    """Sign octets, whatever they are, as the issuer would."""
    old = load(world.leaf())
    algorithm = old.der[len(old.der) - len(_rest(old)) :][: _rest(old)[1] + 2]
    key = world.issuer.key
    signature = sign(key, tbs)  # type: ignore[arg-type]  # no RSA here
    assert suite is old.suite
    return encode(SEQUENCE, tbs + algorithm + encode(BIT_STRING, b"\0" + signature))


def _rest(certificate: Certificate) -> bytes:
    """Return algorithm and signature, which follow the to-be-signed part."""
    return certificate.der[certificate.der.index(certificate.tbs) + len(certificate.tbs) :]


_changes = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=3
)


@pytest.mark.parametrize("suite", list(Suite))
@given(changes=_changes)
def test_changed_octets_that_the_issuer_signed_get_the_verdict_of_the_long_way(
    suite: Suite, changes: list[tuple[float, int]]
) -> None:
    world = world_of(suite)
    tbs = bytearray(load(world.leaf()).tbs)
    for where, octet in changes:
        tbs[int(where * len(tbs))] = octet
    _agree(world, _resigned(world, suite, bytes(tbs)))


@pytest.mark.parametrize("suite", list(Suite))
@given(changes=_changes)
def test_changed_octets_get_the_verdict_of_the_long_way(
    suite: Suite, changes: list[tuple[float, int]]
) -> None:
    world = world_of(suite)
    der = bytearray(world.leaf())
    for where, octet in changes:
        der[int(where * len(der))] = octet
    _agree(world, bytes(der))


@given(
    where=st.floats(0, 1, exclude_max=True),
    gone=st.integers(0, 4),
    put=st.binary(max_size=4),
)
def test_octets_that_come_or_go_get_the_verdict_of_the_long_way(
    where: float, gone: int, put: bytes
) -> None:
    world = world_of(Suite.P256)
    body = load(world.leaf()).tbs[4:]
    at = int(where * len(body))
    tbs = encode(SEQUENCE, body[:at] + put + body[at + gone :])
    _agree(world, _resigned(world, Suite.P256, tbs))


def _agree(world: World, der: bytes) -> None:
    refused = _refusal(load, der)
    assert _refusal(LEAVES.read, der) == refused
    if refused is None:
        quick_verdict, slow_verdict = _both(world, der)
        assert quick_verdict == slow_verdict


def _refusal(read: Callable[[bytes], Certificate], der: bytes) -> str | None:
    try:
        read(der)
    except BadInput as error:
        return f"{error.code}: {error.message}"
    return None


@given(name=st.text(min_size=1, max_size=64), digits=st.booleans())
def test_any_common_name_is_read_alike(name: str, digits: bool) -> None:  # noqa: FBT001 - drawn
    world = world_of(Suite.P256)
    text = "DEMOAC99999999" if digits else name
    try:
        der = world.leaf(common_name=text)
    except (ValueError, BadInput):
        return  # no certificate can say that
    _agree(world, der)
    _agree(world, world.leaf(common_name=text[::-1]))


@pytest.mark.parametrize(
    "override",
    [
        {"serial": 1},
        {"serial": (1 << 159) - 1},
        {"not_before": dt.datetime(1960, 1, 1, tzinfo=dt.UTC)},
        {"not_after": dt.datetime(2060, 1, 1, tzinfo=dt.UTC)},
        {"not_before": NOW + YEAR},
        {"not_after": NOW - dt.timedelta(seconds=1)},
        {"not_after": NOW},
        {"domain_component": "CPO"},
        {"ca": True},
        {"ca": None},
        {"key_usage": None},
        {"key_usage": ("key_cert_sign",)},
        {"extended_key_usage": ("1.3.6.1.5.5.7.3.9",)},
        {"critical_unknown": True},
        {"common_names": ("DEMOAC00000007", "DEMOAC00000008")},
        {"common_names": ()},
        {"suite": Suite.P521},
        {"suite": Suite.ED448},
    ],
    ids=str,
)
def test_every_defect_gets_the_verdict_of_the_long_way(override: dict[str, Any]) -> None:
    world = world_of(Suite.P256)
    _agree(world, world.leaf(**override))
    _agree(world, world.leaf(**override))


def test_the_strict_parser_takes_the_dates_that_there_are() -> None:
    """So a leaf's dates need not be looked at until somebody asks for them."""
    der = world_of(Suite.P256).leaf()
    leaf, usual = load(der), b"240229235959"
    where = der.index(f"{leaf.not_before:%y%m%d%H%M%S}Z".encode())
    tried = [
        b"%02d%02d%02d000000" % (y, m, d) for y in range(100) for m in (2, 4) for d in (29, 31)
    ]
    for at in range(0, len(usual), 2):
        tried += [usual[:at] + b"%02d" % value + usual[at + 2 :] for value in range(100)]
    for at in range(len(usual)):
        tried += [usual[:at] + bytes((c,)) + usual[at + 1 :] for c in range(256)]
    taken = 0
    for digits in tried:
        changed = der[:where] + digits + der[where + len(digits) :]
        try:
            x509.load_der_x509_certificate(changed)
        except ValueError:
            continue
        assert digits.isdigit()
        assert time_of(digits) == load(changed).not_before
        taken += 1
    assert taken > len(tried) // 20


_moments = st.integers(0, 151 * 31_557_600).map(
    lambda seconds: dt.datetime(1950, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=seconds)
)


@given(until=_moments, apart=st.just(0) | st.integers(-(10**9), 10**9), more=st.integers(0, 9))
def test_digits_compare_as_times_do(until: dt.datetime, apart: int, more: int) -> None:
    moment = until + dt.timedelta(seconds=apart, microseconds=more)
    told, limit = digits_of(moment), f"{until:%y%m%d%H%M%S}".encode()
    assert (told is None) == (not 2000 <= moment.year < 2050)
    if told is not None and 2000 <= until.year < 2050:
        assert (told <= limit) == (moment <= until)
        assert (limit <= told) == (until <= moment)


def test_digits_of_a_time_elsewhere_are_those_of_utc() -> None:
    there = dt.timezone(dt.timedelta(hours=14))
    assert digits_of(dt.datetime(2050, 1, 1, 13, tzinfo=there)) == b"491231230000"


@pytest.mark.parametrize("suite", list(Suite))
def test_what_is_made_quickly_is_as_frozen_as_what_is_not(suite: Suite) -> None:
    world = world_of(suite)
    leaf = world.quick_leaf()
    verdict = world.decide(leaf)
    for value, name in ((leaf, "der"), (verdict, "emaid"), (verdict.emaid, "key")):
        assert type(value) in (Alike, Accepted, Emaid)
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, None)
        with pytest.raises(FrozenInstanceError):
            delattr(value, name)


def test_issuers_of_one_name_are_told_apart() -> None:
    """Two generations with one name: the one whose key is meant counts, and no other."""
    world = world_of(Suite.P256)
    again = chain()
    sub_cas = (*world.made.sub_cas, *again.sub_cas)
    anchors = (world.made.root.certificate, again.root.certificate)
    routes, leaves = paths.Routes(learnt := Leaves()), learnt

    def found(der: bytes) -> paths.Path | paths.NoPath:
        pool = tuple(made.certificate for made in sub_cas)
        leaf = leaves.read(der)
        long = paths.find(load(der), pool, anchors)
        quick = routes.find((leaf,), lambda: (pool, anchors), b"scope", lambda _: True)
        assert quick == long
        return quick

    for issuer in (world.issuer, again.sub_cas[0], world.issuer, again.sub_cas[0]):
        spec = Spec(common_name="DEMOAC00000007", ca=False, key_usage=CONTRACT_USAGE)
        path = found(make(spec, issuer).der)
        assert isinstance(path, paths.Path)
        assert path.certificates[1] == issuer.certificate


def test_what_is_remembered_is_bounded() -> None:
    leaves = Leaves(most=3)
    made = chain()
    for length in range(14, 24):
        spec = Spec(common_name="D" * length, ca=False, key_usage=CONTRACT_USAGE)
        assert leaves.keep(make(spec, made.sub_cas[0]).certificate) is not None
    assert leaves.size <= 3
