"""A small witness of our own, as C2SP tlog-witness describes one, and what it signs."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from explainer.errors import ProofInvalid
from explainer.ledger.checkpoint import (
    Checkpoint,
    VerifierKey,
    from_base64,
    parse_checkpoint,
    parse_note,
    to_base64,
    verify,
)
from explainer.ledger.tree import verify_consistency
from explainer.ledger.witness import WitnessKey, cosigned_text

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x04" * 32)
KEY = WitnessKey("witness.example/w1", PRIVATE.public_key().public_bytes_raw())
WITNESS = str(KEY)
TIME = 1_795_262_400  # 2026-11-21, 12:00


def line(text: bytes, seconds: int = TIME, key: WitnessKey = KEY) -> bytes:
    signature = PRIVATE.sign(cosigned_text(text, seconds))
    blob = key.key_id + seconds.to_bytes(8, "big") + signature
    return f"— {key.name} {to_base64(blob)}\n".encode()


def cosign(note: bytes, seconds: int = TIME) -> bytes:
    """The note with the line of the witness."""
    return note + line(parse_note(note)[0], seconds)


@dataclass
class Witness:
    """Keeps the last head it signed of each log it knows, and answers as the protocol says."""

    keys: dict[str, VerifierKey]
    heads: dict[str, Checkpoint] = field(default_factory=dict)
    asked: int = 0
    instead: tuple[int, bytes] | None = None
    """Answered to everything, where a test wants it so."""
    extra: bytes = b""

    def answer(self, body: bytes) -> tuple[int, bytes]:
        self.asked += 1
        if self.instead is not None:
            return self.instead
        asked, _, note = body.partition(b"\n\n")
        first, *proof = asked.decode().split("\n")
        old = int(first.removeprefix("old "))
        text, _ = parse_note(note)
        new = parse_checkpoint(text)
        if new.origin not in self.keys:
            return 404, b""
        try:
            verify(note, self.keys[new.origin])
        except ProofInvalid:
            return 403, b""
        if old > new.size:
            return 400, b""
        known = self.heads.get(new.origin)
        if old != (known.size if known else 0):
            return 409, b"%d\n" % (known.size if known else 0)
        if known and old == new.size and known.root != new.root:
            return 409, b"%d\n" % known.size
        try:
            steps = [from_base64(one) for one in proof]
            if known and known.size:
                verify_consistency(known.size, known.root, new.size, new.root, steps)
            elif steps:
                return 422, b""
        except ProofInvalid:
            return 422, b""
        self.heads[new.origin] = new
        return 200, line(text) + self.extra


@contextmanager
def serving(
    answer: object,
    path: str = "/add-checkpoint",
    tls: ssl.SSLContext | None = None,
    **headers: str,
) -> Iterator[str]:
    """Serve `answer(body) -> (status, body)` at a port of the loopback; yields the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, said = answer(body) if self.path == path else (404, b"")  # type: ignore[operator]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
