"""Others judge our OCSP answers: OpenSSL verifies them, pkilint finds nothing in them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from pki.pkix import build, ocsp
from pki.pkix.der import encode
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite, sign
from tests.pkix.status_makers import (
    DAY,
    GOOD,
    NOW,
    REVOKED,
    UNKNOWN,
    Holder,
    answered,
    authority,
    contract,
    issued,
    pem_bytes,
)

NONCE = encode(0x04, b"n" * 32)


@cache
def linter() -> Callable[[bytes], list[str]]:
    """Return pkilint's RFC 6960 linter: findings of every severity."""
    from pkilint import loader, pkix  # noqa: PLC0415 - it takes 0.2 s
    from pkilint.pkix import extension, name  # noqa: PLC0415
    from pkilint.pkix import ocsp as lints  # noqa: PLC0415

    validators = lints.create_pkix_ocsp_response_validator_container(
        [
            lints.create_response_decoder(),
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [],
    )
    documents = loader.RFC6960OCSPResponseDocumentLoader()

    def lint(der: bytes) -> list[str]:
        results = validators.validate(documents.load_der_document(der).root)
        return [str(d.finding.code) for result in results for d in result.finding_descriptions]

    return lint


def asked(folder: Path, suite: Suite, *options: str) -> ocsp.OcspRequest:
    """Return the request that openssl writes about the contract."""
    (folder / "ca.pem").write_bytes(pem_bytes(authority(suite).der))
    (folder / "leaf.pem").write_bytes(pem_bytes(contract(suite).der))
    certificates = ("-issuer", "ca.pem", *options, "-cert", "leaf.pem")
    run(folder, *certificates, "-reqout", "request.der")
    return ocsp.parse_request((folder / "request.der").read_bytes())


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["openssl", "ocsp", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def judged(folder: Path, der: bytes, *options: str) -> str:
    """Return what openssl says of an answer about leaf.pem."""
    (folder / "answer.der").write_bytes(der)
    certificates = ("-issuer", "ca.pem", *options, "-cert", "leaf.pem")
    return run(folder, "-respin", "answer.der", *certificates, "-CAfile", "ca.pem", "-no_nonce")


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("digest", ["-sha1", "-sha256", "-sha384", "-sha512"])
def test_openssl_verifies_a_good_answer_to_its_own_request(
    tmp_path: Path, suite: Suite, digest: str
) -> None:
    (cert_id,) = asked(tmp_path, suite, "-no_nonce", digest).cert_ids
    assert cert_id.algorithm == digest[1:]
    der = answered(suite, [replace(GOOD, cert_id=cert_id.raw)])
    said = judged(tmp_path, der, digest)
    assert "Response verify OK" in said
    assert "leaf.pem: good" in said
    assert "rror" not in said


@pytest.mark.parametrize("suite", Suite)
def test_openssl_reads_revoked_with_its_reason_and_unknown(tmp_path: Path, suite: Suite) -> None:
    (cert_id,) = asked(tmp_path, suite, "-no_nonce").cert_ids
    revoked = judged(tmp_path, answered(suite, [replace(REVOKED, cert_id=cert_id.raw)]))
    unknown = judged(tmp_path, answered(suite, [replace(UNKNOWN, cert_id=cert_id.raw)]))
    assert "Response verify OK" in revoked
    assert "leaf.pem: revoked" in revoked
    assert "Reason: keyCompromise" in revoked
    assert (NOW - DAY).strftime("%b %e %H:%M:%S %Y GMT") in revoked
    assert "Response verify OK" in unknown
    assert "leaf.pem: unknown" in unknown


def test_openssl_finds_its_nonce_again(tmp_path: Path) -> None:
    request = asked(tmp_path, Suite.P256, "-nonce")
    assert request.nonce is not None
    answer = replace(GOOD, cert_id=request.cert_ids[0].raw)
    replies = {"same": request.nonce, "other": NONCE}
    said = {}
    for name, nonce in replies.items():
        (tmp_path / "answer.der").write_bytes(answered(Suite.P256, [answer], nonce=nonce))
        files = ("-reqin", "request.der", "-respin", "answer.der")
        said[name] = run(tmp_path, *files, "-issuer", "ca.pem", "-CAfile", "ca.pem")
    assert "Response verify OK" in said["same"]
    assert "Nonce Verify error" in said["other"]


def test_openssl_refuses_a_signer_that_is_no_responder(tmp_path: Path) -> None:
    (cert_id,) = asked(tmp_path, Suite.P256, "-no_nonce").cert_ids
    ca = authority(Suite.P256)
    other = issued(ca, Kind.CPS, serial=78, name="CPS 1")
    assert "Response verify OK" not in judged(tmp_path, signed_by(other, cert_id.raw))
    as_ca = Holder(key=ca.key, der=ca.der)
    assert "Response verify OK" in judged(tmp_path, signed_by(as_ca, cert_id.raw))


def signed_by(signer: Holder, cert_id: bytes) -> bytes:
    tbs = ocsp.response_data(
        responder=ocsp.responder_by_key(build.spki(signer.key.public_key())),
        produced_at=NOW,
        answers=(replace(GOOD, cert_id=cert_id),),
    )
    return ocsp.assemble(tbs, Suite.P256, sign(signer.key, tbs), (signer.der,))


def every_kind() -> Iterator[tuple[str, list[ocsp.SingleAnswer], bytes | None, bool]]:
    never = ocsp.never_issued(b"", this_update=NOW, next_update=NOW + DAY)
    yield "good", [GOOD], None, False
    yield "revoked", [REVOKED], None, False
    yield "unspecified", [replace(REVOKED, reason=None)], None, False
    yield "unknown", [UNKNOWN], None, False
    yield "nonce", [GOOD], NONCE, False
    yield "never issued", [never], NONCE, True
    yield "several", [GOOD, REVOKED, UNKNOWN], None, False
    yield "archive", [replace(GOOD, archive_cutoff=NOW - DAY)], None, False


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize(
    ("answers", "nonce", "extended"),
    [kind[1:] for kind in every_kind()],
    ids=[kind[0] for kind in every_kind()],
)
def test_pkilint_finds_nothing(
    tmp_path: Path,
    suite: Suite,
    answers: list[ocsp.SingleAnswer],
    nonce: bytes | None,
    *,
    extended: bool,
) -> None:
    (cert_id,) = asked(tmp_path, suite, "-no_nonce").cert_ids
    about = [replace(answer, cert_id=cert_id.raw) for answer in answers]
    for by_name in (False, True):
        der = answered(suite, about, nonce=nonce, extended_revoked=extended, by_name=by_name)
        assert linter()(der) == []


def test_pkilint_finds_nothing_in_errors() -> None:
    for status in ocsp.ResponseStatus:
        if status is not ocsp.ResponseStatus.SUCCESSFUL:
            assert linter()(ocsp.error_response(status)) == []


def test_pkilint_finds_a_planted_defect(tmp_path: Path) -> None:
    (cert_id,) = asked(tmp_path, Suite.P256, "-no_nonce").cert_ids
    backwards = replace(GOOD, cert_id=cert_id.raw, next_update=NOW - DAY)
    der = answered(Suite.P256, [backwards])
    assert linter()(der) == ["pkix.ocsp_negative_validity_period"]
