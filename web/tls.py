"""
The second listener: TLS that asks for a client certificate, so that a charger can renew its own.

Whose certificate it is and whether it may be renewed, `pki.enrol` asks; TLS only proves that the
peer holds the key, and that one of our CAs signed. `web.worker_tls` speaks it.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pki.errors import Unavailable
from pki.settings import Settings


def server_files(settings: Settings, now: dt.datetime) -> tuple[Path, Path]:
    """
    Return the files of certificate and key of the listener.

    Raises:
        Unavailable: `tls_certificate_missing` (production mode makes none of its own).
    """
    if settings.tls_certificate is not None and settings.tls_key is not None:
        return settings.tls_certificate, settings.tls_key
    if not settings.demo:
        raise Unavailable(
            "tls_certificate_missing",
            "The listener with client certificates has no certificate of its own.",
            hint="Set serve.tls_certificate and serve.tls_key in pnc.toml to PEM files.",
        )
    return _demo_files(settings, now)


def _demo_files(settings: Settings, now: dt.datetime) -> tuple[Path, Path]:
    """Return a self-signed certificate for localhost and its key, made at every start."""
    certificate, key_file = (settings.home / "run" / name for name in ("tls.pem", "tls.key"))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=90))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _write(certificate, made.public_bytes(Encoding.PEM))
    return certificate, key_file


def _write(path: Path, octets: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(octets)
    temporary.replace(path)
