"""Where models live: `python -I -m explainer.families.worker FORMAT`.

A damaged or crafted model can crash or hang the library that opens it. Here it can: nothing else
is in its process, no secret, no database, and the service goes on without one explanation.

This program loads the library of one format, which takes seconds, and then forks a process for
each model, which takes milliseconds: so a model that broke is soon there again, and models of one
format share the memory of their library. It has no threads, so forking is safe. Orders come over
standard input, a socket; all ends when that is closed.
"""

from __future__ import annotations

import array
import contextlib
import gc
import os
import resource
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from explainer.families.frames import Frame
    from explainer.families.model import Model

ORDER = struct.Struct(">cq")
"""What is to be done, and a number: b"+" a new process on the line sent along, answered with its
number; b"-" end the process of that number, answered with how it ended."""

MEMORY = 8 * 1024**3
"""Bytes of address space; libraries reserve far more of it than they use."""

PROCESSOR = 120
"""Seconds of processor time for one request; whoever waits gives up earlier by the clock."""

FILES = 64
MOST_ENDED = 1000

_PLAIN_ARRAYS = (
    "sklearn",
    "pandas",
    "matplotlib",
    "graphviz",
    "plotly",
    "dask",
    "pyarrow",
    "polars",
)
LEFT_OUT = {
    "xgboost-json": _PLAIN_ARRAYS,
    "xgboost-ubj": _PLAIN_ARRAYS,
    "lightgbm-txt": _PLAIN_ARRAYS,
    "catboost-cbm": ("sklearn", "matplotlib", "graphviz", "plotly"),
}
"""What a library would load for conveniences that are not used here: seconds and 100 MB."""
AFTER_FORKING = frozenset({"onnx"})
"""Formats whose library starts threads when it is loaded: a fork would lose them. Each model loads
it for itself."""


def main() -> None:
    """Load the library, then fork a process for each model that is asked for."""
    gc.disable()  # what libraries load stays; looking for garbage among it costs a tenth of a start
    orders = _take_line()
    for unneeded in LEFT_OUT.get(sys.argv[1], ()):
        # None makes an import fail, as the language has it; libraries that can do without, do
        sys.modules[unneeded] = None  # type: ignore[assignment]
    import explainer.families.inspect  # noqa: F401 - no process of a model loads code later
    from explainer.families.artefacts import library_of

    if sys.argv[1] not in AFTER_FORKING:
        library_of(sys.argv[1])
    gc.freeze()
    gc.enable()
    nursery = os.getpid()
    ended: dict[int, int] = {}
    while True:
        order, lines = _order(orders)
        if order is None:
            return  # and with us, by their own wish, all models
        _reap(ended)
        kind, number = ORDER.unpack(order)
        if kind == b"+":
            number = os.fork()
            if number == 0:
                _live(orders, lines[0], nursery)
        else:
            number = _ended(number, ended)
        for line in lines:
            os.close(line)
        orders.sendall(ORDER.pack(kind, number))


def _take_line() -> socket.socket:
    """Standard input is the line; the other streams lead nowhere, whatever a library prints."""
    line = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    return line


def _order(orders: socket.socket) -> tuple[bytes | None, list[int]]:
    data, ancillary, _, _ = orders.recvmsg(ORDER.size, socket.CMSG_SPACE(4))
    lines = array.array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            lines.frombytes(content)
    return (data if len(data) == ORDER.size else None), list(lines)


def _reap(ended: dict[int, int]) -> None:
    """Take note of processes that ended by themselves; the system keeps an entry for each until
    then."""
    with contextlib.suppress(ChildProcessError):
        while True:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            while len(ended) >= MOST_ENDED:
                ended.pop(next(iter(ended)))
            ended[process] = os.waitstatus_to_exitcode(status)


def _ended(process: int, ended: dict[int, int]) -> int:
    """End one of our own processes; how it ended, or nought if that is not known."""
    if process in ended:
        return ended.pop(process)
    try:
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
    except (ChildProcessError, ProcessLookupError):
        return 0
    return os.waitstatus_to_exitcode(status)


def _live(orders: socket.socket, line: int, nursery: int) -> NoReturn:
    """The life of one model, from its first request to the closing of its line."""
    try:
        orders.close()
        _end_with(nursery)
        _set_limits()
        if sys.argv[1] in AFTER_FORKING:
            from explainer.families.artefacts import library_of

            library_of(sys.argv[1])
        sys.dont_write_bytecode = True
        sys.addaudithook(_refuse)
        _serve(socket.socket(fileno=line))
    finally:
        os._exit(0)


