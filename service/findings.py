"""Explanations in a small executor of their own: the case page never waits for them.

A finding is what the explainer came to: an Explanation, or why there is none. It is kept for the
day, because a case does not change while people read about it; the numbers are the same either
way (same case, same bytes).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from datetime import date

from explainer.core.case import Case
from explainer.core.explanation import Explanation
from explainer.errors import ModelFailed, NotExplainable
from explainer.packages.package import ModelPackage
from explainer.pipeline import explain

Finding = Explanation | NotExplainable
MOST_KEPT = 512


class Pending(NotExplainable):
    """The explanation is not ready yet; the case can be decided without it."""

    code = "explanation.pending"


class Findings:
    """Computes findings one at a time and keeps the latest."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="explain")
        self._kept: OrderedDict[tuple[str, str, date], Future[Finding]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, case: Case, package: ModelPackage, today: date) -> Finding:
        """The finding for `case`; Pending if it is not there within the deadline."""
        key = (case.digest, package.identity.digest, today)
        with self._lock:
            future = self._kept.get(key)
            if future is None:
                future = self._pool.submit(_find, case, package, today)
                self._kept[key] = future
                while len(self._kept) > MOST_KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
        try:
            finding = future.result(timeout=self._deadline)
            if isinstance(finding, ModelFailed):
                # what failed once may work the next time
                with self._lock:
                    self._kept.pop(key, None)
            return finding
        except TooSlow:
            return Pending(
                "The explanation is not ready yet.", "explanation", "Load the page again."
            )

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _find(case: Case, package: ModelPackage, today: date) -> Finding:
    try:
        return explain(case, package, today)
    except NotExplainable as fault:
        return fault
    except Exception as fault:  # an explainer that breaks costs one explanation, not the page
        return ModelFailed(
            f"The explainer raised {type(fault).__name__}.",
            "explanation",
            "Run `warum package check` on the package.",
        )
