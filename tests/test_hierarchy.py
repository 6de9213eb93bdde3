"""Hierarchies: what a file may say, and what `pnc init` makes of it."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki import hierarchy, lookup
from pki.errors import BadInput, Conflict, Unavailable
from pki.model import IssuerState
from pki.pkix.certificate import load
from pki.pkix.path import Path as CertPath
from pki.pkix.path import find
from pki.pkix.profiles import Kind, all_profiles
from pki.pkix.suites import Suite
from pki.ports import Signer
from pki.services import Services
from tests.homes import ADMIN, MO_BRANCH, demo_plans, opened

DEMO, TLS = (
    (files("certs") / "hierarchies" / name).read_text("utf-8") for name in ("demo.toml", "tls.toml")
)


def _faults(text: str) -> str:
    with pytest.raises(BadInput) as caught:
        hierarchy.read(text)
    assert caught.value.code == "invalid_hierarchy"
    return caught.value.message


def test_the_demo_has_every_branch_for_every_suite() -> None:
    plans = hierarchy.read(DEMO)
    below = {plan.kind for plan in hierarchy.read(TLS)}
    assert below == {Kind.TLS_ROOT, Kind.TLS_SUB_CA}
    kinds = {p.kind for p in all_profiles() if p.ca} - below
    for suite in Suite:
        assert {plan.kind for plan in plans if plan.suite is suite} == kinds


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("[operator]", "[operators]"), "unknown table 'operators'"),
        (('country = "DE"', "country = 5"), "operator.country is no str"),
        (('suite = "p256"', 'suite = "rsa"'), "rsa"),
        (('kind = "v2g_root"', 'kind = "contract"'), "contract"),
        (('kind = "v2g_root"', 'kind = "v2groot"'), "v2groot"),
        (('kind = "v2g_root"', 'kind = "vehicle"'), "has no vehicle certificates"),
        (('kind = "v2g_root"', 'kind = "tls_root"'), "has no tls_root certificates"),
        (('parent = "v2g"', 'parent = "mo2"'), "needs a parent"),
        (('name = "cpo1"', 'name = "v2g"'), "stands twice"),
        (('name = "cpo1"', 'nome = "cpo1"'), "unknown key issuer.nome"),
        (('name = "mo"\n', 'name = "mo"\nparent = "v2g"\n'), "is a root and has a parent"),
        (("[[edition]]", "[[editions]]"), "unknown table"),
        (("[operator]", "[operator"), "not TOML"),
    ],
)
def test_names_what_is_wrong_in_a_file(change: tuple[str, str], fault: str) -> None:
    assert fault in _faults(DEMO.replace(*change))


@given(st.text(max_size=300))
def test_any_text_is_a_hierarchy_or_a_named_fault(text: str) -> None:
    codes: list[str] = []
    try:
        hierarchy.read(text)
    except BadInput as error:
        codes.append(error.code)
    assert codes in ([], ["invalid_hierarchy"])


def test_every_ca_verifies_and_roots_are_trusted(full: Services) -> None:
    issuers = lookup.issuers(full.deployment)
    with full.deployment.store.read() as tx:
        anchors = {anchor.der: anchor.domain for anchor in tx.trust.anchors()}
    certificates = {i.issuer_id: load(i.certificate) for i in issuers}
    roots = tuple(c for c in certificates.values() if c.der in anchors)
    assert len(roots) == 12
    tls = {i.name for i in issuers if i.kind in (Kind.TLS_ROOT, Kind.TLS_SUB_CA)}
    assert tls == {"tls-p256", "tls1-p256"}
    for issuer in issuers:
        if issuer.name == "tls1-p256":
            found = find(certificates[issuer.issuer_id], tuple(certificates.values()), roots)
            assert not isinstance(found, CertPath)  # no decision may end at the root of stations
            continue
        if issuer.parent_id is not None:
            found = find(certificates[issuer.issuer_id], tuple(certificates.values()), roots)
            assert isinstance(found, CertPath), issuer.name


def test_every_ca_but_private_roots_has_a_responder(full: Services) -> None:
    responders = lookup.search(full.deployment, ADMIN, kind=Kind.OCSP, limit=1000)
    issuers = [i for i in lookup.issuers(full.deployment) if i.kind is not Kind.PE_ROOT]
    assert {r.issuer_id for r in responders} == {i.issuer_id for i in issuers}
    for record in responders:
        certificate = load(record.der)
        assert certificate.extended_key_usage == ("1.3.6.1.5.5.7.3.9",)
        assert full.deployment.keys.signer(f"ocsp.{record.issuer_id}.1")


def test_the_projected_installation_message_fits_ocpp(full: Services) -> None:
    """Six certificates and 794 octets of frame stay within 4,200 (spec 5.8)."""
    from pki.issue import IssueRequest, issue  # noqa: PLC0415

    contract = issue(
        full.deployment, ADMIN, IssueRequest(kind=Kind.CONTRACT, common_name="DEMOAC12345678")
    )
    cps = issue(full.deployment, ADMIN, IssueRequest(kind=Kind.CPS, common_name="Demo CPS"))
    assert sum(map(len, (*contract.chain, *cps.chain))) + 794 <= 4200


class _Failing:
    """Keys that stop working after so many were made."""

    def __init__(self, services: Services, left: int) -> None:
        self._keys, self._left = services.deployment.keys, left

    def create(self, label: str, suite: Suite) -> Signer:
        if self._left == 0:
            raise Unavailable("key_unavailable", "The token is gone.")
        self._left -= 1
        return self._keys.create(label, suite)

    def signer(self, label: str) -> Signer:
        return self._keys.signer(label)


@pytest.mark.parametrize("left", range(6))
def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path_factory: pytest.TempPathFactory, left: int
) -> None:
    home = tmp_path_factory.mktemp("home")
    plans = demo_plans(*MO_BRANCH)
    with opened(home) as services:
        services.database.migrate()
        broken = replace(services.deployment, keys=_Failing(services, left))
        with pytest.raises(Unavailable):
            hierarchy.create(broken, ADMIN, plans)
        made = hierarchy.create(services.deployment, ADMIN, plans)
        assert [item.issuer.state for item in made] == [IssuerState.ACTIVE] * 3
        assert len(lookup.search(services.deployment, ADMIN, kind=Kind.OCSP)) == 3
        assert lookup.intents(services.deployment, ADMIN) == []


def test_a_kept_key_is_never_replaced(small: Services) -> None:
    with pytest.raises(Conflict) as caught:
        small.deployment.keys.create("mo2-2.g1", Suite.P256)
    assert caught.value.code == "key_exists"


def test_a_hierarchy_may_ask_for_crl_addresses(tmp_path_factory: pytest.TempPathFactory) -> None:
    from pki.issue import IssueRequest, issue  # noqa: PLC0415
    from pki.parties import add_emsp  # noqa: PLC0415

    home = tmp_path_factory.mktemp("home")
    plans = [replace(p, crl_url=p.name == "mo2-2") for p in demo_plans(*MO_BRANCH)]
    with opened(home) as services:
        services.database.migrate()
        hierarchy.create(services.deployment, ADMIN, plans)
        add_emsp(services.deployment, ADMIN, "DEMOA", "Demo")
        request = IssueRequest(kind=Kind.CONTRACT, common_name="DEMOAC12345678")
        issued = issue(services.deployment, ADMIN, request)
    assert b"http://127.0.0.1:8080/crl/mo2-2" in issued.record.der
    assert b"/crl/" not in issued.chain[1]
