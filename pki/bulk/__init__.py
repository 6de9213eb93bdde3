"""
Many certificates from one file: every row is judged first, then issued in groups, once.

A file is a job, known by the SHA-256 of its octets. Each row has identifiers of intents of its own,
derived from job and line, of which the store keeps no two: whatever was killed, whoever runs the
file again finds what a row got, and a row gets one certificate.
"""

from __future__ import annotations

from pki.bulk.keys import KeyPlace, RowKeys, file_name
from pki.bulk.rows import Fault, Row, Sheet, read_sheet
from pki.bulk.signed import require_signature
from pki.bulk.work import Done, Form, Ready, issue_rows, prepare_rows

__all__ = [
    "Done",
    "Fault",
    "Form",
    "KeyPlace",
    "Ready",
    "Row",
    "RowKeys",
    "Sheet",
    "file_name",
    "issue_rows",
    "prepare_rows",
    "read_sheet",
    "require_signature",
]
