"""How reasons are chosen, as tables; the same tables are docs/how-reasons-are-chosen.md."""

from __future__ import annotations

import pytest
from factories import attribution, plain
from hypothesis import given
from hypothesis import strategies as st
from reasons_page import LIMITS, PAGE, RULES, Row, page

from explainer.core.attribution import Attribution, Side
from explainer.core.case import Case, Missing, Value, read_case
from explainer.core.explanation import Choice, Opening, ReasonPolicy, Rest, Strength
from explainer.core.reasons import choose_reasons
from explainer.packages.bundled import find_package
from explainer.packages.rows import read_background

ROWS = [(rule, row) for rule in RULES for row in rule.rows]


def chosen(row: Row) -> tuple[Choice, Side]:
    """The row through the real code. Rows speak of moves towards the upper side."""
    facts = {"base": 0.0, **row.facts}
    found = attribution(row.moved, unstable=row.unstable, task=row.task, **facts)
    catalogue, case = plain(list(row.moved))
    return choose_reasons(found, case, catalogue, ReasonPolicy(**row.policy)), found.side


def mirrored(row: Row) -> tuple[Choice, Side]:
    """The same below the line: every sign turned."""
    facts = {"base": 0.0, **row.facts}
    facts["base"] = -facts["base"]
    if "share_above" in facts:
        facts["share_above"] = 1 - facts["share_above"]
    moved = {name: -amount for name, amount in row.moved.items()}
    found = attribution(moved, unstable=row.unstable, task=row.task, **facts)
    catalogue, case = plain(list(moved))
    return choose_reasons(found, case, catalogue, ReasonPolicy(**row.policy)), found.side


def reasons(choice: Choice, side: Side) -> str:
    signs = {None: "?", side: "+", side.other: "-"}
    return " ".join(r.finding.feature.name + signs[r.direction] for r in choice.reasons)


def ranks(choice: Choice, side: Side) -> str:
    return " ".join(f.feature.name for f in sorted(choice.findings, key=lambda f: f.rank))


def of_a(name):
    def read(choice: Choice, side: Side):
        return next(getattr(f, name) for f in choice.findings if f.feature.name == "A")

    return read


def names_where(flag):
    def read(choice: Choice, side: Side) -> str:
        return " ".join(r.finding.feature.name for r in choice.reasons if getattr(r, flag))

    return read


READ = {
    "ranks": ranks,
    "reasons": reasons,
    "share of A": of_a("share"),
    "strength of A": of_a("strength"),
    "rest": lambda choice, side: choice.rest,
    "opening": lambda choice, side: choice.opening,
    "the largest": names_where("leading"),
    "decided": names_where("decisive"),
}


def name_of(value) -> str:
    return value.id if hasattr(value, "id") else ""


@pytest.mark.parametrize(
    ("rule", "row"), ROWS, ids=[f"{rule.id}-{at}" for at, (rule, _) in enumerate(ROWS)]
)
def test_what_the_page_says_is_what_the_code_does(rule, row):
    choice, side = chosen(row)
    assert READ[rule.expected](choice, side) == row.expect


@pytest.mark.parametrize(
    ("rule", "row"),
    # exactly on the line there is no other side
    [
        (rule, row)
        for rule, row in ROWS
        if row.turns and sum(row.moved.values()) + row.facts.get("base", 0.0)
    ],
    ids=name_of,
)
def test_the_rules_are_the_same_below_the_line(rule, row):
    choice, side = mirrored(row)
    assert side is chosen(row)[1].other
    assert READ[rule.expected](choice, side) == row.expect


def test_the_figures_of_the_page_are_those_of_the_recorded_cases(demo, mortgage):
    """Of how many cases it is told that few applications are comparable with them."""
    for package in (demo, mortgage):
        cases = [read_case(golden.case, package.catalogue) for golden in package.golden]
        told = sum(is_rare(case, package) for case in cases)
        assert f"| `{package.manifest.id}` | {len(cases)} | {told} | " in LIMITS


@pytest.mark.long
def test_the_figures_of_the_page_are_those_of_the_comparison_groups(demo, mortgage):
    for package in (demo, mortgage):
        folder = find_package(package.manifest.id)
        rows = read_background((folder / "background.csv").read_bytes(), package.catalogue).rows
        told = sum(is_rare(of_row(row), package) for row in rows)
        (line,) = [one for one in LIMITS.splitlines() if f"`{package.manifest.id}`" in one]
        assert line.endswith(f" | {len(rows)} | {told} |")


def of_row(row) -> Case:
    values = {
        name: Value(None, Missing.NOT_GIVEN) if value is None else Value(value)
        for name, value in row.items()
    }
    return Case("A-1", None, values)


