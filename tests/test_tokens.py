"""Access tokens: what is in them, which are refused, and how their keys change."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from pki import clients, services, settings, tokens
from pki.clock import FixedClock
from pki.errors import BadInput, NotAllowed, Unauthenticated
from pki.model import Client, Principal, Role
from pki.ports import Deployment
from pki.services import Services
from pki.store.db import Database
from tests.builders import NOW
from tests.homes import ADMIN

DAY = dt.timedelta(days=1)
URL = "http://pki.example"
SERVICES = "rcpservice pcpservice cpservice ccpservice pkigateway"


@dataclass(frozen=True)
class Known:
    """An installation with one eMSP client."""

    deployment: Deployment
    client: Client
    secret: str

    def later(self, by: dt.timedelta) -> Known:
        return replace(self, deployment=replace(self.deployment, clock=FixedClock(NOW + by)))

    def grant(self, **more: Any) -> str:
        asked = {"client_id": self.client.client_id, "secret": self.secret} | more
        return tokens.grant(self.deployment, **asked).text

    def read(self, token: str) -> Principal:
        return tokens.authenticate(self.deployment, token)

    def key(self) -> Any:
        """Return the private key that signs, as a thief of the key file would have it."""
        with self.deployment.store.read() as tx:
            label = tx.token_keys.all()[0].label
        return self.deployment.keys.signer(label).key  # type: ignore[attr-defined]


def known(home: Path, database_url: str | None = None) -> Iterator[Known]:
    environment = {"PNC_PUBLIC_URL": URL}
    if database_url:
        environment["PNC_DATABASE_URL"] = database_url
    running: Services = services.build(settings.load(environment, home), clock=FixedClock(NOW))
    running.database.migrate()
    client, secret = clients.add(running.deployment, ADMIN, Role.EMSP, ("DE8AA",), pki="own")
    yield Known(running.deployment, client, secret)
    running.close()


@pytest.fixture
def emsp(tmp_path: Path) -> Iterator[Known]:
    yield from known(tmp_path)


@pytest.fixture
def anywhere_known(tmp_path: Path, database_url: str) -> Iterator[Known]:
    yield from known(tmp_path, database_url)


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def refused(emsp: Known, token: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        emsp.read(token)
    return caught.value.code


def test_a_token_says_who_it_is_for_and_what_it_reaches(emsp: Known) -> None:
    claims = claims_of(emsp.grant())
    begun = int(NOW.timestamp())
    assert len(claims.pop("jti")) == 32
    assert claims == {
        "iss": URL,
        "aud": URL,
        "sub": emsp.client.client_id,
        "client_id": emsp.client.client_id,
        "iat": begun,
        "nbf": begun,
        "exp": begun + 86_400,
        "scope": SERVICES,
        "permissions": SERVICES.split(),
        f"{URL}/role": "MO_EXTERNAL_PKI",
        f"{URL}/pcid": [],
        f"{URL}/emaid": ["DE8AA"],
        f"{URL}/evseid": [],
        f"{URL}/client_name": emsp.client.client_id,
    }


def test_a_token_stands_for_its_client_on_both_databases(anywhere_known: Known) -> None:
    principal = anywhere_known.read(anywhere_known.grant())
    client = anywhere_known.client
    assert principal == Principal(name=client.client_id, role=Role.EMSP, parties=("DE8AA",))


def test_another_library_verifies_a_token_with_the_published_keys(emsp: Known) -> None:
    token = emsp.grant()
    (key,) = tokens.published(emsp.deployment)
    assert (key["kid"], key["alg"], key["use"]) == (
        jwt.get_unverified_header(token)["kid"],
        "ES256",
        "sig",
    )
    # by hand, with nothing but the JWK: what the far side does
    covered, _, signature = token.rpartition(".")
    x, y = (int.from_bytes(_decoded(key[name])) for name in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    verifier = ECAlgorithm(ECAlgorithm.SHA256)
    assert verifier.verify(covered.encode(), public, _decoded(signature))
    members = {name: key[name] for name in ("crv", "kty", "x", "y")}
    thumbprint = hashlib.sha256(json.dumps(members, separators=(",", ":")).encode()).digest()
    assert _decoded(key["kid"]) == thumbprint


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encoded(value: object) -> str:
    octets = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


@pytest.mark.parametrize("audience", [None, URL, URL + "/", "https://pnc.test"])
def test_the_audience_may_be_left_out_or_be_a_name_of_ours(
    emsp: Known, audience: str | None
) -> None:
    policy = replace(emsp.deployment.tokens, audiences=("https://pnc.test",))
    named = replace(emsp, deployment=replace(emsp.deployment, tokens=policy))
    assert named.read(named.grant(audience=audience)).role is Role.EMSP


def test_another_audience_is_refused(emsp: Known) -> None:
    with pytest.raises(BadInput) as caught:
        emsp.grant(audience="https://other.example")
    assert caught.value.code == "audience_unknown"


@pytest.mark.parametrize(
    "wrong",
    [{"secret": "pnc_no"}, {"secret": ""}, {"client_id": "emsp-none"}, {"client_id": "a\0b"}],
)
def test_a_wrong_id_or_secret_gets_nothing(emsp: Known, wrong: dict[str, str]) -> None:
    with pytest.raises(Unauthenticated) as caught:
        emsp.grant(**wrong)
    assert caught.value.code == "client_invalid"


def test_the_secret_of_one_client_opens_no_other(emsp: Known) -> None:
    other, _ = clients.add(emsp.deployment, ADMIN, Role.ADMIN, ())
    with pytest.raises(Unauthenticated):
        emsp.grant(client_id=other.client_id)


def test_a_client_that_was_removed_is_refused_at_once_and_gets_no_other_token(
    emsp: Known,
) -> None:
    token = emsp.grant()
    assert emsp.read(token).role is Role.EMSP
    clients.disable(emsp.deployment, ADMIN, emsp.client.client_id)
    assert refused(emsp, token) == "token_invalid"
    with pytest.raises(Unauthenticated):
        emsp.grant()


def test_a_token_ends(emsp: Known) -> None:
    token = emsp.grant()
    assert emsp.later(DAY - dt.timedelta(seconds=1)).read(token).role is Role.EMSP
    assert refused(emsp.later(DAY), token) == "token_expired"


def test_a_token_of_the_future_is_refused(emsp: Known) -> None:
    token = emsp.grant()
    assert emsp.later(-dt.timedelta(seconds=60)).read(token).role is Role.EMSP
    assert refused(emsp.later(-dt.timedelta(seconds=61)), token) == "token_invalid"


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "http://other.example"},
        {"aud": "http://other.example"},
        {"sub": "admin-1"},
        {"nbf": int(NOW.timestamp()) + 3600},
        {"iat": int(NOW.timestamp()) + 3600},
        {"exp": "never"},
        {"exp": 1e999},
        {"exp": True},
        {"nbf": None},
        {"sub": 7},
    ],
    ids=str,
)
def test_claims_that_are_not_ours_are_refused_though_the_key_is(
    emsp: Known, change: dict[str, Any]
) -> None:
    token = emsp.grant()
    kid = jwt.get_unverified_header(token)["kid"]
    claims = claims_of(token) | change
    header = _encoded({"alg": "ES256", "kid": kid})
    covered = f"{header}.{_encoded(claims)}"
    signature = ECAlgorithm(ECAlgorithm.SHA256).sign(covered.encode(), emsp.key())
    assert refused(emsp, f"{covered}.{_encoded(signature)}") == "token_invalid"


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"])
def test_a_claim_that_is_missing_is_refused(emsp: Known, claim: str) -> None:
    token = emsp.grant()
    kid = jwt.get_unverified_header(token)["kid"]
    claims = {name: value for name, value in claims_of(token).items() if name != claim}
    other = jwt.encode(claims, emsp.key(), "ES256", headers={"kid": kid})
    assert refused(emsp, other) == "token_invalid"


def test_a_header_of_another_algorithm_is_refused(emsp: Known) -> None:
    token = emsp.grant()
    claims, kid = claims_of(token), jwt.get_unverified_header(token)["kid"]
    with emsp.deployment.store.read() as tx:
        public = tx.token_keys.all()[0].public_key
    none = f"{_encoded({'alg': 'none', 'kid': kid})}.{_encoded(claims)}."
    covered = f"{_encoded({'alg': 'HS256', 'kid': kid})}.{_encoded(claims)}"
    mac = hmac.digest(public, covered.encode(), "sha256")
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for forged in (
        none,
        f"{covered}.{_encoded(mac)}",
        jwt.encode(claims, rsa_key, "RS256", headers={"kid": kid}),
        jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": kid}),
        jwt.encode(claims, emsp.key(), "ES256", headers={"kid": "other"}),
        jwt.encode(claims, emsp.key(), "ES256"),
        token.rpartition(".")[0] + ".",
        token[:-4] + "AAAA",
    ):
        assert refused(emsp, forged) == "token_invalid"


@given(text=st.text(max_size=60) | st.from_regex(r"eyJ[\w-]{0,40}\.[\w-]{0,40}\.[\w-]{0,20}"))
def test_no_text_is_more_than_refused(emsp: Known, text: str) -> None:
    assert refused(emsp, text) == "token_invalid"


@given(
    header=st.dictionaries(st.sampled_from(["alg", "kid", "crit", "b64"]), st.text() | st.none())
)
def test_no_header_is_more_than_refused(emsp: Known, header: dict[str, Any]) -> None:
    assert refused(emsp, f"{_encoded(header)}.{_encoded({})}.AA") == "token_invalid"


# --- keys ----------------------------------------------------------------------------------------


def test_a_rotated_key_is_published_until_its_tokens_ended(emsp: Known) -> None:
    before = emsp.grant()
    old = tokens.published(emsp.deployment)[0]["kid"]
    later = emsp.later(dt.timedelta(hours=1))
    new = tokens.rotate(later.deployment, ADMIN)
    assert [key["kid"] for key in tokens.published(later.deployment)] == [new.kid, old]
    assert later.read(before).role is Role.EMSP
    assert jwt.get_unverified_header(later.grant())["kid"] == new.kid
    after = emsp.later(DAY + dt.timedelta(hours=1))
    assert [key["kid"] for key in tokens.published(after.deployment)] == [new.kid]


def test_the_job_rotates_an_old_key_and_forgets_the_one_before_it(emsp: Known) -> None:
    assert tokens.rotate_due(emsp.deployment) == 0
    emsp.grant()
    assert tokens.rotate_due(emsp.later(dt.timedelta(days=89)).deployment) == 0
    assert tokens.rotate_due(emsp.later(dt.timedelta(days=90)).deployment) == 1
    assert tokens.rotate_due(emsp.later(dt.timedelta(days=91)).deployment) == 0
    assert len(tokens.keys(emsp.deployment, ADMIN)) == 2
    assert tokens.rotate_due(emsp.later(dt.timedelta(days=180)).deployment) == 1
    assert len(tokens.keys(emsp.deployment, ADMIN)) == 2


def test_only_an_administrator_rotates(emsp: Known) -> None:
    with pytest.raises(NotAllowed):
        tokens.rotate(emsp.deployment, emsp.read(emsp.grant()))


def test_the_private_key_is_kept_encrypted_and_a_restart_signs_with_it(
    emsp: Known, tmp_path: Path
) -> None:
    kid = jwt.get_unverified_header(emsp.grant())["kid"]
    (file,) = (tmp_path / "keys").glob("token-*.pem")
    assert b"ENCRYPTED" in file.read_bytes()
    assert file.stat().st_mode & 0o77 == 0
    again = services.build(settings.load({"PNC_PUBLIC_URL": URL}, tmp_path), clock=FixedClock(NOW))
    token = replace(emsp, deployment=again.deployment).grant()
    again.close()
    assert jwt.get_unverified_header(token)["kid"] == kid


def test_a_host_without_the_key_file_makes_a_key_of_its_own(emsp: Known, tmp_path: Path) -> None:
    first = jwt.get_unverified_header(emsp.grant())["kid"]
    elsewhere = services.build(
        settings.load(
            {"PNC_PUBLIC_URL": URL, "PNC_DATABASE_URL": f"sqlite:///{tmp_path / 'pnc.db'}"},
            tmp_path / "elsewhere",
        ),
        clock=FixedClock(NOW),
    )
    token = replace(emsp, deployment=elsewhere.deployment).grant()
    elsewhere.close()
    assert jwt.get_unverified_header(token)["kid"] != first
    assert emsp.read(token).role is Role.EMSP


def test_keys_come_back_as_they_went_in(anywhere_known: Known) -> None:
    database = anywhere_known.deployment.store
    assert isinstance(database, Database)
    made = tokens.rotate(anywhere_known.deployment, ADMIN)
    with database.write() as tx:
        assert tx.token_keys.retire(NOW + DAY) == 1
        assert tx.token_keys.retire(NOW + DAY) == 0
        assert tx.token_keys.all() == [replace(made, retired_at=NOW + DAY)]
        assert tx.token_keys.forget(NOW + DAY) == 0
        assert tx.token_keys.forget(NOW + 2 * DAY) == 1
