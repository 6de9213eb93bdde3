"""Settings: one frozen value, every fault at once, the environment over the file."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki.enrol import Branch
from pki.errors import BadInput
from pki.ids import HostName
from pki.model import ApprovalPolicy
from pki.pkix.profiles import Kind
from pki.settings import FILE_NAME, Mode, load, to_toml


def _faults(home: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    (home / FILE_NAME).write_text(text, "utf-8")
    with pytest.raises(BadInput) as caught:
        load(environment or {}, home)
    faults = caught.value.data["faults"]
    assert isinstance(faults, list)
    return faults


def test_defaults_need_no_file(tmp_path: Path) -> None:
    settings = load({}, tmp_path)
    assert settings.mode is Mode.DEMO
    assert settings.public_url == "http://127.0.0.1:8080"
    assert settings.database_url == f"sqlite:///{tmp_path / 'pnc.db'}"
    assert settings.approvals == ApprovalPolicy(required=0, lifetime=dt.timedelta(hours=72))


def test_nobody_acts_alone_in_production(tmp_path: Path) -> None:
    production = {
        "PNC_MODE": "production",
        "PNC_KEY_PASSPHRASE_FILE": "/etc/phrase",
        "PNC_SIGNER_SOCKET": "/run/pnc/signer",
    }
    assert load(production, tmp_path).approvals.required == 2
    assert _faults(tmp_path, "[approvals]\nrequired = 0", production) == [
        "approvals.required is not between 1 and 9"
    ]


def test_the_variant_of_hash_data_is_off_unless_switched_on(tmp_path: Path) -> None:
    assert load({}, tmp_path).base64url_hash_data is False
    (tmp_path / FILE_NAME).write_text("[ocpp]\nbase64url_hash_data = true\n", "utf-8")
    settings = load({}, tmp_path)
    assert settings.base64url_hash_data is True
    (tmp_path / FILE_NAME).write_text(to_toml(settings), "utf-8")
    assert load({}, tmp_path).base64url_hash_data is True
    assert _faults(tmp_path, "[ocpp]\nbase64url_hash_data = 1\n") == [
        "ocpp.base64url_hash_data is no bool"
    ]


def test_the_home_comes_from_the_environment(tmp_path: Path) -> None:
    assert load({"PNC_HOME": str(tmp_path)}).home == tmp_path


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('public_url = "http://a.example"\n')
    environment = {"PNC_PUBLIC_URL": "http://b.example/"}
    assert load({}, tmp_path).public_url == "http://a.example"
    assert load(environment, tmp_path).public_url == "http://b.example"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    environment = {
        "PNC_MODE": "production",
        "PNC_SIGNER_SOCKET": "/run/pnc/signer",
        "PNC_KEY_PASSPHRASE_FILE": '/etc/a "quoted" \\ name',
        "PNC_DATABASE_URL": "postgresql://pnc@db/pnc",
    }
    settings = load(environment, tmp_path)
    (tmp_path / FILE_NAME).write_text(to_toml(settings))
    assert load({}, tmp_path) == settings


def test_who_signs_ocsp_answers_and_how_it_is_named_are_settings(tmp_path: Path) -> None:
    status = load({}, tmp_path).status
    assert (status.ca_signs, status.responder_by_name) == (False, False)
    (tmp_path / FILE_NAME).write_text("[status]\nsigner = 'ca'\nresponder_id = 'name'\n", "utf-8")
    settings = load({}, tmp_path)
    assert (settings.status.ca_signs, settings.status.responder_by_name) == (True, True)
    (tmp_path / FILE_NAME).write_text(to_toml(settings), "utf-8")
    assert load({}, tmp_path) == settings


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("mode = 'test'", "mode"),
        ("mode = 1", "mode is no str"),
        ("colour = 'red'", "unknown key colour"),
        ("[serve]\nport = 0", "serve.port"),
        ("[serve]\nport = true", "serve.port is no int"),
        ("[serve]\nworkers = 1000", "serve.workers"),
        ("[approvals]\nrequired = 10", "approvals.required"),
        ("[approvals]\nexpire_hours = 0", "approvals.expire_hours"),
        ("[audit]\ncheckpoint_entries = 1", "audit.checkpoint_entries"),
        ("[audit]\ncheckpoint_minutes = 0", "audit.checkpoint_minutes"),
        ("public_url = 'ftp://x'", "public_url"),
        ("public_url = 'http://" + "a" * 80 + "'", "public_url"),
        ("database_url = 'mysql://x'", "database_url"),
        ("mode = 'production'\n[signer]\nsocket = 'x'", "passphrase_file"),
        ("mode = 'production'\n[keys]\npassphrase_file = 'x'", "signer.socket"),
        ("[status]\nunissued = 'good'", "status.unissued is neither unknown nor revoked"),
        ("[status]\nresponder_id = 'hash'", "status.responder_id is neither key nor name"),
        ("[keys]\nprove = 'none'", "keys.prove is none of each, share"),
        ("[status]\nsigner = 'CA'", "status.signer is neither delegated nor ca"),
        ("= broken", "cannot be read"),
    ],
)
def test_refuses(tmp_path: Path, text: str, fault: str) -> None:
    (found,) = _faults(tmp_path, text)
    assert fault in found


def test_reports_every_fault_together(tmp_path: Path) -> None:
    faults = _faults(tmp_path, "mode = 'x'\nodd = 1\npublic_url = 'y'\ndatabase_url = 'z'")
    assert len(faults) == 4


@given(st.text(max_size=200))
def test_any_text_is_settings_or_a_named_fault(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_bytes(text.encode("utf-8", "surrogatepass"))
    codes: list[str] = []
    try:
        load({}, tmp_path)
    except BadInput as error:
        codes.append(error.code)
    assert codes in ([], ["invalid_settings"])


def test_labels_of_est_survive_being_written_and_read(tmp_path: Path) -> None:
    text = (
        '[est]\nlabels = [{name = "alfa", ca = "cpo", edition = "20", columns = 0, chain = true}]\n'
        'trusted_header = "Client-Cert"\ntrusted_proxies = ["127.0.0.1/32"]\n'
    )
    (tmp_path / "pnc.toml").write_text(text, "utf-8")
    read = load({}, tmp_path)
    alfa = read.enrol.label("alfa")
    assert alfa is not None
    assert (alfa.target.branch, alfa.columns, alfa.chain) == (Branch.CPO, 0, True)
    (tmp_path / "pnc.toml").write_text(to_toml(read), "utf-8")
    assert load({}, tmp_path).enrol == read.enrol


@pytest.mark.parametrize(
    "line",
    [
        "labels = [1]",
        'labels = [{ca = "cpo"}]',
        'labels = [{name = "a b"}]',
        'labels = [{name = "a", ca = "xyz"}]',
        'labels = [{name = "a", edition = 2}]',
        'labels = [{name = "a", columns = 65}]',
        'labels = [{name = "a", colour = "red"}]',
        'trusted_header = "Client-Cert"',
        'trusted_proxies = ["nowhere"]',
    ],
)
def test_a_fault_in_the_settings_of_est_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "pnc.toml").write_text(f"[est]\n{line}\n", "utf-8")
    with pytest.raises(BadInput) as raised:
        load({}, tmp_path)
    assert "est." in str(raised.value.data["faults"])


def test_rules_of_enrolment_survive_being_written_and_read(tmp_path: Path) -> None:
    text = (
        '[enrol]\nrequire_registration = true\napproval = ["station", "csms"]\n'
        'tenants = [{party = "DECPA", csms_domains = ["Example.com"], registration = false}]\n'
    )
    (tmp_path / "pnc.toml").write_text(text, "utf-8")
    first = load({}, tmp_path)
    rules = first.enrolment
    assert (rules.registers("DECPA"), rules.registers("DECPB")) == (False, True)
    assert rules.approval == {Kind.STATION, Kind.CSMS}
    assert rules.may_name("DECPA", HostName.parse("csms.example.com"))
    assert not rules.may_name("DECPB", HostName.parse("csms.example.com"))
    (tmp_path / "pnc.toml").write_text(to_toml(first), "utf-8")
    assert load({}, tmp_path) == first


@pytest.mark.parametrize(
    "line",
    [
        'approval = ["v2g_root"]',
        "approval = [5]",
        "tenants = [5]",
        "tenants = [{party = 5}]",
        "tenants = [{party = 'a\"b'}]",
        'tenants = [{party = "DECPA", colour = "red"}]',
        'tenants = [{party = "DECPA", csms_domains = ["com"]}]',
        'tenants = [{party = "DECPA", reuse_keys = "yes"}]',
        "require_registration = 1",
    ],
)
def test_a_fault_in_the_settings_of_enrolment_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "pnc.toml").write_text(f"[enrol]\n{line}\n", "utf-8")
    with pytest.raises(BadInput) as raised:
        load({}, tmp_path)
    assert "enrol." in str(raised.value.data["faults"])
