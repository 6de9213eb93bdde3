"""Messages as XML: the same message in both forms, and no harm from a hostile document."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from pki.errors import BadInput
from pki.ids import Edition
from pki.v2g import messages, xml
from pki.v2g.enumerations import ResponseCode2
from pki.v2g.messages import Message, iso2
from pki.v2g.signature import verify

DOCUMENTS = ("iso2-doc-*", "iso20-doc-*")
DATA = "{urn:iso:15118:2:2013:MsgDataTypes}"
BODY = "{urn:iso:15118:2:2013:MsgBody}"


def _edition(folder: str) -> Edition:
    return Edition.ISO20 if folder.startswith("iso20") else Edition.ISO2


def test_every_message_of_the_vectors_survives_the_way_through_xml(vectors: Path) -> None:
    count = 0
    for pattern in DOCUMENTS:
        for file in sorted((vectors / "exi").glob(f"{pattern}/*.json")):
            vector = json.loads(file.read_text("utf-8"))
            edition = _edition(file.parent.name)
            try:
                message = messages.decode(bytes.fromhex(vector["exi_hex"]), edition).message
            except BadInput:
                continue  # what the message layer refuses has its own tests
            assert xml.read(xml.write(message), edition) == message, file.name
            count += 1
    assert count > 140


@pytest.mark.parametrize(
    ("scenario", "edition"),
    [
        ("iso2-installation-1", Edition.ISO2),
        ("iso2-update-1", Edition.ISO2),
        ("iso20-installation-1", Edition.ISO20),
    ],
)
def test_a_signature_still_verifies_after_the_way_through_xml(
    vectors: Path, scenario: str, edition: Edition
) -> None:
    data = base64.b64decode((vectors / "exi" / "signed" / scenario / "response.b64").read_bytes())
    through = xml.read(xml.write(messages.decode(data, edition).message), edition)
    pem = (vectors / "exi" / "signed" / scenario / "certs" / "cps_leaf.pem").read_bytes()
    key = x509.load_pem_x509_certificate(pem).public_key()
    verify(messages.decode(messages.encode(through), edition), key)


@pytest.fixture(scope="session")
def response(vectors: Path) -> bytes:
    """A signed -2 response as XML."""
    folder = vectors / "exi" / "signed" / "iso2-installation-1"
    data = base64.b64decode((folder / "response.b64").read_bytes())
    return xml.write(messages.decode(data, Edition.ISO2).message)


def test_elements_and_attributes_stand_in_the_namespaces_of_the_schemas(response: bytes) -> None:
    root = etree.fromstring(response)
    assert root.tag == "{urn:iso:15118:2:2013:MsgDef}V2G_Message"
    header = root[0]
    assert header.tag == "{urn:iso:15118:2:2013:MsgDef}Header"
    assert [child.tag for child in header] == [
        "{urn:iso:15118:2:2013:MsgHeader}SessionID",
        "{http://www.w3.org/2000/09/xmldsig#}Signature",
    ]
    (message,) = root[1]
    assert message.tag == BODY + "CertificateInstallationRes"
    chain = message.find(BODY + "ContractSignatureCertChain")
    assert chain is not None
    assert list(chain.attrib) == [DATA + "Id"]
    assert chain[0].tag == DATA + "Certificate"
    emaid = message.find(BODY + "eMAID")
    assert emaid is not None
    assert list(emaid.attrib) == [DATA + "Id"]


def test_an_attribute_without_namespace_and_white_space_are_read(response: bytes) -> None:
    root = etree.fromstring(response)
    for element in root.iter():
        for key in list(element.attrib):
            element.set(str(key).rpartition("}")[2], element.attrib.pop(key))
    xsi = "{http://www.w3.org/2001/XMLSchema-instance}schemaLocation"
    root.set(xsi, "urn:x http://169.254.169.254/x.xsd")
    etree.indent(root)
    again = etree.tostring(root, encoding="UTF-8", xml_declaration=True)
    assert xml.read(again, Edition.ISO2) == xml.read(response, Edition.ISO2)


def refused(data: bytes, edition: Edition = Edition.ISO2) -> str:
    with pytest.raises(BadInput) as caught:
        xml.read(data, edition)
    return caught.value.code


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha">%s]><x>&j;</x>""" % b"".join(
    b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9)
)
XXE = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
    b'<V2G_Message xmlns="urn:iso:15118:2:2013:MsgDef">&e;</V2G_Message>'
)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (LAUGHS, "xml_doctype"),
        (XXE, "xml_doctype"),
        (XXE.decode().encode("utf-16"), "xml_malformed"),
        (b'<!DOCTYPE x SYSTEM "http://169.254.169.254/x.dtd"><x/>', "xml_doctype"),
        (b"<x>&undefined;</x>", "xml_malformed"),
        (b"", "xml_malformed"),
        (b"\x80\x98\x02", "xml_malformed"),
        (b"<x/>", "xml_invalid"),
        (b"<x>" * 5000 + b"</x>" * 5000, "xml_malformed"),
        (b"<a " + b"".join(b'a%d="" ' % i for i in range(9000)) + b"/>", "xml_invalid"),
        (b"<x>" + b"a" * 200_000 + b"</x>", "xml_too_large"),
        (b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE x+AD4-<x/>', "xml_malformed"),
    ],
    ids=range(12),
)
def test_a_hostile_document_is_refused(data: bytes, code: str) -> None:
    assert refused(data) == code
    assert refused(data, Edition.ISO20) == code


