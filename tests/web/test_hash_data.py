"""Hash data as OCPP writes them, and as one deployed station stack does where that is allowed."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki.pkix.certificate import load
from pki.pkix.hashes import issuer_hashes
from pki.services import Services
from pki.settings import FILE_NAME
from tests.web.calling import Caller, short, token
from tests.web.conftest import installation, tokens
from web.app import create_app
from web.checks import hash_data

ALGORITHMS = {"SHA256": 32, "SHA384": 48, "SHA512": 64}
ACCEPTED = {"idTokenInfo": {"status": "Accepted"}, "certificateStatus": "Accepted"}
REFUSED = {"idTokenInfo": {"status": "Invalid"}, "certificateStatus": "CertChainError"}


def _padded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode()


def _bare(octets: bytes) -> str:
    return _padded(octets).rstrip("=")


def _entry(
    running: Services, serial: int, write: Callable[[bytes], str], algorithm: str, *, decimal: bool
) -> dict[str, str]:
    """What a station computes for a contract certificate of ours."""
    with running.deployment.store.read() as tx:
        issuer = tx.issuers.active("mo2-2")
    assert issuer is not None
    name, key = issuer_hashes(load(issuer.certificate), algorithm.lower())
    return {
        "hashAlgorithm": algorithm,
        "issuerNameHash": write(name),
        "issuerKeyHash": write(key),
        "serialNumber": str(serial) if decimal else f"{serial:x}",
        "responderURL": "http://192.0.2.1/",
    }


def _ask(caller: Caller, entry: dict[str, str]) -> Any:
    body = {"idToken": token(), "iso15118CertificateHashData": [entry]}
    return caller.authorize(body, version="2.1").json


@pytest.fixture
def switched_on(running: Services, caller: Caller) -> Caller:
    """The same installation, where the operator switched the variant on."""
    home = running.settings.home
    (home / FILE_NAME).write_text("[ocpp]\nbase64url_hash_data = true\n", "utf-8")
    return Caller(create_app(installation(home)), caller.tokens)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("write", [_padded, _bare])
def test_the_variant_is_understood_only_where_it_is_switched_on(
    running: Services,
    caller: Caller,
    switched_on: Caller,
    write: Callable[[bytes], str],
    algorithm: str,
) -> None:
    serial = int(caller.issue()["serialNumber"], 16)
    entry = _entry(running, serial, write, algorithm, decimal=True)
    assert _ask(caller, entry) == REFUSED
    assert _ask(switched_on, entry) == ACCEPTED
    assert switched_on.tokens == tokens(running.settings.home)


def test_what_ocpp_asks_for_is_understood_either_way(
    running: Services, caller: Caller, switched_on: Caller
) -> None:
    serial = int(caller.issue()["serialNumber"], 16)
    entry = _entry(running, serial, bytes.hex, "SHA256", decimal=False)
    assert _ask(caller, entry) == _ask(switched_on, entry) == ACCEPTED
    decimal = entry | {"serialNumber": str(serial)}
    assert _ask(caller, decimal) == _ask(switched_on, decimal) == REFUSED


def test_a_station_asks_for_a_status_in_the_variant_too(
    running: Services, caller: Caller, switched_on: Caller
) -> None:
    running.view.follow()
    serial = int(caller.issue()["serialNumber"], 16)
    entry = _entry(running, serial, _padded, "SHA256", decimal=True)
    body = {"ocspRequestData": entry}

    def status(asked: Caller) -> str:
        answer = asked.post("/ocpp/2.0.1/GetCertificateStatus", body, role="cpo").json
        return str((answer or {})["status"])

    assert (status(caller), status(switched_on)) == ("Failed", "Accepted")


def test_our_own_api_is_hexadecimal_whatever_stations_send(
    running: Services, caller: Caller, switched_on: Caller
) -> None:
    serial = int(caller.issue()["serialNumber"], 16)
    body = {"certificateHashData": [_entry(running, serial, _padded, "SHA256", decimal=True)]}
    answer = switched_on.post("/v1/contracts/validate", body, role="cpo")
    assert (answer.status_code, (answer.json or {})["code"]) == (400, "invalid_hash_data")


HASH = bytes(range(32))
GOOD = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": _padded(HASH),
    "issuerKeyHash": _padded(HASH),
    "serialNumber": "31",
}


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuerNameHash": HASH.hex()},
        {"issuerKeyHash": _padded(HASH)[:-2]},
        {"issuerKeyHash": _padded(HASH + b"x")},
        {"issuerKeyHash": base64.b64encode(b"\xff" * 32).decode()},
        {"issuerKeyHash": " " + _padded(HASH)},
        {"issuerKeyHash": "ü" * 43},
        {"hashAlgorithm": "SHA384"},
        {"serialNumber": "1f"},
        {"serialNumber": "-31"},
        {"serialNumber": "0"},
        {"serialNumber": "٣١"},
        {"serialNumber": "9" * 50},
        {"serialNumber": str(1 << 160)},
        {"serialNumber": ""},
    ],
    ids=short,
)
def test_what_is_neither_form_names_nothing(wrong: dict[str, str]) -> None:
    found = hash_data(GOOD, variant=True)
    assert found is not None
    assert (found.issuer_name_hash, found.serial.as_int) == (HASH, 31)
    assert hash_data(GOOD | wrong, variant=True) is None


@given(
    algorithm=st.sampled_from(sorted(ALGORITHMS)),
    octets=st.binary(min_size=64, max_size=64),
    serial=st.integers(1, (1 << 159) - 1),
)
def test_no_hash_data_can_be_read_both_ways(algorithm: str, octets: bytes, serial: int) -> None:
    digest = octets[: ALGORITHMS[algorithm]]
    plain = {"hashAlgorithm": algorithm, "issuerNameHash": digest.hex(),
             "issuerKeyHash": digest.hex(), "serialNumber": f"{serial:x}"}  # fmt: skip
    other = {"hashAlgorithm": algorithm, "issuerNameHash": _bare(digest),
             "issuerKeyHash": _padded(digest), "serialNumber": str(serial)}  # fmt: skip
    assert hash_data(plain) == hash_data(plain, variant=True) == hash_data(other, variant=True)
    assert hash_data(other) is None
