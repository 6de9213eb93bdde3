"""EST clients of the field enrol at a running service, and renew over mutual TLS."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pki import rotate
from pki.demo import FILE_NAME
from tests.homes import ADMIN, opened
from tests.interop.field import run
from tests.web.calling import csr
from tests.web.serving import serving
from tests.web.test_est import FORMS

JARS = ":".join(f"/usr/share/java/{name}.jar" for name in ("bcpkix", "bcprov", "bcutil"))
SOURCE = Path(__file__).parent / "java" / "Enrolling.java"
NAME = "DECPAE1"


@dataclass(frozen=True, kw_only=True)
class Station:
    """A charger with its key and CSR, and where the service is."""

    folder: Path
    plain: str
    secure: str
    anchor: Path
    user: str
    secret: str

    def file(self, name: str) -> Path:
        return self.folder / name

    def request(self, name: str, common_name: str = NAME) -> Path:
        """Write a fresh key and its CSR as `{name}.key`, `{name}.der` and `{name}.b64`."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.file(f"{name}.key").write_bytes(pem)
        request = x509.load_pem_x509_csr(csr(common_name, key).encode())
        der = request.public_bytes(Encoding.DER)
        self.file(f"{name}.der").write_bytes(der)
        self.file(f"{name}.b64").write_bytes(base64.encodebytes(der))
        return self.file(f"{name}.der")

    def curl(self, url: str, *more: str | Path) -> tuple[str, bytes]:
        """Return status and body."""
        body = self.file("body")
        said = run(
            "curl", "-sS", "--cacert", self.anchor, "-o", body, "-w", "%{http_code}", *more, url
        )
        return said, body.read_bytes()

    def enrol(self, url: str, name: str, *more: str | Path) -> x509.Certificate:
        """Enrol with curl, and read the answer with openssl."""
        status, body = self.curl(url, "--data-binary", f"@{self.file(f'{name}.b64')}", *more)
        assert status == "200", body
        p7, pem = self.file("p7"), self.file(f"{name}.pem")
        p7.write_bytes(base64.b64decode(body))
        run("openssl", "pkcs7", "-inform", "DER", "-in", p7, "-print_certs", "-out", pem)
        return x509.load_pem_x509_certificate(pem.read_bytes())


