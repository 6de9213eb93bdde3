"""Every vector, and the one message that a real provisioning service signed."""

from __future__ import annotations

import base64
import json
from collections import Counter
from pathlib import Path

import pytest
from cryptography import x509

from pki.ids import Edition
from pki.v2g import messages
from pki.v2g.messages import iso2
from pki.v2g.signature import Bits, verify
from scripts.judges_exi import judge


def test_every_vector_passes(vectors: Path) -> None:
    cases = list(judge(vectors / "exi"))
    assert [case for case in cases if case[1] != "passed"] == []
    assert len(cases) >= 192 + 15 + 66 + 34


@pytest.mark.parametrize("change", ["message", "exi_hex"])
def test_the_judge_notices_a_wrong_vector(vectors: Path, tmp_path: Path, change: str) -> None:
    name = "iso2-doc-authorization-req-002"
    case = json.loads((vectors / f"exi/iso2-doc-authorization-req/{name}.json").read_text())
    if change == "message":
        case["message"]["V2G_Message"]["Header"]["SessionID"] = "00"
    else:
        case["exi_hex"] = case["exi_hex"][:-2]
    (tmp_path / "case.json").write_text(json.dumps(case))
    assert Counter(result for _, result, _ in judge(tmp_path)) == {"failed": 1}


def test_the_judge_skips_a_schema_it_does_not_know(tmp_path: Path) -> None:
    case = {"id": "x", "schema": "urn:din:70121:2012:MsgDef", "mode": "document", "exi_hex": "80"}
    (tmp_path / "case.json").write_text(json.dumps(case))
    assert [result for _, result, _ in judge(tmp_path)] == ["skipped"]


def test_a_real_response_verifies_and_encodes_identically(vectors: Path) -> None:
    data = (vectors / "realworld/certificate_installation_res.exi").read_bytes()
    received = messages.decode(data, Edition.ISO2)
    message = received.message
    assert isinstance(message, iso2.CertificateInstallationRes)
    assert message.emaid.value == "DEICECOPNCCERT"
    assert messages.encode(message) == data
    assert messages.schema_faults(message) == ()
    cps = x509.load_der_x509_certificate(message.provisioning_chain.certificate)
    verified = verify(received, cps.public_key())
    assert verified.digests == {
        "ContractSignatureCertChain": Bits.WIRE,
        "ContractSignatureEncryptedPrivateKey": Bits.WIRE,
        "DHpublickey": Bits.WIRE,
        "eMAID": Bits.CANONICAL,
    }
    assert message.header.signature is not None
    digests = {
        reference.uri: base64.b64encode(reference.digest).decode()
        for reference in message.header.signature.signed_info.references
    }
    assert digests == {
        "#ID1": "p0oVEWBy9Os49uoIeQwUAaapfZ1/FxlUDQd7RHuDHNI=",
        "#ID2": "yKQT8VBbzizau+Zkgbdure8Qze0eLeuRjhzb1rs/q0g=",
        "#ID3": "pS1b+lLIuAdXbPFYRXFOby/lggzIyWrS86CtVzNmeC8=",
        "#ID4": "W9hJJIoveKdKDKBs4G2B7zhexSyl9OGlIbnSxnPmm60=",
    }
