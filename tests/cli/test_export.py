"""`pnc export` with a key: PKCS#12 that OpenSSL reads, and no passphrase on the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import pkcs12

from pki.cli import main
from tests.homes import EMAID

PHRASE = "correct horse battery"


@pytest.fixture
def issued(small_home: Path, tmp_path: Path) -> tuple[str, Path]:
    """A contract whose key was made here: its serial, and its directory."""
    out = tmp_path / "car"
    words = ["contract", "issue", "--emaid", EMAID, "--out", str(out), "--json"]
    done = CliRunner().invoke(main, ["--home", str(small_home), *words])
    return json.loads(done.stdout)["serialNumber"], out


def _export(home: Path, *words: str, typed: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(main, ["--home", str(home), "export", *words], input=typed)
    return done.exit_code, done.output


def test_certificate_chain_and_key_in_one_file(
    small_home: Path, issued: tuple[str, Path], tmp_path: Path
) -> None:
    serial, car = issued
    target = tmp_path / "car.p12"
    words = (serial, "--key", str(car / "key.pem"), "--out", str(target))
    status, output = _export(small_home, *words, typed=f"{PHRASE}\n{PHRASE}\n")
    assert status == 0, output
    assert target.stat().st_mode & 0o777 == 0o600
    key, leaf, others = pkcs12.load_key_and_certificates(target.read_bytes(), PHRASE.encode())
    assert key is not None
    assert leaf is not None
    assert leaf.public_key() == key.public_key()
    assert len(others) == 2
    told = subprocess.run(
        ["openssl", "pkcs12", "-in", target, "-passin", f"pass:{PHRASE}", "-nokeys", "-info"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.count("BEGIN CERTIFICATE") == 3
    assert "AES-256-CBC" in told.stderr
    status, output = _export(small_home, *words, typed=f"{PHRASE}\n{PHRASE}\n")
    assert (status, "out_exists" in output) == (1, True)


def test_the_passphrase_may_stand_in_a_file(
    small_home: Path, issued: tuple[str, Path], tmp_path: Path
) -> None:
    serial, car = issued
    phrase, target = tmp_path / "phrase", tmp_path / "car.p12"
    phrase.write_text(PHRASE + "\n", "utf-8")
    words = (serial, "--key", str(car / "key.pem"), "--out", str(target))
    assert _export(small_home, *words, "--passphrase-file", str(phrase))[0] == 0
    assert pkcs12.load_key_and_certificates(target.read_bytes(), PHRASE.encode())[0]


def test_what_does_not_fit_is_refused(
    small_home: Path, issued: tuple[str, Path], tmp_path: Path
) -> None:
    serial, car = issued
    other = tmp_path / "other.pem"
    words: list[str | Path] = ["openssl", "genpkey", "-algorithm", "EC", "-out", other]
    subprocess.run([*words, "-pkeyopt", "ec_paramgen_curve:P-256"], check=True, capture_output=True)
    key, target = str(car / "key.pem"), str(tmp_path / "car.p12")
    for options, typed, code in (
        ((serial, "--key", str(other), "--out", target), f"{PHRASE}\n{PHRASE}\n", "key_mismatch"),
        ((serial, "--key", key, "--out", target), "short\nshort\n", "passphrase_short"),
        ((serial, "--key", str(car / "chain.pem"), "--out", target), "", "key_unreadable"),
        ((serial, "--key", key), "", "option_missing"),
        ((serial, "--form", "p12", "--out", target), "", "option_missing"),
        ((serial, "--form", "pem", "--key", key, "--out", target), "", "option_missing"),
    ):
        status, output = _export(small_home, *options, typed=typed)
        assert (status, code in output) == (1, True), output
    assert not Path(target).exists()


def test_a_place_that_cannot_be_written_is_named(
    small_home: Path, issued: tuple[str, Path], tmp_path: Path
) -> None:
    serial, car = issued
    absent = tmp_path / "nowhere" / "car"
    words = (serial, "--out", str(absent))
    for more in ((), ("--key", str(car / "key.pem"))):
        status, output = _export(small_home, *words, *more, typed=f"{PHRASE}\n{PHRASE}\n")
        assert (status, "[file_unusable]" in output, str(absent) in output) == (1, True, True)
