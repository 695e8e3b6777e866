"""Item analysis: against values worked out by hand, against SciPy and pandas, and what must always hold."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from omrgrade.itemstats import analyse, feldt_interval, reliability
from omrgrade.itemstats.variance import f_probability, f_quantile
from omrgrade.records import FieldReading, ItemScore, PageReading, SheetMarks

# Six pupils, four questions of one point. By hand: p = 5/6, 4/6, 3/6, 2/6; sum of pq = (5 + 8 + 9 + 8)/36;
# totals 4 3 3 2 2 0, mean 14/6, population variance 42/6 - (14/6)^2 = 14/9;
# KR-20 = 4/3 (1 - (30/36) / (14/9)) = 4/3 * 13/28 = 13/21.
SIX = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 1], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]], float)


def sheet(points, answers=None, *, maxima=None, status="ok", review=()):
    """A marked page: points an item, the answers read, and which items are under review."""
    names = [f"q{n}" for n in range(1, len(points) + 1)]
    maxima = maxima or [1.0] * len(points)
    answers = answers or ["A" if p else "B" for p in points]
    scores, fields = [], []
    for name, earned, top, answer in zip(names, points, maxima, answers, strict=True):
        doubt = name in review
        outcome = (
            "unresolved"
            if doubt
            else "omitted"
            if not answer
            else "correct"
            if earned == top
            else "incorrect"
        )
        scores.append(
            ItemScore(item=name, outcome=outcome, points=0.0 if doubt else earned, max_points=top, answer="A")
        )
        fields.append(
            FieldReading(
                field=name, kind="choice", value=answer, confidence=0.9, reason="faint" if doubt else "",
                status="review" if doubt else "read" if answer else "blank",
            )
        )  # fmt: skip
    total = max(0.0, sum(score.points for score in scores))
    marks = SheetMarks(
        source="a", page=1, student_id="", status=status, problem="", scores=tuple(scores), total=total,
        maximum=sum(maxima), to_review=len(review),
    )  # fmt: skip
    return PageReading(source="a", page=1, fields=tuple(fields)), marks


def sheets(points, **options):
    return [sheet(list(row), **options) for row in points]


# ---------------------------------------------------------------- the whole test


def test_kr20_is_what_the_hand_finds():
    found = analyse(sheets(SIX))
    assert found.reliability.coefficient == "KR-20"
    assert found.reliability.value == pytest.approx(13 / 21)
    assert found.mean == pytest.approx(14 / 6)
    assert found.sd == pytest.approx(math.sqrt(14 / 9 * 6 / 5))
    assert found.median == 2.5
    # SEM = SD sqrt(1 - r) = sqrt(28/15 * 8/21)
    assert found.reliability.sem == pytest.approx(math.sqrt(28 / 15 * 8 / 21))


def test_alpha_and_its_interval_are_those_of_an_independent_library():
    """pingouin 0.7.0 prints for `cronbach_alpha(points, ci=0.95)`: 0.7857225100748416, [0.521, 0.929]."""
    rows = """230312 213011 210000 030230 222414 441232
              333143 422411 342532 455532 545224 335243"""
    found = reliability(np.array([list(row) for row in rows.split()], float), np.full(6, 5.0))
    assert found.coefficient == "alpha"
    assert found.value == pytest.approx(0.7857225100748416, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((0.521, 0.929), abs=5e-4)


def test_the_interval_is_feldts():
    """Of many simulated classes of known reliability about 95 % have it in their interval."""
    rng = np.random.default_rng(8)
    hits, classes, k, true = 0, 400, 10, 0.8
    noise = math.sqrt(k * (1 - true) / true)  # parallel items: alpha = k / (k + noise variance)
    for _ in range(classes):
        points = rng.normal(0, 1, (30, 1)) + rng.normal(0, noise, (30, k))
        found = reliability(points, np.arange(k))
        assert (found.low, found.high) == feldt_interval(found.value, sheets=30, items=k)
        hits += found.low < true < found.high
    assert 0.92 < hits / classes < 0.98


def test_different_points_or_partial_credit_make_it_alpha():
    assert analyse(sheets(SIX * 2, maxima=[2.0] * 4)).reliability.coefficient == "KR-20"
    weighted = analyse(sheets(SIX * [1, 2, 1, 1], maxima=[1.0, 2.0, 1.0, 1.0]))
    assert weighted.reliability.coefficient == "alpha"
    penalised = SIX.copy()
    penalised[5, 0] = -0.25
    assert analyse(sheets(penalised)).reliability.coefficient == "alpha"


def test_what_cannot_be_told_is_none():
    assert analyse([]).reliability is None
    assert analyse([]).mean is None
    assert analyse(sheets(SIX[:1])).reliability is None
    assert analyse(sheets(SIX[:1])).sd is None
    assert analyse(sheets(SIX[:, :1])).reliability is None  # one item
    assert analyse(sheets(np.ones((5, 3)))).reliability is None  # all alike
    item = analyse(sheets(np.ones((5, 3)))).items[0]
    assert (item.difficulty, item.item_rest) == (1.0, None)


def test_pages_that_do_not_count_are_passed_over():
    page, marks = sheet([0, 0, 0, 0], status="unreadable")
    unread = page, dataclasses.replace(marks, scores=())
    assert analyse([*sheets(SIX), unread]) == analyse(sheets(SIX))


# ---------------------------------------------------------------- items


def test_an_items_figures_are_what_the_hand_finds():
    third = analyse(sheets(SIX)).items[2]
    assert (third.correct, third.incorrect, third.omitted, third.to_review) == (3, 3, 0, 0)
    assert third.difficulty == pytest.approx(0.5)
    # rest scores 3 2 3 2 1 0 against 1 1 0 0 1 0: cov = 1/6 (6 - 3 * 11/6) = 1/12; var 1/4 and 41/36
    assert third.item_rest == pytest.approx((1 / 12) / math.sqrt(1 / 4 * 41 / 36))
    # 27 % of six are two: upper {1, 3} by rest, lower {5, 6}
    assert (third.upper, third.lower, third.discrimination) == (0.5, 0.5, 0.0)


def test_pupils_who_tie_at_the_border_of_a_group_count_in_part():
    first = analyse(sheets(SIX)).items[0]  # rest scores 3 2 2 1 1 0
    assert first.upper == 1.0
    assert first.lower == pytest.approx((0 + 1) / 2)  # pupil 6, and one place shared by 4 and 5


scores = arrays(float, st.tuples(st.integers(8, 30), st.integers(3, 8)), elements=st.sampled_from([0.0, 1.0]))


@settings(deadline=None)
@given(scores)
def test_item_rest_correlations_are_those_of_pandas(points):
    frame = pd.DataFrame(points)
    for column, item in enumerate(analyse(sheets(points)).items):
        with np.errstate(all="ignore"):
            expected = frame[column].corr(frame.drop(columns=column).sum(axis=1))
        assert item.difficulty == pytest.approx(frame[column].mean())
        if item.item_rest is None:
            assert math.isnan(expected)
        else:
            assert item.item_rest == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(scores, st.randoms())
def test_the_order_of_sheets_says_nothing(points, random):
    rows = sheets(points)
    shuffled = random.sample(rows, len(rows))
    for one, two in zip(analyse(rows).items, analyse(shuffled).items, strict=True):
        assert (one.upper, one.lower) == pytest.approx((two.upper, two.lower))
        assert (one.suspicion, one.hint) == (two.suspicion, two.hint)


def test_the_same_number_on_another_version_is_another_question():
    """Version B has the questions of A in reverse."""
    a, b = sheets(SIX), sheets(SIX[:4, ::-1])
    version = {id(page): name for name, group in (("A", a), ("B", b)) for page, _ in group}
    found = analyse([*b, *a], version=lambda page: version[id(page)])
    assert [item.label for item in found.items] == [f"q{n} ({v})" for v in "AB" for n in range(1, 5)]
    alone = analyse(a)
    assert found.items[0].item_rest == alone.items[0].item_rest
    assert (found.reliability.value, found.reliability.version) == (alone.reliability.value, "A")
    assert found.sheets == 10
    unknown = sheet([0, 0, 0, 0], review=("q1", "q2", "q3", "q4"))
    more = analyse([*b, *a, unknown], version=lambda page: version.get(id(page), ""))
    assert (more.items, more.sheets, more.complete) == (found.items, 11, 10)


# ---------------------------------------------------------------- answers


def test_the_point_biserial_of_an_answer_is_scipys():
    rng = np.random.default_rng(1)
    answers = rng.choice(list("ABC"), 40)
    others = rng.integers(0, 2, (40, 5)).astype(float)
    rows = [
        sheet([float(a == "A"), *o], [str(a), *("A" if p else "B" for p in o)])
        for a, o in zip(answers, others, strict=True)
    ]
    found = {a.value: a for a in analyse(rows, options={"q1": "ABCD"}).items[0].answers}
    assert list(found) == ["A", "B", "C", "D"]
    for value in "ABC":
        chose = answers == value
        assert found[value].count == chose.sum()
        assert found[value].share == pytest.approx(chose.mean())
        assert found[value].point_biserial == pytest.approx(
            stats.pointbiserialr(chose, others.sum(axis=1))[0]
        )
    assert (found["D"].count, found["D"].point_biserial) == (0, None)
    assert [a.right for a in found.values()] == [True, False, False, False]


def test_written_answers_are_listed_commonest_first_the_rare_ones_together():
    given = ["12"] * 5 + ["21"] * 3 + [str(n) for n in range(100, 112)] + ["", ""]
    rows = [sheet([float(g == "12"), 1.0], [g, "A"]) for g in given]
    answers = analyse(rows).items[0].answers
    assert [(a.value, a.count) for a in answers[:2]] == [("12", 5), ("21", 3)]
    assert [a.value for a in answers[-2:]] == ["(other)", "(omitted)"]
    assert sum(a.count for a in answers) == len(given)
    assert answers[-1].count == 2


# ---------------------------------------------------------------- doubts


def test_an_answer_under_review_is_neither_right_nor_wrong():
    rows = [*sheets(SIX), sheet([1, 1, 1, 0], review=("q4",))]
    found = analyse(rows)
    assert (found.sheets, found.complete) == (7, 6)
    assert found.items[3].to_review == 1
    assert found.items[3].difficulty == pytest.approx(2 / 6)
    assert found.reliability == analyse(sheets(SIX)).reliability
    assert found.items[0].settled == 7


def test_a_pupil_of_whom_little_is_settled_is_not_placed():
    rows = [*sheets(SIX), sheet([1, 1, 1, 1], review=("q2", "q3"))]
    assert analyse(rows).items[0].item_rest == analyse(sheets(SIX)).items[0].item_rest
    assert analyse(rows).items[0].difficulty == pytest.approx(6 / 7)


# ---------------------------------------------------------------- is the key wrong?


def class_of(size=40, seed=3):
    """Abilities, and five items that the able get right: (size,), (size, 5)."""
    rng = np.random.default_rng(seed)
    ability = np.linspace(-2, 2, size)
    return ability, (ability[:, None] + rng.normal(0, 0.7, (size, 5)) > 0).astype(float)


def test_a_wrong_key_is_found_and_the_right_answer_named():
    _, others = class_of()
    rows = [
        sheet([1 - good[0], *good], ["C" if good[0] else "A", *("A" if p else "B" for p in good)])
        for good in others
    ]
    item = analyse(rows, options={"q1": "ABCD"}).items[0]
    assert item.item_rest < 0
    assert item.suspicion == "strong"
    assert item.hint.endswith("they tend to answer C")


def test_a_key_that_nobody_meets_is_found():
    _, others = class_of()
    rows = [sheet([0.0, *good], ["42", *("A" if p else "B" for p in good)]) for good in others]
    assert analyse(rows).items[0].hint == "nobody was right; 40 answered 42"
    assert analyse(rows).items[0].suspicion == "strong"


def test_good_items_are_not_flagged():
    _, others = class_of()
    assert [item.suspicion for item in analyse(sheets(others)).items] == [""] * 5


def test_a_negative_correlation_that_may_be_chance_is_a_weak_flag():
    points = np.array([[0, 1, 1, 1], [1, 1, 0, 1], [1, 0, 0, 1], [0, 0, 1, 0], [1, 1, 1, 0]], float)
    item = analyse(sheets(points)).items[0]
    assert -0.5 < item.item_rest < 0
    assert item.suspicion == "weak"


def test_sheets_may_go_by_one_at_a_time():
    assert analyse(iter(sheets(SIX))) == analyse(sheets(SIX))


@given(st.integers(1, 3000), st.integers(1, 300_000), st.floats(0.001, 0.999))
def test_quantiles_of_f_are_scipys(above, below, share):
    found = f_quantile(share, above, below)
    assert found == pytest.approx(stats.f.ppf(share, above, below), rel=1e-9)
    assert f_probability(found, above, below) == pytest.approx(share, abs=1e-9)
