"""Key files: scrypt with parameters of ours, readable by openssl, one derivation for many keys."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from pki.errors import Unavailable
from pki.keys import pkcs8
from pki.keys.files import FileKeys
from pki.keys.pkcs8 import RANDOM, STRONG, Work
from pki.pkix.suites import Suite, generate, verifies

PHRASE = b"correct horse battery staple"


def _keys(home: Path, phrase: bytes = PHRASE, work: Work = RANDOM) -> FileKeys:
    return FileKeys(home / "keys", lambda: phrase, work)


@pytest.mark.parametrize("suite", list(Suite))
def test_another_process_opens_what_one_wrote(tmp_path: Path, suite: Suite) -> None:
    made = _keys(tmp_path).create("a.g1", suite)
    found = _keys(tmp_path).signer("a.g1")
    assert found.suite is suite
    assert verifies(made.public_key, found.sign(b"x"), b"x")


def test_openssl_opens_a_key_and_names_its_derivation(tmp_path: Path) -> None:
    made = _keys(tmp_path, work=STRONG).create("a.g1", Suite.P256)
    path = str(tmp_path / "keys" / "a.g1.pem")
    public = subprocess.run(
        ["openssl", "pkey", "-in", path, "-passin", f"pass:{PHRASE.decode()}", "-pubout",
         "-outform", "DER"], capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert made.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == public
    shown = subprocess.run(
        ["openssl", "asn1parse", "-in", path], capture_output=True, check=True
    ).stdout.decode()
    assert "1.3.6.1.4.1.11591.4.11" in shown or "scrypt" in shown
    assert "aes-256-cbc" in shown
    sealed = pkcs8.read(Path(path).read_bytes())
    assert sealed is not None
    assert sealed.work == STRONG
    assert STRONG.n * STRONG.p >= 2**14 * 5  # what a chosen passphrase deserves


def test_what_openssl_wrote_under_scrypt_is_opened(tmp_path: Path) -> None:
    key = generate(Suite.P521)
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = subprocess.run(
        ["openssl", "pkcs8", "-topk8", "-scrypt", "-passout", f"pass:{PHRASE.decode()}"],
        input=plain, capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert pkcs8.read(pem) is not None
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.g1.pem").write_bytes(pem)
    assert _keys(tmp_path).signer("a.g1").public_key == key.public_key()


def test_a_key_of_an_older_version_is_opened(tmp_path: Path) -> None:
    key = generate(Suite.P256)
    encryption = BestAvailableEncryption(PHRASE)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    assert pkcs8.read(pem) is None
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "a.g1.pem").write_bytes(pem)
    assert _keys(tmp_path).signer("a.g1").public_key == key.public_key()


def test_keys_share_a_salt_and_no_iv(tmp_path: Path) -> None:
    _keys(tmp_path).create("a.g1", Suite.P256)
    other = _keys(tmp_path)
    other.create("b.g1", Suite.P256)
    other.create("c.g1", Suite.P256)
    sealed = [pkcs8.read(path.read_bytes()) for path in (tmp_path / "keys").glob("*.pem")]
    assert len({one.salt for one in sealed if one}) == 1
    assert len({one.iv for one in sealed if one}) == 3


def test_another_passphrase_opens_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    _keys(tmp_path).create("a.g1", Suite.P256)
    phrases = [b"another passphrase"]
    keys = FileKeys(tmp_path / "keys", lambda: phrases[-1], RANDOM)
    with pytest.raises(Unavailable) as caught:
        keys.signer("a.g1")
    assert (caught.value.code, bool(caught.value.hint)) == ("key_unavailable", True)
    phrases.append(PHRASE)  # the file of the passphrase was corrected
    assert keys.signer("a.g1").sign(b"x")


def test_a_file_that_would_fill_our_memory_is_refused(tmp_path: Path) -> None:
    keys = _keys(tmp_path)
    keys.create("a.g1", Suite.P256)
    for work in (Work(2**30), Work(2**20), Work(2**10, 8, 10_000), Work(2**10, 8, 0)):
        pem = pkcs8.seal(b"x" * 64, bytes(32), b"salt", work)
        with pytest.raises(ValueError, match="too much"):
            pkcs8.read(pem)
        (tmp_path / "keys" / "b.g1.pem").write_bytes(pem)
        with pytest.raises(Unavailable):
            keys.signer("b.g1")


@given(st.binary(max_size=300))
def test_any_octets_are_a_key_or_a_named_fault(tmp_path: Path, octets: bytes) -> None:
    directory = tmp_path / "keys"
    directory.mkdir(exist_ok=True)
    (directory / "a.g1.pem").write_bytes(octets)
    with pytest.raises(Unavailable):
        _keys(tmp_path).signer("a.g1")


@given(st.data())
def test_a_damaged_file_is_no_key(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "keys" / "a.g1.pem"
    if not path.exists():
        _keys(tmp_path).create("a.g1", Suite.P256)
        (tmp_path / "whole").write_bytes(path.read_bytes())
    pem = bytearray((tmp_path / "whole").read_bytes())
    at = data.draw(st.integers(0, len(pem) - 1))
    pem[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(pem))
    with suppress(Unavailable):  # and nothing else; outside of the base64 it does no harm
        _keys(tmp_path).signer("a.g1")
