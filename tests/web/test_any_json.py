"""Whatever JSON comes, the answer is a verdict or says what is wrong; never a fault of ours."""

from __future__ import annotations

import base64
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from pki import stations
from tests.web.calling import Caller, token

scalars = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=40)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
ENTRY = ("hashAlgorithm", "issuerNameHash", "issuerKeyHash", "serialNumber", "responderURL")
hash_data = st.lists(
    st.fixed_dictionaries(
        {
            "hashAlgorithm": st.sampled_from(["SHA256", "SHA384", "SHA512"]),
            **dict.fromkeys(ENTRY[1:], st.text("0123456789abcdefXÜ\x00", max_size=64)),
        }
    ),
    max_size=5,
)
armour = st.builds(
    "-----BEGIN {0}-----\n{1}\n-----END {0}-----\n".format,
    st.sampled_from(["CERTIFICATE", "X", "CERTIFICATE REQUEST"]),
    st.text(max_size=30) | st.binary(max_size=60).map(lambda b: base64.b64encode(b).decode()),
)
own = st.fixed_dictionaries(
    {},
    optional={
        "certificateChain": values | armour | st.lists(armour, max_size=12),
        "certificateHashData": values | hash_data,
        "emaid": values,
        "evseId": values,
        "edition": values | st.sampled_from(["2", "20"]),
    },
)
ocpp = st.fixed_dictionaries(
    {"idToken": values | st.text(max_size=36).map(token)},
    optional={
        "certificate": values | armour,
        "iso15118CertificateHashData": values | hash_data,
        "customData": values,
    },
)
certificates = st.fixed_dictionaries(
    {"profile": values | st.sampled_from(["contract", "secc", "vehicle", "ocsp"])},
    optional={
        "csr": values | armour,
        "emaid": values,
        "commonName": values,
        "edition": st.sampled_from(["2", "20"]) | values,
        "party": values,
        "issuer": values,
        "notAfter": values,
    },
)
quick = settings(max_examples=60, deadline=None)


@quick
@given(body=values | own)
def test_validation_never_fails_by_our_fault(shared: Caller, body: Any) -> None:
    answer = shared.post("/v1/contracts/validate", body, role="cpo")
    assert answer.status_code in (200, 400, 415)


@quick
@given(body=values | ocpp, version=st.sampled_from(["2.0.1", "2.1"]))
def test_authorize_never_fails_by_our_fault(shared: Caller, body: Any, version: str) -> None:
    assert shared.authorize(body, version=version).status_code in (200, 400, 415)


@quick
@given(data=st.binary(max_size=200))
def test_octets_never_fail_by_our_fault(shared: Caller, data: bytes) -> None:
    for path in ("/v1/contracts/validate", "/ocpp/2.1/Authorize", "/v1/certificates"):
        assert shared.post(path, data=data, role="admin").status_code == 400


@quick
@given(body=values | certificates)
def test_issuance_never_fails_by_our_fault(shared: Caller, body: Any) -> None:
    answer = shared.post("/v1/certificates", body, role="admin")
    assert answer.status_code in (201, 400, 404, 409, 415, 422)


@quick
@given(reference=st.text(min_size=1, max_size=80), body=values)
def test_revocation_never_fails_by_our_fault(shared: Caller, reference: str, body: Any) -> None:
    path = (
        "/v1/certificates/" + "".join(f"%{octet:02x}" for octet in reference.encode()) + "/revoke"
    )
    assert shared.post(path, body, role="admin").status_code in (400, 404, 415)


signing = st.fixed_dictionaries(
    {"csr": values | armour},
    optional={
        "certificateType": values | st.sampled_from(["V2GCertificate", "V2G20Certificate"]),
        "requestId": values,
        "hashRootCertificate": values | hash_data.map(lambda items: items[0] if items else {}),
    },
)
asking = st.fixed_dictionaries(
    {"station": values, "action": values | st.sampled_from(stations.ACTIONS), "payload": values},
    optional={"version": values, "operator": values, "lifeSeconds": values},
)
carrying = st.fixed_dictionaries(
    {"vendorId": values | st.just(stations.VENDOR)},
    optional={
        "messageId": values | st.sampled_from(["Authorize", "SignCertificate", "Reset"]),
        "data": values | (values | signing).map(lambda item: orjson.dumps(item).decode()),
    },
)
entity = st.fixed_dictionaries(
    {"commonName": values | st.just("DECPAE1")},
    optional={"evseID": values | st.lists(st.text(max_size=12)), "evseISOversion": values},
)


@quick
@given(body=values | signing, version=st.sampled_from(["2.0.1", "2.1"]))
def test_sign_certificate_never_fails_by_our_fault(shared: Caller, body: Any, version: str) -> None:
    headers = {"X-Station-Id": "cs"}
    path = f"/ocpp/{version}/SignCertificate"
    answer = shared.post(path, body, role="cpo", headers=headers)
    assert answer.status_code in (200, 400, 415)


@quick
@given(body=values | carrying)
def test_data_transfer_never_fails_by_our_fault(shared: Caller, body: Any) -> None:
    headers = {"X-Station-Id": "cs"}
    answer = shared.post("/ocpp/1.6/DataTransfer", body, role="cpo", headers=headers)
    assert answer.status_code in (200, 400, 415)


@quick
@given(body=values | asking, told=values)
def test_messages_to_stations_never_fail_by_our_fault(shared: Caller, body: Any, told: Any) -> None:
    answer = shared.post("/ocpp/pending", body, role="cpo")
    assert answer.status_code in (201, 400, 403, 415, 422)
    message = (answer.json or {}).get("id", "none")
    result = shared.post(f"/ocpp/pending/{message}/result", told, role="cpo")
    assert result.status_code in (200, 400, 404, 409, 415)


@quick
@given(body=values | entity)
def test_registration_never_fails_by_our_fault(shared: Caller, body: Any) -> None:
    answer = shared.call("PUT", "/v1/vra/cpo/endEntities", body=body, role="cpo")
    assert answer.status_code in (200, 400, 403)
