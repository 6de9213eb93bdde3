"""CRLs over HTTP: full and sharded, with caching, and what their certificates name."""

from __future__ import annotations

from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from pki.model import Reason
from pki.pkix.suites import Suite
from tests.web.authority import (
    AT,
    DAY,
    LOWEST,
    SHARDED,
    SHARDS,
    Authority,
    Leaf,
    next_generation,
    working,
)
from tests.web.calling import Caller, code
from web.app import create_app


def crl(authority: Authority, path: str) -> x509.CertificateRevocationList:
    answer = authority.fetch(path)
    assert (answer.status_code, answer.mimetype) == (200, "application/pkix-crl")
    assert answer.content_length == len(answer.data)
    return x509.load_der_x509_crl(answer.data)


def named_by(leaf: Leaf) -> list[str]:
    """Return the addresses of the CRLs that a certificate names."""
    certificate = x509.load_der_x509_certificate(leaf.record.der)
    try:
        found = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    except x509.ExtensionNotFound:
        return []
    return [name.value for point in found.value for name in point.full_name or ()]


def is_listed(found: x509.CertificateRevocationList, leaf: Leaf) -> bool:
    return found.get_revoked_certificate_by_serial_number(leaf.serial) is not None


def distribution_point(found: x509.CertificateRevocationList) -> str | None:
    try:
        extension = found.extensions.get_extension_for_class(x509.IssuingDistributionPoint)
    except x509.ExtensionNotFound:
        return None
    assert extension.critical
    (name,) = list(extension.value.full_name or [])
    return str(name.value)


def number(found: x509.CertificateRevocationList) -> int:
    return found.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


@pytest.mark.parametrize("suite", Suite)
def test_a_full_crl_lists_what_was_revoked_and_is_signed_by_its_ca(
    authority: Authority, suite: Suite
) -> None:
    good, revoked, held = (authority.issue(suite) for _ in range(3))
    authority.revoke(revoked, Reason.KEY_COMPROMISE)
    authority.revoke(held, Reason.CERTIFICATE_HOLD)
    authority.publish_crls()
    found = crl(authority, f"/crl/{LOWEST[suite]}")
    assert found.is_signature_valid(good.issuer.public_key())  # type: ignore[arg-type]
    assert found.issuer == good.issuer.subject
    assert [is_listed(found, leaf) for leaf in (good, revoked, held)] == [False, True, True]
    assert distribution_point(found) is None
    assert found.last_update_utc == AT
    assert named_by(good) == []
    authority.release(held)
    authority.publish_crls()
    after = crl(authority, f"/crl/{LOWEST[suite]}")
    assert not is_listed(after, held)
    assert number(after) > number(found)


def test_a_crl_may_be_kept_for_a_while(authority: Authority) -> None:
    authority.publish_crls()
    path = "/crl/mo2-2"
    first = authority.fetch(path)
    tag, dated = first.headers["ETag"], first.headers["Last-Modified"]
    assert parsedate_to_datetime(dated) == AT
    assert first.headers["Cache-Control"] == "public, max-age=300"
    assert parsedate_to_datetime(first.headers["Expires"]) > AT
    for held in ({"if_none_match": tag}, {"if_modified_since": dated}):
        again = authority.fetch(path, **held)
        assert (again.status_code, again.data) == (304, b"")
        assert again.headers["ETag"] == tag
    earlier = format_datetime(AT - DAY, usegmt=True)
    assert authority.fetch(path, if_modified_since=earlier).status_code == 200
    authority.revoke(authority.issue())
    authority.publish_crls()
    assert authority.fetch(path, if_none_match=tag).headers["ETag"] != tag


def test_a_head_tells_the_length_and_no_more(authority: Authority) -> None:
    authority.publish_crls()
    answer = authority.app.test_client().head("/crl/mo2-2", buffered=True)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.content_length == len(authority.fetch("/crl/mo2-2").data)


@pytest.mark.parametrize(
    "path", ["/crl/nobody", "/crl/mo2-2/1", "/crl/oem2-2/5", "/crl/oem2-2/99999999999", "/crl/%00"]
)
def test_a_crl_that_does_not_exist_is_a_problem(authority: Authority, path: str) -> None:
    authority.publish_crls()
    answer = Caller(authority.app, {}).get(path)
    assert code(answer) == (404, "crl_unknown")
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/crl/mo2-2/x", "/crl/mo2-2/-1", "/crl/mo2-2/1/2", "/crl/"])
def test_what_is_no_address_of_a_crl_is_not_found(authority: Authority, path: str) -> None:
    assert authority.fetch(path).status_code == 404


def test_until_the_job_has_run_there_is_no_crl(authority: Authority) -> None:
    assert code(Caller(authority.app, {}).get("/crl/mo2-2")) == (404, "crl_unknown")


def test_without_database_there_is_no_crl(authority: Authority, authority_home: Path) -> None:
    authority.publish_crls()
    authority.services.database.close()
    database = authority_home / "pnc.db"
    away = database.rename(database.with_suffix(".away"))
    answer = Caller(create_app(authority.services), {}).get("/crl/mo2-2")
    assert code(answer) == (503, "store_unavailable")
    away.rename(database)


