"""
An OCPI platform that is not ours: extrawest-ocpi with storage in memory.

Runs in an environment of its own (`scripts/ocpi_peer`). Arguments: port, token A. Beyond what the
library offers it is told by `/control/…` to register with somebody, and shows what it holds.
"""

from __future__ import annotations

import os
import sys
from typing import Any

PORT, TOKEN_A = int(sys.argv[1]), sys.argv[2]
os.environ |= {
    "OCPI_HOST": f"127.0.0.1:{PORT}",
    "PROTOCOL": "http",
    "COUNTRY_CODE": "NL",
    "PARTY_ID": "EMX",
}

import httpx  # noqa: E402 - the library reads its settings when it is imported
import uvicorn  # noqa: E402
from py_ocpi import get_application  # noqa: E402
from py_ocpi.core.authentication.authenticator import Authenticator  # noqa: E402
from py_ocpi.core.enums import ModuleID, RoleEnum  # noqa: E402
from py_ocpi.core.utils import encode_string_base64  # noqa: E402
from py_ocpi.modules.credentials.v_2_2_1.schemas import Credentials  # noqa: E402
from py_ocpi.modules.tokens.v_2_2_1.schemas import AuthorizationInfo, Token  # noqa: E402
from py_ocpi.modules.versions.enums import VersionNumber  # noqa: E402

VERSIONS = f"http://127.0.0.1:{PORT}/ocpi/versions"
TOKEN_C = "token-c-of-the-other-platform"
DRIVER: dict[str, Any] = {
    "country_code": "NL",
    "party_id": "EMX",
    "uid": "04a1b2c3d4e5f6",
    "type": "RFID",
    "contract_id": "NL-EMX-C00000017",
    "issuer": "Emx",
    "valid": True,
    "whitelist": "NEVER",
    "last_updated": "2026-11-20T10:00:00Z",
}
HELD: dict[str, Any] = {"tokens": {}, "credentials": None, "valid_c": [TOKEN_C], "asked": []}


class Tokens(Authenticator):  # type: ignore[misc]  # the package is not installed where types are checked
    """Who may call."""

    @classmethod
    async def get_valid_token_c(cls) -> list[str]:
        """Return the tokens of registered partners."""
        return list(HELD["valid_c"])

    @classmethod
    async def get_valid_token_a(cls) -> list[str]:
        """Return the tokens of invited partners."""
        return [TOKEN_A]


def credentials(token: str) -> dict[str, Any]:
    """Return the credentials of this platform."""
    roles = [
        {
            "role": role,
            "party_id": party,
            "country_code": "NL",
            "business_details": {"name": "Other"},
        }
        for role, party in (("CPO", "CPX"), ("EMSP", "EMX"))
    ]
    return {"token": token, "url": VERSIONS, "roles": roles}


class Memory:
    """Storage, as the library wants it."""

    @classmethod
    async def get(cls, module: Any, role: Any, key: Any, **_more: Any) -> Any:
        """Return an object or None."""
        if module == ModuleID.credentials_and_registration:
            return credentials(TOKEN_C)
        if module == ModuleID.tokens and role == RoleEnum.emsp:
            return DRIVER if str(key).lower() == DRIVER["uid"] else None
        return HELD["tokens"].get(str(key).lower()) if module == ModuleID.tokens else None

    @classmethod
    async def list(cls, module: Any, _role: Any, _filters: Any, **_more: Any) -> Any:
        """Return objects, their number, and whether that was the last page."""
        rows = [DRIVER] if module == ModuleID.tokens else []
        return rows, len(rows), True

    @classmethod
    async def create(cls, module: Any, _role: Any, data: Any, **_more: Any) -> Any:
        """Keep an object."""
        if module == ModuleID.credentials_and_registration:
            HELD["credentials"] = data["credentials"]
            return credentials(TOKEN_C)
        HELD["tokens"][str(data["uid"]).lower()] = data
        return data

    @classmethod
    async def update(cls, module: Any, role: Any, data: Any, *_key: Any, **_more: Any) -> Any:
        """Replace an object."""
        return await cls.create(module, role, data)

    @classmethod
    async def delete(cls, _module: Any, _role: Any, _key: Any, **_more: Any) -> None:
        """Forget credentials."""
        HELD["credentials"] = None

    @classmethod
    async def do(cls, _module: Any, _role: Any, action: Any, *_args: Any, **more: Any) -> Any:
        """Answer a question about the driver."""
        HELD["asked"].append([str(action), str(more["data"]["token_uid"])])
        return {"allowed": "ALLOWED", "token": DRIVER, "authorization_reference": "emx-17"}


async def register(url: str, token: str) -> dict[str, Any]:
    """Register with a platform whose versions address and token A were handed over."""
    headers = {"Authorization": f"Token {encode_string_base64(token)}"}
    async with httpx.AsyncClient() as client:
        versions = (await client.get(url, headers=headers)).json()["data"]
        place = next(v["url"] for v in versions if v["version"] == "2.2.1")
        details = (await client.get(place, headers=headers)).json()["data"]
        door = next(e["url"] for e in details["endpoints"] if e["identifier"] == "credentials")
        answer = (await client.post(door, headers=headers, json=credentials(TOKEN_C))).json()
    theirs = Credentials(**answer["data"])
    HELD["credentials"] = theirs.dict()
    return {"status": answer["status_code"], "details": place, "token": theirs.token}


async def ask(url: str, token: str, uid: str) -> dict[str, Any]:
    """Read the other side's tokens and ask whether one of its drivers may charge."""
    headers = {"Authorization": f"Token {encode_string_base64(token)}"}
    async with httpx.AsyncClient() as client:
        page = (await client.get(url, headers=headers)).json()["data"]
        place = f"{url.rstrip('/')}/{uid}/authorize"
        answer = await client.post(place, headers=headers)
    found = [Token(**row).uid for row in page]
    if answer.status_code != httpx.codes.OK:
        return {"tokens": found, "http": answer.status_code}
    told = AuthorizationInfo(**answer.json()["data"])
    return {"tokens": found, "allowed": told.allowed, "reference": told.authorization_reference}


async def held() -> dict[str, Any]:
    """Return what this platform holds."""
    return HELD


app = get_application(
    version_numbers=[VersionNumber.v_2_2_1],
    roles=[RoleEnum.cpo, RoleEnum.emsp],
    crud=Memory,
    modules=[ModuleID.credentials_and_registration, ModuleID.tokens],
    authenticator=Tokens,
    http_push=True,
)
app.add_api_route("/control/register", register, methods=["POST"])
app.add_api_route("/control/ask", ask, methods=["POST"])
app.add_api_route("/control/held", held, methods=["GET"])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
