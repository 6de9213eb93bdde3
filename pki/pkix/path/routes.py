"""
Paths that verified before, for leaves that look alike: what is left to check is one signature.

Two leaves of one shape (`pki.pkix.leaves`) differ in serial, dates, common name, key, key
identifier and signature. None of these decides which way a search takes, and of none does OpenSSL
ask more than that the signature is good where dates are left out (`CONTRACT`), no name is
constrained and the leaf is not self-issued. So the way that the search took for one holds for the
other, under the same anchors and beside the same certificates. Everything doubtful goes the long
way (`pki.pkix.path.build`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cryptography import x509

from pki.pkix.certificate import Certificate
from pki.pkix.leaves import Leaves
from pki.pkix.path.build import Search, find
from pki.pkix.path.signatures import good
from pki.pkix.path.values import CONTRACT, NoPath, Path

MOST_ROUTES: Final = 1024
MOST_SIGNATURES: Final = 50_000
"""Good signatures that are remembered, some 10 MB at the most."""

Certificates = tuple[Certificate, ...]
_Key = tuple[object, bytes, Certificates]


@dataclass(frozen=True, slots=True)
class Route:
    """The way from a leaf's issuer to its anchor, and certificates that are no such leaf."""

    issuers: Certificates
    others: frozenset[Certificate]


class Routes:
    """What one process remembers of paths and signatures; safe to share between threads."""

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves
        self._routes: dict[_Key, Route] = {}
        self._signatures: dict[tuple[str, str], None] = {}

    def find(
        self,
        presented: Certificates,
        pool: Callable[[], tuple[Certificates, Certificates]],
        scope: bytes,
        prefer: Callable[[Path], bool],
    ) -> Path | NoPath:
        """
        Find a path as `pki.pkix.path.find` does under `CONTRACT` rules, and the same one.

        Args:
            presented: the leaf, and what came with it.
            pool: further certificates, and the anchors.
            scope: what stands for exactly this pool and these anchors.
            prefer: see `find`.
        """
        leaf, *_ = presented
        path = self._known(leaf, (leaf.shape, scope, presented[1:]))
        if path is not None and prefer(path):
            return path
        more, anchors = pool()
        others = (*presented[1:], *more)
        found = find(leaf, others, anchors, prefer=prefer)
        if isinstance(found, Path) and prefer(found) and set(presented) <= set(found.certificates):
            self._learn(found, presented, others, anchors, scope)
        return found

    def _known(self, leaf: Certificate, key: _Key) -> Path | None:
        route = self._routes.get(key) if leaf.shape is not None else None
        if route is None or leaf in route.others or not self._certified(leaf, route.issuers[0]):
            return None
        return Path(certificates=(leaf, *route.issuers))

    def _certified(self, leaf: Certificate, issuer: Certificate) -> bool:
        """Verify a leaf's signature, unless that was done."""
        key = (leaf.fingerprint.value, issuer.fingerprint.value)
        if key in self._signatures:
            return True
        if not good(issuer.public_key, leaf.signature_oid, leaf.signature, leaf.tbs):
            return False
        while len(self._signatures) >= MOST_SIGNATURES:
            self._signatures.pop(next(iter(self._signatures)), None)
        self._signatures[key] = None
        return True

    def _learn(
        self,
        path: Path,
        presented: Certificates,
        others: Certificates,
        anchors: Certificates,
        scope: bytes,
    ) -> None:
        """Remember a path that is the first of its search whatever the leaf's signature is."""
        leaf = path.leaf
        if leaf.self_issued or any(_constrains_names(c) for c in path.certificates):
            return
        if Search(leaf, others, anchors, CONTRACT).certain() != path.certificates:
            return
        shape = self._leaves.keep(leaf)
        if shape is None:
            return
        while len(self._routes) >= MOST_ROUTES:
            self._routes.pop(next(iter(self._routes)), None)
        self._routes[shape, scope, presented[1:]] = Route(
            issuers=path.certificates[1:], others=frozenset((*others, *anchors))
        )


def _constrains_names(certificate: Certificate) -> bool:
    """Tell whether names below depend on this certificate (RFC 5280 4.2.1.10)."""
    return any(extension.oid == _NAME_CONSTRAINTS for extension in certificate.extensions)


_NAME_CONSTRAINTS: Final = x509.NameConstraints.oid
