"""
django-ca's OCSP view with its answer cache filled, under gunicorn as its service file has it.

It runs in a virtual environment of its own: `python3 -m venv VENV; VENV/bin/pip install
"django-ca[api]" celery gunicorn "psycopg[binary]"`. (Without Celery, its command
`generate_ocsp_keys` fails in 3.2.) Its documentation wants PostgreSQL; without one it gets SQLite.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from scripts.bench import load
from scripts.bench.processes import Server, free_port, serving

COUNT: Final = 1000
"""
Certificates that it issues for the purpose. Django's default cache holds 300 entries; with no more
certificates than that, an answer was measured at 380 µs in place of 1000.
"""

_SETTINGS: Final = """\
import os
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
HERE = Path(__file__).resolve().parent.parent
SECRET_KEY = "x" * 60
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "project.urls"
USE_TZ = True
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django_ca"]
MIDDLEWARE = []
DATABASES = {"default": {
    "ENGINE": "django.db.backends.sqlite3", "NAME": str(HERE / "db.sqlite3"), "CONN_MAX_AGE": 600,
    "OPTIONS": {"timeout": 20, "init_command": "PRAGMA journal_mode=WAL;"}}}
FILES = "django.core.files.storage.FileSystemStorage"
if os.environ.get("DATABASE"):
    address = urlsplit(os.environ["DATABASE"])
    DATABASES["default"] = {
        "ENGINE": "django.db.backends.postgresql", "NAME": address.path[1:],
        "USER": address.username, "HOST": parse_qs(address.query)["host"][0], "CONN_MAX_AGE": 600}
STORAGES = {"default": {"BACKEND": FILES}, "staticfiles": {"BACKEND": FILES},
            "django-ca": {"BACKEND": FILES, "OPTIONS": {"location": str(HERE / "files")}}}
CA_DEFAULT_HOSTNAME = "127.0.0.1"
CA_USE_CELERY = False
CA_ENABLE_ACME = False
if "CACHED" in os.environ:  # a root refuses it
    CA_OCSP_RESPONSE_CACHE_EXPIRES = 86400
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING = {"version": 1, "disable_existing_loggers": True}
"""
_URLS: Final = """\
from django.urls import include, path
urlpatterns = [path("django_ca/", include("django_ca.urls"))]
"""
_WSGI: Final = """\
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""
_ISSUE: Final = """\
import sys
from pathlib import Path
import django
django.setup()
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from django_ca.models import Certificate, CertificateAuthority
ca = CertificateAuthority.objects.exclude(parent=None).get()
options = ca.key_backend.get_use_private_key_options(ca, {})
for number in range(int(sys.argv[1])):
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    name = x509.NameAttribute(x509.NameOID.COMMON_NAME, f"bench{number}.example")
    made = Certificate.objects.create_cert(
        ca, options, csr.sign(key, hashes.SHA256()), subject=x509.Name([name]))
    asked = ocsp.OCSPRequestBuilder().add_certificate(
        made.pub.loaded, ca.pub.loaded, hashes.SHA256()).build()
    Path(f"{number}.req").write_bytes(asked.public_bytes(Encoding.DER))
print(ca.serial)
"""


@contextmanager
def cached(
    environment: Path, folder: Path, database_url: str
) -> Iterator[tuple[Server, list[bytes]]]:
    """Set django-ca up, fill its cache, and run it; give its requests too."""
    home = folder / "django"
    serial = _set_up(environment.absolute(), home, database_url)
    path = f"/django_ca/ocsp/{serial}/cert/"
    asked = [load.post(path, file.read_bytes()) for file in sorted(home.glob("*.req"))]
    port = free_port()
    gunicorn = str(environment.absolute() / "bin" / "gunicorn")
    command = [gunicorn, "-b", f"127.0.0.1:{port}", "project.wsgi"]
    with serving(
        command,
        port,
        home / "log",
        environment=_variables(home, database_url),
        directory=home,
    ) as server:
        yield server, asked


_CREATE: Final = """\
import sys, time
import django
django.setup()
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django_ca.models import Certificate, CertificateAuthority
ca = CertificateAuthority.objects.exclude(parent=None).get()
options = ca.key_backend.get_use_private_key_options(ca, {})
key = ec.generate_private_key(ec.SECP256R1())
made = []
for number in range(int(sys.argv[1])):
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    name = x509.NameAttribute(x509.NameOID.COMMON_NAME, f"create{number}.example")
    made.append((csr.sign(key, hashes.SHA256()), x509.Name([name])))
begun = time.process_time()
for csr, name in made:
    Certificate.objects.create_cert(ca, options, csr, subject=name)
print(time.process_time() - begun)
"""


def prepared(environment: Path, folder: Path, database_url: str) -> Path:
    """Set django-ca up, with a CA to issue from; return its home."""
    home = folder / "django"
    _set_up(environment.absolute(), home, database_url)
    (home / "create.py").write_text(_CREATE, "utf-8")
    return home


def create(
    environment: Path, home: Path, database_url: str, count: int, database_cpu: Callable[[], float]
) -> float:
    """Issue with `create_cert`; return CPU microseconds for each, the database's included."""
    before = database_cpu()
    done = subprocess.run(  # noqa: S603 - the words are ours
        [str(environment.absolute() / "bin" / "python"), "create.py", str(count)],
        cwd=home,
        capture_output=True,
        text=True,
        env={**os.environ, **_variables(home, database_url, cached=False)},
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"django-ca: {done.stderr[-2000:]}")
    own = float(done.stdout.split()[-1])
    return (own + database_cpu() - before) / count * 1e6


def _variables(home: Path, database_url: str, *, cached: bool = True) -> dict[str, str]:
    settings = {"DJANGO_SETTINGS_MODULE": "project.settings", "PYTHONPATH": str(home)}
    return settings | {"DATABASE": database_url} | ({"CACHED": "yes"} if cached else {})


def _set_up(environment: Path, home: Path, database_url: str) -> str:
    project = home / "project"
    project.mkdir(parents=True)
    (home / "files").mkdir()
    for name, text in (("settings", _SETTINGS), ("urls", _URLS), ("wsgi", _WSGI), ("__init__", "")):
        (project / f"{name}.py").write_text(text, "utf-8")
    (home / "issue.py").write_text(_ISSUE, "utf-8")
    python = environment / "bin" / "python"

    def run(*words: str, cached: bool = False) -> str:
        done = subprocess.run(  # noqa: S603 - the words are ours
            [str(python), *words],
            cwd=home,
            capture_output=True,
            text=True,
            env={**os.environ, **_variables(home, database_url, cached=cached)},
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"django-ca: {words}:\n{done.stdout}{done.stderr}")
        return done.stdout

    kind = ("--key-type=EC", "--elliptic-curve=secp256r1", "--algorithm=SHA-256")
    run("-m", "django", "migrate", "-v0")
    run("-m", "django", "init_ca", *kind, "--path-length=1", "Root", "CN=Bench Root")
    root = run("-m", "django", "list_cas").split()[0]
    parent = ("--path-length=0", f"--parent={root}")
    run("-m", "django", "init_ca", *kind, *parent, "Sub", "CN=Bench Sub")
    serial = run("issue.py", str(COUNT)).split()[-1]
    run("-m", "django", "generate_ocsp_keys")
    run("-m", "django", "generate_ocsp_responses", cached=True)
    return serial