@pytest.fixture(scope="module")
def station(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    folder = tmp_path_factory.mktemp("est")
    home = Path(shutil.copytree(template, folder / "home"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = json.loads((home / FILE_NAME).read_text("utf-8"))["cpo"]
    with serving(home, folder / "log", more=f"mtls_port = {port}\n") as server:
        made = Station(
            folder=folder,
            plain=server.url,
            secure=f"https://127.0.0.1:{port}",
            anchor=home / "run" / "tls.pem",
            user=client["clientId"],
            secret=client["token"],
        )
        _wait_for(port)
        made.request("first")
        yield made


def _wait_for(port: int) -> None:
    for _ in range(600):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the TLS listener does not answer")


@pytest.mark.parametrize("form", FORMS)
def test_curl_enrols_under_every_form_of_path(station: Station, form: str) -> None:
    login = ("-u", f"{station.user}:{station.secret}", "-H", "Content-Type: application/pkcs10")
    got = station.enrol(station.plain + form.format("simpleenroll"), "first", *login)
    assert got.subject.rfc4514_string().endswith(f"CN={NAME}")
    assert station.curl(station.plain + form.format("cacerts"))[0] == "200"


def test_strongswan_fetches_the_authorities_enrols_and_renews(station: Station) -> None:
    reach = ("--url", f"{station.secure}/cpo-flat", "--cacert", station.anchor)
    said = run("pki", "--estca", *reach, "--outform", "pem", "--caout", station.file("ca"))
    assert "Sub CA cert is trusted" in said
    login = ("--userpass", f"{station.user}:{station.secret}")
    first = run("pki", "--est", *reach, *login, "--in", station.request("one"), "--outform", "pem")
    _keep(station.file("one.pem"), first)
    current = ("--cert", station.file("one.pem"), "--key", station.file("one.key"))
    again = run(
        "pki", "--est", *reach, *current, "--in", station.request("two"), "--outform", "pem"
    )
    renewed = _keep(station.file("two.pem"), again)
    assert renewed.subject.rfc4514_string().endswith(f"CN={NAME}")


def _keep(path: Path, said: str) -> x509.Certificate:
    start, end = said.index("-----BEGIN CERTIFICATE"), said.index("-----END CERTIFICATE-----") + 26
    path.write_text(said[start:end], "utf-8")
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_bouncy_castle_fetches_authorities_and_attributes_and_enrols(station: Station) -> None:
    run("javac", "-cp", JARS, "-d", station.file("classes"), SOURCE)
    address = station.secure.removeprefix("https://")
    words = (address, "cpo", station.anchor, station.user, station.secret)
    classes = f"{station.file('classes')}:{JARS}"
    said = run("java", "-cp", classes, "Enrolling", *words, station.request("castle")).splitlines()
    assert [line.partition(",")[0] for line in said] == [
        "CA CN=CPO Sub-CA 2 2",
        "CA CN=CPO Sub-CA 1 2",
        "CA CN=V2G Root 2",
        "ATTRIBUTES 2",
        f"ISSUED CN={NAME}",
    ]


def test_a_certificate_renews_itself_over_mutual_tls_and_nothing_else(station: Station) -> None:
    login = ("-u", f"{station.user}:{station.secret}")
    station.request("current")
    station.enrol(f"{station.secure}/cpo/simpleenroll", "current", *login)
    station.request("next")
    proof = ("--cert", station.file("current.pem"), "--key", station.file("current.key"))
    url = f"{station.secure}/cpo/simplereenroll"
    renewed = station.enrol(url, "next", *proof)
    assert renewed.subject.rfc4514_string().endswith(f"CN={NAME}")
    station.request("other", "DECPAE2")
    refused = station.curl(url, *proof, "--data-binary", f"@{station.file('other.b64')}")
    assert (refused[0], refused[1][:13]) == ("403", b"other_subject")
    alone = station.curl(url, *login, "--data-binary", f"@{station.file('next.b64')}")
    assert (alone[0], alone[1][:26]) == ("403", b"client_certificate_missing")


def test_a_forged_header_renews_nothing(station: Station) -> None:
    login = ("-u", f"{station.user}:{station.secret}")
    station.request("victim")
    victim = station.enrol(f"{station.plain}/cpo/simpleenroll", "victim", *login)
    forged = base64.b64encode(victim.public_bytes(Encoding.DER)).decode()
    for url in (station.plain, station.secure):
        status, body = station.curl(
            f"{url}/cpo/simplereenroll",
            "-H",
            f"Client-Cert: :{forged}:",
            "--data-binary",
            f"@{station.file('victim.b64')}",
        )
        assert (status, body[:26]) == ("403", b"client_certificate_missing")


def test_tls_refuses_a_certificate_of_another_pki(station: Station) -> None:
    key, pem = station.file("foreign.key"), station.file("foreign.pem")
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run("openssl", *new, "-subj", f"/CN={NAME}", "-days", "2", "-keyout", key, "-out", pem)
    command = ("-sS", "--cacert", station.anchor, "--cert", pem, "--key", key)
    said = run("curl", *command, f"{station.secure}/cpo/cacerts", code=None)
    assert "alert" in said
    assert station.curl(f"{station.secure}/cpo/cacerts")[0] == "200"


def test_who_stops_in_the_middle_of_a_handshake_holds_up_nobody(station: Station) -> None:
    port = int(station.secure.rpartition(":")[2])
    begun = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(20)]
    try:
        for each in begun:
            each.sendall(b"\x16\x03\x01")  # the head of a record of TLS
        assert station.curl(f"{station.secure}/cpo/cacerts", "--max-time", "20")[0] == "200"
    finally:
        for each in begun:
            each.close()


def test_a_ca_that_is_made_while_the_listener_runs_is_believed_soon(station: Station) -> None:
    with opened(station.anchor.parent.parent) as services:
        for step in (rotate.prepare, rotate.switch):
            step(services.deployment, ADMIN, "tls1-p256")
    login = ("-u", f"{station.user}:{station.secret}")
    station.request("box", "SN-0042")
    station.enrol(f"{station.plain}/station/simpleenroll", "box", *login)
    station.request("again", "SN-0042")
    sent = ("--data-binary", f"@{station.file('again.b64')}")
    proof = ("--cert", station.file("box.pem"), "--key", station.file("box.key"))
    command = ("-sS", "--cacert", station.anchor, "-o", station.file("body"), "-w", "%{http_code}")
    url = f"{station.secure}/station/simplereenroll"
    for _ in range(60):
        if run("curl", *command, *proof, *sent, url, code=None) == "200":
            return
        time.sleep(0.5)
    pytest.fail("the new CA is not believed")
