"""
An exported record, verified with nothing but the file and the public keys.

Found are: an entry that was changed, removed, moved or added; a chain that was cut or dropped
although a checkpoint tells of it; a chain that was written anew, as nobody without the key signs
it. What lies behind the last checkpoint is counted as unsigned. Whoever cuts every chain at an old
checkpoint, and removes the later ones, leaves a shorter record that is whole: compare the last
checkpoints with those of an earlier export.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TextIO

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

ADMIN: Final = "admin"
CHECKPOINT: Final = "audit.checkpoint"
MAX_LINE: Final = 4 * 1024 * 1024
UNSIGNED: Final = "no checkpoint vouches for the chain of administration"
_MOST_PROBLEMS: Final = 100
_GENESIS: Final = bytes(32).hex()

Keys = Mapping[str, ec.EllipticCurvePublicKey]


def read_keys(pems: Iterable[bytes]) -> Keys:
    """Return public keys by their ids. Raises ValueError for what is no P-256 key in PEM."""
    found: dict[str, ec.EllipticCurvePublicKey] = {}
    for pem in pems:
        key = load_pem_public_key(pem)
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise ValueError("an audit key is of P-256")  # noqa: TRY004 - what a file holds
        spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        found[hashlib.sha256(spki).hexdigest()] = key
    return found


@dataclass(slots=True)
class ChainState:
    """
    How far one chain was read.

    Attributes:
        signed: sequence of the last entry that a checkpoint vouches for.
        signed_at: when that was signed.
    """

    entries: int = 0
    head: str = _GENESIS
    signed: int = 0
    signed_at: str | None = None


@dataclass(slots=True)
class Verifier:
    """
    Reads an export line by line.

    Attributes:
        problems: what is wrong, at most a hundred; none: the record is what was signed.
    """

    keys: Keys
    problems: list[str] = field(default_factory=list)
    chains: dict[str, ChainState] = field(default_factory=dict)
    exported_at: str | None = None
    _claims: dict[str, dict[int, tuple[str, str | None]]] = field(default_factory=dict)
    _current: str | None = None
    _count: int = 0
    _begun: bool = False
    _ended: bool = False

    def read(self, lines: Iterable[str]) -> None:
        """Read the whole file; what is wrong is in `problems` afterwards."""
        for number, line in enumerate(lines, start=1):
            try:
                self._line(line)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self._tell(f"line {number} cannot be read")
            if len(self.problems) >= _MOST_PROBLEMS:
                return
        self._finish()

    def _tell(self, problem: str) -> None:
        self.problems.append(problem)

    def _line(self, line: str) -> None:
        if len(line) > MAX_LINE:
            raise ValueError("the line is too long")
        value = json.loads(line)
        kind = value["kind"]
        if self._ended:
            self._tell("there are lines behind the end")
        if not self._begun and kind != "audit":
            self._tell("the beginning is missing")
        self._begun = True
        if kind == "audit":
            self.exported_at = str(value["exportedAt"])
        elif kind == "checkpoint":
            self._checkpoint(value)
        elif kind == "entry":
            self._entry(value)
        elif kind == "end":
            self._ended = True
            if value["entries"] != self._count:
                self._tell(f"{value['entries']} entries were written, {self._count} are here")
        elif kind != "key":  # keys in the file prove nothing: who changes it changes them
            raise ValueError("the line is of no known kind")

    def _checkpoint(self, value: dict[str, Any]) -> None:
        chain, sequence = str(value["chain"]), int(value["sequence"])
        key = self.keys.get(value["kid"])
        if key is None:
            self._tell(f"{chain} {sequence} is signed by a key that was not given")
            return
        signed = ["pnc audit checkpoint", chain, sequence, value["entryHash"], value["at"]]
        octets = json.dumps(signed, separators=(",", ":")).encode()
        try:
            signature = base64.b64decode(value["signature"], validate=True)
            key.verify(signature, octets, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            self._tell(f"the signature over {chain} {sequence} is wrong")
            return
        self._claim(chain, sequence, str(value["entryHash"]), str(value["at"]))

    def _claim(self, chain: str, sequence: int, entry_hash: str, at: str | None) -> None:
        """Expect an entry to have this hash; with a time, a signature vouches for it."""
        if chain in self.chains and chain != self._current:
            self._tell(f"{chain} is told of behind its entries")
        claims = self._claims.setdefault(chain, {})
        known = claims.setdefault(sequence, (entry_hash, at))
        if known[0] != entry_hash:
            self._tell(f"two checkpoints name different entries {sequence} of {chain}")
        elif at is not None:
            claims[sequence] = (entry_hash, at)

    def _entry(self, value: dict[str, Any]) -> None:
        chain, sequence = str(value["chain"]), int(value["sequence"])
        if chain != self._current:
            self._close_chain()
            if chain in self.chains:
                self._tell(f"the entries of {chain} stand apart")
            self._current = chain
        state = self.chains.setdefault(chain, ChainState())
        self._count += 1
        if sequence != state.entries + 1:
            self._tell(f"{chain} {state.entries + 1} is missing or out of order")
        elif value["previousHash"] != state.head:
            self._tell(f"{chain} {sequence} does not follow the entry before it")
        if value["entryHash"] != _hash(value):
            self._tell(f"{chain} {sequence} was changed")
        state.entries, state.head = sequence, str(value["entryHash"])
        claimed = self._claims.get(chain, {}).pop(sequence, None)
        if claimed is not None:
            self._hold_against(state, chain, sequence, claimed)
        if chain == ADMIN and value["action"] == CHECKPOINT:
            self._heads(value)

    def _hold_against(
        self, state: ChainState, chain: str, sequence: int, claimed: tuple[str, str | None]
    ) -> None:
        expected, at = claimed
        if state.head != expected:
            self._tell(f"{chain} {sequence} is not the entry that was signed")
        elif at is not None:
            state.signed, state.signed_at = sequence, at

    def _heads(self, value: dict[str, Any]) -> None:
        """Take in where the other chains stood; signed with the chain of administration."""
        last = self._last_admin_signature(int(value["sequence"]))
        for head in json.loads(value["details"])["heads"]:
            chain, sequence, entry_hash = head.rsplit(":", 2)
            self._claim(chain, int(sequence), entry_hash, last)

    def _last_admin_signature(self, sequence: int) -> str | None:
        """Return the time of a signature that covers this entry of the administration."""
        state = self.chains[ADMIN]
        if state.signed >= sequence:
            return state.signed_at
        ahead = self._claims.get(ADMIN, {})
        return next((at for number, (_, at) in ahead.items() if number > sequence and at), None)

    def _close_chain(self) -> None:
        """Refuse checkpoints of entries that did not come."""
        left = self._claims.pop(self._current, {}) if self._current else {}
        if left and self._current:
            ends = self.chains[self._current].entries
            self._tell(f"{self._current} ends at {ends}, but entry {max(left)} was signed")

    def _finish(self) -> None:
        self._close_chain()
        for chain, left in self._claims.items():
            if left:
                self._tell(f"the chain {chain} is missing, but entry {max(left)} was signed")
        if not self._ended:
            self._tell("the end of the file is missing")
        if not self.chains.get(ADMIN, ChainState()).signed:
            self._tell(UNSIGNED)


def _hash(value: Mapping[str, Any]) -> str:
    names = ("chain", "sequence", "at", "actor", "action", "subject", "details", "previousHash")
    covered = json.dumps([value[name] for name in names], separators=(",", ":"))
    return hashlib.sha256(covered.encode()).hexdigest()


def limited(file: TextIO) -> Iterator[str]:
    """Yield the lines of a file; of one that is too long only what shows that it is."""
    while line := file.readline(MAX_LINE + 1):
        yield line


def verify(lines: Iterable[str], keys: Keys) -> Verifier:
    """Read an export and return what was found."""
    verifier = Verifier(keys)
    verifier.read(lines)
    return verifier


__all__ = [
    "UNSIGNED",
    "ChainState",
    "Keys",
    "Verifier",
    "limited",
    "load_der_public_key",
    "read_keys",
    "verify",
]
