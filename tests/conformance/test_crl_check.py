"""Foreign CRLs beyond the public suite: freshness, numbers, scope, signers, hostile octets."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import example, given
from hypothesis import strategies as st

from pki.errors import BadInput
from pki.pkix import crl_parse
from pki.pkix.crl_check import CrlIndex, CrlRefused, CrlStatus, check, read
from pki.pkix.path.signatures import Signed
from tests.conformance.makers import (
    DAY,
    NOW,
    Extensions,
    Held,
    ca,
    crl,
    crl_der,
    leaf,
    name,
)

CA = ca("CA")
LEAF = leaf("Leaf", CA)
URI = x509.UniformResourceIdentifier("http://crl.example/1")
OTHER = x509.UniformResourceIdentifier("http://crl.example/2")


def _index(item: Any = None, *issuers: Held, **rules: Any) -> CrlIndex:
    found = check(item or crl(CA), _certificates(*issuers), **{"at": NOW, **rules})
    assert isinstance(found, CrlIndex), found
    return found


def _refusal(item: Any, *issuers: Held, **rules: Any) -> CrlRefused:
    found = check(item, _certificates(*issuers), **{"at": NOW, **rules})
    assert isinstance(found, CrlRefused), found
    return found


def _certificates(*issuers: Held) -> tuple[Any, ...]:
    return tuple(held.certificate for held in issuers or (CA,))


def test_tells_good_and_revoked_with_time_and_reason() -> None:
    index = _index(crl(CA, LEAF.certificate))
    answer = index.status_of(LEAF.certificate)
    assert answer.status is CrlStatus.REVOKED
    assert answer.revoked is not None
    assert (answer.revoked.at, answer.revoked.reason) == (NOW - DAY, "keyCompromise")
    assert index.status_of(leaf("Other", CA).certificate).status is CrlStatus.GOOD


def test_a_reason_may_be_missing() -> None:
    answer = _index(crl(CA, LEAF.certificate, reason=None)).status_of(LEAF.certificate)
    assert answer.revoked is not None
    assert answer.revoked.reason is None


def test_says_nothing_about_certificates_of_other_issuers() -> None:
    stranger = leaf("Leaf", ca("Other CA"))
    assert _index().status_of(stranger.certificate).status is CrlStatus.UNKNOWN


FRESHNESS: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("fresh", {}, {}, True),
    ("at its very end", {"next_update": NOW}, {}, True),
    ("over", {"next_update": NOW - dt.timedelta(seconds=1)}, {}, False),
    ("to come", {"this_update": NOW + dt.timedelta(seconds=1)}, {}, False),
    ("to come within the skew", {"this_update": NOW + dt.timedelta(seconds=1)},
     {"skew": dt.timedelta(minutes=1)}, True),
    ("as old as allowed", {}, {"max_age": DAY}, True),
    ("older than allowed", {}, {"max_age": DAY - dt.timedelta(seconds=1)}, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "times", "rules", "good"), FRESHNESS, ids=[row[0] for row in FRESHNESS]
)
def test_freshness_is_exact(
    what: str,
    times: dict[str, Any],
    rules: dict[str, Any],
    good: bool,  # noqa: FBT001 - a table
) -> None:
    found = check(crl(CA, **times), _certificates(), **{"at": NOW, **rules})
    assert isinstance(found, CrlIndex) is good, what


def test_a_crl_without_an_end_needs_a_greatest_age() -> None:
    endless = replace(crl(CA), next_update=None)
    assert _refusal(endless).status is CrlStatus.UNKNOWN
    assert _index(endless, max_age=DAY).status_of(LEAF.certificate).status is CrlStatus.GOOD


@pytest.mark.parametrize(("number", "good"), [(4, False), (5, True), (6, True), (None, False)])
def test_an_older_number_than_the_one_held_is_played_back(
    number: int | None,
    good: bool,  # noqa: FBT001 - a table
) -> None:
    extra: Extensions = () if number is None else ((x509.CRLNumber(number), False),)
    found = check(crl(CA, extra=extra), _certificates(), at=NOW, minimum_number=5)
    assert isinstance(found, CrlIndex) is good


def test_needs_the_signature_of_an_issuer_that_may_sign_crls() -> None:
    twin = ca("CA")
    assert _refusal(crl(twin)).status is CrlStatus.UNKNOWN
    assert _refusal(crl(ca("Else"))).detail == "it is the CRL of another issuer"
    silent = ca("CA", uses=("key_cert_sign",))
    assert _refusal(crl(silent), silent).status is CrlStatus.REJECT
    assert _index(crl(twin), CA, twin).signer == twin.certificate


def test_needs_a_key_that_counts() -> None:
    key = rsa.generate_private_key(65537, 1024)  # noqa: S505 - to be refused
    weak = ca("CA", key=key)
    assert _refusal(crl(weak), weak).status is CrlStatus.UNKNOWN


def test_needs_a_signature_algorithm_that_counts() -> None:
    odd = Signed(data=b"", signature=b"", algorithm="1.2.840.10045.4.1")
    for signature in (odd, None):
        assert _refusal(replace(crl(CA), signature=signature)).status is CrlStatus.UNKNOWN


def _idp(**given: Any) -> Extensions:
    fields: dict[str, Any] = {
        "full_name": None, "relative_name": None, "only_contains_user_certs": False,
        "only_contains_ca_certs": False, "only_some_reasons": None, "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }  # fmt: skip
    return ((x509.IssuingDistributionPoint(**{**fields, **given}), True),)


UNUSABLE: list[tuple[str, Extensions]] = [
    ("indirect", _idp(indirect_crl=True)),
    ("for attribute certificates", _idp(only_contains_attribute_certs=True)),
    ("for some reasons", _idp(only_some_reasons=frozenset((x509.ReasonFlags.key_compromise,)))),
    ("a delta", ((x509.DeltaCRLIndicator(1), True),)),
    ("of an unknown critical extension",
     ((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), True),)),
]  # fmt: skip


@pytest.mark.parametrize(("what", "extra"), UNUSABLE, ids=[what for what, _ in UNUSABLE])
def test_refuses_crls_whose_silence_says_nothing(what: str, extra: Extensions) -> None:
    assert _refusal(crl(CA, extra=extra)).status is CrlStatus.UNKNOWN, what


def _points(**given: Any) -> Extensions:
    fields: dict[str, Any] = {
        "full_name": None, "relative_name": None, "reasons": None, "crl_issuer": None
    }  # fmt: skip
    return ((x509.CRLDistributionPoints([x509.DistributionPoint(**{**fields, **given})]), False),)


RELATIVE = x509.RelativeDistinguishedName(
    [x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "Part  1")]
)
FULL = x509.DirectoryName(
    x509.Name([*name("ca"), x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "part 1")])
)
SOME = frozenset((x509.ReasonFlags.key_compromise,))
SCOPES: list[tuple[str, Extensions, Extensions, CrlStatus]] = [
    ("the same address", _idp(full_name=[URI]), _points(full_name=[URI]), CrlStatus.GOOD),
    ("one of several", _idp(full_name=[OTHER, URI]), _points(full_name=[URI]), CrlStatus.GOOD),
    ("another address", _idp(full_name=[OTHER]), _points(full_name=[URI]), CrlStatus.UNKNOWN),
    ("no point in the certificate", _idp(full_name=[URI]), (), CrlStatus.UNKNOWN),
    ("the issuer's name stands for no point",
     _idp(full_name=[x509.DirectoryName(name("CA"))]), (), CrlStatus.GOOD),
    ("a whole CRL for any point", (), _points(full_name=[URI]), CrlStatus.GOOD),
    ("a relative name and its full form",
     _idp(relative_name=RELATIVE), _points(full_name=[FULL]), CrlStatus.GOOD),
    ("a full name and its relative form",
     _idp(full_name=[FULL]), _points(relative_name=RELATIVE), CrlStatus.GOOD),
    ("a point for some reasons", (), _points(full_name=[URI], reasons=SOME), CrlStatus.UNKNOWN),
    ("a point of another CRL issuer", (),
     _points(crl_issuer=[x509.DirectoryName(name("X"))]), CrlStatus.UNKNOWN),
    ("users only", _idp(only_contains_user_certs=True), (), CrlStatus.GOOD),
    ("CAs only", _idp(only_contains_ca_certs=True), (), CrlStatus.UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "scope", "points", "status"), SCOPES, ids=[row[0] for row in SCOPES]
)
def test_scope_decides_what_silence_means(
    what: str, scope: Extensions, points: Extensions, status: CrlStatus
) -> None:
    subject = leaf("Leaf", CA, extra=points)
    assert _index(crl(CA, extra=scope)).status_of(subject.certificate).status is status, what


def test_a_critical_number_breaks_the_rules() -> None:
    with pytest.raises(BadInput, match="cRLNumber"):
        crl(CA, extra=((x509.CRLNumber(1), True),))


def test_reads_no_more_than_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    der = crl_der(CA)
    monkeypatch.setattr(crl_parse, "MAX_CRL_SIZE", len(der) - 1)
    with pytest.raises(BadInput, match="octets, more than"):
        read(der)


GOOD = crl_der(CA, LEAF.certificate)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_octet_is_unreadable_or_unsigned(place: int, change: int) -> None:
    data = bytearray(GOOD)
    data[place] ^= change
    try:
        item = read(bytes(data))
    except BadInput:
        return
    assert isinstance(check(item, _certificates(), at=NOW), CrlRefused)


@given(st.binary(max_size=300))
@example(GOOD[:-1])
@example(GOOD + b"\x00")
@example(b"0\x80" + GOOD[2:])
def test_any_octets_are_refused_by_name(data: bytes) -> None:
    with pytest.raises(BadInput) as caught:
        read(data)
    assert caught.value.code == "crl_unreadable"
