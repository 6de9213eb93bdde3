"""Other programs that answer OCSP: `openssl ocsp`, nginx with files, `cfssl ocspserve`."""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pki.model import CertificateRecord
from pki.services import Services
from scripts.bench import homes
from scripts.bench.processes import Server, free_port, serving

_NGINX: Final = """\
daemon off; pid {folder}/nginx.pid; worker_processes 1; error_log {folder}/nginx.err;{user}
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 100000000; sendfile on; tcp_nopush on;
  client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
  uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
  open_file_cache max=10000 inactive=60s;
  types {{ application/ocsp-response der; }}
  server {{ listen 127.0.0.1:{port}; location /r/ {{ alias {folder}/r/; }} }}
}}
"""


def missing() -> list[str]:
    """Return the peers that are not installed (Debian: nginx-light, golang-cfssl)."""
    return [name for name in ("openssl", "nginx", "cfssl") if not shutil.which(name)]


@contextmanager
def openssl(
    services: Services, records: Sequence[CertificateRecord], folder: Path
) -> Iterator[Server]:
    """Run `openssl ocsp` over our certificates, with our own signer's certificate and key."""
    signer = homes.responder(services)
    _pem(folder / "ca.pem", homes.issuer(services).certificate)
    _pem(folder / "signer.pem", signer.der)
    until = f"{records[0].not_after:%y%m%d%H%M%SZ}"
    lines = [
        f"V\t{until}\t\t{_even(r.serial.value)}\tunknown\t/CN={r.common_name}" for r in records
    ]
    (folder / "index.txt").write_text("\n".join(lines) + "\n", "utf-8")
    keys = services.settings.home / "keys"
    port = free_port()
    command: list[str | Path] = [
        "openssl",
        "ocsp",
        "-port",
        str(port),
        "-index",
        folder / "index.txt",
    ]
    command += ["-CA", folder / "ca.pem", "-rsigner", folder / "signer.pem", "-ndays", "7"]
    command += ["-rkey", keys / f"{signer.key_label}.pem", "-ignore_err"]
    command += ["-passin", f"file:{keys / 'passphrase'}"]
    with serving(command, port, folder / "openssl.log") as server:
        yield server


@contextmanager
def nginx(answers: Sequence[bytes], folder: Path) -> Iterator[Server]:
    """Run nginx over these answers as files `/r/NUMBER.der`: the ceiling for any server."""
    (folder / "r").mkdir(parents=True, exist_ok=True)
    (folder / "t").mkdir(exist_ok=True)
    for number, answer in enumerate(answers):
        (folder / "r" / f"{number}.der").write_bytes(answer)
    port = free_port()
    user = f" user {folder.owner()};"
    text = _NGINX.format(folder=folder, port=port, user=user)
    (folder / "nginx.conf").write_text(text, "utf-8")
    command: list[str | Path] = ["nginx", "-p", folder, "-c", folder / "nginx.conf"]
    with serving(command, port, folder / "nginx.log") as server:
        yield server


@contextmanager
def cfssl(answers: Sequence[bytes], folder: Path) -> Iterator[Server]:
    """Run `cfssl ocspserve` over these answers, signed beforehand."""
    listed = "\n".join(base64.b64encode(answer).decode() for answer in answers)
    (folder / "responses").write_text(listed + "\n", "ascii")
    port = free_port()
    command: list[str | Path] = ["cfssl", "ocspserve", "-address", "127.0.0.1", "-port", str(port)]
    command += ["-responses", folder / "responses", "-loglevel", "5"]
    with serving(command, port, folder / "cfssl.log") as server:
        yield server


def _pem(path: Path, der: bytes) -> None:
    path.write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))


def _even(serial: str) -> str:
    """Return hex as the index of OpenSSL has it."""
    return ("0" * (len(serial) % 2) + serial).upper()
