"""The process of one model, and the line to it: a question, and the reply to that very question.

Whatever goes wrong ends the process, so that no reply is ever taken for that of another question.
"""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Callable

from explainer.families.frames import Frame, FrameBroken, receive, send
from explainer.families.nursery import ProcessFailed, nursery_of

ANSWER_HEAD = 64 * 1024
"""Bytes of names and words in a reply; numbers come beside them."""


class Process:
    """A process that reads one model and answers for it. Raises ProcessFailed where none begins."""

    def __init__(self, declared: str) -> None:
        self._owner = os.getpid()
        self._asked = 0
        self._nursery = nursery_of(declared)
        begun = self._nursery.begin()
        self.number, self._line = begun.number, begun.line
        # a model nobody holds any more needs no process
        weakref.finalize(self, begun.line.close)

    def ask(
        self,
        request: Frame,
        seconds: float,
        largest_head: int = ANSWER_HEAD,
        meanwhile: Callable[[], None] | None = None,
    ) -> Frame:
        """The reply to this very request; raises ProcessFailed, after which this process is of no
        use any more. What we do `meanwhile` does not count against its time."""
        if os.getpid() != self._owner:
            raise ProcessFailed("It belongs to another process than this one.")
        deadline = time.monotonic() + seconds
        self._asked += 1
        numbered = Frame({**request.head, "request": self._asked}, request.arrays, request.data)
        try:
            send(self._line, numbered, deadline)
            if meanwhile is not None:
                begun = time.monotonic()
                meanwhile()
                deadline += time.monotonic() - begun
            reply = receive(self._line, deadline, largest_head)
            if reply.head.get("request") != self._asked:
                raise FrameBroken("The reply is to another request.")
            return reply
        except TimeoutError:
            self.end()
            raise ProcessFailed(f"It did not answer within {seconds:.0f} seconds.") from None
        except (FrameBroken, OSError):
            how = self.end()
            raise ProcessFailed(
                f"It was ended by signal {-how}." if how < 0 else "It ended."
            ) from None
        except BaseException:
            # whatever stopped us, the reply to this request must never be taken for the next one's
            self.end()
            raise

    def end(self) -> int:
        """End it; how it ended, nought where that is not known."""
        self._line.close()
        try:
            return self._nursery.end(self.number)
        except ProcessFailed:
            return 0
