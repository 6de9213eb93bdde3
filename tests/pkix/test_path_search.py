"""How a path is looked for: branches, loops, look-alikes, and the work that all of it may cost."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import crypto

from pki.errors import BadInput
from pki.pkix.certificate import Certificate, load
from pki.pkix.path import (
    MAX_CANDIDATES,
    MAX_CERTIFICATES,
    MAX_SIGNATURE_CHECKS,
    NoPath,
    Path,
    PathFault,
    Rules,
    Search,
    build,
    find,
    links,
    openssl,
    signatures,
)
from tests.builders import CONTRACT_USAGE, NOW, YEAR, Made, Spec, chain, make
from tests.conformance import makers

CA_ONLY = ((x509.BasicConstraints(ca=True, path_length=None), True),)
LEAF = Spec(common_name="DEMOAC12345678", ca=False, key_usage=CONTRACT_USAGE)


@dataclass
class Work:
    """What one search did, counted where it is done."""

    paths: list[tuple[Certificate, ...]] = field(default_factory=list)
    single: int = 0

    @property
    def signatures(self) -> int:
        return self.single + sum(map(len, self.paths))


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    seen = Work()
    verify, verify_links, certifies = openssl.verify, links.verify, signatures.certifies

    def counting_verify(
        path: tuple[Certificate, ...], at: dt.datetime | None = None
    ) -> NoPath | None:
        seen.paths.append(path)
        return verify(path, at)

    def counting_links(path: tuple[Certificate, ...]) -> NoPath | None:
        seen.paths.append(path)
        return verify_links(path)

    def counting_certifies(key: object, certificate: Any) -> bool:
        seen.single += 1
        return certifies(key, certificate)

    monkeypatch.setattr(openssl, "verify", counting_verify)
    monkeypatch.setattr(links, "verify", counting_links)
    monkeypatch.setattr(build, "certifies", counting_certifies)
    return seen


def _pool(*made: Made) -> tuple[Certificate, ...]:
    return tuple(one.certificate for one in made)


def _names(found: Path | NoPath) -> list[str]:
    assert isinstance(found, Path), found
    return [certificate.common_names[0] for certificate in found.certificates]


def test_a_plain_chain_costs_its_own_signatures_and_no_more(work: Work) -> None:
    built = chain()
    found = find(built.leaf.certificate, _pool(*built.sub_cas), _pool(built.root))
    assert isinstance(found, Path)
    assert (len(work.paths), work.single) == (1, 0)


@pytest.mark.parametrize("count", [50, 90])
@pytest.mark.parametrize("shared_key", [False, True])
def test_a_bomb_of_look_alikes_costs_a_set_number_of_checks(
    work: Work,
    count: int,
    shared_key: bool,  # noqa: FBT001 - a table
) -> None:
    """CAs of one name, each naming itself as its issuer: every order of them could be a path."""
    stranger = make(Spec(common_name="Same"))
    root = make(Spec(common_name="Same"))
    key = stranger.key if shared_key else None
    bomb = [make(Spec(common_name="Same", key=key), stranger) for _ in range(count)]
    leaf = make(LEAF, bomb[0] if shared_key else stranger)
    found = find(leaf.certificate, _pool(*bomb), _pool(root))
    assert isinstance(found, NoPath)
    assert 0 < work.signatures <= MAX_SIGNATURE_CHECKS
    assert len(work.paths) <= MAX_CANDIDATES


def test_a_bomb_that_reaches_an_anchor_is_bounded_as_well(work: Work) -> None:
    """All look-alikes share the root's key, so every candidate looks right but for its names."""
    excluded = x509.NameConstraints(None, [x509.DirectoryName(makers.name("leaf"))])
    root = makers.ca("Same", extra=((excluded, True),))
    bomb = [makers.ca("Same", root, key=root.key) for _ in range(60)]
    leaf = makers.leaf("leaf", root)
    found = find(leaf.certificate, tuple(held.certificate for held in bomb), (root.certificate,))
    assert isinstance(found, NoPath)
    assert 0 < work.signatures <= MAX_SIGNATURE_CHECKS
    assert max(map(len, work.paths)) <= MAX_CERTIFICATES + 2


