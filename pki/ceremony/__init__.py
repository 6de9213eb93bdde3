"""
Ceremonies: CAs made, rolled over, cross-certified and retired from one reviewed file; offline CAs.

A CA whose key lies offline is known here by its certificate alone. What it shall sign travels to it
as a file, and what it signed comes back as one; every file's hash stands in the transcripts of both
sides.
"""

from __future__ import annotations

from pki.ceremony.asking import answer, introduce
from pki.ceremony.papers import Answer, Request, read_answer, read_request
from pki.ceremony.receiving import accept, request
from pki.ceremony.running import run, transcripts
from pki.ceremony.script import Script, read
from pki.ceremony.values import Transcript

__all__ = [
    "Answer",
    "Request",
    "Script",
    "Transcript",
    "accept",
    "answer",
    "introduce",
    "read",
    "read_answer",
    "read_request",
    "request",
    "run",
    "transcripts",
]
