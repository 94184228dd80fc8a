"""A model lives in a process of its own: what breaks there costs one explanation, nothing else."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from factories import YES
from hypothesis import given
from hypothesis import strategies as st
from lying import let_lie
from trained import NAMES, write_package

from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families import FORMATS, apart, nursery, process
from explainer.families.apart import open_apart
from explainer.families.artefacts import open_model
from explainer.families.frames import FORM, NUMBERS, Frame, FrameBroken, receive, send
from explainer.families.nursery import nursery_of
from explainer.families.wire import frame_of
from explainer.families.worker import AFTER_FORKING


@pytest.fixture
def model(small, small_model):
    opened = open_apart("skops", small_model.data, small.catalogue, YES, pause=0.05)
    yield opened
    opened.close()


def rows_of(small_model, count=3):
    return [
        {n: None if row[n] != row[n] else row[n] for n in NAMES}
        for row in small_model.rows.head(count).to_dict("records")
    ]


def gone(number: int) -> bool:
    """Whether the process ended (one that nobody asked about stays as an entry of the system)."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def test_it_answers_bit_by_bit_as_the_same_model_opened_here(model, small, small_model):
    here = open_model("skops", small_model.data, small.catalogue, YES)
    rows = rows_of(small_model, 60)
    ours, theirs = here.answer(rows), model.answer(rows)
    assert np.array_equal(ours.margin, theirs.margin)
    assert np.array_equal(ours.columns, theirs.columns)
    assert model.space is here.space
    sent = frame_of(here.forms, {})
    arrived = frame_of(model.forms, {})
    assert arrived.head == sent.head
    for name, array in sent.arrays.items():
        assert np.array_equal(array, arrived.arrays[name]), name
    assert here.stand_ins == model.stand_ins


def test_it_is_another_process_without_our_environment(model, monkeypatch, small, small_model):
    assert model.process not in (None, os.getpid())
    monkeypatch.setenv("WARUM_DATA", "secret")
    environment = Path(f"/proc/{model.process}/environ").read_bytes()
    assert b"WARUM_DATA" not in environment
    assert b"OMP_NUM_THREADS=1" in environment


def test_it_holds_no_file_of_ours_open(model, tmp_path, small, small_model):
    with (tmp_path / "kept").open("wb"):
        second = open_apart("skops", small_model.data, small.catalogue, YES)
        held = [str(handle.readlink()) for handle in Path(f"/proc/{second.process}/fd").iterdir()]
        second.close()
    assert all(name.startswith(("/dev/null", "socket:")) for name in held), held
    # standard streams and the line to us; neither the line of the other model nor the orders
    assert sum(name.startswith("socket:") for name in held) == 1, held


def test_its_limits_are_set(model):
    limits = Path(f"/proc/{model.process}/limits").read_text()
    soft = {line[:25].strip(): line[26:].split()[0] for line in limits.splitlines()[1:]}
    assert soft["Max core file size"] == "0"
    assert soft["Max file size"] == "0"
    assert soft["Max open files"] == "64"
    assert int(soft["Max address space"]) == 8 * 1024**3
    assert int(soft["Max cpu time"]) < 1000


def test_a_process_that_was_killed_costs_one_answer_and_comes_back(model, small_model):
    rows = rows_of(small_model)
    before, first = model.answer(rows), model.process
    os.kill(first, signal.SIGKILL)
    with pytest.raises(ModelFailed, match="signal 9"):
        model.answer(rows)
    assert model.process is None
    time.sleep(0.1)
    assert np.array_equal(model.answer(rows).margin, before.margin)
    assert model.process not in (None, first)


def test_a_process_that_hangs_is_ended_at_the_deadline(model, small_model, monkeypatch):
    rows, hung = rows_of(small_model), model.process
    os.kill(hung, signal.SIGSTOP)
    monkeypatch.setattr(apart, "ANSWERING", 0.2)
    with pytest.raises(ModelFailed, match="did not answer"):
        model.answer(rows)
    assert gone(hung)


def test_after_a_failure_it_rests_and_says_so(small, small_model):
    model = open_apart("skops", small_model.data, small.catalogue, YES, pause=600)
    os.kill(model.process, signal.SIGKILL)
    rows = rows_of(small_model)
    with pytest.raises(ModelFailed, match="signal 9"):
        model.answer(rows)
    with pytest.raises(ModelFailed, match="a moment ago"):
        model.answer(rows)
    assert model.process is None


def test_a_nursery_that_was_killed_is_started_anew(small, small_model, monkeypatch):
    # one of its own: the models of other tests live in the usual one
    monkeypatch.setattr(nursery, "_nurseries", {})
    model = open_apart("skops", small_model.data, small.catalogue, YES, pause=0.05)
    before = nursery_of("skops")
    os.kill(before._program.pid, signal.SIGKILL)
    before._program.wait()
    second = open_apart("skops", small_model.data, small.catalogue, YES)
    assert nursery_of("skops") is not before
    assert second.answer(rows_of(small_model)).margin.shape == (3,)
    second.close()
    # its models ended with it: one answer is missing, then the model is there again
    with pytest.raises(ModelFailed):
        model.answer(rows_of(small_model))
    time.sleep(0.1)
    assert model.answer(rows_of(small_model)).margin.shape == (3,)
    model.close()


