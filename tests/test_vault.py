"""What is sealed is opened by the same passphrase and context only, and never lies open."""

from __future__ import annotations

from pathlib import Path

import pytest

from pki.errors import Unavailable
from pki.keys.vault import FileVault

SECRET = b"token C of a partner"


def _vault(home: Path, phrase: bytes = b"a long passphrase") -> FileVault:
    return FileVault(home / "keys" / "storage.key", lambda: phrase)


def test_another_process_opens_what_one_sealed(tmp_path: Path) -> None:
    sealed = _vault(tmp_path).seal(SECRET, "partner:acme")
    assert SECRET not in sealed
    assert _vault(tmp_path).unseal(sealed, "partner:acme") == SECRET
    assert (tmp_path / "keys" / "storage.key").stat().st_mode & 0o077 == 0


def test_the_same_secret_is_never_sealed_alike(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    assert vault.seal(SECRET, "x") != vault.seal(SECRET, "x")


@pytest.mark.parametrize("context", ["", "partner:other"])
def test_a_secret_does_not_open_in_another_context(tmp_path: Path, context: str) -> None:
    vault = _vault(tmp_path)
    sealed = vault.seal(SECRET, "partner:acme")
    with pytest.raises(Unavailable) as caught:
        vault.unseal(sealed, context)
    assert caught.value.code == "key_unavailable"


def test_a_changed_secret_is_refused(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    sealed = bytearray(vault.seal(SECRET, "x"))
    sealed[-1] ^= 1
    for broken in (bytes(sealed), b"", b"short"):
        with pytest.raises(Unavailable):
            vault.unseal(broken, "x")


def test_another_passphrase_opens_nothing(tmp_path: Path) -> None:
    sealed = _vault(tmp_path).seal(SECRET, "x")
    with pytest.raises(Unavailable):
        _vault(tmp_path, b"another passphrase").unseal(sealed, "x")


def test_a_damaged_key_file_is_told_and_not_replaced(tmp_path: Path) -> None:
    vault = _vault(tmp_path)
    vault.seal(SECRET, "x")
    vault.path.write_bytes(b"short")
    with pytest.raises(Unavailable):
        _vault(tmp_path).seal(SECRET, "x")
    assert vault.path.read_bytes() == b"short"
