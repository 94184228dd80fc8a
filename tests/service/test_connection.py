"""What comes in over a connection: read by llhttp, and never without a limit."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from service.web.connection import LARGEST_HEAD, Connection


async def _app(scope, receive, send):
    """Answers with the number of bytes of the body."""
    size, more = 0, scope["type"] == "http"
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(_app, http=Connection, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join()


@pytest.fixture
def line(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        yield line


def _request(field: int, body: bytes = b"") -> bytes:
    return (
        b"POST /?q HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\nX-Long: %s\r\n\r\n%s"
        % (len(body), b"x" * field, body)
    )  # fmt: skip


def _answer(line: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        part = line.recv(65536)
        assert part, got
        got += part
    head, _, body = got.partition(b"\r\n\r\n")
    wanted = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < wanted:
        body += line.recv(65536)
    return head.split(b" ")[1] + b" " + body


def _still_serves(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as other:
        other.sendall(_request(10))
        return _answer(other) == b"200 0"


def test_long_heads_and_longer_bodies_are_taken_one_after_the_other(line: socket.socket) -> None:
    body = b"b" * (16 * LARGEST_HEAD)
    for _ in range(4):
        # each by itself is within the limit, all of them together are not
        line.sendall(_request(LARGEST_HEAD - 1000, body))
        assert _answer(line) == b"200 %d" % len(body)


def test_a_head_that_is_too_large_is_refused_in_one_piece(port: int, line: socket.socket) -> None:
    line.sendall(_request(LARGEST_HEAD))
    assert _answer(line).startswith(b"400 ")
    assert line.recv(100) == b""
    assert _still_serves(port)


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nHost: here\r\nX-Long: "])
def test_a_head_that_never_ends_is_cut_off(port: int, line: socket.socket, start: bytes) -> None:
    line.sendall(start)
    refused = False
    for _ in range(64):
        try:
            line.sendall(b"x" * 4096)
        except OSError:  # the other side hung up while we were still sending
            refused = True
            break
        line.settimeout(0.05)
        try:
            refused = line.recv(100)[:12] in {b"HTTP/1.1 400", b""}
        except TimeoutError:
            continue
        except OSError:
            refused = True
        break
    assert refused
    assert _still_serves(port)


def test_what_is_no_http_is_answered_with_400(port: int, line: socket.socket) -> None:
    line.sendall(b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n")
    assert _answer(line).startswith(b"400 ")
    assert _still_serves(port)
