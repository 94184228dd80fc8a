"""One pinned server, asked by HTTP: bounded in time and size, and never led elsewhere.

Whoever answers must hold the certificate that was pinned; a redirect, an answer that is too large
or too slow, or one that breaks off is a ModelFailed that says so. What the server writes is never
quoted: it may repeat values of a case.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import io
import ipaddress
import re
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from explainer.errors import ModelFailed

PAUSE = 0.1
"""Seconds before a question is asked again; doubled each time."""

ASK_AGAIN = (429, 502, 503, 504)
"""Statuses that say: not now."""

_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is."""

    secure: bool
    host: str
    port: int
    path: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}"


def address_in(url: str) -> Address | str:
    """The address in a URL, or what is wrong with it."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "is no URL."
    if parts.scheme not in ("https", "http") or not _HOST.fullmatch(host):
        return "is no https URL."
    if parts.username is not None or parts.query or parts.fragment or not url.isascii():
        return "holds more than a server and a path."
    if not _PATH.fullmatch(parts.path.rstrip("/")) or ".." in parts.path:
        return "has a path that is not plain."
    secure = parts.scheme == "https"
    if not secure and not _loopback(host):
        return "is http, which is allowed on this very machine (loopback) only."
    return Address(secure, host, port or (443 if secure else 80), parts.path.rstrip("/"))


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Trust:
    """What the server's certificate is held against: an authority, or the certificate itself."""

    context: ssl.SSLContext
    fingerprint: str | None

    @staticmethod
    def authority(pem: str) -> Trust:
        """Certificates of this authority for the name of the server. Raises ssl.SSLError."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(cadata=pem)
        return Trust(context, None)

    @staticmethod
    def certificate(sha256: str) -> Trust:
        """This very certificate; who issued it and for which name does not matter then."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # the handshake still proves that it holds the key
        return Trust(context, sha256)


class Endpoint:
    """A server that is asked one question after another over one connection."""

    def __init__(
        self,
        address: Address,
        trust: Trust | None,
        where: str,
        *,
        connect: float,
        answer: float,
        retries: int,
    ) -> None:
        """`connect` and `answer` are seconds for each; `where` names it in errors."""
        self._address = address
        self._where = where
        self._answer = answer
        self._retries = retries
        self._connection = Connection(address, trust, connect)

    def post(self, path: str, body: bytes, largest: int, deadline: float) -> bytes:
        """The body of the answer, of at most `largest` bytes.

        `deadline` is by `time.monotonic`, for all tries together: the question changes nothing, so
        it may be asked again. Raises ModelFailed.
        """
        pause, tries = PAUSE, 0
        while True:
            kept = self._connection.sock is not None
            try:
                return self._once(path, body, largest, deadline)
            except _NotNow as fault:
                self._connection.close()
                if kept and fault.broken:
                    continue  # the server had closed a connection that was left open
                tries += 1
                if tries > self._retries or time.monotonic() + pause >= deadline:
                    raise self._failed(fault.what, fault.mend) from None
                time.sleep(pause)
                pause *= 2
            except BaseException:
                self._connection.close()
                raise

    def _once(self, path: str, body: bytes, largest: int, deadline: float) -> bytes:
        try:
            self._connection.allow(min(deadline, time.monotonic() + self._answer))
            self._connection.request(
                "POST",
                self._address.path + path,
                body,
                {"Content-Type": "application/json", "Accept-Encoding": "identity"},
            )
            with self._connection.getresponse() as response:
                self._check(response)
                data = response.read(largest + 1)
                if len(data) > largest:
                    raise self._failed(
                        f"The endpoint's answer is larger than {largest} bytes.", _OTHER
                    )
                if response.length:
                    raise _NotNow("The endpoint broke off its answer.", _RUNS, broken=True)
        except NotThePinnedOne as fault:
            raise self._failed(fault.what, fault.mend) from None
        except TimeoutError:
            raise _NotNow("The endpoint did not answer in time.", _SLOW) from None
        except ssl.SSLCertVerificationError:
            raise self._failed("The endpoint's certificate is not the pinned one.", _PIN) from None
        except ssl.SSLError:
            raise self._failed("The endpoint does not speak TLS as it should.", _PIN) from None
        except http.client.HTTPException as fault:
            if isinstance(fault, http.client.RemoteDisconnected | http.client.IncompleteRead):
                raise _NotNow("The endpoint broke off its answer.", _RUNS, broken=True) from None
            raise self._failed("The endpoint's answer is no HTTP.", _OTHER) from None
        except OSError as fault:
            broken = isinstance(fault, ConnectionResetError | BrokenPipeError)
            what = "broke off the connection" if broken else "cannot be reached"
            raise _NotNow(
                f"The endpoint {what} ({type(fault).__name__}).", _RUNS, broken=broken
            ) from None
        except ValueError:
            # http.client meets sizes and statuses that are no numbers so
            raise self._failed("The endpoint's answer is no HTTP.", _OTHER) from None
        return data

    def _check(self, response: http.client.HTTPResponse) -> None:
        if 300 <= response.status < 400:
            raise self._failed(
                f"The endpoint redirects (status {response.status}), which is not followed.",
                "Give its final address in the description of the model.",
            )
        if response.status in ASK_AGAIN:
            raise _NotNow(f"The endpoint answers with status {response.status}.", _RUNS)
        if response.status != 200:
            raise self._failed(
                f"The endpoint answers with status {response.status}.",
                "Check name, version, inputs and datatypes of the model; its own log says more.",
            )

    def _failed(self, what: str, mend: str) -> ModelFailed:
        return ModelFailed(what, self._where, mend)


