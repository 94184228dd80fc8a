"""One connection of a browser or a program: read quickly, and never a head without an end."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
"""Bytes of address and header fields of a request; the quick reader itself knows no limit."""


class HeadTooLarge(Exception):
    """The reader answers with 400 and hangs up."""


class Connection(HttpToolsProtocol):
    """Hangs up on a request whose head is larger than LARGEST_HEAD, whole or still on its way."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._unfinished = 0
        self._in_head = True

    def on_message_begin(self) -> None:
        self._in_head = True
        self._unfinished = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > LARGEST_HEAD:
            raise HeadTooLarge
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head:
            return
        # what is not whole yet lies with the parser, where nobody counts it
        self._unfinished += len(data)
        if self._unfinished > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")
