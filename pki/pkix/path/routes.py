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
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509

from pki.ids import Fingerprint
from pki.pkix.certificate import Certificate
from pki.pkix.leaf_cut import TBS
from pki.pkix.leaves import Alike, Leaves, Shape
from pki.pkix.path.build import Search, find
from pki.pkix.path.signatures import verifier
from pki.pkix.path.values import CONTRACT, NoPath, Path
from pki.pkix.recent import Recent

MOST_ROUTES: Final = 1024
MOST_SIGNATURES: Final = 50_000
"""Good signatures that are remembered, some 10 MB at the most."""

Certificates = tuple[Certificate, ...]
_Key = tuple[object, bytes, Certificates]


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """
    The way from a leaf's issuer to its anchor.

    Attributes:
        scope, beside: for which anchors and pool, and for which certificates beside the leaf.
        others: fingerprints of certificates that are no such leaf.
        signer: fingerprint of the leaf's issuer.
        verifies: takes signature and to-be-signed part of a leaf.
        ways: what whoever asks keeps with it.
    """

    scope: bytes
    beside: Certificates
    issuers: Certificates
    others: frozenset[Fingerprint]
    signer: str
    verifies: Callable[[bytes, bytes], bool]
    ways: dict[object, object] = field(default_factory=dict)


class Routes:
    """What one process remembers of paths and signatures; safe to share between threads."""

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves
        self._routes: Recent[_Key, Route] = Recent(MOST_ROUTES)
        self._latest: dict[Shape, Route] = {}
        self._signatures: Recent[tuple[str, str], bool] = Recent(MOST_SIGNATURES)

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
        leaf = presented[0]
        route = self.route(presented, scope)
        if route is not None and self.certified(leaf, route):
            path = Path(certificates=(leaf, *route.issuers))
            if prefer(path):
                return path
        more, anchors = pool()
        others = (*presented[1:], *more)
        found = find(leaf, others, anchors, prefer=prefer)
        if isinstance(found, Path) and prefer(found) and set(presented) <= set(found.certificates):
            self._learn(found, presented, others, anchors, scope)
        return found

    def route(self, presented: Certificates, scope: bytes) -> Route | None:
        """Return the way that a leaf takes if its issuer signed it, where that is known."""
        leaf, beside = presented[0], presented[1:]
        if type(leaf) is not Alike:
            return None
        route = self._latest.get(leaf.shape)
        if route is None or route.beside != beside or route.scope != scope:
            route = self._routes.get((leaf.shape, scope, beside))
            if route is None:
                return None
            self._note(leaf.shape, route)
        return None if leaf.fingerprint in route.others else route

    def _note(self, shape: Shape, route: Route) -> None:
        """Keep the way that leaves of a shape took last: the next one mostly takes it as well."""
        if len(self._latest) >= MOST_ROUTES:
            self._latest.clear()
        self._latest[shape] = route

    def certified(self, leaf: Certificate, route: Route) -> bool:
        """Verify a leaf's signature, unless that was done."""
        key = (leaf.fingerprint.value, route.signer)
        if self._signatures.get(key):
            return True
        # the to-be-signed part of such a leaf is not kept
        tbs = leaf.der[TBS : leaf.tbs_end] if type(leaf) is Alike else leaf.tbs
        good = route.verifies(leaf.signature, tbs)
        if good:
            self._signatures.put(key, good)
        return good

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
        key, issuer = (shape, scope, presented[1:]), path.certificates[1]
        if self._routes.get(key) is not None:  # whoever asks keeps something with that one
            return
        route = Route(
            scope=scope,
            beside=presented[1:],
            issuers=path.certificates[1:],
            others=frozenset(certificate.fingerprint for certificate in (*others, *anchors)),
            signer=issuer.fingerprint.value,
            verifies=verifier(issuer.public_key, leaf.signature_oid),
        )
        self._routes.put(key, route)


def _constrains_names(certificate: Certificate) -> bool:
    """Tell whether names below depend on this certificate (RFC 5280 4.2.1.10)."""
    return any(extension.oid == _NAME_CONSTRAINTS for extension in certificate.extensions)


_NAME_CONSTRAINTS: Final = x509.NameConstraints.oid
