"""`pnc token-key`: the keys that sign access tokens."""

from __future__ import annotations

from typing import Any, Final

import click

from pki import tokens
from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    with_errors,
)
from pki.clock import format_time
from pki.model import TokenKey


@click.group("token-key")
def token_key_group() -> None:
    """Keys that sign the access tokens of /oauth/token."""


@token_key_group.command("list")
@json_option
@click.pass_obj
@with_errors
def token_key_list(home: HomeOption, *, as_json: bool) -> None:
    """List the keys, newest first; a retired one is published until its tokens ended."""
    with installation(home) as services:
        found = tokens.keys(services.deployment, operator())
    rows = [(k.kid, format_time(k.created_at), k.retired_at) for k in found]
    emit(
        {"keys": [_json(key) for key in found]},
        as_json=as_json,
        table=lambda: listing(("kid", "created", "retired"), rows),
    )


@token_key_group.command("rotate")
@json_option
@click.pass_obj
@with_errors
def token_key_rotate(home: HomeOption, *, as_json: bool) -> None:
    """
    Sign with a new key from now on. Tokens that were handed out stay good.

    The job `token-keys` does the same every `tokens.key_days` days.
    """
    with installation(home) as services:
        body = _json(tokens.rotate(services.deployment, operator()))
    emit(body, as_json=as_json, table=lambda: facts(body.items()))


def _json(key: TokenKey) -> dict[str, Any]:
    retired = format_time(key.retired_at) if key.retired_at else None
    return {"kid": key.kid, "createdAt": format_time(key.created_at), "retiredAt": retired}


COMMANDS: Final = (token_key_group,)
