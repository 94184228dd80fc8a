"""A small endpoint of the Open Inference Protocol v2, which can also answer in any wrong way."""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HEATING = {"gas": 0.0, "oil": 0.7, "wood": -0.4, "other": 1.3}


def margin(income: float, rooms: float, heating: str, tenancy: str) -> float:
    """The model behind the endpoint: something with interactions."""
    return income / 1000 - rooms * (0.5 if tenancy == "rent" else 0.1) + HEATING[heating]


def scores(asked: dict) -> dict:
    """A right answer to a request."""
    tensors = {tensor["name"]: tensor for tensor in asked["inputs"]}
    columns = [tensors[name]["data"] for name in ("income", "rooms", "heating", "tenancy")]
    found = [margin(*row) for row in zip(*columns, strict=True)]
    return {
        "model_name": "benefit",
        "model_version": "3",
        "outputs": [{"name": "score", "datatype": "FP64", "shape": [len(found), 1], "data": found}],
    }


@dataclass
class Endpoint:
    """A running server. `answer` may be replaced: it gets the handler and what was asked."""

    port: int
    secure: bool
    authority: str = ""
    fingerprint: str = ""
    asked: list[dict] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    connections: int = 0
    answer: Callable[[BaseHTTPRequestHandler, dict], None] | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://127.0.0.1:{self.port}"


def send(handler: BaseHTTPRequestHandler, body: object, status: int = 200, **headers: str) -> None:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    handler.send_header("Content-Type", "application/json")
    headers = {"Content-Length": str(len(data)), **headers}
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        """A client that goes away is what some tests are about."""


def start(certificate: Certificate | None = None) -> tuple[Endpoint, Callable[[], None]]:
    """A running endpoint, and what stops it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # head and body go out in two pieces; the second would wait for a receipt of the first
        disable_nagle_algorithm = True

        def setup(self):
            if context is not None:
                self.request.settimeout(5)
                self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()
            endpoint.connections += 1

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            endpoint.asked.append(asked)
            endpoint.paths.append(self.path)
            if endpoint.answer is None:
                send(self, scores(asked))
            else:
                endpoint.answer(self, asked)

        def do_GET(self):
            endpoint.paths.append(self.path)
            send(self, {})

        def finish(self):
            super().finish()
            self.request.close()

        def log_message(self, *_):
            pass

    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain, certificate.key)
    server = _Server(("127.0.0.1", 0), Handler)
    endpoint = Endpoint(
        server.server_address[1],
        certificate is not None,
        certificate.authority if certificate else "",
        certificate.fingerprint if certificate else "",
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()

    def stop():
        server.shutdown()
        server.server_close()
        thread.join()

    return endpoint, stop


@dataclass(frozen=True)
class Certificate:
    """A server's certificate from an authority made for the test."""

    chain: Path
    key: Path
    authority: str
    fingerprint: str


def certificate(folder: Path, *, host: str = "127.0.0.1", days: int = 2) -> Certificate:
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - a certificate is looked at now

    def signed(name, key, issuer, issuer_key, *extensions):
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=9))
            .not_valid_after(now + datetime.timedelta(days=days))
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    folder.mkdir(parents=True, exist_ok=True)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = signed(
        "authority", root_key, "authority", root_key, x509.BasicConstraints(True, None),
        x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()),
    )  # fmt: skip
    try:
        name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        name = x509.DNSName(host)
    leaf = signed(
        host, key, "authority", root_key, x509.SubjectAlternativeName([name]),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    (folder / "leaf.pem").write_bytes(leaf.public_bytes(pem))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    der = leaf.public_bytes(serialization.Encoding.DER)
    return Certificate(
        folder / "leaf.pem",
        folder / "key.pem",
        root.public_bytes(pem).decode(),
        hashlib.sha256(der).hexdigest(),
    )
