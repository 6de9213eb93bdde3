"""A whole PKI whose keys are in a token: it issues, answers, publishes and provisions."""

from __future__ import annotations

from pathlib import Path

import pytest

from pki import parties
from pki.errors import Unavailable
from pki.ids import Edition
from pki.issue import IssueRequest, issue
from pki.model import CertificateRecord, IntentState, Role
from pki.pkix.certificate import load
from pki.pkix.profiles import Kind
from pki.pkix.suites import Suite, verifies
from pki.provision import cps
from pki.provision.install import install
from pki.services import Services
from pki.settings import FILE_NAME
from pki.status import crls
from pki.status.policy import StatusPolicy
from tests.cli.test_cli import ok
from tests.homes import ADMIN, EMAID, MO_BRANCH, make_home, opened
from tests.provision import cars
from tests.provision.test_install import CPO, provide
from tests.status import hosts
from tests.tokens import SoftHsm


def _home(hsm: SoftHsm, directory: Path, **settings: str) -> Path:
    home = directory / "home"
    home.mkdir()
    (home / FILE_NAME).write_text(hsm.settings(hsm.token(), **settings))
    return home


def _files(home: Path) -> set[str]:
    return {path.name for path in (home / "keys").glob("*.pem")}


def _status(services: Services, record: CertificateRecord) -> None:
    """Have a responder answer, and the CA publish a CRL."""
    issuer = hosts.issuer_of(services, record.issuer_id)
    assert verifies(load(issuer.certificate).public_key, *_signed(record.der))
    assert hosts.ask(services, record) == hosts.GOOD
    assert hosts.ask(services, record, nonce=b"n" * 32) == hosts.GOOD
    crls.publish(services.deployment, ADMIN, issuer, 0, StatusPolicy())
    assert hosts.listed(services, record.issuer_id) == {}


def _signed(der: bytes) -> tuple[bytes, bytes]:
    certificate = load(der).x509
    return certificate.signature, certificate.tbs_certificate_bytes


PROVISIONING = ("v2g-2", "cps1-2", "cps2-2", "oem-2", "oem1-2", "oem2-2", *MO_BRANCH)


def test_issues_answers_publishes_and_provisions(soft_hsm: SoftHsm, tmp_path: Path) -> None:
    home = _home(soft_hsm, tmp_path)
    make_home(home, *PROVISIONING)
    with opened(home) as services:
        parties.add_party(services.deployment, ADMIN, Role.OEM, "WMI", "Demo Cars")
        cps.make(services.deployment, ADMIN)
        _status(services, hosts.issued(services))
        car = cars.deposited(services)
        provide(services)
        (answer,) = install(services.deployment, CPO, car.request(), Edition.ISO2).answers
        assert car.accept(answer.exi).emaid.value == EMAID
        assert not any("not in hardware" in warning for warning in services.warnings)
    assert _files(home) == set()


def test_works_beside_postgresql_with_responders_in_files(
    soft_hsm: SoftHsm, tmp_path: Path, postgres_url: str
) -> None:
    home = _home(soft_hsm, tmp_path, delegated="files")
    make_home(home, *MO_BRANCH, database_url=postgres_url)
    with opened(home, database_url=postgres_url) as services:
        _status(services, hosts.issued(services))
    assert {name.split(".")[0] for name in _files(home)} == {"ocsp"}


def test_the_suites_of_iso20_issue_from_a_token(soft_hsm: SoftHsm, tmp_path: Path) -> None:
    home = _home(soft_hsm, tmp_path)
    make_home(home, *(f"{name}-{e}" for e in ("20", "20e") for name in ("mo", "mo1", "mo2")))
    with opened(home) as services:
        for suite in (Suite.P521, Suite.ED448):
            request = IssueRequest(kind=Kind.CONTRACT, common_name=EMAID, suite=suite)
            _status(services, issue(services.deployment, ADMIN, request).record)


SMALL = """
[operator]
organization = "PnC Demo"
country = "DE"
[[edition]]
suffix = "2"
suite = "p256"
[[issuer]]
name = "mo"
kind = "mo_root"
common_name = "MO Root"
"""


def test_pnc_init_makes_a_hierarchy_in_a_token(soft_hsm: SoftHsm, tmp_path: Path) -> None:
    home = _home(soft_hsm, tmp_path)
    small = tmp_path / "small.toml"
    small.write_text(SMALL)
    for made in (["mo-2"], []):  # the second time the key is there
        assert ok(home, "init", "--hierarchy", str(small))["created"] == made
    assert _files(home) == set()


def test_a_token_that_is_away_issues_nothing_and_is_missed_by_nobody_later(
    soft_hsm: SoftHsm, tmp_path: Path
) -> None:
    """The order is refused with a name, leaves an intent that is listed, and can be repeated."""
    home = _home(soft_hsm, tmp_path)
    make_home(home, *MO_BRANCH)
    with opened(home) as services:
        away = tmp_path / "away"
        soft_hsm.tokens.rename(away)
        soft_hsm.tokens.mkdir()
        try:
            with pytest.raises(Unavailable) as caught:
                hosts.issued(services)
        finally:
            soft_hsm.tokens.rmdir()
            away.rename(soft_hsm.tokens)
        assert caught.value.code == "key_unavailable"
        with services.deployment.store.read() as tx:
            (orphan,) = tx.intents.unfinished()
        assert orphan.state is IntentState.SIGNING
        assert hosts.issued(services)
