"""
Which route asks for which permission: every route of the app, with a request that gets so far.

A route that is not here fails the test of the matrix, so that nobody adds one unseen.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.access import Action
from pki.v2g import xml
from tests.builders import Spec, make
from tests.v2g.samples import installation_res
from tests.web.calling import csr

OPEN: Final = "open"
"""Everybody may call it: what it tells is public, or it asks for other credentials."""

ANYBODY: Final = "anybody"
"""Whoever has a token of ours may call it: what it tells is public."""

PARTNER: Final = "partner"
"""Asks for the token of an OCPI partner; ours are worth nothing there."""


@dataclass(frozen=True)
class Case:
    """
    A route and a request to it.

    Attributes:
        rule: as the app's map has it.
        asks: the permission, or one of the words above.
        path: of the request, where the rule has variables.
    """

    method: str
    rule: str
    asks: Action | str
    path: str = ""
    body: Any = None
    data: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """Return the path of the request."""
        return self.path or self.rule

    def __str__(self) -> str:
        return f"{self.method} {self.rule} {self.path}"


EMAID = "DEMOAC00000007"
UNKNOWN = "DEMOAC00000009"
"""No contract has it: who may not ask must not learn that from the answer."""

PCID = "WPN12345678901234"
ROOT = make(Spec(common_name="A Root")).certificate
PEM = ROOT.x509.public_bytes(Encoding.PEM).decode()
FINGERPRINT = ROOT.fingerprint.value
B64 = base64.b64encode(ROOT.der).decode()
ID_TOKEN = {"idToken": EMAID, "type": "eMAID"}
NAMESPACE = "urn:iso:15118:2:2013:MsgDef"
HASHES = {
    "hashAlgorithm": "SHA256",
    "issuerNameHash": "00" * 32,
    "issuerKeyHash": "00" * 32,
    "serialNumber": "1f",
    "responderURL": "http://pki.example/ocsp",
}
SECC = "DECPAE1"


def _own() -> Iterator[Case]:
    """Our own interface."""
    for path in ("/healthz/live", "/healthz/ready", "/docs", "/openapi.json", "/v1/issuers"):
        yield Case("GET", path, OPEN)
    yield Case("GET", "/metrics", Action.READ_METRICS)
    for profile, action, name in (
        ("secc", Action.ISSUE_SECC, SECC),
        ("contract", Action.ISSUE_CONTRACT, EMAID),
        ("oem", Action.ISSUE_OEM, PCID),
        ("cps", Action.ISSUE_CPS, "DEMO-CPS"),
        ("ocsp", Action.ISSUE_OCSP, "x"),
    ):
        body = {"profile": profile, "csr": csr(name), "commonName": name, "party": "DEMO-CPS"}
        yield Case("POST", "/v1/certificates", action, body=body)
    yield Case("GET", "/v1/certificates", Action.READ_CERTIFICATES)
    yield Case("GET", "/v1/certificates/expiring", Action.READ_CERTIFICATES)
    one = "/v1/certificates/<reference>"
    yield Case("GET", one, Action.READ_CERTIFICATES, "/v1/certificates/12")
    body = {"reason": "superseded"}
    yield Case("POST", f"{one}/revoke", Action.REVOKE, "/v1/certificates/12/revoke", body)
    yield Case("POST", f"{one}/release", Action.REVOKE, "/v1/certificates/12/release", {})
    body = {"emaid": EMAID}
    yield Case("POST", "/v1/contracts/validate", Action.VALIDATE, body=body)
    rule = "/v1/enrolments/<enrolment_id>"
    yield Case("GET", "/v1/enrolments", Action.READ_ENROLMENTS)
    for verb, body in (("accept", {}), ("reject", {"reason": "x"})):
        where = f"/v1/enrolments/e/{verb}"
        yield Case("POST", f"{rule}/{verb}", Action.ACCEPT_ENROLMENTS, where, body)
    rule = "/v1/vra/cpo/endEntities"
    yield Case("GET", rule, Action.READ_STATIONS)
    yield Case("PUT", rule, Action.KEEP_STATIONS, body={"commonName": SECC})
    yield Case("DELETE", f"{rule}/<name>", Action.KEEP_STATIONS, f"{rule}/{SECC}")
    yield Case("GET", "/v1/audit", Action.READ_AUDIT)
    yield Case("GET", "/v1/proposals", Action.READ_PROPOSALS)
    one = "/v1/proposals/<proposal_id>"
    yield Case("GET", one, Action.READ_PROPOSALS, "/v1/proposals/p")
    body = {"sha256": "00" * 32}
    yield Case("POST", f"{one}/accept", Action.APPROVE, "/v1/proposals/p/accept", body)
    for verb in ("reject", "run"):
        yield Case("POST", f"{one}/{verb}", Action.APPROVE, f"/v1/proposals/p/{verb}")


def _roaming() -> Iterator[Case]:
    """Contracts, agreements, companies, sessions, commands."""
    keep, read = Action.KEEP_ROAMING, Action.READ_ROAMING
    contract, path = "/v1/contracts/<emaid>", f"/v1/contracts/{UNKNOWN}"
    yield Case("GET", "/v1/contracts", Action.KEEP_CONTRACTS)
    yield Case("POST", "/v1/contracts", Action.KEEP_CONTRACTS, body={"emaid": EMAID})
    yield Case("GET", contract, Action.KEEP_CONTRACTS, path)
    yield Case("PATCH", contract, Action.KEEP_CONTRACTS, path, {"state": "blocked"})
    yield Case("GET", f"{contract}/credentials", Action.KEEP_CONTRACTS, f"{path}/credentials")
    body: dict[str, Any] = {"kind": "rfid", "uid": "04A23BC1"}
    where = f"{path}/credentials"
    yield Case("POST", f"{contract}/credentials", Action.KEEP_CONTRACTS, where, body)
    rule = f"{contract}/credentials/<kind>/<uid>"
    body = {"state": "blocked"}
    yield Case("PATCH", rule, Action.KEEP_CONTRACTS, f"{where}/rfid/04A23BC1", body)
    yield Case("GET", "/v1/emsps", read)
    yield Case("POST", "/v1/emsps", Action.KEEP_PARTIES, body={"providerId": "DEAAA", "name": "A"})
    body = {"whitelist": "ALWAYS"}
    yield Case("PATCH", "/v1/emsps/<provider>", Action.KEEP_EMSP, "/v1/emsps/DEMOA", body)
    yield Case("GET", "/v1/parties", read)
    body = {"partyId": "DEAAB", "role": "cpo", "name": "B"}
    yield Case("POST", "/v1/parties", Action.KEEP_PARTIES, body=body)
    rule, where = "/v1/parties/<role>/<party>", "/v1/parties/cpo/DECPA"
    yield Case("PATCH", rule, Action.KEEP_PARTIES, where, {"hub": "NLHUB"})
    yield Case("GET", "/v1/ranges", read)
    body = {"kind": "emaid", "prefix": "DEXYZ1", "party": "DEMOA"}
    yield Case("POST", "/v1/ranges", keep, body=body)
    yield Case("GET", "/v1/agreements", read)
    body = {"cpo": "DECPA", "emsp": "DEMOA"}
    yield Case("POST", "/v1/agreements", keep, body=body)
    headers = {"Content-Type": "text/csv"}
    yield Case("POST", "/v1/agreements/import", keep, data=b"x", headers=headers)
    rule = "/v1/agreements/<agreement>"
    yield Case("GET", rule, read, "/v1/agreements/a")
    yield Case(
        "PATCH", rule, keep, "/v1/agreements/a", {"version": 1, "cpo": "DECPA", "emsp": "DEMOA"}
    )
    yield Case("POST", f"{rule}/withdraw", keep, "/v1/agreements/a/withdraw", {})
    yield Case("GET", "/v1/sessions", read)
    yield Case("GET", "/v1/commands", Action.ANSWER_COMMANDS)
    body = {"command": "START_SESSION", "cpo": "DECPA", "uid": EMAID, "locationId": "l"}
    yield Case("POST", "/v1/commands", Action.SEND_COMMANDS, body=body)
    rule = "/v1/commands/<command_id>"
    yield Case("GET", rule, Action.SEND_COMMANDS, "/v1/commands/c")
    body = {"result": "ACCEPTED"}
    yield Case("POST", f"{rule}/result", Action.ANSWER_COMMANDS, "/v1/commands/c/result", body)


def _ocpp() -> Iterator[Case]:
    """What a CSMS asks for its stations."""
    for version in ("2.0.1", "2.1"):
        where = f"/ocpp/{version}"
        yield Case("POST", f"{where}/Authorize", Action.AUTHORIZE, body={"idToken": ID_TOKEN})
        body: dict[str, Any] = {
            "iso15118SchemaVersion": NAMESPACE,
            "action": "Install",
            "exiRequest": "AAAA",
        }
        yield Case("POST", f"{where}/Get15118EVCertificate", Action.INSTALL, body=body)
        body = {"ocspRequestData": HASHES}
        yield Case("POST", f"{where}/GetCertificateStatus", Action.AUTHORIZE, body=body)
        body = {"csr": csr(SECC)}
        headers = {"X-Station-Id": "s1"}
        rule = f"{where}/SignCertificate"
        yield Case("POST", rule, Action.KEEP_STATIONS, body=body, headers=headers)
        body = {
            "eventType": "Started",
            "timestamp": "2026-06-01T12:00:00Z",
            "triggerReason": "Authorized",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "t"},
            "idToken": ID_TOKEN,
        }
        rule = f"{where}/TransactionEvent"
        yield Case("POST", rule, Action.AUTHORIZE, body=body, headers=headers)
    hashes = {name: value for name, value in HASHES.items() if name != "responderURL"}
    asked = {"certificateHashData": hashes, "source": "OCSP", "urls": ["http://x.example"]}
    body = {"certificateStatusRequests": [asked]}
    yield Case("POST", "/ocpp/2.1/GetCertificateChainStatus", Action.AUTHORIZE, body=body)
    body = {"vendorId": "org.openchargealliance.iso15118pnc", "messageId": "Authorize"}
    body["data"] = '{"idToken":"%s"}' % EMAID  # noqa: UP031 - braces
    yield Case("POST", "/ocpp/1.6/DataTransfer", Action.AUTHORIZE, body=body)
    yield Case("GET", "/ocpp/pending", Action.READ_STATIONS)
    body = {"station": "s1", "action": "TriggerMessage", "operator": "DECPA", "payload": {}}
    body["payload"] = {"requestedMessage": "SignV2GCertificate"}
    yield Case("POST", "/ocpp/pending", Action.KEEP_STATIONS, body=body)
    rule = "/ocpp/pending/<message_id>"
    yield Case("GET", rule, Action.READ_STATIONS, "/ocpp/pending/m")
    yield Case("POST", f"{rule}/result", Action.READ_STATIONS, "/ocpp/pending/m/result", {})
    body = {"idToken": EMAID, "idTokenType": "eMAID"}
    yield Case("POST", "/citrineos/realtime", Action.AUTHORIZE, body=body)


def _public() -> Iterator[Case]:
    """Status, CA files, keys: for relying parties, who have no token."""
    yield Case("GET", "/.well-known/jwks.json", OPEN)
    yield Case("POST", "/oauth/token", OPEN, data=b"")
    yield Case("GET", "/ca/<issuer>", OPEN, "/ca/mo2-2")
    yield Case("GET", "/crl/<issuer>", OPEN, "/crl/mo2-2")
    yield Case("GET", "/crl/<issuer>/<int:shard>", OPEN, "/crl/mo2-2/0")
    for method in ("GET", "POST"):
        yield Case(method, "/ocsp", OPEN)
    yield Case("GET", "/ocsp/<path:request>", OPEN, "/ocsp/AAAA")


def _pools() -> Iterator[Case]:
    """OPCP, OPNC, webhooks, and contracts in an envelope of OCPI."""
    yield from _roots_and_cars()
    yield from _contracts()
    for rule in ("/v1/webhook", "/opnc/v1/event"):
        keep = Action.KEEP_WEBHOOKS
        one, where = f"{rule}/endpoints/<webhook_id>", f"{rule}/endpoints/w"
        body = {"url": "https://hook.example/", "events": ["contract.created"]}
        yield Case("GET", f"{rule}/endpoints", keep)
        yield Case("POST", f"{rule}/endpoints", keep, body=body)
        yield Case("GET", one, keep, where)
        yield Case("PUT", one, keep, where, body)
        yield Case("DELETE", one, keep, where)
    rule = "/v1/webhook/endpoints/<webhook_id>/deliveries"
    yield Case("GET", rule, Action.KEEP_WEBHOOKS, "/v1/webhook/endpoints/w/deliveries")
    rule = "/v1/webhook/deliveries/<delivery_id>/redeliver"
    yield Case("POST", rule, Action.KEEP_WEBHOOKS, "/v1/webhook/deliveries/d/redeliver")


def _roots_and_cars() -> Iterator[Case]:
    body: dict[str, Any] = {
        "caCertificate": PEM,
        "rootType": "V2G",
        "confirmFingerprint": "00" * 32,
    }
    for roots in ("/v1/root/rootCerts", "/opnc/v1/rcp/rootcertificates"):
        yield Case("GET", roots, Action.READ_ROOTS)
        yield Case("PUT", roots, Action.KEEP_TRUST, body=body)
        yield Case("GET", f"{roots}/<root_id>", Action.READ_ROOTS, f"{roots}/r")
        yield Case("DELETE", f"{roots}/<root_id>", Action.KEEP_TRUST, f"{roots}/r")
    body = {"vehicleCertificate": B64, "xsdMsgDefNamespace": NAMESPACE}
    yield Case("PUT", "/v1/oem/provCerts", Action.KEEP_VEHICLES, body=body)
    body = {"provisioningCertificateChain": {"certificate": B64}}
    yield Case("PUT", "/opnc/v1/pcp/provisioningcertificates", Action.KEEP_VEHICLES, body=body)
    for cars in ("/v1/oem/provCerts", "/opnc/v1/pcp/provisioningcertificates"):
        yield Case("GET", f"{cars}/<pcid>", Action.READ_VEHICLES, f"{cars}/{PCID}")
        yield Case("DELETE", f"{cars}/<pcid>", Action.KEEP_VEHICLES, f"{cars}/{PCID}")
    for look in ("/v1/oem/provCerts/lookupVehicle", "/opnc/v1/pcp/lookupvehicle"):
        yield Case("GET", f"{look}/<pcid>", Action.READ_VEHICLES, f"{look}/{PCID}")


_KEYS = {
    "contractSignatureEncryptedPrivateKey": base64.b64encode(bytes(48)).decode(),
    "dHpublickey": base64.b64encode(bytes(65)).decode(),
}
_NAMED = {"emaid": EMAID, "pcid": PCID, "xsdMsgDefNamespace": NAMESPACE}


def _contracts() -> Iterator[Case]:
    sign, make_one, install = Action.SIGN_BUNDLE, Action.GENERATE_BUNDLE, Action.INSTALL
    data: dict[str, Any] = {"contractCertificate": B64} | _KEYS
    body: dict[str, Any] = _NAMED | {"contractData": data}
    yield Case("PUT", "/v1/cps/contractData/signed", sign, body=body)
    older = {"contractSignatureCertChain": {"contractSignatureCertChainCertificate": B64}} | _KEYS
    body = _NAMED | {"contractData": older}
    yield Case("PUT", "/v1/cps/signedContractData", sign, body=body)
    yield Case("PUT", "/v1/cps/forward/signedContractData", sign, body=body)
    bundle = {"contractCertificateChain": {"certificate": B64}} | _KEYS | _NAMED
    del bundle["xsdMsgDefNamespace"]
    body = {"contractCertificateBundle": bundle, "xsdMsgDefNamespace": NAMESPACE}
    yield Case("PUT", "/opnc/v1/cps/contractData/sign", sign, body=body)
    body = _NAMED | {"contractEnds": "2026-12-01"}
    yield Case("PUT", "/v1/cps/generate/signedContractData", make_one, body=body)
    yield Case("PUT", "/opnc/v1/cps/contractData/generateandsign", make_one, body=body)
    for signers in ("/cps/signer", "/opnc/v1/cps/cpsCertificates"):
        yield Case("GET", signers, Action.READ_CPS)
    body = {"certificateInstallationReq": "AAAA", "xsdMsgDefNamespace": NAMESPACE}
    opcp, opnc = "/v1/ccp/signedContractData", "/opnc/v1/ccp/signedcontractdata"
    for rule in (opcp, opnc):
        yield Case("POST", rule, install, body=body)
    body = _NAMED | {"certificateInstallationRes": "AAAA"}
    yield Case("PUT", opnc, Action.STORE_BUNDLE, body=body)
    body = _NAMED | {
        "signedContractDataXML": base64.b64encode(xml.write(installation_res())).decode()
    }
    yield Case("PUT", opcp, Action.STORE_BUNDLE, body=body)
    yield Case("GET", f"{opcp}/<reference>", Action.READ_OWN_CAR, f"{opcp}/{PCID}")
    yield Case("DELETE", f"{opcp}/<reference>", Action.KEEP_BUNDLES, f"{opcp}/{UNKNOWN}")
    yield Case("DELETE", f"{opnc}/<emaid>", Action.KEEP_BUNDLES, f"{opnc}/{UNKNOWN}")
    where = "/v1/ccp/lookupContract"
    yield Case("GET", f"{where}/<emaid>", Action.READ_BUNDLES, f"{where}/{UNKNOWN}")
    where = "/opnc/v1/ccp/contractData"
    yield Case("GET", f"{where}/emaid/<emaid>", Action.READ_BUNDLES, f"{where}/emaid/{UNKNOWN}")
    yield Case("GET", f"{where}/pcid/<pcid>", Action.READ_OWN_CAR, f"{where}/pcid/{PCID}")
    for where in ("/v1/ccp/provideSignedContractData", opnc):
        rule = f"{where}/<emaid>/<pcid>"
        yield Case("GET", rule, Action.READ_OWN_CAR, f"{where}/{UNKNOWN}/{PCID}")
    keep = Action.READ_OWN_CAR
    rule = f"{opcp}/<pcid>/<emaid>/default"
    yield Case("POST", rule, keep, f"{opcp}/{PCID}/{UNKNOWN}/default")
    rule = f"{opnc}/<emaid>/<pcid>/setdefault"
    yield Case("POST", rule, keep, f"{opnc}/{UNKNOWN}/{PCID}/setdefault")
    rule = f"{opcp}/priorities/<emaid>/<pcid>"
    yield Case("PUT", rule, keep, f"{opcp}/priorities/{UNKNOWN}/{PCID}?priority=1")
    body = {"certificate": B64, "revocationReason": "superseded"}
    yield Case("POST", "/opnc/v1/pki/revokeCertificate", Action.REVOKE, body=body)
    body = {"exiRequest": "AAAA", "15118SchemaVersion": NAMESPACE}
    yield Case("POST", "/ocpi/contracts/exi", install, body=body)


_EST_KINDS = {
    "cpo": (Action.ISSUE_SECC, SECC),
    "mo": (Action.ISSUE_CONTRACT, EMAID),
    "oem": (Action.ISSUE_OEM, PCID),
}
_EST_RULES = (
    "/.well-known/<ca>/{}",
    "/.well-known/<ca>/{}/<iso>",
    "/.well-known/<ca>/{}/<iso>/<algorithm>",
    "/.well-known/est/<ca>/{}/<iso>",
    "/.well-known/est/<ca>/{}/<iso>/<algorithm>",
    "/.well-known/est/<label>/{}",
    "/.well-known/est/{}",
    "/<ca>/{}",
    "/<ca>/{}/<iso>",
    "/<ca>/{}/<iso>/<algorithm>",
    "/<label>/.well-known/est/{}",
    "/opnc/v1/pki/est/{}",
)


def _est() -> Iterator[Case]:
    """EST in every form of path; what may be enrolled says the branch."""
    for verb in ("cacerts", "csrattrs"):
        yield Case("GET", f"/.well-known/est/{verb}", OPEN)
    for verb in ("simpleenroll", "simplereenroll"):  # the branch is that of the caller's role
        yield Case("POST", f"/.well-known/est/{verb}", OPEN, data=b"")
    for form in _EST_RULES:
        for branch, (action, name) in _EST_KINDS.items():
            path = _est_path(form, branch)
            if path is None:
                continue
            for verb in ("cacerts", "csrattrs"):
                where = path.format(verb)
                yield Case("GET", form.format(verb), OPEN, where)
            der = x509.load_pem_x509_csr(csr(name).encode()).public_bytes(Encoding.DER)
            for verb in ("simpleenroll", "simplereenroll"):
                where = path.format(verb)
                asks = action if verb == "simpleenroll" else OPEN
                headers = {"Content-Type": "application/pkcs10"}
                data = base64.b64encode(der)
                yield Case("POST", form.format(verb), asks, where, data=data, headers=headers)


def _est_path(form: str, branch: str) -> str | None:
    if form.startswith("/opnc/"):
        return f"{form}?caDomain={branch}"
    if "<" not in form:
        return None
    path = form.replace("<ca>", branch).replace("<label>", branch)
    return path.replace("<iso>", "ISO15118-2").replace("<algorithm>", "secp256r1")


def cases() -> list[Case]:
    """Return every route once at least."""
    return [*_own(), *_roaming(), *_ocpp(), *_public(), *_pools(), *_est()]
