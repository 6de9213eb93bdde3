"""Homes: what a copy, a repeated init and a refused start leave as they were."""

from __future__ import annotations

import shutil
import socket
import stat
from pathlib import Path

from pki.settings import FILE_NAME, load, to_toml
from tests.cli.test_cli import ok, refused, run
from tests.homes import EMAID


def test_a_copied_home_uses_its_own_database(small_home: Path, tmp_path: Path) -> None:
    (small_home / FILE_NAME).write_text(to_toml(load({}, small_home)))
    copy = Path(shutil.copytree(small_home, tmp_path / "copy"))
    ok(copy, "contract", "issue", "--emaid", EMAID)
    assert len(ok(copy, "list", "--kind", "contract")) == 1
    assert ok(small_home, "list", "--kind", "contract") == []


def test_a_removed_root_stays_removed_over_a_second_init(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ok(home, "init")
    (removed,) = [a for a in ok(home, "trust", "list") if a["subject"].endswith("CN=MO Root 2")]
    ok(home, "trust", "remove", removed["fingerprint"], "--yes")
    ok(home, "init")
    held = {anchor["fingerprint"] for anchor in ok(home, "trust", "list")}
    assert removed["fingerprint"] not in held
    assert len(held) == 11


def test_a_refused_start_leaves_the_settings(small_home: Path, tmp_path: Path) -> None:
    (small_home / FILE_NAME).write_text(to_toml(load({}, small_home)))
    before = (small_home / FILE_NAME).read_text()
    (tmp_path / "phrase").write_text("a long passphrase")
    production = {
        "PNC_MODE": "production",
        "PNC_SIGNER_SOCKET": str(tmp_path / "signer"),
        "PNC_KEY_PASSPHRASE_FILE": str(tmp_path / "phrase"),
    }
    assert "demo_key" in run(small_home, "serve", "--port", "18911", env=production).stderr
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run(small_home, "serve", "--port", port)
    assert "address_taken" in result.stderr
    assert (small_home / FILE_NAME).read_text() == before


def test_a_second_service_on_one_home_is_refused(small_home: Path) -> None:
    import fcntl  # noqa: PLC0415

    lock = small_home / "run" / "serve.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = run(small_home, "serve", "--port", "18912")
    assert result.exit_code == 1
    assert "already_serving" in result.stderr


def test_settings_are_for_their_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ok(home, "init")
    assert stat.S_IMODE((home / FILE_NAME).stat().st_mode) == 0o600
    assert "database_url" not in (home / FILE_NAME).read_text()


def test_a_hierarchy_fault_is_found_before_anything_is_made(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "certs/hierarchies/demo.toml").read_text()
    for change in (('country = "DE"', 'country = "Germany"'), ('name = "mo2"', 'name = "MO 2/x"')):
        file = tmp_path / "hierarchy.toml"
        file.write_text(text.replace(*change))
        home = tmp_path / "home"
        assert refused(home, "init", "--hierarchy", str(file))["code"] == "invalid_hierarchy"
        assert not (home / "keys").exists()


def test_a_sub_ca_under_a_revoked_parent_is_not_made(small_home: Path, tmp_path: Path) -> None:
    sub = next(i for i in ok(small_home, "issuer", "list") if i["name"] == "mo1-2")
    ok(small_home, "revoke", sub["fingerprint"], "--reason", "superseded", "--yes")
    file = tmp_path / "more.toml"
    file.write_text(
        '[operator]\norganization = "Demo"\ncountry = "DE"\n[[edition]]\nsuffix = "2"\n'
        'suite = "p256"\n[[issuer]]\nname = "mo"\nkind = "mo_root"\ncommon_name = "MO Root"\n'
        '[[issuer]]\nname = "mo1"\nkind = "mo_sub_ca1"\nparent = "mo"\ncommon_name = "MO 1"\n'
        '[[issuer]]\nname = "new"\nkind = "mo_sub_ca2"\nparent = "mo1"\ncommon_name = "New"\n'
    )
    assert refused(small_home, "init", "--hierarchy", str(file))["code"] == "issuer_not_active"
