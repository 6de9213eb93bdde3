"""
Certificate status: the authority for everything that we issued.

`View` follows the change log, `Answers` answers OCSP requests from it, `crls` builds and publishes
CRLs, `refresh` keeps stored answers and responders fresh. CA keys are needed for CRLs and for new
responders only, never to answer.
"""

from __future__ import annotations

from pki.status.answers import Answers, Reply
from pki.status.policy import StatusPolicy
from pki.status.view import View

__all__ = ["Answers", "Reply", "StatusPolicy", "View"]
