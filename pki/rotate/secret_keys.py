"""Keys of access tokens, of the webhooks' secrets, and of the secrets that we keep of others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pki import access, audit, tokens
from pki.errors import Conflict
from pki.events import keys as webhook_keys
from pki.ids import ProviderId
from pki.model import Principal, Webhook
from pki.ports import Deployment
from pki.rotate.values import Effect, Rotation, Step


def token(deployment: Deployment, principal: Principal, *, dry_run: bool = False) -> Rotation:
    """Sign access tokens with a new key; the one before is published until its tokens ended."""
    known = tokens.keys(deployment, principal)
    signing = [key for key in known if key.retired_at is None]
    made = None if dry_run else tokens.rotate(deployment, principal)
    effect = Effect(
        step=Step.RETIRE,
        who="holders of access tokens",
        what="need a new one by then, as they would have without a rotation",
        at=deployment.clock.now() + deployment.tokens.lifetime,
    )
    return Rotation(
        key="token",
        step=Step.SWITCH,
        old=signing[0].kid if signing else None,
        new=made.kid if made else None,
        following=Step.RETIRE,
        effects=(effect,),
        dry_run=dry_run,
    )


# --- webhooks ------------------------------------------------------------------------------------


def webhooks(
    deployment: Deployment, principal: Principal, step: Step | None = None, *, dry_run: bool = False
) -> Rotation:
    """
    Take the next step, or the one named: prepare the next key, or switch to it.

    Raises:
        Conflict: `rotation_underway`, `not_prepared`.
    """
    access.require(principal, access.Action.KEEP_CLIENTS)
    with deployment.store.read() as tx:
        before = webhook_keys.names(tx)
        effects = tuple(
            Effect(
                step=Step.SWITCH,
                who=f"{hook.client_id} ({hook.url})",
                what="refuses what it is told unless it checks with nextSecret by then",
            )
            for hook in _hooks(tx.webhooks.page)
        )
    chosen = step or (Step.PREPARE if before.following is None else Step.SWITCH)
    if not dry_run:
        act = webhook_keys.prepare if chosen is Step.PREPARE else webhook_keys.switch
        act(deployment, principal)
    return Rotation(
        key="webhooks",
        step=chosen,
        old=before.current,
        new=before.following or webhook_keys.following_label(before.current),
        following=Step.SWITCH if chosen is Step.PREPARE else None,
        effects=effects,
        dry_run=dry_run,
    )


_PAGE = 200


def _hooks(page: Callable[[str, int], list[Webhook]]) -> list[Webhook]:
    found: list[Webhook] = []
    while more := page(found[-1].webhook_id if found else "", _PAGE):
        found += more
    return [hook for hook in found if hook.enabled]


# --- storage -------------------------------------------------------------------------------------


def storage(
    deployment: Deployment,
    principal: Principal,
    step: Step | None = None,
    *,
    dry_run: bool = False,
) -> Rotation:
    """
    Take the next step, or the one named, with the key that encrypts the secrets of partners.

    prepare: the next key is made. switch: it encrypts from then on, and what is there is
    encrypted anew. retire: the old key is removed. An interrupted switch is taken up again.

    Raises:
        Conflict: `rotation_underway`, `not_prepared`, `secrets_left`: some are still encrypted
            with the old key.
    """
    access.require(principal, access.Action.KEEP_PARTNERS)
    vault = deployment.vault
    chosen = step or _storage_step(deployment)
    old, left = vault.generations, _sealed_before(deployment)
    if not dry_run:
        _storage_act(deployment, principal, chosen)
    new = vault.prepared or vault.generations[-1]
    return Rotation(
        key="storage",
        step=chosen,
        old=f"storage key {old[0]}",
        new=f"storage key {new if chosen is not Step.PREPARE or not dry_run else old[-1] + 1}",
        following={Step.PREPARE: Step.SWITCH, Step.SWITCH: Step.RETIRE}.get(chosen),
        effects=(
            Effect(
                step=Step.SWITCH,
                who="every host",
                what="must hold the file of the next key before; secrets of partners are "
                "encrypted anew, and no partner notices",
                count=left,
            ),
        ),
        dry_run=dry_run,
    )


def _storage_step(deployment: Deployment) -> Step:
    vault = deployment.vault
    if vault.prepared is not None:
        return Step.SWITCH
    if len(vault.generations) == 1:
        return Step.PREPARE
    return Step.SWITCH if _sealed_before(deployment) else Step.RETIRE


def _storage_act(deployment: Deployment, principal: Principal, step: Step) -> None:
    vault = deployment.vault
    if step is Step.PREPARE:
        _note(deployment, principal, "storage_key.prepare", vault.prepare())
    elif step is Step.SWITCH:
        if vault.prepared is not None:
            _note(deployment, principal, "storage_key.switch", vault.switch())
        elif len(vault.generations) == 1:
            raise Conflict("not_prepared", "No next storage key is prepared.")
        _seal_anew(deployment)
    else:
        left = _sealed_before(deployment)
        if left:
            raise Conflict("secrets_left", f"{left} secrets are encrypted with the old key.")
        for number in vault.retire():
            _note(deployment, principal, "storage_key.retire", number)


def _sealed_before(deployment: Deployment) -> int:
    """Return how many secrets are sealed with another key than the newest."""
    with deployment.store.read() as tx:
        partners, emsps = tx.partners.all(), tx.roaming.emsps()
    sealed = [(p.sealed_token, f"partner:{p.partner_id}") for p in partners]
    sealed += [(emsp.sealed_token, emsp.context) for emsp in emsps]
    vault = deployment.vault
    return sum(not vault.is_newest(secret, context) for secret, context in sealed if secret)


def _seal_anew(deployment: Deployment) -> int:
    """Encrypt every secret with the newest key, each in a transaction of its own."""
    with deployment.store.read() as tx:
        ids = [partner.partner_id for partner in tx.partners.all()]
        emsps = tx.roaming.emsps()
    hooks = sum(_seal_hook(deployment, emsp.provider_id) for emsp in emsps if emsp.sealed_token)
    return hooks + sum(_seal_one(deployment, partner_id) for partner_id in ids)


def _seal_hook(deployment: Deployment, provider: ProviderId) -> bool:
    vault = deployment.vault
    with deployment.store.write() as tx:
        tx.contracts.account(provider, lock=True)
        emsp = tx.roaming.emsp(provider)
        if emsp is None or not emsp.sealed_token:
            return False
        if vault.is_newest(emsp.sealed_token, emsp.context):
            return False
        secret = vault.unseal(emsp.sealed_token, emsp.context)
        tx.roaming.put_emsp(replace(emsp, sealed_token=vault.seal(secret, emsp.context)))
        tx.roaming.changed(deployment.clock.now())  # who asks holds the old one in memory
    return True


def _seal_one(deployment: Deployment, partner_id: str) -> bool:
    context, vault = f"partner:{partner_id}", deployment.vault
    with deployment.store.write() as tx:
        partner = tx.partners.get(partner_id, lock=True)
        if partner is None or not partner.sealed_token:
            return False
        if vault.is_newest(partner.sealed_token, context):
            return False
        secret = vault.unseal(partner.sealed_token, context)
        tx.partners.replace(replace(partner, sealed_token=vault.seal(secret, context)))
    return True


def _note(deployment: Deployment, principal: Principal, action: str, number: int) -> None:
    with deployment.store.write() as tx:
        audit.note(tx, deployment.clock.now(), principal.name, action, f"storage key {number}")
