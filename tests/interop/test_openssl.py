"""`openssl ocsp` asks the running service and believes it; `openssl verify` believes our CRLs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.pkix.suites import Suite
from tests.interop.field import Field, branch, run
from tests.web.authority import SHARDED, Authority, Leaf, next_generation


def asked(field: Field, suite: Suite, *arguments: str) -> str:
    """Ask as a relying party that trusts the root alone."""
    return run(
        "openssl",
        "ocsp",
        *("-url", field.url, "-CAfile", field.file(suite, "root.pem")),
        *("-verify_other", field.file(suite, "below.pem"), "-issuer"),
        field.file(suite, "sub2.pem"),
        *arguments,
    )


def cert(field: Field, suite: Suite, state: str) -> tuple[str, str]:
    return ("-cert", str(field.file(suite, f"{state}.pem")))


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("nonce", [(), ("-no_nonce",)], ids=["nonce", "no nonce"])
def test_openssl_verifies_good_and_revoked(
    field: Field, suite: Suite, nonce: tuple[str, ...]
) -> None:
    for state, status in (("good", "good"), ("revoked", "revoked"), ("held", "revoked")):
        said = asked(field, suite, *cert(field, suite, state), *nonce)
        assert "Response verify OK" in said
        assert re.search(rf"{state}\.pem: {status}$", said, re.MULTILINE)
        assert "WARNING" not in said
        if status == "revoked":
            reason = "keyCompromise" if state == "revoked" else "certificateHold"
            assert f"Reason: {reason}" in said


@pytest.mark.parametrize("digest", ["-sha1", "-sha256", "-sha384", "-sha512"])
def test_openssl_asks_for_several_certificates_at_once(field: Field, digest: str) -> None:
    suite = Suite.P256
    wanted = [digest, *cert(field, suite, "good"), digest, *cert(field, suite, "revoked")]
    serials = ["-serial", "0x1234567890", "-serial", "0"]
    said = asked(field, suite, *wanted, *serials)
    assert "Response verify OK" in said
    for line in (r"good\.pem: good", r"revoked\.pem: revoked", "0x1234567890: unknown"):
        assert re.search(f"{line}$", said, re.MULTILINE)
    assert re.search("^0: unknown$", said, re.MULTILINE)


def test_openssl_gets_unknown_for_what_was_never_issued(field: Field) -> None:
    """I4: though the CA's own key signed it."""
    said = asked(field, Suite.P256, *cert(field, Suite.P256, "never_issued"))
    assert "Response verify OK" in said
    assert "never_issued.pem: unknown" in said


def test_openssl_asks_for_sub_cas_at_their_own_issuers(field: Field) -> None:
    for suite in Suite:
        for ca, issuer in (("sub2", "sub1"), ("sub1", "root")):
            said = run(
                "openssl",
                "ocsp",
                *("-url", field.url, "-CAfile", field.file(suite, "root.pem")),
                *("-verify_other", field.file(suite, "below.pem")),
                *("-issuer", field.file(suite, f"{issuer}.pem")),
                *("-cert", field.file(suite, f"{ca}.pem")),
            )
            assert "Response verify OK" in said
            assert f"{ca}.pem: good" in said


def test_openssl_signs_its_request_in_vain(field: Field, tmp_path: Path) -> None:
    """A signature and a requestorName are read over."""
    key, certificate = tmp_path / "key.pem", tmp_path / "own.pem"
    run(
        "openssl",
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", "/CN=somebody", "-keyout", key, "-out", certificate),
    )
    signed = ("-signer", str(certificate), "-signkey", str(key))
    said = asked(field, Suite.P256, *cert(field, Suite.P256, "good"), *signed)
    assert "good.pem: good" in said


