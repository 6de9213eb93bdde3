"""Streams: the published examples, what is refused, what is tolerated."""

from __future__ import annotations

import base64
import hashlib
import time
from typing import Any

import pytest

from pki.errors import BadInput
from pki.v2g import exi
from pki.v2g.exi.grammar import MAX_REPEATS

AUTHORIZATION = "80040152510c40829b7b6b2902930b73237b6902230ba309e8"
EMAID = "80ec0202b4b21ac00451114c505090d0cc4c8ccd0d4d8dce3d3d00"
INSTALLATION = "809802286cb0f5397d81c610502b4b21880800020406006434e3d520ac0210"


def fragment(name: str, tree: exi.Tree, schema: exi.Schema = exi.ISO2) -> str:
    data = exi.encode_fragment(schema, name, tree)
    assert exi.decode_fragment(schema, data).tree == tree
    return data.hex()


def refused(data: str | bytes, schema: exi.Schema = exi.ISO2, *, document: bool = True) -> str:
    octets = bytes.fromhex(data) if isinstance(data, str) else data
    with pytest.raises(BadInput) as caught:
        (exi.decode_document if document else exi.decode_fragment)(schema, octets)
    return caught.value.code


def bits(data: str) -> str:
    return f"{int(data, 16):0{4 * len(data)}b}"


def octets(text: str) -> bytes:
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8)


def test_the_authorization_of_the_standards_annex_has_its_published_digest() -> None:
    tree: exi.Tree = {"Id": "ID1", "GenChallenge": b"Some Random Data"}
    assert fragment("AuthorizationReq", tree) == AUTHORIZATION
    digest = hashlib.sha256(bytes.fromhex(AUTHORIZATION)).digest()
    assert base64.b64encode(digest) == b"0bXgPQBlvuVrMXmERTBR61TKGPwOCRYXT4s8d6mPSqk="


def test_an_emaid_as_a_fragment_follows_the_relaxed_grammar() -> None:
    assert fragment("eMAID", {"Id": "id5", "value": "DE1ABCC12345678"}) == EMAID


@pytest.mark.parametrize(
    ("name", "tree", "expected", "sha256"),
    [
        (
            "eMAID",
            {"Id": "id4", "value": "DEABCC123ABC56"},
            "80EC0202B4B21A40041111505090D0CC4C8CD05090CD4DBD3D00",
            "939AF54F14396EC0D827F753C896AC0762AE1E00ACAB57E19AF100243CDD5A6B",
        ),
        (
            "ContractSignatureEncryptedPrivateKey",
            {
                "Id": "id2",
                "value": bytes.fromhex(
                    "803340C03FEFBC0CF47613E50D74C660EF471D2104C2EB1C"
                    "1EAE39BAE700EAB0DC9AE909CE234FF2619DD3A721C60AA0"
                ),
            },
            (
                "802202B4B2190C200CD0300FFBEF033D1D84F9435D31983BD1C7484130BAC7"
                "07AB8E6EB9C03AAC3726BA427388D3FC986774E9C87182A81E80"
            ),
            "5F0EEDE44720B6AE9F7A4EC27E49C8F28C5F0A31FDAE012FE4E3C8FCEEC231F2",
        ),
        (
            "DHpublickey",
            {
                "Id": "id3",
                "value": bytes.fromhex(
                    "04BE426A534EBCD5444476C0809425F9A593875AA7A4C2A2167C8A295B2B9069E0"
                    "54AD61801552FAB1F7C710D9506890120354C763800891DA595A1619E06254E9"
                ),
            },
            (
                "802D02B4B21990412F909A94D3AF3551111DB02025097E6964E1D6A9E930A8859F228A56CAE4"
                "1A78152B58600554BEAC7DF1C436541A240480D531D8E0022476965685867818953A5E80"
            ),
            "02003E52F83579B57A72D4C9514B1480956D71B5C669A63CD633B309B040CE78",
        ),
    ],
)
def test_golden_fragments_of_another_implementation(
    name: str, tree: exi.Tree, expected: str, sha256: str
) -> None:
    assert fragment(name, tree) == expected.lower()
    assert hashlib.sha256(bytes.fromhex(expected)).hexdigest() == sha256.lower()


def test_a_document_reads_and_writes_as_published() -> None:
    decoded = exi.decode_document(exi.ISO2, bytes.fromhex(INSTALLATION))
    assert decoded.tree == {
        "Header": {"SessionID": bytes.fromhex("A1B2C3D4E5F60718".lower())},
        "Body": {
            "CertificateInstallationReq": {
                "Id": "id1",
                "OEMProvisioningCert": bytes(range(4)),
                "ListOfRootCertificateIDs": {
                    "RootCertificateID": [{"X509IssuerName": "CN=R", "X509SerialNumber": 300}]
                },
            }
        },
    }
    assert exi.encode_document(exi.ISO2, "V2G_Message", decoded.tree).hex() == INSTALLATION