def test_a_model_nobody_holds_any_more_leaves_no_process(small, small_model):
    model = open_apart("skops", small_model.data, small.catalogue, YES)
    number = model.process
    assert not gone(number)
    del model
    for _ in range(100):
        if gone(number):
            break
        time.sleep(0.05)
    assert gone(number)


def test_many_threads_each_get_their_own_answer(model, small_model):
    rows = rows_of(small_model, 40)
    expected = model.answer(rows).margin
    wrong = []

    def ask(at):
        answers = [model.answer([rows[at]]).margin[0] for _ in range(10)]
        wrong.extend(at for answer in answers if answer != expected[at])

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


def test_a_refusal_is_the_same_as_here(small):
    with pytest.raises(ArtefactRefused) as here:
        open_model("skops", b"PK nothing", small.catalogue, YES)
    with pytest.raises(ArtefactRefused) as there:
        open_apart("skops", b"PK nothing", small.catalogue, YES)
    assert str(here.value) == str(there.value)


def test_a_program_is_refused_before_any_process_sees_it(small):
    with pytest.raises(ArtefactRefused, match="pickle"):
        open_apart("skops", b"\x80\x04.", small.catalogue, YES)


def test_no_model_outlives_a_command_that_was_killed(tmp_path, small, small_model):
    """Not even one that hangs without using the processor."""
    (tmp_path / "model").write_bytes(small_model.data)
    asked = (
        "import sys, os, signal, time; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from explainer.families.apart import open_apart\n"
        "from trained import NAMES\n"
        "from explainer.packages.package import open_package\n"
        "package = open_package(Path(sys.argv[1]))\n"
        "os.kill(package.explained.model.process, signal.SIGSTOP)\n"
        "print(package.explained.model.process, flush=True)\n"
        "time.sleep(60)\n"
    )
    folder = write_package(tmp_path / "small_benefit", small_model)
    command = subprocess.Popen(
        [sys.executable, "-c", asked, folder, str(Path(write_package.__code__.co_filename).parent)],
        stdout=subprocess.PIPE,
        text=True,
    )
    number = int(command.stdout.readline())
    assert not gone(number)
    command.kill()
    command.wait()
    command.stdout.close()
    for _ in range(100):
        if gone(number):
            return
        time.sleep(0.05)
    os.kill(number, signal.SIGKILL)
    pytest.fail("the model's process is still there")


def test_an_answer_that_was_given_up_is_never_taken_for_the_next_one(
    model, small_model, monkeypatch
):
    rows = rows_of(small_model, 6)
    expected = model.answer(rows).margin
    real = process.receive

    def interrupted(*arguments):
        monkeypatch.setattr(process, "receive", real)
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        model.answer(rows[:1])
    assert model.answer(rows[5:]).margin[0] == expected[5]


def test_a_reply_to_another_request_ends_the_process(model, small_model, monkeypatch):
    real = process.send

    def renumbered(line, frame, deadline):
        real(line, Frame({**frame.head, "request": 12345}, frame.arrays, frame.data), deadline)

    monkeypatch.setattr(process, "send", renumbered)
    with pytest.raises(ModelFailed):
        model.answer(rows_of(small_model))
    assert model.process is None