def test_every_certificate_of_a_sharded_issuer_names_the_shard_that_lists_it(
    authority: Authority,
) -> None:
    leaves = [authority.issue_sharded() for _ in range(12)]
    authority.publish_crls()
    base = f"http://pki.example/crl/{SHARDED}/"
    for leaf in leaves:
        (address,) = named_by(leaf)
        assert address in {f"{base}{shard}" for shard in range(1, SHARDS + 1)}
        found = crl(authority, address.removeprefix("http://pki.example"))
        assert distribution_point(found) == address
        assert not is_listed(found, leaf)
    for leaf in leaves[::2]:
        authority.revoke(leaf)
    authority.publish_crls()
    full = crl(authority, f"/crl/{SHARDED}")
    for at, leaf in enumerate(leaves):
        (address,) = named_by(leaf)
        for shard in range(1, SHARDS + 1):
            listed = is_listed(crl(authority, f"/crl/{SHARDED}/{shard}"), leaf)
            assert listed == (at % 2 == 0 and address == f"{base}{shard}")
        assert is_listed(full, leaf) == (at % 2 == 0)
    assert distribution_point(full) is None


def test_only_the_certificates_of_a_sharded_issuer_name_a_crl(authority: Authority) -> None:
    assert named_by(authority.issue()) == []
    assert len(named_by(authority.issue_sharded())) == 1
    chain = (authority.issuer(name).certificate for name in (SHARDED, "oem1-2", "oem-2"))
    assert not any(b"/crl/" in der for der in chain)


def test_an_expired_certificate_leaves_the_crl_after_one_more(authority_home: Path) -> None:
    with working(authority_home) as now:
        leaf = now.issue(not_after=AT + DAY)
        now.revoke(leaf)
        now.publish_crls()
        assert is_listed(crl(now, "/crl/mo2-2"), leaf)
    for days, listed in ((8, True), (16, False)):
        with working(authority_home, at=AT + days * DAY) as later:
            later.publish_crls()
            assert is_listed(crl(later, "/crl/mo2-2"), leaf) == listed


def test_each_generation_keeps_the_addresses_that_its_certificates_name(
    authority: Authority,
) -> None:
    """One address for all once served the newest generation's CRL, without the older ones'."""
    old, sharded = authority.issue(), authority.issue_sharded()
    for name in ("mo2-2", SHARDED):
        next_generation(authority, name)
    new, sharded_too = authority.issue(), authority.issue_sharded()
    for leaf in (old, new, sharded, sharded_too):
        authority.revoke(leaf)
    authority.publish_crls()
    for leaf, name in ((old, "mo2-2"), (old, "mo2-2.g1"), (new, "mo2-2.g2")):
        found = crl(authority, f"/crl/{name}")
        assert found.is_signature_valid(leaf.issuer.public_key())  # type: ignore[arg-type]
        assert is_listed(found, leaf)
        assert authority.fetch(f"/ca/{name}").data == leaf.issuer.public_bytes(Encoding.DER)
    for leaf, base in ((sharded, SHARDED), (sharded_too, f"{SHARDED}.g2")):
        (address,) = named_by(leaf)
        path = address.removeprefix("http://pki.example")
        assert path.rpartition("/")[0] == f"/crl/{base}"
        found = crl(authority, path)
        assert distribution_point(found) == address
        assert found.is_signature_valid(leaf.issuer.public_key())  # type: ignore[arg-type]
        assert [is_listed(found, one) for one in (sharded, sharded_too)] == [
            leaf is sharded,
            leaf is sharded_too,
        ]
    assert authority.fetch("/crl/mo2-2.g3").status_code == 404
    assert authority.fetch("/ca/mo2-2.g3").status_code == 404


@pytest.mark.parametrize("same_key", [False, True], ids=["new key", "same key"])
def test_a_full_crl_speaks_for_every_generation_of_its_name(
    authority: Authority, *, same_key: bool
) -> None:
    """The CRL of one never says that what another revoked is good."""
    old = authority.issue()
    authority.publish_crls()
    next_generation(authority, "mo2-2", same_key=same_key)
    new = authority.issue()
    authority.revoke(old)
    authority.publish_crls()
    authority.revoke(new, Reason.CERTIFICATE_HOLD)
    authority.publish_crls()
    for name in ("mo2-2", "mo2-2.g2"):
        assert [is_listed(crl(authority, f"/crl/{name}"), one) for one in (old, new)] == [True] * 2
    authority.release(new)
    authority.publish_crls()
    for name in ("mo2-2", "mo2-2.g2"):
        assert not is_listed(crl(authority, f"/crl/{name}"), new)
    assert authority.publish_crls() == 0


@given(st.text(max_size=80))
def test_any_issuer_is_answered_or_not_found(common: Authority, name: str) -> None:
    for path in (f"/crl/{name}", f"/ca/{name}", f"/crl/{name}/1"):
        assert common.fetch(path).status_code in (200, 404)
