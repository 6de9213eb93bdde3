"""
Registration: A → B → C, rotation and the end, from either side.

Who holds A asks for versions and posts credentials with B; with B the other side looks at versions
and endpoints, and answers with C. No transaction is open while a partner is called.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus

from pki import access, audit
from pki.errors import BadInput, Conflict, PkiError, PolicyViolation, Unavailable
from pki.model import Partner, PartnerParty, PartnerState, Principal
from pki.outbound import check_address
from pki.partners.network import (
    Link,
    PartnerNetwork,
    call,
    endpoint,
    good_data,
    needed,
    new_token,
    one,
    require_unchanged,
    to_endpoints,
)
from pki.ports import Transaction
from pki.roaming.ocpi import versions
from pki.roaming.ocpi.credentials import Credentials, CredentialsRole
from pki.roaming.ocpi.parties import PartyKey, PartyRole
from pki.roaming.ocpi.versions import Endpoint, InterfaceRole, Module, Version


def own_credentials(network: PartnerNetwork, partner: Partner, token: str) -> Credentials:
    """Return what we tell a partner: a token for it, our versions and our parties."""
    return Credentials(
        token=token,
        url=f"{network.base_url}/versions",
        roles=tuple(
            CredentialsRole(key=PartyKey.parse(own.party), role=PartyRole(own.role), name=own.name)
            for own in partner.own
        ),
    )


# --- the partner calls us ------------------------------------------------------------------------


def accept(
    network: PartnerNetwork, partner: Partner, version: Version, body: object, *, renew: bool
) -> Credentials:
    """
    Take credentials of a partner and return ours, with a new token (POST, or PUT to renew).

    Raises:
        Conflict: `ocpi_registered` (POST of a registered partner), `ocpi_not_registered` (PUT of
            another), `ocpi_party_taken`, `partner_changed`.
        BadInput: `ocpi_…` for credentials that cannot be read.
        Unavailable: `ocpi_client_unusable`.
        PolicyViolation: `ocpi_version_unsupported`, `ocpi_endpoints_missing`.
    """
    require_registered(partner, registered=renew)
    theirs = Credentials.parse(body)
    link = Link(token=theirs.token, raw=partner.raw_token)
    endpoints = _endpoints_of_client(network, link, theirs.url, version)
    token = new_token()
    with network.deployment.store.write() as tx:
        require_unchanged(partner, needed(tx, partner.partner_id, lock=True))
        registered = replace(
            partner,
            token_hash=access.token_hash(token),
            sealed_token=network.seal(partner.partner_id, theirs.token),
            version=version.value,
            versions_url=theirs.url,
            endpoints=to_endpoints(endpoints),
        )
        action = "partner.rotate" if renew else "partner.register"
        _keep(network, tx, registered, theirs, action, f"ocpi:{partner.partner_id}")
    return own_credentials(network, registered, token)


def require_registered(partner: Partner, *, registered: bool) -> None:
    """
    Return if the partner is, or is not, registered.

    Raises:
        Conflict: `ocpi_registered`, `ocpi_not_registered`; OCPI has 405 for both.
    """
    if (partner.state is PartnerState.REGISTERED) is registered:
        return
    if registered:
        raise Conflict("ocpi_not_registered", "Register first: POST the credentials.")
    raise Conflict("ocpi_registered", "Registered already: PUT renews the credentials.")


def _endpoints_of_client(
    network: PartnerNetwork, link: Link, url: str, version: Version
) -> tuple[Endpoint, ...]:
    """Ask the client for its versions and for the endpoints of the one that it spoke."""
    try:
        listed = versions.parse_versions(good_data(call(network, link, "GET", url)))
        place = listed.get(version.value)
        details = good_data(call(network, link, "GET", place)) if place else None
    except PkiError as error:
        raise Unavailable(
            "ocpi_client_unusable", f"Your versions cannot be used: {error.message}"
        ) from error
    if place is None:
        raise PolicyViolation(
            "ocpi_version_unsupported", f"Your platform does not list version {version.value}."
        )
    try:
        return versions.parse_details(one(details))
    except BadInput as error:
        missing = error.code == "ocpi_endpoints_missing"
        raise (
            PolicyViolation(error.code, error.message)
            if missing
            else Unavailable("ocpi_client_unusable", error.message)
        ) from error


def end(network: PartnerNetwork, partner: Partner) -> None:
    """
    Forget the credentials of a partner that said goodbye; its objects are kept.

    Raises:
        Conflict: `ocpi_not_registered`.
    """
    require_registered(partner, registered=True)
    _forget(network, partner.partner_id, f"ocpi:{partner.partner_id}", "partner.unregister")


# --- we call the partner -------------------------------------------------------------------------


def register(
    network: PartnerNetwork, principal: Principal, partner_id: str, url: str, token: str
) -> Partner:
    """
    Register with a partner whose versions address and first token were handed over.

    Raises:
        BadInput: `invalid_address`, `ocpi_no_common_version`, `ocpi_…` for unreadable answers.
        NotFound: `partner_unknown`.
        Conflict: `partner_registered`, `ocpi_party_taken`, `partner_changed`.
        Unavailable: the partner is out of reach, or refuses.
    """
    access.require(principal, access.Action.KEEP_PARTNERS)
    check_address(url)
    with network.deployment.store.read() as tx:
        partner = needed(tx, partner_id)
    if partner.state in (PartnerState.REGISTERED, PartnerState.SUSPENDED):
        raise Conflict(
            "partner_registered",
            f"The partner {partner_id} is registered already.",
            hint="`pnc partner rotate` renews the tokens.",
        )
    link = Link(token=token, raw=partner.raw_token)
    listed = versions.parse_versions(good_data(call(network, link, "GET", url)))
    version, place = versions.best(listed)
    found = versions.parse_details(one(good_data(call(network, link, "GET", place))))
    chosen = replace(
        partner,
        version=version.value,
        versions_url=url,
        endpoints=to_endpoints(found),
        state=PartnerState.INVITED,
    )
    return _exchange(network, principal, partner, chosen, link, "POST")


def rotate(network: PartnerNetwork, principal: Principal, partner_id: str) -> Partner:
    """
    Renew the tokens of both directions (PUT), and look at the partner's endpoints again.

    Raises:
        NotFound: `partner_unknown`.
        PolicyViolation: `partner_not_registered`.
        Unavailable: the partner is out of reach, or refuses; the tokens before stay in force.
    """
    access.require(principal, access.Action.KEEP_PARTNERS)
    with network.deployment.store.read() as tx:
        partner = needed(tx, partner_id)
    link = network.link(partner)
    url = partner.versions_url or ""
    listed = versions.parse_versions(good_data(call(network, link, "GET", url)))
    place = listed.get(partner.version or "")
    if place is None:
        raise PolicyViolation(
            "ocpi_version_unsupported", f"The partner lists version {partner.version} no more."
        )
    found = versions.parse_details(one(good_data(call(network, link, "GET", place))))
    return _exchange(
        network, principal, partner, replace(partner, endpoints=to_endpoints(found)), link, "PUT"
    )


def _exchange(  # noqa: PLR0913 - who, before and after, by which token and method
    network: PartnerNetwork,
    principal: Principal,
    before: Partner,
    chosen: Partner,
    link: Link,
    method: str,
) -> Partner:
    """Send credentials with a token that is good already, since the partner calls back with it."""
    place = endpoint(chosen, Module.CREDENTIALS, InterfaceRole.SENDER)
    if place is None:
        raise PolicyViolation("ocpi_endpoints_missing", "The partner has no credentials endpoint.")
    token = new_token()
    waiting = replace(chosen, token_hash=access.token_hash(token))
    _swap(network, before, waiting)
    try:
        ours = own_credentials(network, waiting, token).to_json()
        answer = call(network, link, method, place, body=ours)
        if answer.http == HTTPStatus.METHOD_NOT_ALLOWED:
            raise Unavailable("partner_refused", f"The partner does not take {method} now.")
        theirs = Credentials.parse(one(good_data(answer)))
        with network.deployment.store.write() as tx:
            require_unchanged(waiting, needed(tx, before.partner_id, lock=True))
            registered = replace(
                waiting, sealed_token=network.seal(before.partner_id, theirs.token)
            )
            action = "partner.register" if method == "POST" else "partner.rotate"
            return _keep(network, tx, registered, theirs, action, principal.name)
    except PkiError:
        with contextlib.suppress(Conflict):
            _swap(network, waiting, before)
        raise


def _swap(network: PartnerNetwork, before: Partner, after: Partner) -> None:
    with network.deployment.store.write() as tx:
        require_unchanged(before, needed(tx, before.partner_id, lock=True))
        tx.partners.replace(after)


def remove(network: PartnerNetwork, principal: Principal, partner_id: str) -> bool:
    """
    End the relation: tell the partner where it can be told, and forget the credentials.

    Returns:
        Whether the partner took note.

    Raises:
        NotFound: `partner_unknown`.
    """
    access.require(principal, access.Action.KEEP_PARTNERS)
    with network.deployment.store.read() as tx:
        partner = needed(tx, partner_id)
    told = False
    place = endpoint(partner, Module.CREDENTIALS, InterfaceRole.SENDER)
    if place is not None and partner.sealed_token is not None:
        with contextlib.suppress(PkiError):
            link = network.link(replace(partner, state=PartnerState.REGISTERED))
            told = call(network, link, "DELETE", place).envelope.good
    _forget(network, partner_id, principal.name, "partner.remove")
    return told


def _forget(network: PartnerNetwork, partner_id: str, actor: str, action: str) -> None:
    with network.deployment.store.write() as tx:
        held = needed(tx, partner_id, lock=True)
        tx.partners.replace(
            replace(
                held,
                state=PartnerState.REMOVED,
                token_hash=None,
                sealed_token=None,
                endpoints=(),
                registered_at=None,
            )
        )
        audit.note(tx, network.deployment.clock.now(), actor, action, partner_id)


# --- what both sides keep ------------------------------------------------------------------------


def _keep(  # noqa: PLR0913 - the partner, what it said, who did it
    network: PartnerNetwork,
    tx: Transaction,
    partner: Partner,
    theirs: Credentials,
    action: str,
    actor: str,
) -> Partner:
    now = network.deployment.clock.now()
    hub = theirs.hub_key()
    registered = replace(
        partner,
        state=PartnerState.REGISTERED,
        hub=str(hub) if hub else None,
        registered_at=partner.registered_at or now,
    )
    tx.partners.replace(registered)
    parties = _parties(tx, registered, theirs.roles, now)
    tx.partners.set_parties(partner.partner_id, [p for p in parties if not p.behind_hub])
    for party in parties:
        if party.behind_hub:
            tx.partners.put_client(party)
    audit.note(
        tx,
        now,
        actor,
        action,
        partner.partner_id,
        {"version": partner.version, "parties": len(parties)},
    )
    return registered


def _parties(
    tx: Transaction, partner: Partner, roles: Sequence[CredentialsRole], now: dt.datetime
) -> list[PartnerParty]:
    """
    Return the parties that a partner speaks for.

    A hub of 2.3.0 lists whom it reaches, so that its others lie behind it. Nobody else may claim a
    party that another partner speaks for, or one of ours: it could write that party's objects.
    """
    own = {(each.role, each.party) for each in partner.own}
    found: list[PartnerParty] = []
    for role in roles:
        party = str(role.key)
        behind = partner.hub is not None and party != partner.hub
        if (role.role.value, party) in own or (not behind and _taken(tx, partner, role)):
            if behind:
                continue
            raise Conflict(
                "ocpi_party_taken", f"{role.role.value} {party} is spoken for by somebody else."
            )
        found.append(
            PartnerParty(
                partner_id=partner.partner_id,
                role=role.role.value,
                party=party,
                name=role.name,
                behind_hub=behind,
                updated=int(now.timestamp()) * 1_000_000,
            )
        )
    return found


def _taken(tx: Transaction, partner: Partner, role: CredentialsRole) -> bool:
    reaching = tx.partners.reaching(str(role.key), role.role.value)
    return any(
        other.partner_id != partner.partner_id and not party.behind_hub for other, party in reaching
    )