_RUNS = "Check that the endpoint runs and that this machine may reach it."
_SLOW = "Check the endpoint; or have fewer features, fewer comparison rows or more time."
_PIN = "If its certificate was renewed, pin the new one in the description, and seal the package."
_OTHER = "Check that this is an endpoint of the Open Inference Protocol v2."


class _NotNow(Exception):
    """It may be well in a moment."""

    def __init__(self, what: str, mend: str, *, broken: bool = False) -> None:
        super().__init__(what)
        self.what, self.mend, self.broken = what, mend, broken


class NotThePinnedOne(Exception):
    """Nothing was sent, and nothing will be."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.what, self.mend = what, mend


class Connection(http.client.HTTPConnection):
    """To one address, with the pin checked before anything is sent, and one limit in time."""

    def __init__(self, address: Address, trust: Trust | None, seconds: float) -> None:
        super().__init__(address.host, address.port)
        self._trust = trust
        self._seconds = seconds
        self._until = 0.0

    def allow(self, until: float) -> None:
        """Whatever is sent and received from here on is to be done by then."""
        self._until = until
        if isinstance(self.sock, _Timed):
            self.sock.until = until

    def connect(self) -> None:
        seconds = max(0.001, min(self._seconds, self._until - time.monotonic()))
        plain = socket.create_connection((self.host, self.port), seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = plain
            if self._trust is not None:
                line = self._trust.context.wrap_socket(plain, server_hostname=self.host)
                self._check_pin(line)
        except BaseException:
            plain.close()
            raise
        self.sock = _Timed(line, self._until)

    def _check_pin(self, line: ssl.SSLSocket) -> None:
        pinned = self._trust.fingerprint if self._trust else None
        if pinned is None:
            return  # the authority was checked by the handshake
        shown = hashlib.sha256(line.getpeercert(binary_form=True) or b"").hexdigest()
        if not hmac.compare_digest(shown, pinned):
            line.close()
            raise NotThePinnedOne("The endpoint's certificate is not the pinned one.", _PIN)


class _Timed:
    """A socket whose every step must end by one moment: a server that sends a byte now and then
    would otherwise be read for ever."""

    def __init__(self, line: socket.socket, until: float) -> None:
        self._line = line
        self._readers = 0
        self._over = False
        self.until = until

    def makefile(self, *_: Any) -> io.BufferedReader:
        self._readers += 1
        return io.BufferedReader(_Reader(self))

    def sendall(self, data: Any) -> None:
        self._set_time()
        self._line.sendall(data)

    def readinto(self, buffer: Any) -> int:
        self._set_time()
        return self._line.recv_into(buffer)

    def close(self) -> None:
        """Where the server closes after its answer, http.client closes before reading it."""
        self._over = True
        if not self._readers:
            self._line.close()

    def read_out(self) -> None:
        """One of its readers was closed."""
        self._readers -= 1
        if self._over and not self._readers:
            self._line.close()

    def _set_time(self) -> None:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._line.settimeout(left)


class _Reader(io.RawIOBase):
    """What an answer is read from; closing it leaves the connection open for the next."""

    def __init__(self, line: _Timed) -> None:
        self._line = line

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._line.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._line.read_out()
        super().close()