def is_rare(case: Case, package) -> bool:
    alike = package.comparable.like(case, package.explained.attribute(case))
    return package.comparable.too_few(alike, package.manifest.limits.comparable_rows)


def test_the_page_is_current():
    """Rewrite it with `python tests/spec/write_page.py`."""
    assert PAGE.read_text("utf-8") == page()


def test_every_rule_has_a_number_of_its_own():
    assert [rule.id for rule in RULES] == [f"R{n}" for n in range(1, 11)]


@pytest.mark.parametrize(
    ("kind", "rule", "missing"),
    [
        (Opening, "R8", set()),
        (Rest, "R7", set()),
        (Strength, "R4", set()),
    ],
)
def test_the_page_shows_every_word_there_is(kind, rule, missing):
    shown = {row.expect for r in RULES if r.id == rule for row in r.rows}
    assert set(kind) - shown == missing


MOVES = st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=9)
POLICIES = st.builds(
    ReasonPolicy,
    cap=st.integers(2, 6),
    cap_towards=st.integers(1, 2),
    cap_away=st.integers(1, 2),
    floor=st.sampled_from([20, 50, 100]),
    coverage=st.sampled_from([500, 800, 1000]),
    opposing_floor=st.sampled_from([50, 100, 200]),
    unclear_floor=st.sampled_from([100, 150, 300]),
)


@given(MOVES, st.data(), POLICIES, st.floats(-500, 500), st.floats(0.1, 500), st.floats(0, 1))
def test_whatever_moved_the_reasons_keep_the_rules(amounts, data, policy, base, scale, same):
    names = [f"f{at}" for at in range(len(amounts))]
    unstable = [name for name in names if data.draw(st.booleans())]
    found = attribution(
        dict(zip(names, amounts, strict=True)),
        base=base,
        scale=scale,
        share_above=same,
        unstable=unstable,
    )
    catalogue, case = plain(names)
    choice = choose_reasons(found, case, catalogue, policy)
    told = [reason.finding for reason in choice.reasons]
    clear = [f for f in told if f.stable]

    assert [f.rank for f in told] == sorted(f.rank for f in told)
    assert len({f.feature.name for f in told}) == len(told) <= policy.cap
    assert all(f.phi != 0 and f.share >= policy.floor for f in told)
    assert all(f.strength in (Strength.VERY_LARGE, Strength.LARGE, Strength.SMALL) for f in told)
    assert sum(f.direction is found.side for f in clear) <= policy.cap_towards
    assert sum(f.direction is not found.side for f in clear) <= policy.cap_away
    assert all(f.share >= policy.unclear_floor for f in told if not f.stable)
    assert all((r.direction is None) is not r.finding.stable for r in choice.reasons)

    heard = [
        f
        for f in choice.findings
        if f.stable
        and f.phi != 0
        and f.direction is not found.side
        and f.share >= max(policy.opposing_floor, policy.floor)
    ]
    assert not heard or any(f.direction is not found.side for f in clear)
    assert sum(r.leading for r in choice.reasons) <= 1
    assert all(r.direction is found.side for r in choice.reasons if r.decisive)

    # reasons and rest account for everything; each share was rounded by itself
    if found.movement:
        assert abs(sum(f.share for f in told) + choice.rest_share - 1000) <= len(told) + 1
    assert [f.feature.name for f in choice.findings] == names
    again = choose_reasons(found, case, catalogue, policy)
    assert again == choice


@given(MOVES, st.randoms(use_true_random=False))
def test_the_order_in_which_contributions_arrive_changes_nothing(amounts, random):
    names = [f"f{at}" for at in range(len(amounts))]
    catalogue, case = plain(names)
    straight = attribution(dict(zip(names, amounts, strict=True)), base=3.0)
    pairs = list(zip(names, amounts, strict=True))
    random.shuffle(pairs)
    shuffled = attribution(dict(pairs), base=3.0, margin=straight.margin)
    policy = ReasonPolicy()
    assert choose_reasons(straight, case, catalogue, policy) == choose_reasons(
        shuffled, case, catalogue, policy
    )


def test_the_work_of_choosing_grows_with_the_features_and_not_with_their_square(monkeypatch):
    """Estimates ask for the choice some hundred times a case."""
    asked = 0
    whole = Attribution.movement.fget

    def counted(self):
        nonlocal asked
        asked += 1
        return whole(self)

    monkeypatch.setattr(Attribution, "movement", property(counted))
    names = [f"x{at}" for at in range(60)]
    known, case = plain(names)
    choose_reasons(attribution(dict.fromkeys(names, 0.1)), case, known, ReasonPolicy())
    assert 0 < asked < 10
