"""The `pnc` command: results, errors, dry runs, and what production refuses."""

from __future__ import annotations

import json
import stat
from importlib.resources import files
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pki.cli import main
from pki.pkix import pem
from tests.homes import EMAID
from tests.signing import short_path, signing


def run(home: Path, *words: str, env: dict[str, str] | None = None) -> Result:
    environment: dict[str, str | None] = {
        "PNC_MODE": None,
        "PNC_DATABASE_URL": None,
        "PNC_PUBLIC_URL": None,
        "PNC_HOME": None,
        **(env or {}),
    }
    return CliRunner().invoke(main, ["--home", str(home), *words], env=environment)


def ok(home: Path, *words: str) -> Any:
    result = run(home, *words, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def refused(home: Path, *words: str, env: dict[str, str] | None = None) -> Any:
    result = run(home, *words, "--json", env=env)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    return json.loads(result.stderr.splitlines()[-1])


def test_every_command_teaches_and_takes_json() -> None:
    from click import Command, Group  # noqa: PLC0415

    def walk(command: Command, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], Command]]:
        if isinstance(command, Group):
            return [
                found
                for name, inner in command.commands.items()
                for found in walk(inner, (*path, name))
            ]
        return [(path, command)]

    found = walk(main, ())
    assert len(found) > 20
    for path, command in found:
        assert command.help, path
        result = CliRunner().invoke(main, [*path, "--help"])
        assert result.exit_code == 0
        if path not in {("serve",), ("signer",), ("demo", "token")}:
            assert "--json" in result.output, path


