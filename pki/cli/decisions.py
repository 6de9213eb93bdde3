"""`pnc validate`, `pnc decision`: the contract decision from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import click
from rich.console import Group

from pki import services as wiring
from pki.cli.output import (
    HomeOption,
    Json,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    with_errors,
)
from pki.clock import SystemClock, parse_time
from pki.errors import BadInput, NotFound
from pki.model import ContractCheck, Decision
from pki.pkix import pem
from pki.pkix.certificate import Certificate
from pki.trust import anchor_certificate
from pki.validate import EvidenceFiles, find, outcomes, replay, validate, without_store
from pki.validate.presented import MAX_PRESENTED
from pki.validate.render import to_json

_MAX_FILE: Final = 256 * 1024


@click.command("validate")
@click.argument("chain", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option(
    "--anchor",
    "anchors",
    multiple=True,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Trust only this CA certificate; may be repeated. The status of foreign certificates "
    "is then not asked.",
)
@click.option("--at", help="Decide as of this time, such as 2025-01-01T00:00:00Z.")
@click.option(
    "--crl",
    "crls",
    multiple=True,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="CRL (DER) as evidence of foreign certificates' status; may be repeated.",
)
@click.option(
    "--ocsp-response",
    "responses",
    multiple=True,
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="OCSP answer (DER) as evidence; may be repeated.",
)
@click.option("--emaid", help="EMAID that the car presented beside its certificate.")
@click.option("--check", "check_only", is_flag=True, help="Exit with status 1 on a rejection.")
@json_option
@click.pass_obj
@with_errors
def validate_command(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    chain: Path,
    anchors: tuple[Path, ...],
    crls: tuple[Path, ...],
    responses: tuple[Path, ...],
    at: str | None,
    emaid: str | None,
    check_only: bool,
    as_json: bool,
) -> None:
    """
    Decide on a contract certificate chain, as a station would ask at session start.

    CHAIN is a PEM file, contract certificate first. A rejection is an answer, not an error:
    the exit status is 0 for both outcomes unless --check is given.
    """
    check = chain_check(chain.read_bytes(), emaid)
    files = EvidenceFiles(
        crls=tuple(path.read_bytes() for path in crls),
        responses=tuple(path.read_bytes() for path in responses),
    )
    decision = _decide(home, check, tuple(map(_anchor, anchors)), at, files)
    body = to_json(decision)
    emit(body, as_json=as_json, table=lambda: _table(body))
    if check_only and not body["accepted"]:
        raise SystemExit(1)


def chain_check(data: bytes, emaid: str | None = None) -> ContractCheck:
    """Turn a PEM file into a check; what is wrong inside it becomes part of the verdict."""
    if len(data) > _MAX_FILE:
        raise BadInput("file_too_large", f"The file has more than {_MAX_FILE} octets.")
    try:
        text = data.decode("ascii", "replace")
        return ContractCheck(chain=pem.certificates(text, limit=MAX_PRESENTED), token=emaid)
    except BadInput as error:
        return ContractCheck(unreadable=f"{error.code}: {error.message}", token=emaid)


def _anchor(path: Path) -> Certificate:
    return anchor_certificate(path.read_bytes())


def _decide(
    home: HomeOption,
    check: ContractCheck,
    anchors: tuple[Certificate, ...],
    at: str | None,
    files: EvidenceFiles,
) -> Decision:
    when = parse_time(at) if at else None
    settings = home.settings()
    services = None
    try:
        if settings.home.exists() or not anchors:
            services = wiring.build(settings)
        if services is not None and services.database.exists():
            return validate(
                services.deployment, operator(), check, at=when, anchors=anchors, files=files
            )
    finally:
        if services is not None:
            services.close()
    if anchors:
        return without_store(check, anchors, when or SystemClock().now(), files)
    raise NotFound(
        "not_initialised",
        f"There is no PKI at {settings.home}.",
        hint="Run `pnc init` first, or name trust anchors with --anchor.",
    )


@click.group("decision")
def decision_group() -> None:
    """Receipts: what was decided, why, and whether it would be decided again."""


@decision_group.command("show")
@click.argument("decision_id", metavar="ID")
@json_option
@click.pass_obj
@with_errors
def decision_show(home: HomeOption, *, decision_id: str, as_json: bool) -> None:
    """Explain a decision from its receipt."""
    with installation(home) as services:
        receipt = find(services.deployment, operator(), decision_id)
    told = json.loads(receipt.record)
    body = {**told["verdict"], "askedBy": receipt.asked_by, "check": told["check"]}
    emit(body, as_json=as_json, table=lambda: _table(body))


@decision_group.command("replay")
@click.argument("decision_id", metavar="ID")
@json_option
@click.pass_obj
@with_errors
def decision_replay(home: HomeOption, *, decision_id: str, as_json: bool) -> None:
    """Decide once more on what a receipt holds; exit status 1 if the verdict differs."""
    with installation(home) as services:
        found = replay(services.deployment, operator(), decision_id)
    body = {"same": found.same, "recorded": found.recorded, "replayed": found.replayed}
    emit(body, as_json=as_json, table=lambda: _table(found.replayed))
    if not as_json:
        click.echo("The same verdict." if found.same else "ANOTHER VERDICT than was recorded.")
    if not found.same:
        raise SystemExit(1)


@decision_group.command("outcomes")
@json_option
@with_errors
def decision_outcomes(*, as_json: bool) -> None:
    """Show how OCPP, ISO 15118-2 and ISO 15118-20 are told each fault."""
    names = ("fault", "certificateStatus", "tokenStatus", "iso15118_2", "iso15118_20", "meaning")
    body = {"outcomes": [dict(zip(names, row, strict=True)) for row in outcomes.rows()]}
    emit(body, as_json=as_json, table=lambda: listing(outcomes.COLUMNS, outcomes.rows()))


def _table(body: Json) -> object:
    verdict = "ACCEPTED" if body["accepted"] else f"REJECTED: {body['fault']}"
    emsp = body["emsp"]
    head = facts(
        [
            ("verdict", verdict),
            ("explanation", body["explanation"]),
            ("EMAID", body["emaid"]),
            ("eMSP", f"{emsp['providerId']} ({emsp['name']})" if emsp else None),
            ("OCPP", " / ".join(_ocpp_words(body["ocpp"]))),
            ("ISO 15118-2", body["iso15118_2"]),
            ("ISO 15118-20", body["iso15118_20"]),
            ("expires soon", body["expiresSoon"]),
            ("decision", body["decisionId"]),
        ]
    )
    rows = [(c["question"], c["answer"], c["detail"], c["clause"]) for c in body["checks"]]
    return Group(head, listing(("question", "answer", "detail", "clause"), rows))


def _ocpp_words(answer: Json) -> list[str]:
    words = [f"certificateStatus {answer['certificateStatus']}"] if len(answer) > 1 else []
    return [*words, f"idTokenInfo {answer['idTokenInfo']['status']}"]


COMMANDS: Final = (validate_command, decision_group)
