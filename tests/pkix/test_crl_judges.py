"""Others judge our CRLs: OpenSSL uses them, full and sharded; pkilint finds nothing in them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pki.pkix import crl
from pki.pkix.fulllint import crl_findings
from pki.pkix.suites import Suite
from tests.pkix.status_makers import (
    DAY,
    NOW,
    SHARD_URL,
    authority,
    contract,
    crl_facts,
    crl_of,
    pem_bytes,
)

OTHER_URL = SHARD_URL + "2"
SERIAL = 0x1234567890
OTHERS = [crl.CrlEntry(serial, NOW - DAY, "superseded") for serial in range(101, 150)]
REVOKED = [*OTHERS, crl.CrlEntry(SERIAL, NOW - DAY, "keyCompromise")]


def linter() -> Callable[[bytes], list[str]]:
    """Return the CRL linter that the product runs: findings of every severity."""
    return lambda der: list(crl_findings(der))


def openssl(folder: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        ["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def verified(folder: Path, suite: Suite, crls: list[bytes], url: str | None) -> str:
    """Return what `openssl verify -crl_check` says of the contract that names this CRL, or none."""
    (folder / "ca.pem").write_bytes(pem_bytes(authority(suite).der))
    (folder / "leaf.pem").write_bytes(pem_bytes(contract(suite, crl_url=url).der))
    (folder / "crl.pem").write_bytes(b"".join(pem_bytes(der, "X509 CRL") for der in crls))
    files = ("-CAfile", "ca.pem", "-CRLfile", "crl.pem", "leaf.pem")
    status, said = openssl(folder, "verify", "-x509_strict", "-crl_check_all", *files)
    assert (status == 0) == said.startswith("leaf.pem: OK")
    return said


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("shard", [None, SHARD_URL], ids=["full", "shard"])
@pytest.mark.parametrize("entries", [[], REVOKED], ids=["empty", "entries"])
def test_openssl_verifies_the_signature(
    tmp_path: Path, suite: Suite, shard: str | None, entries: list[crl.CrlEntry]
) -> None:
    (tmp_path / "ca.pem").write_bytes(pem_bytes(authority(suite).der))
    (tmp_path / "crl.der").write_bytes(crl_of(crl_facts(suite, shard=shard), entries))
    files = ("-in", "crl.der", "-inform", "DER", "-CAfile", "ca.pem")
    status, said = openssl(tmp_path, "crl", *files, "-verify", "-noout", "-text")
    assert status == 0
    assert "verify OK" in said
    assert said.count("Serial Number") == len(entries)
    assert ("Issuing Distribution Point: critical" in said) == (shard is not None)


@pytest.mark.parametrize("suite", Suite)
def test_openssl_accepts_what_a_full_crl_does_not_list_and_refuses_what_it_lists(
    tmp_path: Path, suite: Suite
) -> None:
    assert "OK" in verified(tmp_path, suite, [crl_of(crl_facts(suite), OTHERS)], None)
    assert "OK" in verified(tmp_path, suite, [crl_of(crl_facts(suite))], None)
    said = verified(tmp_path, suite, [crl_of(crl_facts(suite), REVOKED)], None)
    assert "certificate revoked" in said


@pytest.mark.parametrize("suite", Suite)
def test_openssl_uses_the_shard_that_the_certificate_names_and_no_other(
    tmp_path: Path, suite: Suite
) -> None:
    own, other = crl_facts(suite, shard=SHARD_URL), crl_facts(suite, shard=OTHER_URL)
    good, elsewhere = crl_of(own, OTHERS), crl_of(other, REVOKED)
    root_crl = crl_of(crl_facts(suite))  # for the root itself, which names no shard
    assert "OK" in verified(tmp_path, suite, [elsewhere, good, root_crl], SHARD_URL)
    revoked = verified(tmp_path, suite, [elsewhere, crl_of(own, REVOKED), root_crl], SHARD_URL)
    assert "certificate revoked" in revoked


def test_openssl_does_not_take_another_shard_for_the_one_that_is_named(tmp_path: Path) -> None:
    other = crl_of(crl_facts(Suite.P256, shard=OTHER_URL), OTHERS)
    assert "scope" in verified(tmp_path, Suite.P256, [other], SHARD_URL)


def test_openssl_refuses_a_crl_that_is_over(tmp_path: Path) -> None:
    over = replace(crl_facts(Suite.P256), this_update=NOW - 2 * DAY, next_update=NOW - DAY)
    assert "CRL has expired" in verified(tmp_path, Suite.P256, [crl_of(over)], None)


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("shard", [None, SHARD_URL], ids=["full", "shard"])
@pytest.mark.parametrize("entries", [[], REVOKED], ids=["empty", "entries"])
def test_pkilint_finds_nothing(
    suite: Suite, shard: str | None, entries: list[crl.CrlEntry]
) -> None:
    assert linter()(crl_of(crl_facts(suite, shard=shard), entries)) == []


def test_pkilint_finds_nothing_after_2049() -> None:
    late = NOW.replace(year=2051, month=1, day=1)
    facts = replace(crl_facts(Suite.P256), this_update=late, next_update=late + DAY)
    assert linter()(crl_of(facts, [crl.CrlEntry(5, late, None)])) == []


def test_pkilint_finds_a_planted_defect() -> None:
    facts = crl_facts(Suite.P256, shard="not a URL")
    assert linter()(crl_of(facts)) == ["pkix.invalid_uri_syntax"]
