"""`pnc root`, `pcp`, `cps`: the pools of provisioning."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from pki.cli.output import (
    HomeOption,
    emit,
    facts,
    installation,
    json_option,
    listing,
    operator,
    paged,
    tell_more,
    with_errors,
    yes_option,
)
from pki.ids import Fingerprint
from pki.model import Domain, TrustList
from pki.pkix import pem
from pki.pkix.suites import Suite
from pki.provision import ccp, cps, pcp, rcp, render
from pki.provision.render import Json
from pki.provision.shelf import Removal

_TYPES: Final = [domain.value for domain in Domain]
_LISTS: Final = {"european": TrustList.EUROPEAN, "american": TrustList.AMERICAN}
_MAX_CHAIN: Final = 4
_confirm = click.option(
    "--confirm-fingerprint",
    "confirm",
    required=True,
    help="SHA-256 fingerprint, learned from the owner through a second channel.",
)
_lists = click.option(
    "--list", "lists", multiple=True, type=click.Choice(sorted(_LISTS)), help="May be repeated."
)
_file = click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))


@click.group("root")
def root_group() -> None:
    """The root pool: trust anchors with fingerprints, trust lists, cross certificates."""


@root_group.command("list")
@click.option("--type", "domain", type=click.Choice(_TYPES))
@json_option
@click.pass_obj
@with_errors
def root_list(home: HomeOption, *, domain: str | None, as_json: bool) -> None:
    """List the roots."""
    with installation(home) as services:
        found = rcp.roots(services.deployment, operator(), Domain(domain) if domain else None)
    body = [render.root_json(root) for root in found]
    rows = [(b["type"], b["subject"], b["fingerprint"], b["notAfter"], b["rootId"]) for b in body]
    emit(
        body,
        as_json=as_json,
        table=lambda: listing(("type", "subject", "fingerprint", "not after", "root id"), rows),
    )


@root_group.command("add")
@_file
@click.option("--type", "domain", required=True, type=click.Choice(_TYPES))
@_confirm
@_lists
@json_option
@click.pass_obj
@with_errors
def root_add(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    file: Path,
    domain: str,
    confirm: str,
    lists: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add a root certificate; decisions trust it from now on."""
    with installation(home) as services:
        root = rcp.add(
            services.deployment,
            operator(),
            file.read_bytes(),
            Domain(domain),
            confirm=confirm,
            trust_lists=tuple(_LISTS[name] for name in lists),
        )
    _show(render.root_json(root), as_json=as_json)


@root_group.command("remove")
@click.argument("root_id")
@_confirm
@yes_option
@json_option
@click.pass_obj
@with_errors
def root_remove(home: HomeOption, *, root_id: str, confirm: str, yes: bool, as_json: bool) -> None:
    """Stop trusting a root. Nothing below it is revoked."""
    with installation(home) as services:
        root = rcp.remove(
            services.deployment, operator(), root_id, confirm=confirm, dry_run=not yes
        )
    _show({"dryRun": not yes, **render.root_json(root)}, as_json=as_json, acted=yes)


@root_group.command("lists")
@click.argument("root_id")
@_lists
@_confirm
@json_option
@click.pass_obj
@with_errors
def root_lists(
    home: HomeOption, *, root_id: str, lists: tuple[str, ...], confirm: str, as_json: bool
) -> None:
    """Say on which trust lists a root stands; none is `No CTL`."""
    with installation(home) as services:
        root = rcp.set_trust_lists(
            services.deployment,
            operator(),
            root_id,
            tuple(_LISTS[name] for name in lists),
            confirm=confirm,
        )
    _show(render.root_json(root), as_json=as_json)


@root_group.command("cross")
@_file
@_confirm
@json_option
@click.pass_obj
@with_errors
def root_cross(home: HomeOption, *, file: Path, confirm: str, as_json: bool) -> None:
    """Add a certificate by which one root vouches for another."""
    with installation(home) as services:
        root = rcp.add_cross_certificate(
            services.deployment, operator(), file.read_bytes(), confirm=confirm
        )
    _show(render.root_json(root), as_json=as_json)


@root_group.command("uncross")
@click.argument("fingerprint")
@_confirm
@json_option
@click.pass_obj
@with_errors
def root_uncross(home: HomeOption, *, fingerprint: str, confirm: str, as_json: bool) -> None:
    """Remove a cross certificate."""
    with installation(home) as services:
        rcp.remove_cross_certificate(
            services.deployment, operator(), Fingerprint.parse(fingerprint), confirm=confirm
        )
    _show({"removed": fingerprint}, as_json=as_json)


@click.group("pcp")
def pcp_group() -> None:
    """The provisioning certificate pool: chains of cars, deposited by their makers."""


