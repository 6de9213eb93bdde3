"""
OAuth2 access tokens (RFC 6749 4.4, RFC 9068 in its main lines): made, published, read, rotated.

Tokens are ES256 only; whatever else a header says is refused before a key is looked at. What a
caller may do is asked of the registry at every call, not of the token, so that a client that was
removed is refused at once. The claims are for the caller's own eyes.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from jwt.utils import der_to_raw_signature

from pki import access, audit
from pki.errors import BadInput, Unauthenticated, Unavailable
from pki.ids import quote
from pki.model import Client, Principal, Role, TokenKey
from pki.pkix.suites import Suite
from pki.ports import Deployment, Keys, Signer, Transaction

ALGORITHM: Final = "ES256"
SKEW: Final = dt.timedelta(seconds=60)
"""How far another host of ours may be ahead."""

_REQUIRED: Final = ("iss", "aud", "sub", "iat", "nbf", "exp", "jti")

PERMISSIONS: Final[dict[Role, tuple[str, ...]]] = {
    Role.CPO: ("rcpservice", "ccpservice", "pkigateway"),
    Role.EMSP: ("rcpservice", "pcpservice", "cpservice", "ccpservice", "pkigateway"),
    Role.OEM: ("rcpservice", "pcpservice", "ccpservice", "pkigateway"),
    Role.CPS: ("rcpservice", "pcpservice", "cpservice", "ccpservice", "pkigateway"),
    Role.ADMIN: ("rcpservice", "pcpservice", "cpservice", "ccpservice", "pkigateway"),
    Role.AUDITOR: ("rcpservice",),
}
"""The services of OPCP that a role reaches; told in `permissions` and `scope`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """A token as it is handed out."""

    text: str = field(repr=False)
    expires_in: int
    scope: str


# --- handing out ---------------------------------------------------------------------------------


def grant(
    deployment: Deployment,
    client_id: str,
    secret: str,
    audience: str | None = None,
) -> AccessToken:
    """
    Return a token for a client that knows its secret: what `pnc client add` showed.

    Raises:
        Unauthenticated: `client_invalid`.
        BadInput: `audience_unknown`, where `audience` is none of our names.
        Unavailable: `key_unavailable`, the store is out of reach.
    """
    client = _client(deployment, client_id, secret)
    if audience is not None and not _is_us(deployment, audience):
        raise BadInput(
            "audience_unknown",
            f"{quote(audience)} is no name of this service.",
            hint=f"Leave audience out, or send {deployment.public_url}; "
            "tokens.audiences lists further names.",
        )
    kid, signer = _signer(deployment)
    claims = _claims(deployment, client)
    text = _signed({"alg": ALGORITHM, "kid": kid, "typ": "JWT"}, claims, signer)
    scope = str(claims["scope"])
    return AccessToken(
        text=text, expires_in=int(deployment.tokens.lifetime.total_seconds()), scope=scope
    )


def _signed(header: dict[str, str], claims: dict[str, object], signer: Signer) -> str:
    """Return a JWS in its compact form; by hand, because the key is a `Signer` and stays there."""
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in (header, claims))
    covered = ".".join(_base64url(part) for part in parts)
    signature = der_to_raw_signature(signer.sign(covered.encode()), ec.SECP256R1())
    return f"{covered}.{_base64url(signature)}"


def _client(deployment: Deployment, client_id: str, secret: str) -> Client:
    with deployment.store.read() as tx:
        client = _known(tx, client_id)
    expected = client.token_hash if client else bytes(32)
    if not hmac.compare_digest(access.token_hash(secret), expected) or client is None:
        raise Unauthenticated("client_invalid", "There is no client with this id and secret.")
    return client


def of_client(deployment: Deployment, client_id: str, secret: str) -> Principal:
    """
    Return who sent id and secret, as HTTP Basic carries them (RFC 7617).

    Raises:
        Unauthenticated: `client_invalid`.
    """
    client = _client(deployment, client_id, secret)
    return Principal(
        name=client.client_id, role=client.role, parties=client.parties, pki=client.pki
    )


def _known(tx: Transaction, client_id: str) -> Client | None:
    try:
        client = tx.clients.get(client_id)
    except BadInput:  # characters that no database keeps
        return None
    return client if client is not None and client.disabled_at is None else None


def _is_us(deployment: Deployment, audience: str) -> bool:
    names = (deployment.public_url, *deployment.tokens.audiences)
    return audience.rstrip("/") in {name.rstrip("/") for name in names}


def _claims(deployment: Deployment, client: Client) -> dict[str, object]:
    now = deployment.clock.now()
    permissions = list(PERMISSIONS[client.role])
    begun = int(now.timestamp())
    stage = deployment.public_url
    return {
        "iss": stage,
        "aud": stage,
        "sub": client.client_id,
        "client_id": client.client_id,
        "iat": begun,
        "nbf": begun,
        "exp": begun + int(deployment.tokens.lifetime.total_seconds()),
        "jti": secrets.token_hex(16),
        "scope": " ".join(permissions),
        "permissions": permissions,
        f"{stage}/role": _opcp_role(client),
        f"{stage}/pcid": list(client.parties) if client.role is Role.OEM else [],
        f"{stage}/emaid": list(client.parties) if client.role is Role.EMSP else [],
        f"{stage}/evseid": list(client.parties) if client.role is Role.CPO else [],
        f"{stage}/client_name": client.client_id,
    }


def _opcp_role(client: Client) -> str:
    if client.role is Role.EMSP:
        return "MO_EXTERNAL_PKI" if client.pki == "own" else "MO_HOSTED_PKI"
    return client.role.value.upper()


# --- reading -------------------------------------------------------------------------------------


