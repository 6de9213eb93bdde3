"""The generic RFC 5280 profile: what it accepts, and the one defect that it refuses."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa

from pki.pkix import crl_check, generic
from pki.pkix.certificate import Certificate
from pki.pkix.generic import Demands, Revocation, validate
from pki.pkix.path import NoPath, Path, PathFault
from tests.conformance.makers import (
    CLIENT_AUTH,
    DAY,
    NOW,
    SERVER_AUTH,
    YEAR,
    Held,
    ca,
    certificate,
    crl,
    leaf,
    name,
    usage,
)

REQUIRED = Demands(revocation=Revocation.REQUIRED)


def _ask(end: Held, middle: tuple[Held, ...], root: Held, **demands: Any) -> Path | NoPath:
    pool = tuple(held.certificate for held in middle)
    anchors = (root.certificate,)
    return validate(end.certificate, pool, anchors, at=NOW, demands=Demands(**demands))


def _fault(found: Path | NoPath) -> PathFault:
    assert isinstance(found, NoPath), found
    return found.fault


def _chain(
    *, root: dict[str, Any] | None = None, middle: dict[str, Any] | None = None,
    end: dict[str, Any] | None = None,
) -> tuple[Held, tuple[Held, ...], Held]:  # fmt: skip
    top = ca("Root", **(root or {}))
    sub = ca("Sub", top, **(middle or {}))
    return leaf("Leaf", sub, **(end or {})), (sub,), top


def _rsa(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


KEYS: dict[str, Callable[[], Any]] = {
    "rsa2048": lambda: _rsa(2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
}
WEAK_KEYS: dict[str, Callable[[], Any]] = {
    "rsa1024": lambda: _rsa(1024),
    "p224": lambda: ec.generate_private_key(ec.SECP224R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "dsa": lambda: dsa.generate_private_key(2048),
}


@pytest.mark.parametrize("kind", KEYS)
def test_accepts_keys_that_count(kind: str) -> None:
    make = KEYS[kind]
    found = _ask(*_chain(root={"key": make()}, middle={"key": make()}, end={"key": make()}))
    assert isinstance(found, Path)


@pytest.mark.parametrize("place", ["root", "middle", "end"])
@pytest.mark.parametrize("kind", WEAK_KEYS)
def test_refuses_keys_that_do_not_count_anywhere_in_the_path(kind: str, place: str) -> None:
    parts: dict[str, Any] = {place: {"key": WEAK_KEYS[kind]()}}
    assert _fault(_ask(*_chain(**parts))) is PathFault.PROFILE


def test_accepts_rsa_pss_with_sha_256() -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    parts: dict[str, Any] = {"key": _rsa(2048)}
    found = _ask(*_chain(root=parts, middle={**parts, "pss": pss}))
    assert isinstance(found, Path)


def test_refuses_a_hash_shorter_than_sha_256() -> None:
    found = _ask(*_chain(end={"digest": hashes.SHA224()}))
    assert _fault(found) is PathFault.PROFILE


WINDOWS = [
    ({"not_after": NOW}, None),
    ({"not_before": NOW}, None),
    ({"not_after": NOW - dt.timedelta(seconds=1)}, PathFault.EXPIRED),
    ({"not_before": NOW + dt.timedelta(seconds=1)}, PathFault.NOT_YET_VALID),
]


@pytest.mark.parametrize("place", ["root", "middle", "end"])
@pytest.mark.parametrize(("window", "fault"), WINDOWS)
def test_dates_hold_to_the_second_for_every_certificate(
    place: str, window: dict[str, Any], fault: PathFault | None
) -> None:
    parts: dict[str, Any] = {place: window}
    found = _ask(*_chain(**parts))
    assert isinstance(found, Path) if fault is None else _fault(found) is fault


def _eku(*oids: str) -> dict[str, Any]:
    return {"extra": ((x509.ExtendedKeyUsage([x509.ObjectIdentifier(o) for o in oids]), False),)}


@pytest.mark.parametrize("place", ["root", "middle", "end"])
def test_a_demanded_usage_must_be_allowed_by_all_that_limit_usages(place: str) -> None:
    allowed: dict[str, Any] = {place: _eku(CLIENT_AUTH, SERVER_AUTH)}
    other: dict[str, Any] = {place: _eku(CLIENT_AUTH)}
    any_use: dict[str, Any] = {place: _eku("2.5.29.37.0")}
    assert isinstance(_ask(*_chain(**allowed), eku=SERVER_AUTH), Path)
    assert isinstance(_ask(*_chain(**any_use), eku=SERVER_AUTH), Path)
    assert isinstance(_ask(*_chain(**other)), Path)
    assert _fault(_ask(*_chain(**other), eku=SERVER_AUTH)) is PathFault.PROFILE


def test_depth_does_not_count_self_issued_cas() -> None:
    root = ca("Root")
    sub = ca("Sub", root)
    again = ca("Sub", sub)
    end = leaf("Leaf", again)
    assert isinstance(_ask(end, (sub, again), root, max_intermediates=1), Path)
    assert _fault(_ask(end, (sub, again), root, max_intermediates=0)) is PathFault.PATH_LENGTH


UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
ANCHORS: list[tuple[str, dict[str, Any]]] = [
    ("basic constraints that are not critical", {"critical": False}),
    ("no keyCertSign", {"uses": ("crl_sign",)}),
    ("a path length that is exceeded", {"path_length": 0}),
    ("an unknown critical extension", {"extra": ((UNKNOWN, True),)}),
    ("name constraints that exclude the leaf",
     {"extra": ((x509.NameConstraints(None, [x509.DirectoryName(name("Leaf"))]), True),)}),
]  # fmt: skip


@pytest.mark.parametrize(("what", "defect"), ANCHORS, ids=[what for what, _ in ANCHORS])
def test_the_anchor_binds_itself(what: str, defect: dict[str, Any]) -> None:
    assert isinstance(_ask(*_chain(root=defect)), NoPath), what


UNPROCESSED = {
    "nsCertType": ("2.16.840.1.113730.1.1", "03020780"),
    "proxyCertInfo": ("1.3.6.1.5.5.7.1.14", "300c300a06082b06010505071501"),
    "IP address delegation": ("1.3.6.1.5.5.7.1.7", "300c300a04020001300403020100"),
    "AS identifiers": ("1.3.6.1.5.5.7.1.8", "3007a0053003020101"),
    "ocsp-nocheck": ("1.3.6.1.5.5.7.48.1.5", "0500"),
    "nobody knows what": ("1.2.3.4", "0500"),
}


@pytest.mark.parametrize("place", ["root", "middle", "end"])
@pytest.mark.parametrize("kind", UNPROCESSED)
def test_a_critical_extension_that_nothing_here_processes_refuses(kind: str, place: str) -> None:
    """OpenSSL knows the names of some of them and goes on."""
    oid, value = UNPROCESSED[kind]
    odd = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), bytes.fromhex(value))
    if kind == "ocsp-nocheck":
        refused: dict[str, Any] = {place: {"extra": ((x509.OCSPNoCheck(), True),)}}
    else:
        refused = {place: {"extra": ((odd, True),)}}
    assert _fault(_ask(*_chain(**refused))) is PathFault.PROFILE


def test_an_anchor_without_basic_constraints_issues_nothing() -> None:
    root = certificate("Root", None)
    assert _fault(_ask(leaf("Leaf", root), (), root)) is PathFault.ISSUER_IS_LEAF


def test_names_are_compared_without_case_and_white_space() -> None:
    """RFC 5280 7.1; OpenSSL, which has the last word, agrees."""
    root = ca("The  Root")
    alias = Held(certificate=ca("the root", key=root.key).certificate, key=root.key)
    assert isinstance(_ask(leaf("Leaf", root), (), alias), Path)


EVIL = "evil.example.com"
DOTTED: list[tuple[x509.GeneralName, x509.GeneralName]] = [
    (x509.DNSName(f"{EVIL}."), x509.DNSName("example.com")),
    (x509.DNSName(EVIL), x509.DNSName("example.com.")),
    (x509.RFC822Name(f"a@{EVIL}."), x509.RFC822Name(EVIL)),
    (x509.RFC822Name(f"a@{EVIL}"), x509.RFC822Name(f"{EVIL}.")),
    (
        x509.UniformResourceIdentifier(f"https://{EVIL}.:8443/x"),
        x509.UniformResourceIdentifier(EVIL),
    ),
    (
        x509.UniformResourceIdentifier(f"https://{EVIL}/x"),
        x509.UniformResourceIdentifier(f"{EVIL}."),
    ),
    (x509.UniformResourceIdentifier("https://[evil/x"), x509.UniformResourceIdentifier(EVIL)),
]


@pytest.mark.parametrize("place", ["root", "middle"])
@pytest.mark.parametrize(("named", "excluded"), DOTTED, ids=str)
def test_a_final_dot_leads_no_name_past_a_constraint(
    named: x509.GeneralName, excluded: x509.GeneralName, place: str
) -> None:
    """OpenSSL compares the letters, and takes the same host for another."""
    limits: dict[str, Any] = {
        place: {"extra": ((x509.NameConstraints(None, [excluded]), True),)},
        "end": {"extra": ((x509.SubjectAlternativeName([named]), False),)},
    }
    assert _fault(_ask(*_chain(**limits))) is PathFault.PROFILE


def test_a_final_dot_matters_only_where_names_are_constrained() -> None:
    dotted = {"extra": ((x509.SubjectAlternativeName([x509.DNSName(f"{EVIL}.")]), False),)}
    assert isinstance(_ask(*_chain(end=dotted)), Path)
    other = {"extra": ((x509.NameConstraints(None, [x509.DNSName("example.org")]), True),)}
    plain = {"extra": ((x509.SubjectAlternativeName([x509.DNSName(EVIL)]), False),)}
    assert isinstance(_ask(*_chain(middle=other, end=plain)), Path)


# --- revocation ------------------------------------------------------------------------------


def _status(end: Held, middle: tuple[Held, ...], root: Held, *crls: Any) -> Path | NoPath:
    pool = tuple(held.certificate for held in middle)
    return validate(end.certificate, pool, (root.certificate,), at=NOW, demands=REQUIRED, crls=crls)


def test_every_certificate_below_the_anchor_needs_a_crl() -> None:
    end, (sub,), root = _chain()
    assert isinstance(_status(end, (sub,), root, crl(root), crl(sub)), Path)
    assert _fault(_status(end, (sub,), root, crl(sub))) is PathFault.STATUS_MISSING
    assert _fault(_status(end, (sub,), root, crl(root))) is PathFault.STATUS_MISSING


def test_a_revoked_certificate_anywhere_refuses() -> None:
    end, (sub,), root = _chain()
    by_leaf = _status(end, (sub,), root, crl(root), crl(sub, end.certificate))
    by_ca = _status(end, (sub,), root, crl(root, sub.certificate), crl(sub))
    assert _fault(by_leaf) is _fault(by_ca) is PathFault.REVOKED


def test_of_two_crls_the_worse_counts_in_either_order() -> None:
    end, (sub,), root = _chain()
    good, bad = crl(sub), crl(sub, end.certificate)
    assert _fault(_status(end, (sub,), root, crl(root), good, bad)) is PathFault.REVOKED
    assert _fault(_status(end, (sub,), root, crl(root), bad, good)) is PathFault.REVOKED


def test_a_delta_crl_at_hand_makes_the_complete_one_silent() -> None:
    end, (sub,), root = _chain()
    delta = crl(sub, extra=((x509.CRLNumber(2), False), (x509.DeltaCRLIndicator(1), True)))
    found = _status(end, (sub,), root, crl(root), crl(sub), delta)
    assert _fault(found) is PathFault.STATUS_MISSING


def test_a_stale_crl_beside_a_fresh_one_does_no_harm() -> None:
    end, (sub,), root = _chain()
    stale = crl(sub, this_update=NOW - 9 * DAY, next_update=NOW - 8 * DAY)
    assert isinstance(_status(end, (sub,), root, crl(root), crl(sub), stale), Path)
    assert _fault(_status(end, (sub,), root, crl(root), stale)) is PathFault.STATUS_MISSING


def test_another_certified_key_of_the_issuer_may_sign_its_crl() -> None:
    end, (sub,), root = _chain()
    key2 = ca("Sub", root, uses=("crl_sign", "key_cert_sign"))
    assert isinstance(_status(end, (sub, key2), root, crl(root), crl(key2)), Path)


def test_a_crl_signer_of_the_same_name_under_no_anchor_is_nobody() -> None:
    end, (sub,), root = _chain()
    other = ca("Sub", ca("Elsewhere"))
    found = _status(end, (sub, other), root, crl(root), crl(other))
    assert _fault(found) is PathFault.STATUS_MISSING


def test_a_revoked_crl_signer_is_nobody() -> None:
    end, (sub,), root = _chain()
    key2 = ca("Sub", root)
    found = _status(end, (sub, key2), root, crl(root, key2.certificate), crl(key2))
    assert _fault(found) is PathFault.STATUS_MISSING


def test_a_crl_signer_cannot_vouch_for_itself() -> None:
    """PKITS 4.5.7: its certificate is self-issued, and the only CRL of that name is its own."""
    root = ca("Root")
    sub = ca("Sub", root)
    key2 = ca("Sub", sub, uses=("crl_sign",))
    end = leaf("Leaf", sub)
    own = crl(key2)
    assert _fault(_status(end, (sub, key2), root, crl(root), own)) is PathFault.STATUS_MISSING
    with_other = _status(end, (sub, key2), root, crl(root), own, crl(sub))
    assert isinstance(with_other, Path)


def test_look_alike_crl_signers_cost_a_set_number_of_checks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    end, (sub,), root = _chain()
    fakes = tuple(ca("Sub", root, key=key2.key) for key2 in [ca("Sub", root)] for _ in range(30))
    crls = tuple(crl(fakes[0], extra=((x509.CRLNumber(n), False),)) for n in range(1, 20))
    checked: list[Certificate] = []
    real = crl_check.check

    def counting(item: Any, issuers: tuple[Certificate, ...], **rest: Any) -> Any:
        checked.extend(issuers)
        return real(item, issuers, **rest)

    monkeypatch.setattr(generic, "check", counting)
    found = _status(end, (sub, *fakes), root, *crls)
    assert _fault(found) is PathFault.STATUS_MISSING
    assert 0 < len(checked) <= generic.MAX_CRL_CHECKS


def test_a_later_candidate_is_taken_when_the_first_is_revoked() -> None:
    root = ca("Root")
    old = ca("Sub", root)
    new = Held(certificate=ca("Sub", root, key=old.key).certificate, key=old.key)
    end = leaf("Leaf", old)
    found = _status(end, (old, new), root, crl(root, old.certificate), crl(old))
    assert isinstance(found, Path)
    assert found.intermediates == (new.certificate,)


def test_key_usage_of_a_ca_is_not_needed() -> None:
    assert isinstance(_ask(*_chain(middle={"uses": None})), Path)


def test_a_leaf_that_is_a_ca_is_a_target_like_any_other() -> None:
    root = ca("Root")
    assert isinstance(_ask(ca("Sub", root), (), root), Path)


def test_a_leaf_with_unusual_usages_is_no_question_of_this_profile() -> None:
    assert isinstance(_ask(*_chain(end={"extra": ((usage("key_agreement"), True),)})), Path)


def test_expired_certificates_of_the_same_ca_are_tried_last() -> None:
    root = ca("Root")
    old = ca("Sub", root, not_after=NOW - DAY, not_before=NOW - YEAR)
    new = Held(certificate=ca("Sub", root, key=old.key).certificate, key=old.key)
    found = _ask(leaf("Leaf", old), (old, new), root)
    assert isinstance(found, Path)
