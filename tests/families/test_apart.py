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
from hypothesis import given
from hypothesis import strategies as st
from trained import NAMES

from explainer.errors import ArtefactRefused, ModelFailed
from explainer.families import FORMATS, apart
from explainer.families.apart import open_apart
from explainer.families.artefacts import open_model
from explainer.families.frames import FORM, NUMBERS, Frame, FrameBroken, receive, send
from explainer.families.wire import frame_of
from explainer.families.worker import AFTER_FORKING


@pytest.fixture
def model(small, small_model):
    opened = open_apart("skops", small_model.data, small.catalogue, "yes", pause=0.05)
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
    here = open_model("skops", small_model.data, small.catalogue, "yes")
    rows = rows_of(small_model, 60)
    ours, theirs = here.answer(rows), model.answer(rows)
    assert np.array_equal(ours.margins, theirs.margins)
    assert np.array_equal(ours.columns, theirs.columns)
    assert model.space is here.space
    sent = frame_of(here.form, {})
    arrived = frame_of(model.form, {})
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
        second = open_apart("skops", small_model.data, small.catalogue, "yes")
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
    assert np.array_equal(model.answer(rows).margins, before.margins)
    assert model.process not in (None, first)


def test_a_process_that_hangs_is_ended_at_the_deadline(model, small_model, monkeypatch):
    rows, hung = rows_of(small_model), model.process
    os.kill(hung, signal.SIGSTOP)
    monkeypatch.setattr(apart, "ANSWERING", 0.2)
    with pytest.raises(ModelFailed, match="did not answer"):
        model.answer(rows)
    assert gone(hung)


def test_after_a_failure_it_rests_and_says_so(small, small_model):
    model = open_apart("skops", small_model.data, small.catalogue, "yes", pause=600)
    os.kill(model.process, signal.SIGKILL)
    rows = rows_of(small_model)
    with pytest.raises(ModelFailed, match="signal 9"):
        model.answer(rows)
    with pytest.raises(ModelFailed, match="a moment ago"):
        model.answer(rows)
    assert model.process is None


def test_a_nursery_that_was_killed_is_started_anew(model, small, small_model):
    from explainer.families.nursery import nursery_of

    before = nursery_of("skops")
    os.kill(before._program.pid, signal.SIGKILL)
    before._program.wait()
    second = open_apart("skops", small_model.data, small.catalogue, "yes")
    assert nursery_of("skops") is not before
    assert second.answer(rows_of(small_model)).margins.shape == (3,)
    second.close()
    # the model of the nursery that ended lives on
    assert model.answer(rows_of(small_model)).margins.shape == (3,)


def test_a_model_nobody_holds_any_more_leaves_no_process(small, small_model):
    model = open_apart("skops", small_model.data, small.catalogue, "yes")
    number = model.process
    del model
    for _ in range(100):
        if gone(number):
            return
        time.sleep(0.05)
    pytest.fail("the process is still there")


def test_many_threads_each_get_their_own_answer(model, small_model):
    rows = rows_of(small_model, 40)
    expected = model.answer(rows).margins
    wrong = []

    def ask(at):
        answers = [model.answer([rows[at]]).margins[0] for _ in range(10)]
        wrong.extend(at for answer in answers if answer != expected[at])

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == []


def test_a_refusal_is_the_same_as_here(small):
    with pytest.raises(ArtefactRefused) as here:
        open_model("skops", b"PK nothing", small.catalogue, "yes")
    with pytest.raises(ArtefactRefused) as there:
        open_apart("skops", b"PK nothing", small.catalogue, "yes")
    assert str(here.value) == str(there.value)


def test_a_program_is_refused_before_any_process_sees_it(small):
    with pytest.raises(ArtefactRefused, match="pickle"):
        open_apart("skops", b"\x80\x04.", small.catalogue, "yes")


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