def _end_with(nursery: int) -> None:
    """Be ended as soon as the program that forked us is gone, also in the middle of a hang."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, int(signal.SIGKILL), 0, 0, 0)  # PR_SET_PDEATHSIG
        with contextlib.suppress(OSError):
            # if memory runs out on this machine, a model goes first and not the service
            Path("/proc/self/oom_score_adj").write_text("1000")
    if os.getppid() != nursery:
        os._exit(0)


_FORBIDDEN = frozenset(
    {
        *("pickle.find_class", "subprocess.Popen", "pty.spawn"),
        *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty"),
        *("os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink"),
        *("os.chmod", "os.chown", "os.truncate", "os.kill", "os.putenv", "socket.bind"),
    }
)
_NETWORK = frozenset({"socket.connect", "socket.getaddrinfo", "socket.sendto"})


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """A model computes. Whatever else is tried on its behalf is refused (PEP 578).

    A second line: what a file may hold is checked before. Not a sandbox against native code.
    """
    forbidden = event in _FORBIDDEN
    if event in _NETWORK:
        forbidden = sys.argv[1] != "remote-oip-v2"
    elif event == "open":
        flags = arguments[2]
        forbidden = isinstance(flags, int) and bool(
            flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        )
    if forbidden:
        raise PermissionError(f"a model must not do this: {event}")


def _set_limits() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold cases
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # it has nothing to write
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _allow_processor_time() -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + PROCESSOR
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_CPU, (limit, most))


def _serve(line: socket.socket) -> None:
    from explainer.errors import ExplainerError
    from explainer.families.frames import Frame, FrameBroken, receive, send

    desk = _Desk()
    while True:
        try:
            request = receive(line)
        except (FrameBroken, OSError):
            return
        _allow_processor_time()
        try:
            reply = desk.do(request)
        except ExplainerError as fault:
            reply = Frame(
                {"error": fault.code, "what": fault.what, "where": fault.where, "mend": fault.mend}
            )
        except MemoryError:
            return
        except Exception as fault:
            # its text may quote values of a case; the name is enough
            reply = Frame({"error": "raised", "what": type(fault).__name__})
        # a reply names the request it answers
        send(
            line,
            Frame({**reply.head, "request": request.head.get("request")}, reply.arrays, reply.data),
        )


class _Desk:
    """One model, opened by the first request and asked by the others."""

    def __init__(self) -> None:
        self._model: Model | None = None
        self._names: list[str] = []

    def do(self, request: Frame) -> Frame:
        if "inspect" in request.head:
            return self._inspect(request)
        if self._model is None:
            return self._open(request)
        return self._answer(self._model, request)

    def _inspect(self, request: Frame) -> Frame:
        from explainer.families.frames import Frame
        from explainer.families.inspect import inspect

        return Frame(inspect(request.head["format"], request.data))

    def _open(self, request: Frame) -> Frame:
        from explainer.core.attribution import Task
        from explainer.families.artefacts import parse
        from explainer.families.boosters import Booster
        from explainer.families.model import Input, Target
        from explainer.families.wire import frame_of, table_as_head

        head = request.head
        inputs = tuple(
            Input(name, None if choices is None else tuple(choices))
            for name, choices in head["inputs"]
        )
        self._names = [each.name for each in inputs]
        target = Target(Task(head["task"]), tuple(head["classes"]), head["by_answers"])
        self._model = parse(head["format"], request.data, inputs, target)
        known = self._model.known_columns if isinstance(self._model, Booster) else None
        head = {
            "stand_ins": dict(self._model.stand_ins),
            "space": self._model.space.value,
            "table": table_as_head(known),
        }
        return frame_of(self._model.forms, head)

    def _answer(self, model: Model, request: Frame) -> Frame:
        from explainer.core.attribution import Contrast
        from explainer.families.engine.estimate import Stage
        from explainer.families.frames import Frame
        from explainer.families.wire import estimate_frame

        if "case" in request.arrays:
            contrast, stage = request.head["contrast"], request.head["stage"]
            found = model.row_values(
                request.arrays["case"],
                request.arrays["comparison"],
                Contrast(*contrast),
                None if stage is None else Stage(*stage),
                request.arrays.get("weights"),
            )
            return estimate_frame(found)
        rows = [dict(zip(self._names, row, strict=True)) for row in request.head["rows"]]
        answer = model.answer(rows)
        return Frame({}, {"margins": answer.margins, "columns": answer.columns})


if __name__ == "__main__":
    main()
