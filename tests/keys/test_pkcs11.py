"""Keys in a PKCS#11 token: made there, used by many threads and processes, found again."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pkcs11
import pytest

from pki.errors import BadInput, Conflict, PkiError, Unavailable
from pki.keys.pkcs11 import TokenKeys
from pki.keys.token import SESSIONS, Session, module
from pki.pkix.suites import Suite, verifies
from tests.tokens import PIN, SoftHsm


@pytest.fixture
def token(soft_hsm: SoftHsm) -> str:
    return soft_hsm.token()


def _keys(hsm: SoftHsm, token: str, home: Path, pin: str = PIN) -> TokenKeys:
    return TokenKeys(hsm.module, token, pin.encode, home / "token.lock")


@pytest.fixture
def keys(soft_hsm: SoftHsm, token: str, tmp_path: Path) -> TokenKeys:
    return _keys(soft_hsm, token, tmp_path)


def _finalise(hsm: SoftHsm) -> None:
    pkcs11.lib(str(hsm.module)).finalize()


@pytest.mark.parametrize("suite", list(Suite))
def test_every_suite_signs_in_the_token(keys: TokenKeys, suite: Suite) -> None:
    signer = keys.create("mo2-2.g1", suite)
    assert signer.suite is suite
    for data in (b"", b"to be signed", b"x" * 100_000):
        assert verifies(signer.public_key, signer.sign(data), data)
    assert not signer.quick


def test_another_process_finds_a_key_by_its_label(
    keys: TokenKeys, soft_hsm: SoftHsm, token: str, tmp_path: Path
) -> None:
    made = keys.create("v2g-2.g1", Suite.P256)
    found = _keys(soft_hsm, token, tmp_path).signer("v2g-2.g1")
    assert found.public_key == made.public_key


def test_a_key_never_leaves_the_token(keys: TokenKeys, soft_hsm: SoftHsm, token: str) -> None:
    keys.create("v2g-2.g1", Suite.P256)

    def attributes(session: Session) -> list[object]:
        key = session.raw.get_key(pkcs11.ObjectClass.PRIVATE_KEY, label="v2g-2.g1")
        with pytest.raises(pkcs11.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]
        names = (
            pkcs11.Attribute.SENSITIVE,
            pkcs11.Attribute.EXTRACTABLE,
            pkcs11.Attribute.NEVER_EXTRACTABLE,
            pkcs11.Attribute.TOKEN,
            pkcs11.Attribute.PRIVATE,
            pkcs11.Attribute.LOCAL,
        )
        return [key[name] for name in names]

    found = module(soft_hsm.module).use(token, PIN.encode, attributes)
    assert found == [True, False, True, True, True, True]


def test_a_label_is_made_once(keys: TokenKeys) -> None:
    keys.create("mo-2.g1", Suite.P256)
    with pytest.raises(Conflict) as caught:
        keys.create("mo-2.g1", Suite.P256)
    assert caught.value.code == "key_exists"


def test_many_who_make_the_same_key_make_one(soft_hsm: SoftHsm, token: str, tmp_path: Path) -> None:
    def make(_: int) -> str:
        try:
            _keys(soft_hsm, token, tmp_path).create("mo-2.g1", Suite.P256)
        except Conflict as error:
            return error.code
        return "made"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(make, range(4))) == ["key_exists"] * 3 + ["made"]


def test_a_key_that_is_not_there_is_told(keys: TokenKeys) -> None:
    with pytest.raises(Unavailable) as caught:
        keys.signer("mo-2.g1")
    assert caught.value.code == "key_missing"


@pytest.mark.parametrize("label", ["", "../x", "A", "a b", "x" * 101])
def test_odd_labels_are_refused(keys: TokenKeys, label: str) -> None:
    with pytest.raises(BadInput):
        keys.signer(label)
    with pytest.raises(BadInput):
        keys.create(label, Suite.P256)


def test_more_threads_than_sessions_sign_at_once(keys: TokenKeys) -> None:
    signers = [keys.create("a.g1", Suite.P256), keys.create("b.g1", Suite.P521)]

    def sign(number: int) -> bool:
        signer = signers[number % 2]
        data = str(number).encode()
        return verifies(signer.public_key, signer.sign(data), data)

    with ThreadPoolExecutor(3 * SESSIONS) as pool:
        assert all(pool.map(sign, range(200)))


@pytest.mark.filterwarnings("ignore:This process .* multi-threaded:DeprecationWarning")
def test_a_forked_child_signs_beside_its_parent(keys: TokenKeys) -> None:
    signer = keys.create("a.g1", Suite.P256)
    assert verifies(signer.public_key, signer.sign(b"before"), b"before")
    children = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                good = (verifies(signer.public_key, signer.sign(b"x"), b"x") for _ in range(20))
                code = 0 if all(good) else 2
            finally:
                os._exit(code)
        children.append(pid)
    for _ in range(20):
        assert verifies(signer.public_key, signer.sign(b"x"), b"x")
    assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]


@pytest.fixture
def away(soft_hsm: SoftHsm, tmp_path: Path) -> Iterator[Path]:
    """Where a test may put the tokens; they are brought back."""
    place = tmp_path / "away"
    yield place
    if place.exists():
        shutil.rmtree(soft_hsm.tokens)
        place.rename(soft_hsm.tokens)


def test_a_token_that_was_away_is_found_without_a_restart(
    keys: TokenKeys, soft_hsm: SoftHsm, away: Path
) -> None:
    signer = keys.create("a.g1", Suite.P256)
    soft_hsm.tokens.rename(away)
    soft_hsm.tokens.mkdir()
    for _ in range(2):
        with pytest.raises(Unavailable) as caught:
            signer.sign(b"x")
        assert caught.value.code == "key_unavailable"
        assert caught.value.hint
    soft_hsm.tokens.rmdir()
    away.rename(soft_hsm.tokens)
    assert verifies(signer.public_key, signer.sign(b"x"), b"x")


def test_a_library_that_somebody_finalised_is_opened_again(
    keys: TokenKeys, soft_hsm: SoftHsm
) -> None:
    signer = keys.create("a.g1", Suite.P256)
    _finalise(soft_hsm)
    assert verifies(signer.public_key, signer.sign(b"x"), b"x")


def test_threads_inside_survive_that_the_token_is_opened_anew(
    keys: TokenKeys, soft_hsm: SoftHsm, away: Path
) -> None:
    signer = keys.create("a.g1", Suite.P256)

    def sign(number: int) -> str:
        if number == 40:
            soft_hsm.tokens.rename(away)
            soft_hsm.tokens.mkdir()
        if number == 80:
            soft_hsm.tokens.rmdir()
            away.rename(soft_hsm.tokens)
        try:
            return "good" if verifies(signer.public_key, signer.sign(b"x"), b"x") else "bad"
        except PkiError as error:
            return error.code

    with ThreadPoolExecutor(6) as pool:
        seen = set(pool.map(sign, range(160)))
    assert seen <= {"good", "key_unavailable", "key_missing"}
    assert verifies(signer.public_key, signer.sign(b"x"), b"x")


def test_a_token_made_anew_holds_no_key_of_before(keys: TokenKeys, token: str) -> None:
    signer = keys.create("a.g1", Suite.P256)
    given = ["--label", token, "--pin", PIN, "--so-pin", "so pin of a test"]
    subprocess.run(
        ["softhsm2-util", "--init-token", "--token", token, *given], check=True, capture_output=True
    )
    with pytest.raises(Unavailable) as caught:
        signer.sign(b"x")
    assert caught.value.code == "key_missing"


def test_a_wrong_pin_is_tried_once(soft_hsm: SoftHsm, token: str, tmp_path: Path) -> None:
    """Tokens lock after some wrong PINs; a service that goes on asking must not lock it."""
    _finalise(soft_hsm)  # whoever logged in before did so for everybody
    wrong = _keys(soft_hsm, token, tmp_path, pin="a wrong pin")
    for _ in range(5):
        with pytest.raises(Unavailable) as caught:
            wrong.signer("a.g1")
        assert caught.value.code == "key_unavailable"
        assert "a wrong pin" not in str(caught.value)
    found = pkcs11.lib(str(soft_hsm.module)).get_token(token_label=token)
    assert pkcs11.TokenFlag.USER_PIN_LOCKED not in found.flags
    _keys(soft_hsm, token, tmp_path).create("a.g1", Suite.P256)


def test_a_module_that_is_none_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.so", Path(__file__)):
        keys = TokenKeys(path, "pnc", PIN.encode, tmp_path / "lock")
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                keys.signer("a.g1")
            assert caught.value.code == "key_unavailable"
