"""Messages as values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from pki.errors import BadInput
from pki.ids import Edition
from pki.v2g import exi, messages
from pki.v2g.enumerations import FaultCode, ResponseCode2, ResponseCode20
from pki.v2g.messages import Message, iso2, iso20
from pki.v2g.messages.refusals import (
    refuse_installation,
    refuse_installation20,
    refuse_update,
)
from tests.v2g import samples


@pytest.mark.parametrize("make", samples.EVERY)
def test_a_message_comes_back(make: Callable[[], Message]) -> None:
    message = make()
    received = messages.decode(messages.encode(message), messages.edition_of(message))
    assert received.message == message
    assert messages.schema_faults(message) == ()


def test_everything_optional_comes_back() -> None:
    notification = iso2.Notification(fault_code=FaultCode.UNKNOWN_ERROR, fault_message="it hurts")
    header = iso2.Header(session_id=b"\x00", notification=notification)
    message = iso2.AuthorizationReq(header=header)
    assert messages.decode(messages.encode(message), Edition.ISO2).message == message
    eim = replace(samples.authorization_req20(), pnc=None, eim=iso20.EimMode())
    assert messages.decode(messages.encode(eim), Edition.ISO20).message == eim


def test_an_empty_body_is_no_message() -> None:
    tree: exi.Tree = {"Header": {"SessionID": b"\x00"}, "Body": {}}
    stream = exi.encode_document(exi.ISO2, "V2G_Message", tree)
    with pytest.raises(BadInput) as caught:
        messages.decode(stream, Edition.ISO2)
    assert caught.value.code == "exi_no_message"


def test_what_is_too_long_is_read_and_named() -> None:
    message = replace(
        samples.payment_details_req(),
        header=iso2.Header(session_id=bytes(9)),
        emaid="DEABCC1234567890",
        contract_chain=iso2.CertificateChain(
            certificate=bytes(801), sub_certificates=(bytes(800), bytes(801))
        ),
    )
    received = messages.decode(messages.encode(message), Edition.ISO2)
    assert messages.schema_faults(received.message) == (
        "SessionID has a length of 9, the schema allows 0 to 8.",
        "eMAID has a length of 16, the schema allows 14 to 15.",
        "Certificate has a length of 801, the schema allows 0 to 800.",
        "Certificate has a length of 801, the schema allows 0 to 800.",
    )


def test_a_value_inside_an_element_with_an_id_is_named_by_the_element() -> None:
    key = iso2.EncryptedPrivateKey(id="x", value=bytes(49))
    message = replace(samples.installation_res(), encrypted_key=key)
    (fault,) = messages.schema_faults(message)
    assert fault.startswith("ContractSignatureEncryptedPrivateKey has a length of 49")


def test_a_message_that_breaks_its_schema_is_not_written() -> None:
    data = samples.installation_res20().installation_data
    both = replace(data, x448_key=bytes(84))
    with pytest.raises(BadInput) as caught:
        messages.encode(replace(samples.installation_res20(), installation_data=both))
    assert caught.value.code == "exi_unencodable"
    with pytest.raises(BadInput, match="cannot end already"):
        messages.encode(replace(samples.installation_req(), roots=()))


def test_a_refusal_repeats_the_session_and_is_a_whole_message() -> None:
    code = ResponseCode2.FAILED_NO_CERTIFICATE_AVAILABLE
    for answer in (
        refuse_installation(samples.installation_req(), code),
        refuse_update(samples.update_req(), code, retry_counter=0),
    ):
        received = messages.decode(messages.encode(answer), Edition.ISO2).message
        assert received == answer
        assert received.header.session_id == samples.SESSION
        assert messages.schema_faults(answer) == ()


def test_a_refusal_of_the_second_edition_is_a_whole_message() -> None:
    code = ResponseCode20.WARNING_NO_CERTIFICATE_AVAILABLE
    answer = refuse_installation20(samples.installation_req20(), code, 1_800_000_000)
    received = messages.decode(messages.encode(answer), Edition.ISO20).message
    assert received == answer
    assert received.header.session_id == samples.SESSION
