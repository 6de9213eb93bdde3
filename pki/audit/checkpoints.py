"""
Signed checkpoints: a key of its own vouches for the heads of the chains.

A checkpoint is a signature over one entry's hash, and so over every entry before it. One is written
in the transaction whose entries complete another thousand of a chain (`audit.checkpoint_entries`).
Beside that a job tells in the chain of administration where every other chain stands, and signs
that entry, so that no chain can be cut or dropped behind it unseen.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import secrets
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pki import access, audit
from pki.clock import Clock, format_time
from pki.errors import Unavailable
from pki.model import AuditEntry, Checkpoint, Principal, TokenKey
from pki.pkix.suites import Suite
from pki.ports import Deployment, Keys, Signer, Transaction

ACTION: Final = "audit.checkpoint"
NOTED: Final = "audit_heads_noted"
"""Setting of the store: up to where the chain of administration tells of each chain."""

_ACTOR: Final = "job:audit"
_LOG: Final = logging.getLogger(__name__)


def statement(chain: str, sequence: int, entry_hash: bytes, at: dt.datetime) -> bytes:
    """Return the octets that a checkpoint signs."""
    signed = ["pnc audit checkpoint", chain, sequence, entry_hash.hex(), format_time(at)]
    return json.dumps(signed, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealer:
    """Signs inside the transaction that completes another `entries` of a chain."""

    keys: Keys
    clock: Clock
    entries: int

    def seal(self, tx: Transaction) -> None:
        """Sign what is due; where no key is at hand it is left to the job."""
        due = [
            last
            for first, last in tx.audit.appended()
            if last.sequence // self.entries > (first.sequence - 1) // self.entries
        ]
        found = _signer(self.keys, tx) if due else None
        if found is None:
            return
        kid, signer = found
        for entry in due:
            tx.audit.seal(_signed(entry, kid, signer, self.clock.now()))


def keep(deployment: Deployment) -> int:
    """Tell where every chain stands, and sign it; return how many chains had gone on."""
    with deployment.store.read() as tx:
        if not _moved(tx):
            return 0
        found = _signer(deployment.keys, tx)
    kid, signer = found or _made(deployment)
    now = deployment.clock.now()
    with deployment.store.write() as tx:
        audit.hold(tx, audit.ADMIN)
        moved = _moved(tx)
        heads = [f"{chain}:{sequence}:{head.hex()}" for chain, (sequence, head) in moved.items()]
        entry = audit.note(
            tx, now, _ACTOR, ACTION, "", {"heads": [h for h in heads if not _is_admin(h)]}
        )
        tx.audit.seal(_signed(entry, kid, signer, now))
        noted = _noted(tx) | {chain: sequence for chain, (sequence, _) in moved.items()}
        tx.put_setting(NOTED, json.dumps(noted | {audit.ADMIN: entry.sequence}))
    return len(moved)


def waiting(tx: Transaction) -> int:
    """Return how many chains went on since the chain of administration told of them."""
    return len(_moved(tx))


def public_keys(tx: Transaction) -> dict[str, bytes]:
    """Return the public keys (DER) that ever signed, by their ids."""
    return {key.kid: key.public_key for key in tx.audit_keys.all()}


def rotate(deployment: Deployment, principal: Principal) -> TokenKey:
    """Sign with a new key from now on; what the old ones signed stays signed."""
    access.require(principal, access.Action.KEEP_HIERARCHY)
    key = _new_key(deployment)
    with deployment.store.write() as tx:
        tx.audit_keys.retire(key.created_at)
        _keep_key(tx, key, principal.name)
    return key


def _is_admin(head: str) -> bool:
    return head.startswith(f"{audit.ADMIN}:")


def _noted(tx: Transaction) -> dict[str, int]:
    found: dict[str, int] = json.loads(tx.setting(NOTED) or "{}")
    return found


def _moved(tx: Transaction) -> dict[str, tuple[int, bytes]]:
    """Return the heads that the chain of administration does not tell of yet."""
    noted = _noted(tx)
    return {
        chain: head
        for chain, head in sorted(tx.audit.heads().items())
        if head[0] != noted.get(chain)
    }


def _signed(entry: AuditEntry, kid: str, signer: Signer, at: dt.datetime) -> Checkpoint:
    covered = statement(entry.chain, entry.sequence, entry.entry_hash, at)
    return Checkpoint(
        chain=entry.chain,
        sequence=entry.sequence,
        entry_hash=entry.entry_hash,
        at=at,
        kid=kid,
        signature=signer.sign(covered),
    )


def _signer(keys: Keys, tx: Transaction) -> tuple[str, Signer] | None:
    """Return the newest key that this host holds, or None."""
    for key in tx.audit_keys.all():
        if key.retired_at is None:
            try:
                return key.kid, keys.signer(key.label)
            except Unavailable as error:
                _LOG.warning("audit key %s: %s", key.kid[:16], error.code)
    return None


def _made(deployment: Deployment) -> tuple[str, Signer]:
    """Make a key of this host's own, as those of other hosts lie elsewhere."""
    key = _new_key(deployment)
    with deployment.store.write() as tx:
        _keep_key(tx, key, _ACTOR)
    return key.kid, deployment.keys.signer(key.label)


def _new_key(deployment: Deployment) -> TokenKey:
    label = f"audit-{secrets.token_hex(8)}"
    public_key = deployment.keys.create(label, Suite.P256).public_key
    spki = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return TokenKey(
        kid=hashlib.sha256(spki).hexdigest(),
        label=label,
        public_key=spki,
        created_at=deployment.clock.now(),
    )


def _keep_key(tx: Transaction, key: TokenKey, actor: str) -> None:
    tx.audit_keys.add(key)
    audit.note(tx, key.created_at, actor, "audit_key.add", key.kid, {"label": key.label})
