"""
A key was lost: see what falls, revoke and block it, replace it in bulk, tell everybody.

Each step may be interrupted and repeated. The blast radius comes first and changes nothing.
"""

from __future__ import annotations

from pki.emergency.reissuing import reissue, status
from pki.emergency.striking import distrust, radius, replace_cas, strike
from pki.emergency.values import Case, Progress, Radius, RootRadius

__all__ = [
    "Case",
    "Progress",
    "Radius",
    "RootRadius",
    "distrust",
    "radius",
    "reissue",
    "replace_cas",
    "status",
    "strike",
]
