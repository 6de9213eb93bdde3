"""
Provisioning: from an eMSP's contract to a certificate in the car.

The four services of VDE-AR-E 2802-100-1: `rcp` (roots), `pcp` (cars), `cps` (signing), `ccp` (the
pool of signed contracts, and installation), and `life` (what becomes of a contract). Protocols
speak to these five; the other modules are theirs.
"""

from __future__ import annotations

from pki.provision import ccp, cps, life, pcp, rcp, upkeep

__all__ = ["ccp", "cps", "life", "pcp", "rcp", "upkeep"]