def test_the_search_counts_at_least_what_it_costs(work: Work) -> None:
    stranger = make(Spec(common_name="Same"))
    bomb = [make(Spec(common_name="Same"), stranger) for _ in range(20)]
    search = Search(make(LEAF, stranger).certificate, _pool(*bomb), _pool(bomb[0]), Rules())
    list(search.outcomes())
    assert work.signatures == search.signature_checks > 0


def test_the_real_issuer_among_many_look_alikes_is_found_by_its_key_identifier(work: Work) -> None:
    built = chain()
    twins = [make(Spec(common_name="MO Sub-CA 2", path_length=0)) for _ in range(60)]
    found = find(built.leaf.certificate, _pool(*twins, *built.sub_cas), _pool(built.root))
    assert len(_names(found)) == 4
    assert (len(work.paths), work.single) == (1, 0)


def test_without_key_identifiers_look_alikes_are_told_apart_by_the_signature(work: Work) -> None:
    root = make(Spec(common_name="Root"))
    twins = [make(Spec(common_name="Sub", path_length=0), root) for _ in range(30)]
    real = makers.ca("Sub", makers.Held(certificate=root.certificate, key=root.key))
    named = real.certificate.x509.subject
    alike = [makers.certificate(named, None, extra=CA_ONLY).certificate for _ in range(30)]
    leaf = makers.leaf("Leaf", real, key_ids=False).certificate
    found = find(leaf, (*_pool(*twins), *alike, real.certificate), _pool(root))
    assert isinstance(found, Path)
    assert found.intermediates == (real.certificate,)
    assert work.single <= 31
    assert len(work.paths) == 1


def test_ten_roots_of_one_name_are_no_hindrance(work: Work) -> None:
    built = chain()
    others = [make(Spec(common_name="MO Root")) for _ in range(9)]
    found = find(built.leaf.certificate, _pool(*built.sub_cas), _pool(*others, built.root))
    assert isinstance(found, Path)
    assert found.anchor == built.root.certificate
    assert work.signatures <= 10


def test_ten_roots_of_one_name_without_key_identifiers_cost_one_check_each(work: Work) -> None:
    roots = [makers.ca("Root", key_ids=False) for _ in range(10)]
    leaf = makers.leaf("Leaf", roots[-1], key_ids=False).certificate
    found = find(leaf, (), tuple(held.certificate for held in roots))
    assert isinstance(found, Path)
    assert found.anchor == roots[-1].certificate
    assert (work.single, len(work.paths)) == (10, 1)


def test_a_cross_certificate_leads_to_the_other_root() -> None:
    built = chain()
    new_root = make(Spec(common_name="New Root"))
    cross = make(Spec(common_name="MO Root", key=built.root.key), new_root)
    found = find(built.leaf.certificate, _pool(*built.sub_cas, cross), _pool(new_root))
    assert _names(found)[-2:] == ["MO Root", "New Root"]


def test_a_rolled_over_issuer_is_found_by_whichever_key_signed() -> None:
    root = make(Spec(common_name="Root"))
    old, new = (make(Spec(common_name="Sub", path_length=0), root) for _ in range(2))
    for issuer in (old, new):
        found = find(make(LEAF, issuer).certificate, _pool(old, new), _pool(root))
        assert isinstance(found, Path)
        assert found.intermediates == (issuer.certificate,)


def test_a_path_in_date_is_preferred_and_another_one_is_better_than_none() -> None:
    root = make(Spec(common_name="Root"))
    old = make(Spec(common_name="Sub", not_after=NOW - YEAR / 2), root)
    new = make(Spec(common_name="Sub", key=old.key), root)
    leaf = make(LEAF, old).certificate

    def in_date(path: Path) -> bool:
        return all(c.not_before <= NOW <= c.not_after for c in path.certificates)

    chosen = find(leaf, _pool(old, new), _pool(root), prefer=in_date)
    only = find(leaf, _pool(old), _pool(root), prefer=in_date)
    assert isinstance(chosen, Path)
    assert isinstance(only, Path)
    assert chosen.intermediates == (new.certificate,)
    assert only.intermediates == (old.certificate,)