def changed(response: bytes, old: bytes, new: bytes) -> bytes:
    assert old in response
    return response.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"urn:iso:15118:2:2013:MsgDef", b"urn:iso:15118:2:2010:MsgDef"),
        (b"urn:iso:15118:2:2013:MsgBody", b"urn:iso:15118:2:2013:MsgOther"),
        (b"<b:ResponseCode>OK<", b"<b:ResponseCode>OK<!-- -->X<"),
        (b"<b:ResponseCode>OK<", b"<b:ResponseCode><?x y?>OK<"),
        (b"<b:ResponseCode>OK<", b"<b:ResponseCode>Good<"),
        (b"<b:ResponseCode>OK<", b"<b:ResponseCode a='b'>OK<"),
        (b"<b:ResponseCode>OK</b:ResponseCode>", b""),
        (b"<b:ResponseCode>OK</b:ResponseCode>", b"<b:ResponseCode><t:X/></b:ResponseCode>"),
        (b"<b:ResponseCode>OK</b:ResponseCode>", b"<b:ResponseCode>OK</b:ResponseCode>" * 2),
        (b"<h:SessionID>", b"<h:SessionID>G"),
        (b"<t:Certificate>", b"<t:Certificate>*"),
        (b"<v2g:Body>", b"<v2g:Body>text"),
        (b"<v2g:Body>", b"<v2g:Body><b:EVSEID>1</b:EVSEID>"),
        (b"t:Id=", b"ds:Id="),
        (b"</v2g:V2G_Message>", b"</v2g:V2G_Message><!-- -->"),
    ],
)
def test_what_the_schema_does_not_allow_is_refused(response: bytes, old: bytes, new: bytes) -> None:
    assert refused(changed(response, old, new)) in ("xml_invalid", "exi_unencodable")


def test_a_message_of_one_edition_is_none_of_the_other(response: bytes) -> None:
    assert refused(response, Edition.ISO20) == "xml_invalid"


@given(data=st.data())
def test_a_changed_document_is_read_or_refused(response: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(response) - 1))
    gone = data.draw(st.integers(0, 30))
    put = data.draw(st.binary(max_size=12) | st.sampled_from([b"<", b"</", b"&a;", b"]]>"]))
    read = read_or_code(response[:at] + put + response[at + gone :])
    if isinstance(read, str):
        assert read.startswith(("xml_", "exi_"))
    else:
        assert xml.read(xml.write(read), Edition.ISO2) == read


def read_or_code(data: bytes) -> Message | str:
    try:
        return xml.read(data, Edition.ISO2)
    except BadInput as error:
        return error.code


@given(st.binary(max_size=300))
def test_any_octets_are_refused_or_read(data: bytes) -> None:
    assert refused(data).startswith("xml_")


text = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn", "Co")), max_size=30
)


@given(
    session=st.binary(max_size=8),
    emaid=text,
    octets=st.lists(st.binary(max_size=40), min_size=4, max_size=8),
)
def test_any_message_survives_the_way_through_xml(
    session: bytes, emaid: str, octets: list[bytes]
) -> None:
    chain = iso2.CertificateChain(certificate=octets[0], sub_certificates=tuple(octets[4:]))
    message = iso2.CertificateInstallationRes(
        header=iso2.Header(session_id=session),
        response_code=ResponseCode2.OK,
        provisioning_chain=chain,
        contract_chain=iso2.CertificateChain(id="id1", certificate=octets[1]),
        encrypted_key=iso2.EncryptedPrivateKey(id="id2", value=octets[2]),
        dh_public_key=iso2.DhPublicKey(id="id3", value=octets[3]),
        emaid=iso2.SignedEmaid(id="id4", value=emaid),
    )
    assert xml.read(xml.write(message), Edition.ISO2) == message
