"""The OCPI-style way to a contract, as SAP's back end asks."""

from __future__ import annotations

import base64

from tests.pools.acts import ISO2, b64, deposit, generate, refusal_code
from tests.pools.conftest import World

PATH = "/ocpi/contracts/exi"


def test_a_contract_comes_in_an_envelope_of_ocpi(world: World) -> None:
    deposit(world)
    body = {"15118SchemaVersion": ISO2, "exiRequest": b64(world.car.request())}
    refused = world.ok("cpo", "POST", PATH, body)
    assert refused["status_code"] == 1000
    assert refused["data"]["status"] == "Failed"
    assert refusal_code(refused["data"]["exiResponse"]) == "FAILED_NoCertificateAvailable"
    generate(world)
    told = world.ok("cpo", "POST", PATH, body)
    assert (told["status_code"], told["data"]["status"]) == (1000, "Accepted")
    world.car.accept(base64.b64decode(told["data"]["exiResponse"]))


def test_what_cannot_be_read_is_an_error_of_ocpi(world: World) -> None:
    body = {"15118SchemaVersion": ISO2, "exiRequest": b64(b"\x80\x01")}
    answer = world.ask("cpo", "POST", PATH, body)
    assert answer.json is not None
    assert (answer.status_code, answer.json["status_code"]) == (200, 2001)
    assert world.ask("emsp", "POST", PATH, body).json["status_code"] == 2000  # type: ignore[index]
    assert world.caller.post(PATH, body).status_code == 401
