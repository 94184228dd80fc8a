"""The demonstration: real old records, one of them walked through from model to ledger."""

from __future__ import annotations

import secrets

from explainer.core.days import local_day
from explainer.core.decision import Actor, Role
from explainer.core.disclosure import Audience
from explainer.core.explanation import Explanation
from explainer.errors import CaseExists
from explainer.pipeline import explain, tell
from explainer.text.languages import languages
from service.actions import SentDecision, decide, queue, show, submit
from service.store.cases import OPEN
from service.verification import verify_files
from service.wiring import DEMO_UNIT, Tools

SYSTEM = Actor("demo-procedure", Role.SYSTEM)
CASEWORKER = Actor("demo-caseworker", Role.CASEWORKER, unit=DEMO_UNIT)

CASES = 60
"""In all: more of one package would push the others off the first page of the queue."""


def load_cases(tools: Tools) -> int:
    """Submit recorded cases of every package, as many of each, as specialist procedures would."""
    loaded = 0
    each = CASES // max(1, len(tools.packages))
    for package in tools.packages.values():
        for golden in package.golden[:each]:
            try:
                submit(golden.case, SYSTEM, tools)
            except CaseExists:
                continue
            loaded += 1
    return loaded


PRINTED = ("de", "en", "ar")
"""Those that are printed; the pages have all."""


def walk_through(tools: Tools) -> bool:
    """Print one case in three languages, decide it, verify the ledger; whether that is clean."""
    waiting = queue(CASEWORKER, OPEN, 1, tools)
    if not waiting.rows:
        print("Every case is decided. `warum demo --fresh` begins anew.")
        return _verify(tools)
    file = waiting.rows[0]
    shown = show(file.id, Audience.CASEWORKER, languages()["de"], CASEWORKER, tools)
    package, case = shown.opened.package, shown.opened.case
    finding = explain(case, package, local_day(tools.now()))
    offered = tools.languages_of(package, staff=False)
    for language in (one for one in offered if one.tag in PRINTED):
        _title(f"{file.case_ref} · {language.autonym}")
        told = tell(finding, Audience.APPLICANT, language, package, form="text")
        print(told.body.decode())
    print(f"The same on the pages, in: {', '.join(one.autonym for one in offered)}")
    _title("A person decides")
    assert isinstance(shown.finding, Explanation)  # noqa: S101 - recorded cases can be explained
    recorded = decide(
        file.id,
        SentDecision(shown.finding.recommended, "agree", ("A1",), (), "", str(shown.receipt.seq)),
        secrets.token_urlsafe(24),
        CASEWORKER,
        tools,
    )
    print(f"Case {file.case_ref}: decided as suggested, after a check of one's own (A1).")
    print(f"Entry {recorded.receipt.seq} of the ledger, {recorded.receipt.leaf_hash.hex()}")
    return _verify(tools)


def _verify(tools: Tools) -> bool:
    from explainer.ledger.verify import report

    _title("The ledger, verified from its stored bytes")
    results = verify_files(tools)
    for result in results:
        # truthfully: the demonstration's witness lies beside its database
        print(report(result, "of the witness folder beside the database, not from outside"))
    clean = all(result.clean for result in results)
    print("clean" if clean else "NOT CLEAN")
    return clean


def _title(text: str) -> None:
    print(f"\n-- {text} {'-' * max(3, 74 - len(text))}\n")