def test_openssl_is_refused_for_an_issuer_that_is_not_ours(field: Field, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "foreign.pem"
    run(
        "openssl",
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
        *("-subj", "/CN=Foreign", "-keyout", key, "-out", certificate),
    )
    said = run(
        "openssl",
        *("ocsp", "-url", field.url, "-issuer", certificate, "-serial", "1"),
        code=None,
    )
    assert "unauthorized" in said


def test_openssl_sees_a_revocation_with_its_next_question(field: Field) -> None:
    """I4, over the running service and all its workers, whose memories hold *good* by then."""
    leaf = field.authority.issue()
    der = x509.load_der_x509_certificate(leaf.record.der).public_bytes(Encoding.PEM)
    file = field.folder / f"{leaf.reference}.pem"
    file.write_bytes(der)
    for nonce in ([], ["-no_nonce"], ["-no_nonce"], ["-no_nonce"]):
        assert ": good" in asked(field, Suite.P256, "-cert", str(file), *nonce)
    field.authority.revoke(leaf)
    for nonce in ([], ["-no_nonce"], ["-no_nonce"], ["-no_nonce"]):
        said = asked(field, Suite.P256, "-cert", str(file), *nonce)
        assert "Response verify OK" in said
        assert ": revoked" in said


# --- CRLs ----------------------------------------------------------------------------------------


def pem_crls(authority: Authority, *paths: str) -> bytes:
    crls = [x509.load_der_x509_crl(authority.fetch(path).data) for path in paths]
    return b"".join(crl.public_bytes(Encoding.PEM) for crl in crls)


def pem(der: bytes) -> bytes:
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def verified(
    authority: Authority, folder: Path, leaf: Leaf, cas: tuple[str, str, str], crl: str
) -> str:
    """Return what `openssl verify -crl_check_all` says of a leaf."""
    root, sub1, sub2 = cas
    (folder / "root.pem").write_bytes(pem(authority.issuer(root).certificate))
    below = [pem(authority.issuer(name).certificate) for name in (sub1, sub2)]
    (folder / "below.pem").write_bytes(b"".join(below))
    (folder / "leaf.pem").write_bytes(pem(leaf.record.der))
    crls = pem_crls(authority, f"/crl/{root}", f"/crl/{sub1}", crl)
    (folder / "crls.pem").write_bytes(crls)
    return run(
        "openssl",
        *("verify", "-crl_check_all", "-CAfile", folder / "root.pem"),
        *("-untrusted", folder / "below.pem", "-CRLfile", folder / "crls.pem"),
        folder / "leaf.pem",
        code=None,
    )


@pytest.mark.parametrize("suite", Suite)
def test_openssl_checks_a_chain_against_our_full_crls(
    authority: Authority, tmp_path: Path, suite: Suite
) -> None:
    good, revoked = authority.issue(suite), authority.issue(suite)
    authority.revoke(revoked)
    authority.publish_crls()
    cas = branch(suite)
    crl = f"/crl/{cas[2]}"
    assert "leaf.pem: OK" in verified(authority, tmp_path, good, cas, crl)
    assert "certificate revoked" in verified(authority, tmp_path, revoked, cas, crl)


def test_openssl_checks_a_chain_against_the_shard_that_the_leaf_names(
    authority: Authority, tmp_path: Path
) -> None:
    good, revoked = authority.issue_sharded(), authority.issue_sharded()
    authority.revoke(revoked)
    authority.publish_crls()
    cas = ("oem-2", "oem1-2", SHARDED)
    assert "leaf.pem: OK" in verified(authority, tmp_path, good, cas, shard_of(good))
    said = verified(authority, tmp_path, revoked, cas, shard_of(revoked))
    assert "certificate revoked" in said


def test_openssl_takes_no_other_shard_for_the_one_that_is_named(
    authority: Authority, tmp_path: Path
) -> None:
    leaf = authority.issue_sharded()
    authority.publish_crls()
    named = shard_of(leaf)
    other = f"/crl/{SHARDED}/{1 if not named.endswith('/1') else 2}"
    said = verified(authority, tmp_path, leaf, ("oem-2", "oem1-2", SHARDED), other)
    assert "different CRL scope" in said


def shard_of(leaf: Leaf) -> str:
    certificate = x509.load_der_x509_certificate(leaf.record.der)
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    (name,) = list(next(iter(points)).full_name or [])
    return str(name.value).removeprefix("http://pki.example")


def test_openssl_checks_a_revoked_sub_ca(authority: Authority, tmp_path: Path) -> None:
    leaf = authority.issue()
    ca = authority.issuer("mo2-2")
    with authority.services.deployment.store.read() as tx:
        (record,) = (r for r in tx.certificates.search(limit=1000) if r.der == ca.certificate)
    authority.revoke(Leaf(record=record, issuer=leaf.issuer))
    authority.publish_crls()
    said = verified(authority, tmp_path, leaf, branch(Suite.P256), "/crl/mo2-2")
    assert "certificate revoked" in said


@pytest.mark.parametrize("sharded", [False, True], ids=["full", "shard"])
def test_openssl_checks_certificates_of_two_generations_by_the_crl_of_each(
    authority: Authority, tmp_path: Path, *, sharded: bool
) -> None:
    name = SHARDED if sharded else "mo2-2"
    cas = ("oem-2", "oem1-2") if sharded else branch(Suite.P256)[:2]

    def made() -> tuple[Leaf, Leaf, bytes, str]:
        good, bad = (authority.issue_sharded() if sharded else authority.issue() for _ in range(2))
        authority.revoke(bad)
        issuer = authority.issuer(name)
        return good, bad, pem(issuer.certificate), f"/crl/{issuer.published_as}"

    old = made()
    next_generation(authority, name)
    new = made()
    authority.publish_crls()
    (tmp_path / "root.pem").write_bytes(pem(authority.issuer(cas[0]).certificate))
    below = pem(authority.issuer(cas[1]).certificate) + old[2] + new[2]
    (tmp_path / "below.pem").write_bytes(below)

    def said(leaf: Leaf, *full: str) -> str:
        (tmp_path / "leaf.pem").write_bytes(pem(leaf.record.der))
        lists = [f"/crl/{ca}" for ca in cas] + ([shard_of(leaf)] if sharded else list(full))
        (tmp_path / "crls.pem").write_bytes(pem_crls(authority, *lists))
        return run(
            "openssl",
            *("verify", "-crl_check_all", "-CAfile", tmp_path / "root.pem"),
            *("-untrusted", tmp_path / "below.pem", "-CRLfile", tmp_path / "crls.pem"),
            tmp_path / "leaf.pem",
            code=None,
        )

    for good, bad, _, own in (old, new):
        assert "leaf.pem: OK" in said(good, own)
        assert "certificate revoked" in said(bad, own)
        assert "leaf.pem: OK" in said(good, old[3], new[3])
        assert "certificate revoked" in said(bad, old[3], new[3])
