"""Paths on which OpenSSL would lose its way are verified link by link."""

from __future__ import annotations

import pytest
from cryptography import x509

from pki.pkix.certificate import Certificate, load
from pki.pkix.generic import Demands, validate
from pki.pkix.path import NoPath, Path, PathFault
from tests.conformance.makers import NOW, Held, ca, certificate, leaf, name, new_key


def _asked(end: Held, root: Held, *pool: Held) -> Path | NoPath:
    others = tuple(held.certificate for held in pool)
    return validate(end.certificate, others, (root.certificate,), at=NOW, demands=Demands())


def _in_the_name_of(issuer: Held, written: str, key: Held | None = None) -> Held:
    """Return somebody who issues under a name as it is written here."""
    alias = ca(written, key=(key or issuer).key, key_ids=False)
    return Held(certificate=alias.certificate, key=alias.key)


def _spoilt(made: Held) -> Held:
    """Change the signature's last octet."""
    der = made.certificate.der
    return Held(certificate=load(der[:-1] + bytes((der[-1] ^ 1,))), key=made.key)


def _rolled_over() -> tuple[Held, Held, Held, Held]:
    """A root that certified its own next key, without key identifiers anywhere."""
    old = ca("Root", key_ids=False)
    new = ca("Root", old, key_ids=False)
    middle = ca("Middle", new, key_ids=False)
    return leaf("Leaf", middle, key_ids=False), middle, new, old


def test_a_root_that_certified_its_next_key_needs_no_key_identifiers() -> None:
    end, middle, new, old = _rolled_over()
    found = _asked(end, old, middle, new)
    assert isinstance(found, Path)
    assert found.certificates == _certificates(end, middle, new, old)


@pytest.mark.parametrize("place", range(4))
def test_every_signature_of_such_a_path_counts(place: int) -> None:
    made = list(_rolled_over())
    made[place] = _spoilt(made[place])
    end, *pool, old = made
    found = _asked(end, old, *pool)
    assert isinstance(found, NoPath)
    assert found.fault is PathFault.SIGNATURE_INVALID


def test_key_identifiers_that_contradict_each_other_refuse_there_as_well() -> None:
    end, middle, new, old = _rolled_over()
    other = x509.AuthorityKeyIdentifier(b"another", None, None)
    ids = x509.SubjectKeyIdentifier(b"this one")
    middle = ca("Middle", new, key_ids=False, key=middle.key, extra=((ids, False),))
    end = leaf("Leaf", middle, key_ids=False, extra=((other, False),))
    found = _asked(end, old, middle, new)
    assert isinstance(found, NoPath)
    assert found.fault is PathFault.SIGNATURE_INVALID


def test_a_leaf_may_bear_the_name_of_its_issuer() -> None:
    """RFC 5280 6.1: it is self-issued, and not self-signed."""
    root = ca("Root")
    middle = ca("Middle", root)
    assert isinstance(_asked(leaf("Middle", middle, key_ids=False), root, middle), Path)
    stranger = Held(certificate=middle.certificate, key=new_key())
    assert isinstance(_asked(leaf("Middle", stranger, key_ids=False), root, middle), NoPath)


@pytest.mark.parametrize("serial", [2, 3])
def test_a_serial_number_in_a_key_identifier_binds_no_renewed_ca(serial: int) -> None:
    """RFC 5280 4.2.1.1 finds issuers by it, 6.1 does not ask it; the signature decides."""
    root = ca("Root")
    middle = ca("Middle", root, serial=2)
    issuer = [x509.DirectoryName(name("Root"))]
    named = x509.AuthorityKeyIdentifier(middle.certificate.key_id, issuer, serial)
    end = leaf("Leaf", middle, key_ids=False, extra=((named, False),))
    assert isinstance(_asked(end, root, middle), Path)
    stranger = Held(certificate=middle.certificate, key=new_key())
    forged = leaf("Leaf", stranger, key_ids=False, extra=((named, False),))
    found = _asked(forged, root, middle)
    assert isinstance(found, NoPath)
    assert found.fault is PathFault.SIGNATURE_INVALID


@pytest.mark.parametrize(
    "written",
    ["\xe4cme ROOT", "a\u0308cme root", "\xc4c\u00adme\u00a0Root", "\uff21\u0308cme root"],
)
def test_names_are_compared_as_they_are_prepared(written: str) -> None:
    """RFC 5280 7.1 with RFC 4518: case, composition, width, and what is not seen."""
    root = ca("\xc4cme Root")
    middle = ca("Middle", _in_the_name_of(root, written))
    assert isinstance(_asked(leaf("Leaf", middle), root, middle), Path)
    forged = ca("Middle", _in_the_name_of(root, written, ca("Other")))
    found = _asked(leaf("Leaf", forged), root, forged)
    assert isinstance(found, NoPath)
    assert found.fault is PathFault.SIGNATURE_INVALID


def test_names_that_differ_after_preparation_do_not_meet() -> None:
    root = ca("\xc4cme Root")
    middle = ca("Middle", _in_the_name_of(root, "Acme Root"))
    assert isinstance(_asked(leaf("Leaf", middle), root, middle), NoPath)


def test_white_space_alone_is_a_name_like_any_other() -> None:
    end = certificate(name(" "), ca("Root"))
    assert end.certificate.normal_subject == (frozenset((("2.5.4.3", ""),)),)


def _certificates(*made: Held) -> tuple[Certificate, ...]:
    return tuple(held.certificate for held in made)