@pcp_group.command("add")
@_file
@click.option("--previous", help="PCID that the car had before; its contracts go.")
@click.option("--v2g-root", "key_ids", multiple=True, help="Key id of a root that the car holds.")
@click.option("--preview", is_flag=True, help="Only show what would happen.")
@json_option
@click.pass_obj
@with_errors
def pcp_add(  # noqa: PLR0913 - one parameter per option
    home: HomeOption,
    *,
    file: Path,
    previous: str | None,
    key_ids: tuple[str, ...],
    preview: bool,
    as_json: bool,
) -> None:
    """Deposit a chain (PEM: leaf, then sub-CAs). With another key, the car's contracts go."""
    leaf, *subs = pem.certificates(file.read_text("utf-8", "replace"), limit=_MAX_CHAIN)
    with installation(home) as services:
        deposit = pcp.deposit(
            services.deployment,
            operator(),
            leaf,
            tuple(subs),
            previous=previous,
            v2g_root_key_ids=key_ids,
            dry_run=preview,
        )
    _show(render.deposit_json(deposit), as_json=as_json)


@pcp_group.command("list")
@paged("Place")
@json_option
@click.pass_obj
@with_errors
def pcp_list(home: HomeOption, *, after: str | None, limit: int, as_json: bool) -> None:
    """List deposited chains, ordered by PCID and suite."""
    with installation(home) as services:
        found = pcp.search(services.deployment, operator(), after=after, limit=limit)
    tell_more(found, limit, pcp.place_of)
    body = [render.chain_json(chain) for chain in found]
    rows = [(b["pcid"], b["suite"], b["fingerprint"], b["notAfter"]) for b in body]
    emit(
        body,
        as_json=as_json,
        table=lambda: listing(("PCID", "suite", "fingerprint", "not after"), rows),
    )


@pcp_group.command("show")
@click.argument("pcid")
@json_option
@click.pass_obj
@with_errors
def pcp_show(home: HomeOption, *, pcid: str, as_json: bool) -> None:
    """Show a car's chains."""
    with installation(home) as services:
        found = pcp.find(services.deployment, operator(), pcid)
    body = [render.chain_json(chain) for chain in found]
    emit(body, as_json=as_json, table=lambda: facts(i for b in body for i in b.items()))


@pcp_group.command("delete")
@click.argument("pcid")
@yes_option
@json_option
@click.pass_obj
@with_errors
def pcp_delete(home: HomeOption, *, pcid: str, yes: bool, as_json: bool) -> None:
    """Remove a car's chains; its contracts go, and ours are revoked."""
    with installation(home) as services:
        removal = pcp.delete(services.deployment, operator(), pcid, dry_run=not yes)
    _show_removal(removal, as_json=as_json)


@pcp_group.command("reset")
@click.argument("pcid")
@yes_option
@json_option
@click.pass_obj
@with_errors
def pcp_reset(home: HomeOption, *, pcid: str, yes: bool, as_json: bool) -> None:
    """Factory reset: remove a car's contracts, keep its chains."""
    with installation(home) as services:
        removal = pcp.factory_reset(services.deployment, operator(), pcid, dry_run=not yes)
    _show_removal(removal, as_json=as_json)


@pcp_group.command("default")
@click.argument("pcid")
@click.argument("emaid")
@json_option
@click.pass_obj
@with_errors
def pcp_default(home: HomeOption, *, pcid: str, emaid: str, as_json: bool) -> None:
    """Make a contract the one that an ISO 15118-2 car gets."""
    with installation(home) as services:
        ccp.set_default(services.deployment, operator(), pcid, emaid)
    _show({"pcid": pcid, "default": emaid}, as_json=as_json)


@click.group("cps")
def cps_group() -> None:
    """The leaves of the provisioning service, which sign contract bundles."""


@cps_group.command("list")
@click.option("--all", "ended", is_flag=True, help="Those too that no longer sign.")
@json_option
@click.pass_obj
@with_errors
def cps_list(home: HomeOption, *, ended: bool, as_json: bool) -> None:
    """List the leaves that sign."""
    with installation(home) as services:
        found = cps.signers(services.deployment, operator(), ended=ended)
    body = [render.signer_json(signer) for signer in found]
    rows = [(b["subject"], b["suite"], b["rootSubject"], b["notAfter"]) for b in body]
    emit(
        body,
        as_json=as_json,
        table=lambda: listing(("subject", "suite", "V2G root", "not after"), rows),
    )


@cps_group.command("add")
@click.option("--issuer", help="Name of a CPS sub-CA 2 (default: the newest of the suite).")
@click.option("--suite", type=click.Choice([s.value for s in Suite]), default=Suite.P256.value)
@json_option
@click.pass_obj
@with_errors
def cps_add(home: HomeOption, *, issuer: str | None, suite: str, as_json: bool) -> None:
    """Make a new leaf; bundles are signed with the newest under their V2G root."""
    with installation(home) as services:
        signer = cps.make(services.deployment, operator(), issuer=issuer, suite=Suite(suite))
    _show(render.signer_json(signer), as_json=as_json)


def _show(body: Json, *, as_json: bool, acted: bool = True) -> None:
    emit(body, as_json=as_json, table=lambda: facts(body.items()))
    if not acted and not as_json:
        click.echo("Nothing was changed. Add --yes to act.")


def _show_removal(removal: Removal, *, as_json: bool) -> None:
    _show(render.removal_json(removal), as_json=as_json, acted=not removal.dry_run)


COMMANDS: Final = (root_group, pcp_group, cps_group)
