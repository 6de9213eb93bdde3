"""Name constraints of every form that is compared, each as RFC 5280 4.2.1.10 has it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import assume, given
from hypothesis import strategies as st
from OpenSSL import crypto

from pki.pkix.der import encode
from pki.pkix.generic import Demands, validate
from pki.pkix.path import NoPath, Path, PathFault, names
from tests.conformance.makers import NOW, Held, ca, certificate, leaf, new_key


def _dns(text: str) -> x509.GeneralName:
    return x509.DNSName(text)


def _mail(text: str) -> x509.GeneralName:
    return x509.RFC822Name._init_without_validation(text)  # subtrees, and odd ones


def _uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def _ip(text: str) -> x509.GeneralName:
    return x509.IPAddress(ip_network(text) if "/" in text else ip_address(text))


def _other(text: str, oid: str = "1.2.3.4") -> x509.GeneralName:
    der = text.encode()
    return x509.OtherName(x509.ObjectIdentifier(oid), bytes((0x0C, len(der))) + der)


def _number(text: str) -> x509.GeneralName:
    return x509.RegisteredID(x509.ObjectIdentifier(text))


def _dn(*parts: str) -> x509.GeneralName:
    return x509.DirectoryName(_subject(*parts))


def _subject(*parts: str) -> x509.Name:
    kinds = (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    return x509.Name(
        [x509.NameAttribute(kind, text) for kind, text in zip(kinds, parts, strict=False)]
    )


@dataclass(frozen=True)
class Row:
    """A subtree, a name below the CA that constrains it, and whether it lies within."""

    base: x509.GeneralName
    name: x509.GeneralName
    within: bool


ROWS = [
    Row(_dns("example.com"), _dns("A.EXAMPLE.com"), within=True),
    Row(_dns("example.com"), _dns("example.com"), within=True),
    Row(_dns("example.com"), _dns("badexample.com"), within=False),
    Row(_dns(""), _dns("a.b"), within=True),
    Row(_dns(".example.com"), _dns("a.example.com"), within=True),
    Row(_dns(".example.com"), _dns("example.com"), within=False),
    Row(_dns("xn--mnchen-3ya.de"), _dns("www.XN--MNCHEN-3YA.de"), within=True),
    Row(_mail("example.com"), _mail("a@EXAMPLE.com"), within=True),
    Row(_mail("example.com"), _mail("a@b.example.com"), within=False),
    Row(_mail(".example.com"), _mail("a@b.example.com"), within=True),
    Row(_mail(".example.com"), _mail("a@example.com"), within=False),
    Row(_mail("a@example.com"), _mail("a@Example.com"), within=True),
    Row(_mail("a@example.com"), _mail("A@example.com"), within=False),
    Row(_mail("example.com"), _mail('"a@evil.org"@example.com'), within=True),
    Row(_mail("example.com"), _other("a@example.com", "1.3.6.1.5.5.7.8.9"), within=True),
    Row(_mail("example.com"), _other("a@example.org", "1.3.6.1.5.5.7.8.9"), within=False),
    Row(_uri("www.example.com"), _uri("HTTPS://WWW.example.com:8443/x"), within=True),
    Row(_uri("example.com"), _uri("https://www.example.com/"), within=False),
    Row(_uri(".example.com"), _uri("https://a.b.example.com?x"), within=True),
    Row(_uri(".example.com"), _uri("https://example.com#x"), within=False),
    Row(_uri("example.com"), _uri("https://me:you@example.com/"), within=True),
    Row(_uri("example.com"), _uri("https://example.com:x@evil.org/"), within=False),
    Row(_ip("192.0.2.0/24"), _ip("192.0.2.77"), within=True),
    Row(_ip("192.0.2.0/24"), _ip("192.0.3.77"), within=False),
    Row(_ip("2001:db8::/32"), _ip("2001:db8:1::5"), within=True),
    Row(_ip("2001:db8::/32"), _ip("192.0.2.77"), within=False),
    Row(_ip("::/0"), _ip("192.0.2.77"), within=False),
    Row(_dn("Acme"), _dn(" ACME ", "x"), within=True),
    Row(_dn("Acme"), _dn("Acme2", "x"), within=False),
    Row(_dn("Acme", "x"), _dn("Acme"), within=False),
    Row(_dn("\xc4cme"), _dn("\xe4CME", "x"), within=True),
    Row(_dn("\xc4cme"), _dn("a\u0308cme", "x"), within=True),
    Row(_dn("Ac me"), _dn("\uff21c\u00a0\tme", "x"), within=True),
    Row(_dn("Acme"), _dn("Ac\u00ad\u200bme", "x"), within=True),
    Row(_dn("Stra\xdfe"), _dn("STRASSE", "x"), within=True),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_name_is_accepted_only_within_what_is_permitted(row: Row) -> None:
    assert _accepts(_chain(row.name, permitted=row.base)) is row.within


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_name_is_accepted_only_outside_of_what_is_excluded(row: Row) -> None:
    assert _accepts(_chain(row.name, excluded=row.base)) is not row.within


OTHER_FORMS = [_dns("a.example"), _mail("a@a.example"), _uri("urn:x"), _ip("192.0.2.1"), _dn("X"),
               _other("x"), _number("1.2.3")]  # fmt: skip
BASES = [_dns("b.example"), _mail("b.example"), _uri("b.example"), _ip("10.0.0.0/8"), _dn("Y"),
         _other("y"), _number("1.2.4")]  # fmt: skip


@pytest.mark.parametrize("base", BASES, ids=str)
def test_names_of_other_forms_are_not_concerned(base: x509.GeneralName) -> None:
    for name in OTHER_FORMS:
        if type(name) is not type(base):
            subject = _subject("Y") if isinstance(base, x509.DirectoryName) else None
            assert _accepts(_chain(name, permitted=base, subject=subject)), name


NOT_COMPARABLE = [
    (_uri("example.com"), _uri("https://192.0.2.1/")),
    (_uri("example.com"), _uri("https://[2001:db8::1]/")),
    (_uri("example.com"), _uri("https://0x7f.1/")),
    (_uri("example.com"), _uri("urn:uuid:1")),
    (_uri("example.com"), _uri("file:///x")),
    (_uri("example.com"), _uri("https://evil.org\\x")),
    (_uri("example.com"), _uri("https://%65vil.org/")),
    (_uri("example.com"), _uri("https://ev\til.org/")),
    (_uri("https://example.com"), _uri("https://a.example/")),
    (_dns("example.com"), _dns("evil.org\0.a.example")),
    (_dns("example.com"), _dns("evil.org .a.example")),
    (_dns("example.com"), _dns("*.com")),
    (_dns(".com"), _dns("*.com")),
    (_mail("example.com"), _mail("a@evil.org@a.example")),
    (_mail("example.com"), _mail("example.org")),
    (_ip("10.0.0.0/8"), _ip("192.0.2.0/24")),
    (_other("x"), _other("y")),
    (_number("1.2.3"), _number("1.2.4")),
]


@pytest.mark.parametrize(("base", "name"), NOT_COMPARABLE, ids=str)
def test_what_cannot_be_compared_is_refused_where_its_form_is_constrained(
    base: x509.GeneralName, name: x509.GeneralName
) -> None:
    """RFC 5280 4.2.1.10: process the constraint or reject; a URI without a host is rejected."""
    assert not _accepts(_chain(name, excluded=base))
    assert _accepts(_chain(name))


LABELS = st.sampled_from(["a", "b", "A", "com", "x-y"])
HOSTS = st.lists(LABELS, min_size=1, max_size=3).map(".".join)
DIRECTORIES = st.lists(st.sampled_from(["Acme", " acme", "Evil"]), min_size=1, max_size=2)
ADDRESSES = st.sampled_from(["10.0.0.1", "10.1.0.1", "192.0.2.9", "2001:db8::1", "::1"])
NETWORKS = st.sampled_from(["10.0.0.0/16", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::/0"])
URIS = st.sampled_from(["http://{}", "FTP://u:p@{}:80/", "x://{}?q", "https://{}/a#f"])
BEGUN = st.sampled_from(["", "."])
NAMES = st.one_of(
    HOSTS.map(_dns),
    st.builds(lambda local, host: _mail(f"{local}@{host}"), LABELS, HOSTS),
    st.builds(lambda form, host: _uri(form.format(host)), URIS, HOSTS),
    ADDRESSES.map(_ip),
    DIRECTORIES.map(lambda parts: _dn(*parts)),
)
SUBTREES = st.one_of(
    st.builds(lambda begun, host: _dns(begun + host), BEGUN, HOSTS),
    st.builds(lambda begun, host: _mail(begun + host), st.sampled_from(["", ".", "a@"]), HOSTS),
    st.builds(lambda begun, host: _uri(begun + host), BEGUN, HOSTS),
    NETWORKS.map(_ip),
    DIRECTORIES.map(lambda parts: _dn(*parts)),
)
SOME = st.lists(SUBTREES, min_size=1, max_size=2)


@given(st.lists(NAMES, min_size=1, max_size=3), SOME | st.none(), SOME | st.none())
def test_openssl_agrees_about_ordinary_names(
    named: list[x509.GeneralName],
    permitted: list[x509.GeneralName] | None,
    excluded: list[x509.GeneralName] | None,
) -> None:
    assume(permitted or excluded)
    limits: Any = ((x509.NameConstraints(permitted, excluded), True),)
    root = ca("Root", extra=limits)
    end = leaf("Acme", root, extra=((x509.SubjectAlternativeName(named), False),))
    found = names.fault((end.certificate, root.certificate))
    assert (found is None) is _openssl_accepts(end, root)


def _openssl_accepts(end: Held, root: Held) -> bool:
    store = crypto.X509Store()
    store.set_time(NOW)
    store.add_cert(crypto.X509.from_cryptography(root.certificate.x509))
    asked = crypto.X509.from_cryptography(end.certificate.x509)
    try:
        crypto.X509StoreContext(store, asked).verify_certificate()
    except crypto.X509StoreContextError as error:
        return error.errors[0] not in (47, 48)
    return True


def test_a_common_name_is_no_host() -> None:
    """OpenSSL holds the CN of a leaf without dNSName against constraints on hosts."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.evil.org")])
    assert _accepts(_chain(None, permitted=_dns("example.com"), subject=subject))
    assert _accepts(_chain(None, excluded=_dns("evil.org"), subject=subject))