def test_the_bits_of_an_element_are_its_fragment() -> None:
    decoded = exi.decode_document(exi.ISO2, bytes.fromhex(INSTALLATION))
    body: Any = decoded.tree["Body"]
    wire = exi.wire_fragment(exi.ISO2, decoded, "CertificateInstallationReq")
    name = "CertificateInstallationReq"
    assert wire == exi.encode_fragment(exi.ISO2, name, body[name])
    assert exi.wire_fragment(exi.ISO2, decoded, "AuthorizationReq") is None


@pytest.mark.parametrize("header", ["00", "81", "90", "c0", "a0"])
def test_only_one_header_is_read(header: str) -> None:
    assert refused(header + INSTALLATION[2:]) == "exi_header"


def test_octets_behind_the_end_are_refused_and_padding_is_not_looked_at() -> None:
    assert refused(INSTALLATION + "00") == "exi_trailing"
    padded = INSTALLATION[:-1] + "1"
    assert exi.decode_document(exi.ISO2, bytes.fromhex(padded)).root == "V2G_Message"


def test_a_stream_cut_anywhere_is_refused() -> None:
    for size in range(len(INSTALLATION) // 2):
        assert refused(INSTALLATION[: 2 * size]) in {"exi_truncated", "exi_length"}


def test_a_large_stream_is_refused_unread() -> None:
    assert refused(bytes.fromhex(INSTALLATION) + bytes(exi.MAX_STREAM)) == "exi_too_large"


@pytest.mark.parametrize(
    ("schema", "code"),
    [(exi.ISO2, 0), (exi.ISO2, 80), (exi.ISO20, 53), (exi.ISO20, 54)],
    ids=str,
)
def test_other_root_elements_are_unsupported(schema: exi.Schema, code: int) -> None:
    assert schema.document is not None
    text = f"10000000{code:0{schema.document.bits}b}"
    assert refused(octets(text) + bytes(20), schema) == "exi_unsupported"


@pytest.mark.parametrize(("schema", "code"), [(exi.ISO2, 81), (exi.ISO20, 55)], ids=str)
def test_root_codes_beyond_the_schema_are_invalid(schema: exi.Schema, code: int) -> None:
    assert schema.document is not None
    text = f"10000000{code:0{schema.document.bits}b}"
    assert refused(octets(text) + bytes(20), schema) == "exi_invalid_event"


def test_body_elements_of_other_messages_are_refused() -> None:
    before, after = bits(INSTALLATION)[:94], bits(INSTALLATION)[100:]
    codes = {code: refused(octets(f"{before}{code:06b}{after}")) for code in (1, 2, 29, 34)}
    assert set(codes.values()) == {"exi_unsupported"}
    assert refused(octets(f"{before}{37:06b}{after}")) == "exi_invalid_event"


def test_an_escape_to_undeclared_content_is_refused() -> None:
    text = bits(INSTALLATION)
    assert refused(octets(text[:100] + "1" + "001" + text[101:])) == "exi_unsupported"
    assert refused(octets(text[:177] + "1" + text[178:])) == "exi_unsupported"


def test_an_empty_value_written_as_an_undeclared_end_is_read() -> None:
    text = bits(INSTALLATION)
    empty = octets(text[:134] + "1000" + text[176:])  # in place of CH, 4 octets, EE
    decoded: Any = exi.decode_document(exi.ISO2, empty).tree
    assert decoded["Body"]["CertificateInstallationReq"]["OEMProvisioningCert"] == b""
    serial = octets(text[:222] + "1000" + text[241:])  # a number cannot be empty
    assert refused(serial) == "exi_unsupported"


def test_an_empty_value_behind_an_attribute_is_read() -> None:
    decoded = exi.decode_fragment(exi.ISO2, bytes.fromhex("802d01b247a0"))
    assert decoded.tree == {"Id": "d", "value": b""}
    assert exi.encode_fragment(exi.ISO2, "DHpublickey", decoded.tree).hex() == "802d01b2001e80"


def test_a_list_at_its_maximum_ends_with_one_bit() -> None:
    chain: exi.Tree = {"Certificate": b"L", "SubCertificates": {"Certificate": [b"S"] * 4}}
    three: exi.Tree = {"Certificate": b"L", "SubCertificates": {"Certificate": [b"S"] * 3}}
    head = 8 + 8 + 2 + 18 + 2  # header, name, code, leaf, code of SubCertificates
    ends = 1 + 8  # of the chain, of the fragment
    full, almost = (
        len(fragment("ContractSignatureCertChain", tree)) * 4 for tree in (chain, three)
    )
    assert full == -(-(head + 1 + 18 + 3 * (2 + 18) + 1 + ends) // 8) * 8
    assert almost == -(-(head + 1 + 18 + 2 * (2 + 18) + 2 + ends) // 8) * 8


def test_a_list_beyond_its_maximum_is_not_written() -> None:
    tree: exi.Tree = {"Certificate": b"L", "SubCertificates": {"Certificate": [b"S"] * 5}}
    with pytest.raises(BadInput) as caught:
        exi.encode_fragment(exi.ISO2, "ContractSignatureCertChain", tree)
    assert caught.value.code == "exi_unencodable"


def test_a_list_without_limit_is_limited_here() -> None:
    reference: exi.Tree = {"DigestMethod": {"Algorithm": "a"}, "DigestValue": b""}

    def signed_info(count: int) -> bytes:
        tree: exi.Tree = {
            "CanonicalizationMethod": {"Algorithm": "c"},
            "SignatureMethod": {"Algorithm": "s"},
            "Reference": [reference] * count,
        }
        return exi.encode_fragment(exi.XMLDSIG, "SignedInfo", tree)

    assert exi.decode_fragment(exi.XMLDSIG, signed_info(MAX_REPEATS)).root == "SignedInfo"
    assert refused(signed_info(MAX_REPEATS + 1), exi.XMLDSIG, document=False) == "exi_too_many"


@pytest.mark.parametrize(
    "tree",
    [
        {"Id": "x"},
        {"Certificate": b"L", "Colour": "red"},
        {"Certificate": {"value": b"L"}},
        {"Certificate": [b"L", b"M"]},
        {"Certificate": b"L", "SubCertificates": {"Certificate": []}},
        {"Certificate": b"L", "SubCertificates": b"S"},
    ],
    ids=str,
)
def test_a_tree_that_breaks_the_schema_is_not_written(tree: exi.Tree) -> None:
    with pytest.raises(BadInput) as caught:
        exi.encode_fragment(exi.ISO2, "ContractSignatureCertChain", tree)
    assert caught.value.code == "exi_unencodable"


def test_what_the_profile_refuses_cannot_be_written() -> None:
    tree: exi.Tree = {
        "CanonicalizationMethod": {"Algorithm": "c", "value": "text"},
        "SignatureMethod": {"Algorithm": "s"},
        "Reference": [{"DigestMethod": {"Algorithm": "a"}, "DigestValue": b""}],
    }
    with pytest.raises(BadInput) as caught:
        exi.encode_fragment(exi.XMLDSIG, "SignedInfo", tree)
    assert caught.value.code == "exi_unencodable"


def test_an_unknown_root_is_not_written() -> None:
    with pytest.raises(BadInput) as caught:
        exi.encode_fragment(exi.ISO2, "V2G_Message", {})
    assert caught.value.code == "exi_unencodable"


def test_xmldsig_has_no_documents() -> None:
    with pytest.raises(ValueError, match="no documents"):
        exi.decode_document(exi.XMLDSIG, b"\x80")
    with pytest.raises(ValueError, match="no documents"):
        exi.encode_document(exi.XMLDSIG, "SignedInfo", {})


@pytest.mark.parametrize("octet", [0x00, 0x01, 0x7F, 0x80, 0xFF])
@pytest.mark.parametrize("schema", [exi.ISO2, exi.ISO20], ids=["2", "20"])
def test_the_longest_stream_is_judged_at_once(schema: exi.Schema, octet: int) -> None:
    begin = {exi.ISO2: "8098022800", exi.ISO20: "801c0450"}[schema]
    data = (bytes.fromhex(begin) + bytes([octet]) * exi.MAX_STREAM)[: exi.MAX_STREAM]
    begun = time.monotonic()
    assert refused(data, schema).startswith("exi_")
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"Colour": "red"},
        {"Certificate": 5},
        {"Certificate": "not base64!"},
        {"Certificate": "AA==", "SubCertificates": {"Certificate": "AA=="}},
        {"Certificate": "AA==", "Id": True},
    ],
    ids=str,
)
def test_json_that_is_not_the_form_of_an_element_is_refused(value: object) -> None:
    grammar = exi.ISO2.fragment.elements["ContractSignatureCertChain"][1]
    with pytest.raises(BadInput) as caught:
        exi.from_json(grammar, value)
    assert caught.value.code == "exi_json"
