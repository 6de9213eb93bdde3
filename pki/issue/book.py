"""What the orders of one group ask the store: the same thing once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from cryptography.x509.oid import NameOID

from pki import access, contracts
from pki.errors import PolicyViolation
from pki.issue.own import attribute
from pki.issue.rules import History
from pki.model import Holder, Issuer, IssuerState, Role
from pki.pkix.certificate import Certificate, load
from pki.pkix.profiles import Kind, Profile
from pki.pkix.suites import Suite
from pki.ports import Transaction

Ask = tuple[Kind, Suite, str | None]
"""Kind, suite of the key, and the issuer where one was named."""


@lru_cache(maxsize=256)
def certificate_of(der: bytes) -> Certificate:
    """Return a CA's certificate, read once in a process."""
    return load(der)


@lru_cache(maxsize=256)
def country_of(der: bytes) -> str | None:
    """Return the C of a CA, which its leaves take over where their profile has one."""
    return attribute(certificate_of(der), NameOID.COUNTRY_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    What orders for one kind of key share.

    Attributes:
        certificate: of the issuer; `country` its C.
        above: it and those above it, below the root, as DER.
    """

    issuer: Issuer
    profile: Profile
    certificate: Certificate
    country: str | None
    above: tuple[bytes, ...]


class Book:
    """
    Answers about issuers, parties and blocked keys, within one read.

    Args:
        keys: SHA-256 of every SubjectPublicKeyInfo that will be asked about.
    """

    __slots__ = ("_blocked", "_holders", "_lines", "_named", "_names", "issuers", "tx")

    def __init__(self, tx: Transaction, keys: Iterable[bytes]) -> None:
        self.tx = tx
        self.issuers = tx.issuers.all()
        self._blocked, held = tx.certificates.known_keys(list(keys))
        self._holders: dict[bytes, list[Holder]] = {}
        for key, holder in held:
            self.claim(key, holder)
        self._named: set[tuple[str, str, str]] = set()
        self._names: dict[tuple[Kind, str], str] = {}
        self._lines: dict[Ask, Line] = {}

    def active(self, name: str) -> Issuer | None:
        """Return the newest active generation of the issuer called `name`."""
        found = [i for i in self.issuers if i.name == name and i.state is IssuerState.ACTIVE]
        return max(found, key=lambda issuer: issuer.generation, default=None)

    def line(self, ask: Ask, choose: Callable[[], tuple[Issuer, Profile]]) -> Line:
        """Return what orders share that ask for the same; `choose` is called for the first."""
        found = self._lines.get(ask)
        if found is None:
            issuer, profile = choose()
            found = self._lines[ask] = Line(
                issuer=issuer,
                profile=profile,
                certificate=certificate_of(issuer.certificate),
                country=country_of(issuer.certificate),
                above=self._chain(issuer),
            )
        return found

    def _chain(self, issuer: Issuer) -> tuple[bytes, ...]:
        known = {each.issuer_id: each for each in self.issuers}
        found: list[bytes] = []
        above: Issuer | None = issuer
        while above is not None and above.parent_id is not None:
            found.append(above.certificate)
            above = known.get(above.parent_id)
        return tuple(found)

    def history(self, key: bytes) -> History:
        """Return what is known of a key that was asked about at the beginning."""
        return History(blocked=key in self._blocked, holders=self._holders.get(key, ()))

    def named_before(self, profile: Profile, common_name: str, owner: str) -> bool:
        """Tell whether an order of this group has the same profile, name, owner; note this one."""
        named = (profile.profile_id, common_name, owner)
        before = named in self._named
        self._named.add(named)
        return before

    def claim(self, key: bytes, holder: Holder) -> None:
        """Let the orders behind this one know that a key will be in a certificate."""
        self._holders.setdefault(key, []).append(holder)

    def organization(self, kind: Kind, owner: str, issuer: Issuer) -> str:
        """
        Return the registered name that becomes O.

        Raises:
            PolicyViolation: `account_unknown`, `party_unknown`.
        """
        if not owner:
            named = attribute(certificate_of(issuer.certificate), NameOID.ORGANIZATION_NAME)
            return named or issuer.name
        if (kind, owner) not in self._names:
            self._names[kind, owner] = self._registered(kind, owner)
        return self._names[kind, owner]

    def _registered(self, kind: Kind, owner: str) -> str:
        if kind is Kind.CONTRACT:
            return contracts.require_account(self.tx, owner).name
        role = access.OWNER_ROLE.get(kind, Role.CPS)
        party = self.tx.contracts.party(role, owner)
        if party is None:
            raise PolicyViolation(
                "party_unknown",
                f"No {role.value} {owner} is registered.",
                hint=f'Register it: pnc party add {owner} --role {role.value} --name "…"',
            )
        return party.name