def test_the_signatures_of_such_a_path_count_all_the_same() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.evil.org")])
    end, middle, root = _chain(None, permitted=_dns("example.com"), subject=subject)
    twin = Held(certificate=middle.certificate, key=new_key())
    forged = certificate(subject, twin)
    assert _asked((forged, middle, root)) is PathFault.SIGNATURE_INVALID
    assert _accepts((end, middle, root))


def test_an_address_in_the_subject_is_one() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@evil.org")])
    assert not _accepts(_chain(None, permitted=_mail("example.com"), subject=subject))
    assert _accepts(_chain(None, permitted=_mail("evil.org"), subject=subject))


@pytest.mark.parametrize("distance", ["800101", "810101"])
def test_a_minimum_or_a_maximum_refuses(distance: str) -> None:
    """RFC 5280 4.2.1.10; the CA is named by its root in two ways, so that OpenSSL is not asked."""
    plain = bytes.fromhex("8201") + b"f"
    for base, accepted in ((plain, True), (plain + bytes.fromhex(distance), False)):
        der = encode(0x30, encode(0xA0, encode(0x30, base)))
        limits = x509.UnrecognizedExtension(x509.NameConstraints.oid, der)
        root = ca("Root")
        alias = Held(certificate=ca("ROOT", key=root.key).certificate, key=root.key)
        middle = ca("Middle", alias, extra=((limits, True),))
        assert _accepts((leaf("Leaf", middle), middle, root)) is accepted


