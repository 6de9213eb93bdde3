"""
Judges of the message layer, for any folder in the format of `shared/vectors/exi`.

Streams are files with `exi_hex`, signed exchanges are folders with `scenario.json`; both are found
at any depth. A response is judged as a car judges it: signature, session, response code, key.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pki.errors import BadInput
from pki.ids import Edition, Pcid
from pki.v2g import exi, messages
from pki.v2g.envelope import Binding, Envelope, open_iso2, open_iso20
from pki.v2g.messages import Received, iso2, iso20
from pki.v2g.signature import Bits, SignatureFault, verify
from pki.v2g.suites import ED448, P256, P521

Result = Literal["passed", "failed", "skipped"]
Case = tuple[str, Result, str]
"""Id, result, and what was seen."""

TIME_LIMIT: Final = 5.0
"""Seconds that one case may take."""
SCHEMAS: Final = {schema.namespace: schema for schema in (exi.ISO2, exi.ISO20, exi.XMLDSIG)}
EDITIONS: Final = {exi.ISO2.namespace: Edition.ISO2, exi.ISO20.namespace: Edition.ISO20}
EVERY_SUITE: Final = frozenset({P256, P521, ED448})
REQUEST_FAULTS: Final = {
    "signature missing": "signature_missing",
    "digest mismatch": "signature_digest",
    "signature value wrong": "signature_value",
    "signature value malformed": "signature_value_malformed",
    "signed element not referenced": "signature_element_unreferenced",
    "reference not a same-document fragment": "signature_reference_external",
    "reference to an element that is not there": "signature_reference_unknown",
    "algorithm outside the profile": "signature_algorithm",
    "policy": "signature_",
}
"""What a scenario says of a bad request, and how our code for it begins."""
RESPONSE_FAULTS: Final = {
    "Signature verification": "signature_",
    "session ID": "session",
    "Negative response code": "response_code",
    "the decrypted private key": "envelope_key",
}


def judge(folder: Path) -> Iterator[Case]:
    """Judge every case below a folder."""
    for file in sorted(folder.rglob("*.json")):
        if file.name == "scenario.json":
            yield from _scenario(file.parent)
            continue
        document = json.loads(file.read_text("utf-8"))
        if isinstance(document, dict) and "exi_hex" in document:
            yield _timed(document["id"], _stream, document)


def _timed(case: str, check: Callable[[Any], str | None], argument: object) -> Case:
    """Run one check: None passes, a text fails; anything raised fails too."""
    begun = time.monotonic()
    try:
        seen = check(argument)
    except NotImplementedError as error:
        return case, "skipped", str(error)
    except Exception as error:  # noqa: BLE001 - anything else is what these vectors look for
        seen = f"{type(error).__name__}: {error}"
    if time.monotonic() - begun > TIME_LIMIT:
        seen = "took more than 5 seconds"
    return case, "passed" if seen is None else "failed", seen or ""


# --- streams -------------------------------------------------------------------------------------


def _stream(case: dict[str, Any]) -> str | None:
    if case["schema"] not in SCHEMAS:
        raise NotImplementedError(case["schema"])
    data = bytes.fromhex(case["exi_hex"])
    if case.get("expected") in {"reject", "accept", "any", "policy"} and "root" not in case:
        return _malformed(case, data)
    seen = _read(case, data)
    if seen != case["message"]:
        return f"decoded to {json.dumps(seen)[:200]}"
    written = _write(case)
    if written != case.get("canonical_exi_hex", case["exi_hex"]) and not _alternative(
        case, written
    ):
        return f"encoded to {written[:200]}"
    if case["schema"] in EDITIONS and case["mode"] == "document":
        return _as_message(case, data, written)
    return None


def _read(case: dict[str, Any], data: bytes) -> dict[str, exi.Json]:
    decode = exi.decode_document if case["mode"] == "document" else exi.decode_fragment
    decoded = decode(SCHEMAS[case["schema"]], data)
    return {decoded.root: exi.to_json(decoded.tree)}


def _write(case: dict[str, Any]) -> str:
    schema = SCHEMAS[case["schema"]]
    document = case["mode"] == "document"
    root = schema.document if document else schema.fragment
    if root is None:
        raise NotImplementedError(f"documents of {schema.namespace}")
    ((name, content),) = case["message"].items()
    tree = exi.from_json(root.elements[name][1], content)
    encode = exi.encode_document if document else exi.encode_fragment
    return encode(schema, name, tree).hex()


def _alternative(case: dict[str, Any], written: str) -> bool:
    allowed = [other["exi_hex"] for other in case.get("alternatives", [])]
    return case.get("status") == "decode-only" and written in allowed


def _as_message(case: dict[str, Any], data: bytes, written: str) -> str | None:
    received = messages.decode(data, EDITIONS[case["schema"]])
    if messages.encode(received.message).hex() != written:
        return "the message encodes otherwise than its tree"
    if "signature verifies" in case["title"]:
        verify(received, _signer(received, case.get("signer_certificate")))
    return None


def _malformed(case: dict[str, Any], data: bytes) -> str | None:
    try:
        seen = _read(case, data)
        if case["mode"] == "document":
            messages.decode(data, EDITIONS[case["schema"]])
    except BadInput as error:
        refused = case["expected"] in {"reject", "any", "policy"}
        return None if refused else f"{error.code}: {error.message}"
    if case["expected"] == "reject":
        return "decoded"
    right = "message" not in case or seen == case["message"]
    return None if right else f"decoded to {json.dumps(seen)[:200]}"


def _signer(received: Received, given: str | None) -> object:
    """Return the key that must have signed, from where the message carries it."""
    match received.message:
        case _ if given is not None:
            der = base64.b64decode(given)
        case iso2.CertificateInstallationReq() as message:
            der = message.oem_certificate
        case iso2.CertificateInstallationRes() | iso2.CertificateUpdateRes() as message:
            der = message.provisioning_chain.certificate
        case iso2.CertificateUpdateReq() as message:
            der = message.contract_chain.certificate
        case iso20.CertificateInstallationReq() as message:
            der = message.oem_chain.certificate
        case iso20.CertificateInstallationRes() as message:
            der = message.cps_chain.certificate
        case iso20.AuthorizationReq(pnc=iso20.PncMode() as mode):
            der = mode.contract_chain.certificate
        case _:
            raise NotImplementedError("nobody to have signed")
    return x509.load_der_x509_certificate(der).public_key()


# --- signed exchanges ----------------------------------------------------------------------------


def _scenario(folder: Path) -> Iterator[Case]:
    scenario = json.loads((folder / "scenario.json").read_text("utf-8"))
    exchange = _Exchange(folder, scenario)
    for file, entry in scenario.get("requests", {}).items():
        yield _timed(_id(folder, file), exchange.request, (file, entry["expected"]))
    if "request" in scenario:
        case = (scenario["request"], scenario["request_expected"])
        yield _timed(_id(folder, case[0]), exchange.request, case)
    if "response" in scenario:
        case = (scenario["response"], "")
        yield _timed(_id(folder, case[0]), exchange.response, case)
    for case in scenario.get("refused_responses", {}).items():
        yield _timed(_id(folder, case[0]), exchange.response, case)


def _id(folder: Path, file: str) -> str:
    return f"signed/{folder.name}/{file}"


class _Exchange:
    """One scenario: its files, and the car that takes part."""

    def __init__(self, folder: Path, scenario: dict[str, Any]) -> None:
        self._folder = folder
        self._scenario = scenario
        self._update = scenario["action"] == "Update"
        second = scenario["standard"].endswith("-20")
        self._edition = Edition.ISO20 if second else Edition.ISO2

    def request(self, case: tuple[str, str]) -> str | None:
        file, expected = case
        received = self._received(file)
        key = self._public("mo_old" if self._update else "oem_leaf")
        try:
            verified = verify(received, key)
        except SignatureFault as fault:
            return self._refused_request(received, key, expected, fault)
        if not expected.startswith("valid"):
            return f"accepted, wanted {expected}"
        if "wire bits" in expected and set(verified.digests.values()) != {Bits.WIRE}:
            return "not verified over the wire bits"
        return self._same_as_stored(file, received)

    def _refused_request(
        self, received: Received, key: object, expected: str, fault: SignatureFault
    ) -> str | None:
        reason = expected.split(":", maxsplit=1)[0]
        if not fault.code.startswith(REQUEST_FAULTS.get(reason, "-")):
            return f"{fault.code}, wanted {expected}"
        if "cryptographically right" in expected:
            verify(received, key, EVERY_SUITE)
        return None

    def response(self, case: tuple[str, str]) -> str | None:
        file, refused = case
        received = self._received(file)
        fault = self._as_car(received)
        wanted = next((code for text, code in RESPONSE_FAULTS.items() if text in refused), "")
        if not fault.startswith(wanted) or bool(fault) != bool(refused):
            return f"{fault or 'accepted'}, wanted {refused or 'accepted'}"
        return None if refused else self._same_as_stored(file, received)

    def _as_car(self, received: Received) -> str:
        """Return why the car refuses, or nothing."""
        if received.message.header.session_id != bytes.fromhex(self._scenario["SessionID"]):
            return "session"
        match received.message:
            case iso2.CertificateInstallationRes() | iso2.CertificateUpdateRes() as message:
                negative = message.response_code.startswith("FAILED")
            case iso20.CertificateInstallationRes() as message:
                negative = message.response_code != "OK"
            case _:
                return "not a response"
        if negative:
            return "response_code"
        try:
            verify(received, self._public("cps_leaf"))
            self._open(received)
        except (SignatureFault, BadInput) as fault:
            return fault.code
        return ""

    def _open(self, received: Received) -> None:
        key = load_pem_private_key(
            (
                self._folder / "keys" / f"{'mo_old' if self._update else 'oem_leaf'}.pem"
            ).read_bytes(),
            None,
        )
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise NotImplementedError("X448 envelopes")
        match received.message:
            case iso2.CertificateInstallationRes() | iso2.CertificateUpdateRes() as message:
                sealed = Envelope(
                    encrypted_key=message.encrypted_key.value,
                    dh_public_key=message.dh_public_key.value,
                )
                open_iso2(sealed, key, _ec_key(message.contract_chain.certificate))
            case iso20.CertificateInstallationRes(installation_data=data):
                sealed = Envelope(
                    encrypted_key=data.secp521_key or b"", dh_public_key=data.dh_public_key
                )
                leaf = data.contract_chain.certificate
                open_iso20(sealed, key, _ec_key(leaf), self._binding(leaf))

    def _binding(self, leaf: bytes) -> Binding:
        extensions = x509.load_der_x509_certificate(leaf).extensions
        key_id = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
        return Binding(pcid=Pcid.parse(self._scenario["pcid"], Edition.ISO20), key_id=key_id)

    def _received(self, file: str) -> Received:
        data = base64.b64decode((self._folder / file).read_bytes())
        return messages.decode(data, self._edition)

    def _public(self, name: str) -> object:
        pem = (self._folder / "certs" / f"{name}.pem").read_bytes()
        return x509.load_pem_x509_certificate(pem).public_key()

    def _same_as_stored(self, file: str, received: Received) -> str | None:
        """Compare with the JSON form and the fragments that lie beside a stream."""
        stem = self._folder / file.removesuffix(".b64")
        stored = stem.with_suffix(".json")
        if stored.exists():
            seen = {received.stream.root: exi.to_json(received.stream.tree)}
            if seen != json.loads(stored.read_text("utf-8")):
                return "decoded to another message than is stored"
        fragments = stem.with_suffix(".fragments.json")
        if fragments.exists():
            return _same_fragments(json.loads(fragments.read_text("utf-8")), received)
        return None


def _ec_key(der: bytes) -> ec.EllipticCurvePublicKey:
    key = x509.load_der_x509_certificate(der).public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise NotImplementedError("X448 envelopes")
    return key


def _same_fragments(stored: dict[str, Any], received: Received) -> str | None:
    wire = exi.wire_fragment(exi.XMLDSIG, received.stream, "SignedInfo")
    if wire is None or wire.hex() != stored["signed_info_fragment_hex"]:
        return "SignedInfo as a fragment differs"
    schema = messages.schema_of(received.message)
    ours = {
        fragment.hex()
        for name in schema.fragment.elements
        if (fragment := exi.wire_fragment(schema, received.stream, name)) is not None
    }
    theirs = {element["fragment_hex"] for element in stored["signed_elements"]}
    # eMAID has another form as a fragment; its digest is what the signature check compared
    missing = {fragment for fragment in theirs - ours if not fragment.startswith("80ec")}
    return f"{len(missing)} fragments differ" if missing else None