def test_init_can_be_repeated_and_remakes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = ok(home, "init")
    assert len(first["created"]) == 38
    second = ok(home, "init")
    assert second["created"] == []
    prints = [{i["fingerprint"] for i in body["issuers"]} for body in (first, second)]
    assert prints[0] == prints[1]
    assert stat.S_IMODE((home / "demo-clients.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    for key in (home / "keys").iterdir():
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert b"BEGIN PRIVATE" not in key.read_bytes()


def test_issue_prints_what_the_interface_promises(small_home: Path) -> None:
    body = ok(small_home, "contract", "issue", "--emaid", EMAID)
    for key in ("serialNumber", "fingerprint", "subject", "notAfter", "certificateChain"):
        assert body[key]
    assert body["serialNumber"] == body["serialNumber"].lower().lstrip("0")
    assert len(pem.certificates(body["certificateChain"], limit=3)) == 3
    assert "PRIVATE KEY" in body["privateKey"]
    assert "privateKey" not in ok(small_home, "show", body["serialNumber"])


def test_out_writes_key_and_chain_once(small_home: Path, tmp_path: Path) -> None:
    out = tmp_path / "car"
    body = ok(small_home, "contract", "issue", "--emaid", EMAID, "--out", str(out))
    assert "privateKey" not in body
    assert stat.S_IMODE((out / "key.pem").stat().st_mode) == 0o600
    load_pem_private_key((out / "key.pem").read_bytes(), None)
    again = refused(small_home, "contract", "issue", "--emaid", EMAID, "--out", str(out))
    assert again["code"] == "out_exists"
    assert len(ok(small_home, "list", "--kind", "contract")) == 1


def test_a_key_can_leave_encrypted(small_home: Path, tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("correct horse battery\n")
    out = tmp_path / "car"
    words = ("--out", str(out), "--passphrase-file", str(tmp_path / "phrase"))
    ok(small_home, "contract", "issue", "--emaid", EMAID, *words)
    assert b"ENCRYPTED" in (out / "key.pem").read_bytes()
    load_pem_private_key((out / "key.pem").read_bytes(), b"correct horse battery")


def test_revoke_is_dry_without_yes(small_home: Path) -> None:
    serial = ok(small_home, "contract", "issue", "--emaid", EMAID)["serialNumber"]
    preview = ok(small_home, "revoke", serial, "--reason", "KEYCOMPROMISE")
    assert preview["dryRun"] is True
    assert ok(small_home, "show", serial)["revocation"] is None
    assert ok(small_home, "revoke", serial, "--reason", "keyCompromise", "--yes")["dryRun"] is False
    assert ok(small_home, "show", serial)["revocation"]["reason"] == "keyCompromise"
    twice = refused(small_home, "revoke", serial, "--reason", "keyCompromise", "--yes")
    assert twice["code"] == "already_revoked"


def test_every_destructive_verb_is_dry_without_yes(small_home: Path) -> None:
    anchor = ok(small_home, "trust", "list")[0]["fingerprint"]
    assert ok(small_home, "trust", "remove", anchor)["dryRun"] is True
    assert len(ok(small_home, "trust", "list")) == 1
    client = ok(small_home, "client", "add", "--role", "cpo", "--party", "DE*ABC")
    assert ok(small_home, "client", "remove", client["clientId"])["dryRun"] is True
    assert ok(small_home, "client", "list")[0]["disabledAt"] is None
    ok(small_home, "client", "remove", client["clientId"], "--yes")
    assert ok(small_home, "client", "list")[0]["disabledAt"]
    ok(small_home, "trust", "remove", anchor, "--yes")
    assert ok(small_home, "trust", "list") == []


def test_the_token_is_shown_once_and_stored_as_a_hash(small_home: Path) -> None:
    client = ok(small_home, "client", "add", "--role", "emsp", "--party", "DE8AA", "--pki", "own")
    assert client["token"]
    assert "token" not in ok(small_home, "client", "list")[0]
    assert client["token"].encode() not in (small_home / "pnc.db").read_bytes()
    for file in small_home.glob("pnc.db*"):
        assert client["token"].encode() not in file.read_bytes()


def test_contract_states_decide(small_home: Path, tmp_path: Path) -> None:
    body = ok(small_home, "contract", "issue", "--emaid", EMAID)
    chain = tmp_path / "chain.pem"
    chain.write_text(body["certificateChain"])
    told = {"blocked": "Blocked", "suspended": "Blocked", "ended": "Expired", "active": "Accepted"}
    for state, status in told.items():
        ok(small_home, "contract", "set", EMAID, state)
        verdict = ok(small_home, "validate", str(chain))
        assert verdict["ocpp"]["idTokenInfo"]["status"] == status
        assert verdict["accepted"] is (state == "active")


def test_a_rejection_is_an_answer_and_check_makes_it_a_status(
    small_home: Path, tmp_path: Path
) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n")
    assert ok(small_home, "validate", str(garbage))["fault"] == "unreadable"
    assert run(small_home, "validate", str(garbage), "--check").exit_code == 1
    table = run(small_home, "validate", str(garbage))
    assert "REJECTED: unreadable" in table.output


def test_validate_needs_no_home_when_anchors_are_given(vectors: Path, tmp_path: Path) -> None:
    real = vectors / "realworld"
    words = ("validate", str(real / "contract_chain.pem"), "--at", "2025-01-01T00:00:00Z")
    verdict = ok(tmp_path / "none", *words, "--anchor", str(real / "v2g_root.pem"))
    assert verdict["accepted"] is True
    answers = {check["question"]: check["answer"] for check in verdict["checks"]}
    assert answers["status_known"] == answers["contract"] == "not_asked"
    assert refused(tmp_path / "none", *words)["code"] == "not_initialised"
    assert not (tmp_path / "none").exists()


def test_real_material_is_judged_as_it_should_be(vectors: Path, small_home: Path) -> None:
    real = vectors / "realworld"
    chain = ("validate", str(real / "contract_chain.pem"))
    then = (*chain, "--at", "2025-01-01T00:00:00Z")
    ok(small_home, "trust", "add", str(real / "v2g_root.pem"), "--domain", "v2g")
    assert ok(small_home, *then)["fault"] == "status_missing"
    ok(small_home, "trust", "policy", "v2g", "--status", "not-required")
    ok(small_home, "emsp", "add", "DEICE")
    unknown = ok(small_home, *then)
    assert unknown["ocpp"] == {
        "idTokenInfo": {"status": "Unknown"},
        "certificateStatus": "ContractCancelled",
    }
    ok(small_home, "contract", "add", "DEICECOPNCCERT")
    accepted = ok(small_home, *then)
    assert accepted["accepted"] is True
    assert accepted["emaid"] == "DEICECOPNCCERT"
    assert any("explicitly" in check["detail"] for check in accepted["checks"])
    assert ok(small_home, *chain)["fault"] == "expired"
    other = ok(small_home, "validate", str(real / "emsp_leaf_other_operator.pem"))
    assert other["fault"] == "no_path"
    oem = ok(small_home, "validate", str(real / "oem_provisioning_chain.pem"))
    assert oem["fault"] == "wrong_role"


def test_contract_identifiers_that_two_contracts_could_share_are_refused(small_home: Path) -> None:
    ok(small_home, "contract", "add", "DE-MOA-C12345678")
    for same in (EMAID, EMAID + "X"):
        assert (
            refused(small_home, "contract", "add", same, "--edition", "20")["code"]
            == "emaid_ambiguous"
        )
    ok(small_home, "contract", "add", EMAID + "XYZ", "--edition", "20")
    ok(small_home, "contract", "add", "DEMOAC99999999X", "--edition", "20")
    assert refused(small_home, "contract", "add", "DEMOAC99999999")["code"] == "emaid_ambiguous"
    assert refused(small_home, "contract", "add", EMAID)["code"] == "contract_exists"
    assert refused(small_home, "contract", "add", "DEXXXC12345678")["code"] == "account_unknown"
    assert refused(small_home, "contract", "add", "DEMOA")["code"] == "invalid_emaid"
    assert len(ok(small_home, "contract", "list")) == 3


def test_export_writes_chain_and_der(small_home: Path, tmp_path: Path) -> None:
    serial = ok(small_home, "contract", "issue", "--emaid", EMAID)["serialNumber"]
    chain = run(small_home, "export", serial)
    assert chain.stdout.count("BEGIN CERTIFICATE") == 3
    out = tmp_path / "leaf.der"
    run(small_home, "export", serial, "--form", "der", "--out", str(out))
    assert out.read_bytes()[0] == 0x30


def test_errors_say_what_to_do_next(small_home: Path) -> None:
    for words, code in (
        (("show", "zz"), "invalid_reference"),
        (("show", "abc"), "certificate_unknown"),
        (("show", "a" * 64), "certificate_unknown"),
        (("revoke", "abc", "--reason", "because"), "invalid_reason"),
        (("emsp", "add", "DEMOA"), "account_exists"),
        (("emsp", "add", "D\u0661MOA"), "invalid_provider_id"),
        (("contract", "set", EMAID, "blocked"), "contract_unknown"),
        (("client", "add", "--role", "cpo"), "party_missing"),
        (("validate", __file__, "--at", "2026-02-30"), "invalid_time"),
    ):
        assert refused(small_home, *words)["code"] == code
    text = run(small_home, "show", "abc").stderr
    assert "Error [certificate_unknown]" in text
    assert "pnc list" in text


def test_a_command_without_a_home_says_to_init(tmp_path: Path) -> None:
    error = refused(tmp_path / "nowhere", "list")
    assert error["code"] == "not_initialised"
    assert "pnc init" in error["hint"]


def test_settings_report_every_fault_at_once(small_home: Path) -> None:
    (small_home / "pnc.toml").write_text(
        'mode = "toy"\nport = 1\n[approvals]\nrequired = 10\n[serve]\nport = "x"\n'
    )
    error = refused(small_home, "list")
    assert error["code"] == "invalid_settings"
    assert len(error["faults"]) == 4


PRODUCTION = {"PNC_MODE": "production"}


def test_production_refuses_a_demo_home(small_home: Path, tmp_path: Path) -> None:
    assert refused(small_home, "init", env=PRODUCTION)["code"] == "invalid_settings"
    (tmp_path / "phrase").write_text("a long passphrase")
    env = {
        **PRODUCTION,
        "PNC_KEY_PASSPHRASE_FILE": str(tmp_path / "phrase"),
        "PNC_SIGNER_SOCKET": str(tmp_path / "signer"),
    }
    assert refused(small_home, "init", env=env)["code"] == "hierarchy_missing"
    result = run(small_home, "serve", env=env)
    assert result.exit_code == 1
    assert "demo_key" in result.stderr


def test_production_hands_out_no_key(tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("a long passphrase")
    home = tmp_path / "home"
    with short_path() as socket, signing(home, socket):
        _production_hands_out_no_key(tmp_path, home, socket)


def _production_hands_out_no_key(tmp_path: Path, home: Path, socket: Path) -> None:
    env = {
        **PRODUCTION,
        "PNC_KEY_PASSPHRASE_FILE": str(tmp_path / "phrase"),
        "PNC_SIGNER_SOCKET": str(socket),
    }
    demo = str(files("certs") / "hierarchies" / "demo.toml")
    made = run(home, "init", "--hierarchy", demo, "--json", env=env)
    assert made.exit_code == 0, made.stderr
    assert "WARNING" in made.stderr
    assert not (home / "demo-clients.json").exists()
    assert run(home, "emsp", "add", "DEMOA", env=env).exit_code == 0
    error = refused(home, "contract", "issue", "--emaid", EMAID, env=env)
    assert error["code"] == "key_not_returned"
    assert "--csr" in error["hint"]
    assert "--out" in error["hint"]
    words = ("contract", "issue", "--emaid", EMAID, "--out", str(tmp_path / "car"))
    assert refused(home, *words, env=env)["code"] == "passphrase_missing"
    protected = (*words, "--passphrase-file", str(tmp_path / "phrase"), "--json")
    done = run(home, *protected, env=env)
    assert done.exit_code == 0, done.stderr
    assert b"ENCRYPTED" in (tmp_path / "car" / "key.pem").read_bytes()


def test_an_ambiguous_serial_asks_for_the_fingerprint(small_home: Path) -> None:
    from dataclasses import replace  # noqa: PLC0415

    from pki import lookup  # noqa: PLC0415
    from pki.ids import Fingerprint  # noqa: PLC0415
    from pki.model import CertificateRecord  # noqa: PLC0415
    from tests.homes import opened  # noqa: PLC0415

    serial = ok(small_home, "contract", "issue", "--emaid", EMAID)["serialNumber"]
    with opened(small_home) as services, services.deployment.store.write() as tx:
        record = lookup.target(tx, serial)
        assert isinstance(record, CertificateRecord)
        intent = tx.intents.get(record.intent_id)
        assert intent is not None
        tx.intents.add(replace(intent, intent_id="twin", issuer_id="mo1-2.g1"))
        twin = replace(
            record,
            issuer_id="mo1-2.g1",
            fingerprint=Fingerprint.of(b"twin"),
            intent_id="twin",
        )
        tx.certificates.add(twin)
    error = refused(small_home, "revoke", serial, "--reason", "superseded")
    assert error["code"] == "serial_ambiguous"
    assert len(error["fingerprints"]) == 2
    assert "fingerprint" in error["hint"]


def test_token_keys_are_rotated_and_listed(small_home: Path) -> None:
    assert ok(small_home, "token-key", "list") == {"keys": []}
    first = ok(small_home, "token-key", "rotate")
    second = ok(small_home, "token-key", "rotate")
    listed = ok(small_home, "token-key", "list")["keys"]
    assert {key["kid"]: key["retiredAt"] is None for key in listed} == {
        first["kid"]: False,
        second["kid"]: True,
    }