FORBIDDEN = {
    "unpickle": "import pickle; pickle.loads(b'cos\\nsystem\\n(S\\'true\\'\\ntR.')",
    "run a program": "import subprocess; subprocess.run(['true'])",
    "run a command": "import os; os.system('true')",
    "fork": "import os; os.fork()",
    "write a file": "open('/tmp/mark', 'wb')",
    "make a folder": "import os; os.mkdir('/tmp/mark')",
    "reach the network": "import socket; socket.create_connection(('127.0.0.1', 9))",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_model_may_compute_and_nothing_else(what):
    script = (
        "import sys, subprocess, pickle, socket, os\n"
        "sys.argv = ['worker', 'skops']\n"
        "from explainer.families.worker import _refuse\n"
        "sys.addaudithook(_refuse)\n"
        f"try:\n    {FORBIDDEN[what]}\n"
        "except PermissionError as fault:\n    sys.exit(0 if 'must not' in str(fault) else 3)\n"
        "sys.exit(2)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_processes_that_ended_leave_no_entry_behind(small, small_model):
    ours = nursery_of("skops")
    numbers = [
        open_apart("skops", small_model.data, small.catalogue, YES).process for _ in range(3)
    ]
    for _ in range(1000):
        if all(map(gone, numbers)):
            break
        time.sleep(0.01)
    assert all(map(gone, numbers))
    last = open_apart("skops", small_model.data, small.catalogue, YES)
    children = Path(f"/proc/{ours._program.pid}/task/{ours._program.pid}/children")
    states = [
        Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        for number in children.read_text().split()
    ]
    last.close()
    assert "Z" not in states


# -- what passes between them ------------------------------------------------------------------


def passed_on(frame: Frame) -> Frame:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=send, args=(ours, frame))
        sender.start()
        try:
            return receive(theirs)
        finally:
            sender.join()


ARRAYS = st.sampled_from(sorted(NUMBERS)).flatmap(
    lambda kind: st.lists(st.integers(0, 1), max_size=30).map(
        lambda values: np.array(values, dtype=NUMBERS[kind])
    )
)


@given(
    st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False) | st.text() | st.none()),
    st.dictionaries(st.text(max_size=5), ARRAYS, max_size=4),
    st.binary(max_size=300),
)
def test_a_frame_arrives_as_it_was_sent(head, arrays, data):
    arrived = passed_on(Frame(head, arrays, data))
    assert arrived.head == head
    assert arrived.data == data
    assert arrived.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        assert arrived.arrays[name].dtype == array.dtype
        assert np.array_equal(arrived.arrays[name], array)


def bytes_of(frame: Frame) -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send(ours, frame)
        ours.close()
        return b"".join(iter(lambda: theirs.recv(65536), b""))


WHOLE = bytes_of(Frame({"a": 1}, {"x": np.arange(4.0)}, b"rest"))


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_a_changed_frame_is_read_or_refused_never_more(at, change):
    broken = bytearray(WHOLE)
    broken[at] ^= change
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(bytes(broken))
        ours.close()
        try:
            frame = receive(theirs)
        except FrameBroken:
            return
        assert isinstance(frame.head, dict)


@given(st.integers(0, len(WHOLE) - 1))
def test_a_frame_that_was_cut_is_refused(size):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(WHOLE[:size])
        ours.close()
        with pytest.raises(FrameBroken):
            receive(theirs)


def test_a_frame_that_drips_is_given_up_at_the_deadline():
    ours, theirs = socket.socketpair()

    def drip():
        for byte in WHOLE:
            time.sleep(0.05)
            try:
                ours.send(bytes([byte]))
            except OSError:
                return

    with ours, theirs:
        thread = threading.Thread(target=drip)
        thread.start()
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            receive(theirs, started + 0.3)
        theirs.close()
        thread.join()


def test_a_head_longer_than_its_purpose_needs_is_refused_unread():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(bytes_of(Frame({"a": "x" * 5000})))
        with pytest.raises(FrameBroken):
            receive(theirs, None, 4000)


LIES = {
    "players without number": lambda head: head["forms"][0].update(n_players=float("inf")),
    "more players than asked": lambda head: head["forms"][0].update(n_players=9),
    "a number of 400 digits": lambda head: head["forms"][0].update(constant=10**399),
    "an unknown space": lambda head: head.update(space="percent"),
    "a column that belongs to nobody": lambda head: head["forms"][0]["columns"][0].__setitem__(
        1, 99
    ),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_process_that_lies_about_its_model_is_refused(lie, small, small_model, monkeypatch):
    let_lie(monkeypatch, LIES[lie])
    with pytest.raises(ArtefactRefused):
        open_apart("skops", small_model.data, small.catalogue, YES)


@pytest.mark.parametrize(
    "head",
    [
        b"[]",
        b'{"head": [], "arrays": []}',
        b'{"head": {}, "arrays": [["x", "O", [1]]]}',
        b'{"head": {}, "arrays": [["x", "f8", [-1]]]}',
        b'{"head": {}, "arrays": [["x", "f8", [9999999999999]]]}',
        b'{"head": {}, "arrays": [["x", "f8", [1, 1, 1]]]}',
        b"[" * 100_000,
        b'{"head": {}, "arrays": [["x", "f8", [0, 1180591620717411303424]]]}',
    ],
)
def test_a_crafted_head_is_refused(head):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        threading.Thread(
            target=lambda: ours.sendall(
                FORM.to_bytes(4, "big") + len(head).to_bytes(4, "big") + bytes(4) + head
            )
        ).start()
        with pytest.raises(FrameBroken):
            receive(theirs)


@pytest.mark.parametrize("declared", sorted(set(FORMATS) - AFTER_FORKING))
def test_a_library_that_is_loaded_before_forking_starts_no_thread(declared):
    """A fork takes one thread along; what the others were doing would never be finished."""
    asked = (
        "import sys; from explainer.families.artefacts import library_of; library_of(sys.argv[1]);"
        "print([line.split()[1] for line in open('/proc/self/status') if 'Threads' in line][0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked, declared],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    assert done.stdout.split() == ["1"]
