"""A model's process that says of itself what is not so."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from explainer.families import process
from explainer.families.frames import Frame


def let_lie(monkeypatch: pytest.MonkeyPatch, lie: Callable[[dict[str, Any]], object]) -> None:
    """From now on `lie` changes the head of every reply before it arrives."""
    real = process.receive

    def lying(*arguments: Any) -> Frame:
        reply = real(*arguments)
        head = json.loads(json.dumps(reply.head))
        lie(head)
        return Frame(head, reply.arrays, reply.data)

    monkeypatch.setattr(process, "receive", lying)
