"""
Certification paths: a bounded builder of our own in front of one OpenSSL verification per
candidate.

One implementation for two profiles: the contract decision (`CONTRACT`, which leaves dates, keys and
algorithms to the questions of the decision) and the generic RFC 5280 profile (`pki.pkix.generic`).
Nothing outside this package imports pyOpenSSL.
"""

from pki.pkix.path.build import (
    MAX_CANDIDATES,
    MAX_CERTIFICATES,
    MAX_SIGNATURE_CHECKS,
    MAX_STEPS,
    Search,
    find,
)
from pki.pkix.path.routes import MOST_ROUTES, Route, Routes
from pki.pkix.path.values import (
    ANY_POLICY,
    CONTRACT,
    NoPath,
    Path,
    PathFault,
    PolicyInputs,
    Rules,
)

__all__ = [
    "ANY_POLICY",
    "CONTRACT",
    "MAX_CANDIDATES",
    "MAX_CERTIFICATES",
    "MAX_SIGNATURE_CHECKS",
    "MAX_STEPS",
    "MOST_ROUTES",
    "NoPath",
    "Path",
    "PathFault",
    "PolicyInputs",
    "Route",
    "Routes",
    "Rules",
    "Search",
    "find",
]