def test_the_number_of_comparisons_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = _chain(_dns("a.example.com"), permitted=_dns("example.com"))
    monkeypatch.setattr(names, "MOST_COMPARISONS", 3)
    assert _accepts(chain)  # for the subject, and for the host and what is permitted of hosts
    monkeypatch.setattr(names, "MOST_COMPARISONS", 2)
    assert _asked(chain) is PathFault.PROFILE


# ----------------------------------------------------------------------


def _chain(
    name: x509.GeneralName | None,
    *,
    permitted: x509.GeneralName | None = None,
    excluded: x509.GeneralName | None = None,
    subject: x509.Name | None = None,
) -> tuple[Held, Held, Held]:
    """Return a leaf, the CA that constrains its names, and a root."""
    extra: Any = ()
    if permitted or excluded:
        limits = x509.NameConstraints(
            [permitted] if permitted else None, [excluded] if excluded else None
        )
        extra = ((limits, True),)
    root = ca("Root")
    middle = ca("Middle", root, extra=extra)
    named: Any = () if name is None else ((x509.SubjectAlternativeName([name]), False),)
    subject = x509.Name([]) if isinstance(name, x509.DirectoryName) else subject
    if subject is not None:
        return certificate(subject, middle, extra=named), middle, root
    return leaf("Leaf", middle, extra=named), middle, root


def _asked(chain: tuple[Held, Held, Held]) -> PathFault | None:
    end, middle, root = (held.certificate for held in chain)
    found = validate(end, (middle,), (root,), at=NOW, demands=Demands())
    return found.fault if isinstance(found, NoPath) else None


def _accepts(chain: tuple[Held, Held, Held]) -> bool:
    end, middle, root = (held.certificate for held in chain)
    return isinstance(validate(end, (middle,), (root,), at=NOW, demands=Demands()), Path)