def authenticate(deployment: Deployment, token: str) -> Principal:
    """
    Return who sends a token: one of `pnc client add`, or an access token.

    Raises:
        Unauthenticated: `token_invalid`; `token_expired`, which tells a client to fetch another.
    """
    if token.startswith(access.TOKEN_PREFIX) or token.count(".") != _DOTS:
        return access.authenticate(deployment, token)
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        claims = _read(deployment, tx, token)
        _check_times(claims, now)
        client = _known(tx, str(claims["sub"]))
    if client is None:
        raise _refused()
    return Principal(name=client.client_id, role=client.role, parties=client.parties)


_DOTS: Final = 2


def _read(deployment: Deployment, tx: Transaction, token: str) -> dict[str, Any]:
    """Return the claims of a token that we signed for ourselves; times are not looked at."""
    try:
        header = jwt.get_unverified_header(token)
        kid = header.get("kid")
        key = next((key for key in _published(deployment, tx) if key.kid == kid), None)
        if header.get("alg") != ALGORITHM or key is None:
            raise _refused()
        claims: dict[str, Any] = jwt.decode(
            token,
            load_der_public_key(key.public_key),  # type: ignore[arg-type]  # P-256, by `rotate`
            algorithms=[ALGORITHM],
            audience=deployment.public_url,
            issuer=deployment.public_url,
            options={
                "require": list(_REQUIRED),
                "verify_exp": False,  # by our own clock, in `_check_times`
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except (jwt.PyJWTError, ValueError) as error:  # JSON with a lone surrogate is a ValueError
        raise _refused() from error
    return claims


def _check_times(claims: dict[str, Any], now: dt.datetime) -> None:
    times = [claims[name] for name in ("iat", "nbf", "exp")]
    if any(type(time) is not int for time in times):
        raise _refused()
    issued, begins, ends = times
    latest = (now + SKEW).timestamp()
    if issued > latest or begins > latest:
        raise _refused()
    if ends <= now.timestamp():
        raise Unauthenticated("token_expired", "The access token has ended.")


def _refused() -> Unauthenticated:
    return Unauthenticated("token_invalid", "The bearer token is not valid.")


# --- keys ----------------------------------------------------------------------------------------


def published(deployment: Deployment) -> list[dict[str, str]]:
    """Return the public keys as JWK (RFC 7517), newest first: `keys` of the JWKS."""
    with deployment.store.read() as tx:
        return [_jwk(key) for key in _published(deployment, tx)]


def _published(deployment: Deployment, tx: Transaction) -> list[TokenKey]:
    """Return the keys under which a token can still be good."""
    ended = deployment.clock.now() - deployment.tokens.lifetime
    keys = tx.token_keys.all()
    return [key for key in keys if key.retired_at is None or key.retired_at > ended]


def rotate(deployment: Deployment, principal: Principal) -> TokenKey:
    """Sign with a new key from now on; the old one stays published until its tokens ended."""
    access.require(principal, access.Action.KEEP_CLIENTS)
    return _rotate(deployment, principal.name)


def keys(deployment: Deployment, principal: Principal) -> list[TokenKey]:
    """Return every key that is still known, newest first."""
    access.require(principal, access.Action.KEEP_CLIENTS)
    with deployment.store.read() as tx:
        return tx.token_keys.all()


def rotate_due(deployment: Deployment) -> int:
    """Rotate a key that signed for `key_life`; return how many keys were made."""
    now = deployment.clock.now()
    with deployment.store.read() as tx:
        signing = [key for key in tx.token_keys.all() if key.retired_at is None]
    if not signing or signing[0].created_at + deployment.tokens.key_life > now:
        return 0
    _rotate(deployment, "job:token-keys")
    return 1


def _rotate(deployment: Deployment, actor: str) -> TokenKey:
    now = deployment.clock.now()
    key = _made(deployment.keys, now)
    with deployment.store.write() as tx:
        tx.token_keys.forget(now - deployment.tokens.lifetime)
        tx.token_keys.retire(now)
        _keep(tx, key, actor)
    return key


def _signer(deployment: Deployment) -> tuple[str, Signer]:
    """Return the newest signing key that this host holds; make one where it holds none."""
    with deployment.store.read() as tx:
        signing = [key for key in tx.token_keys.all() if key.retired_at is None]
    for key in signing:
        try:
            return key.kid, deployment.keys.signer(key.label)
        except Unavailable as error:
            if error.code != "key_missing":  # another host made it, in a directory of its own
                raise
    key = _made(deployment.keys, deployment.clock.now())
    with deployment.store.write() as tx:
        _keep(tx, key, "token-endpoint")
    return key.kid, deployment.keys.signer(key.label)


def _made(home: Keys, now: dt.datetime) -> TokenKey:
    label = f"token-{secrets.token_hex(8)}"
    public_key = home.create(label, Suite.P256).public_key
    spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return TokenKey(kid=_thumbprint(spki), label=label, public_key=spki, created_at=now)


def _keep(tx: Transaction, key: TokenKey, actor: str) -> None:
    tx.token_keys.add(key)
    audit.note(tx, key.created_at, actor, "token_key.add", key.kid, {"label": key.label})


def _jwk(key: TokenKey) -> dict[str, str]:
    return {**_members(key.public_key), "kid": key.kid, "alg": ALGORITHM, "use": "sig"}


def _members(spki: bytes) -> dict[str, str]:
    """Return the members of a P-256 key that its thumbprint covers, in order (RFC 7638 3.2)."""
    public_key = load_der_public_key(spki)
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise TypeError("token keys are of P-256")
    point = public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return {
        "crv": "P-256",
        "kty": "EC",
        "x": _base64url(point[1:33]),
        "y": _base64url(point[33:]),
    }


def _thumbprint(spki: bytes) -> str:
    text = json.dumps(_members(spki), sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(text.encode()).digest())


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
