"""Passphrases: from a file, from systemd, from the terminal; handed down without being shown."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from pki.errors import BadInput, Unavailable
from pki.keys.secret import Secret, into_memory
from pki.settings import FILE_NAME, load, to_toml


def test_a_file_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "phrase"
    secret = Secret(name="passphrase", path=path, shortest=6)
    with pytest.raises(Unavailable) as caught:
        secret()
    assert caught.value.hint
    path.write_text("short")
    with pytest.raises(Unavailable, match="shorter than 6"):
        secret()
    path.write_text("long enough\n")
    assert secret() == b"long enough"
    assert "long" not in repr(secret)


_ASKING = """
from pki.keys.secret import Secret
secret = Secret(name="passphrase", path=None)
print(secret().decode() == secret().decode() == "typed at a terminal")
"""


def test_a_terminal_is_asked_once_and_shows_nothing() -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _ASKING], stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = os.read(ours, 100)  # the prompt: what comes before it is thrown away
    os.write(ours, b"typed at a terminal\n")
    with suppress(OSError):  # so a terminal says that nobody is left
        while more := os.read(ours, 1000):
            shown += more
    assert process.wait(timeout=60) == 0
    os.close(ours)
    assert b"True" in shown
    assert b"typed" not in shown
    assert shown.count(b"passphrase: ") == 1


def test_without_a_terminal_nobody_is_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ASKING], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert b"there is no terminal" in done.stderr


def test_what_was_asked_is_handed_down_in_memory() -> None:
    descriptor, path = into_memory(b"a secret")
    reading = f"print(open({str(path)!r}).read() * 2, open({str(path)!r}).read())"
    heir = subprocess.run(
        [sys.executable, "-c", reading], pass_fds=[descriptor], capture_output=True, check=True
    )
    assert heir.stdout.split() == [b"a", b"secreta", b"secret", b"a", b"secret"]
    stranger = subprocess.run([sys.executable, "-c", reading], capture_output=True, check=False)
    assert stranger.returncode != 0
    os.close(descriptor)


def test_a_credential_of_systemd_is_a_file(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('[keys]\npassphrase = "credential:pnc-phrase"\n')
    settings = load({"CREDENTIALS_DIRECTORY": "/run/credentials/pnc"}, tmp_path)
    assert settings.keys.passphrase is not None
    assert settings.keys.passphrase.path == Path("/run/credentials/pnc/pnc-phrase")
    assert 'passphrase = "credential:pnc-phrase"' in to_toml(settings)
    with pytest.raises(BadInput, match="CREDENTIALS_DIRECTORY is not set"):
        load({}, tmp_path)


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ('passphrase = "correct horse"', "neither prompt nor credential"),
        ('passphrase = "credential:../x"', "named by letters"),
        ('passphrase = "prompt"\npassphrase_file = "x"', "leave one out"),
        ('pin = "1234"', "neither prompt nor credential"),
        ('backend = "hsm"', "keys.backend is none of files, pkcs11"),
        ('backend = "pkcs11"', "needs pkcs11_module"),
        ('delegated = "x"', "keys.delegated is none of"),
        ("limits = [1]", "keys.limits"),
        ('limits = [{issuer = "a", per_day = 0}]', "keys.limits"),
        ('limits = [{issuer = "a", per_day = true}]', "keys.limits"),
        ('limits = [{issuer = "a", kinds = ["x"]}]', "keys.limits"),
        ('limits = [{issuer = "a", kinds = [["crl"]]}]', "keys.limits"),
        ('limits = [{issuer = "a"}, {issuer = "a"}]', "names an issuer twice"),
        ("[clock]\nmax_skew_seconds = 0", "clock.max_skew_seconds"),
    ],
)
def test_settings_of_keys_that_are_wrong_are_named(tmp_path: Path, lines: str, fault: str) -> None:
    (tmp_path / FILE_NAME).write_text(f"[keys]\n{lines}\n")
    with pytest.raises(BadInput) as caught:
        load({"CREDENTIALS_DIRECTORY": "/run/x"}, tmp_path)
    assert fault in str(caught.value)
    assert "correct horse" not in str(caught.value)


def test_settings_of_keys_are_written_and_read_again(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text(
        '[keys]\nbackend = "pkcs11"\ndelegated = "files"\npassphrase = "prompt"\n'
        'pkcs11_module = "/usr/lib/x.so"\npkcs11_token = "pnc \\"1\\""\npin_file = "/etc/pin"\n'
        'limits = [{issuer = "*", per_minute = 5}, '
        '{issuer = "mo2-2", per_day = 9, kinds = ["contract", "crl"]}]\n'
        '[signer]\nsocket = "/run/pnc/signer"\ndatabase_url = "postgresql://s@db/pnc"\n'
        'group = "pnc"\n[clock]\nmax_skew_seconds = 5\n'
    )
    settings = load({}, tmp_path)
    (tmp_path / FILE_NAME).write_text(to_toml(settings))
    assert load({}, tmp_path) == settings
    assert len(settings.keys.limits) == 2


def test_a_file_named_by_the_environment_comes_before_a_prompt(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('[keys]\npassphrase = "prompt"\n')
    settings = load({"PNC_KEY_PASSPHRASE_FILE": "/proc/self/fd/7"}, tmp_path)
    assert settings.keys.descriptors == (7,)
    assert load({}, tmp_path).keys.descriptors == ()