def test_a_branch_that_leads_nowhere_is_left_again() -> None:
    """leaf -> A' -> B -> A' loops; the short way out is the second certificate of A."""
    root = make(Spec(common_name="Root"))
    stray = make(Spec(common_name="B"))
    good = make(Spec(common_name="A"), root)
    loop_a = make(Spec(common_name="A", key=good.key), stray)
    loop_b = make(Spec(common_name="B", key=stray.key), loop_a)
    found = find(make(LEAF, good).certificate, _pool(loop_a, loop_b, good), _pool(root))
    assert _names(found) == ["DEMOAC12345678", "A", "Root"]


def test_a_certificate_that_openssl_would_leave_out_is_no_part_of_a_path() -> None:
    """A stray CA of the root's own name must not stand in a path that never needed it."""
    root = make(Spec(common_name="Root"))
    stray = make(Spec(common_name="Root"))
    leaf = make(LEAF, root)
    path = (leaf.certificate, stray.certificate, root.certificate)
    assert links.are_needed(path)
    fault = links.verify(path)
    assert fault is not None
    assert fault.fault is PathFault.SIGNATURE_INVALID


def test_a_leaf_that_is_an_anchor_has_no_path() -> None:
    root = make(Spec(common_name="Root"))
    assert isinstance(find(root.certificate, (), _pool(root)), NoPath)


def test_the_way_to_an_anchor_may_be_too_long() -> None:
    built = chain(sub_cas=MAX_CERTIFICATES + 2)
    found = find(built.leaf.certificate, _pool(*built.sub_cas), _pool(built.root))
    assert isinstance(found, NoPath)
    assert found.fault is PathFault.NO_PATH


def test_says_so_when_the_search_was_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "MAX_STEPS", 2)
    built = chain()
    found = find(built.leaf.certificate, _pool(*built.sub_cas), _pool(built.root))
    assert isinstance(found, NoPath)
    assert "given up" in found.detail


def test_openssl_keeps_the_time_that_it_is_told() -> None:
    built = chain(highest={"not_after": NOW - YEAR / 2}, lowest={"not_before": NOW - YEAR / 4})
    path = _pool(built.leaf, *built.sub_cas, built.root)
    expired, early = openssl.verify(path, NOW), openssl.verify(path, NOW - YEAR / 3 * 2)
    assert expired is not None
    assert early is not None
    assert (expired.fault, early.fault) == (PathFault.EXPIRED, PathFault.NOT_YET_VALID)


def test_a_step_of_openssl_that_raises_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(*_: object) -> None:
        raise crypto.Error([("x509", "", "malformed")])

    monkeypatch.setattr(crypto.X509Store, "add_cert", raising)
    built = chain()
    found = find(built.leaf.certificate, _pool(*built.sub_cas), _pool(built.root))
    assert isinstance(found, NoPath)
    assert found.fault is PathFault.PROFILE


HOSTILE = chain()
POOL = (HOSTILE.leaf, *HOSTILE.sub_cas)


@given(which=st.integers(0, len(POOL) - 1), place=st.integers(0, 2000), change=st.integers(1, 255))
def test_a_chain_with_a_changed_octet_is_unreadable_or_has_no_path(
    which: int, place: int, change: int
) -> None:
    ders = [made.der for made in POOL]
    data = bytearray(ders[which])
    data[place % len(data)] ^= change
    ders[which] = bytes(data)
    try:
        leaf, *others = (load(der) for der in ders)
    except BadInput:
        return
    assert isinstance(find(leaf, tuple(others), _pool(HOSTILE.root)), NoPath)
