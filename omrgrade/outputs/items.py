"""items.csv: how hard each item was and how well it told pupils apart; answers.csv: what was answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from omrgrade.itemstats import TestStatistics
from omrgrade.outputs.csvtext import csv_bytes
from omrgrade.outputs.gathering import gathered
from omrgrade.outputs.results import Cell, Results

COLUMNS = (
    "item",
    "answer",
    "points",
    "correct",
    "incorrect",
    "omitted",
    "to_review",
    "difficulty",
    "item_total_r",
    "upper_27",
    "lower_27",
    "discrimination",
    "key_flag",
    "note",
)
ANSWER_COLUMNS = ("item", "value", "right", "count", "share", "point_biserial")
_RATES = (
    "difficulty", "item_total_r", "upper_27", "lower_27", "discrimination", "share", "point_biserial",
)  # fmt: skip


def statistics(results: Results) -> TestStatistics:
    """Item analysis of the batch as it is now, worked out once."""
    if "statistics" not in results.memo:
        results.memo["statistics"] = gathered(results).analysis.statistics()
    return cast(TestStatistics, results.memo["statistics"])


def rows(found: TestStatistics) -> Iterator[Sequence[Cell]]:
    """An item's figures; empty where they cannot be told."""
    for item in found.items:
        yield (
            item.label,
            item.answer,
            item.max_points,
            item.correct,
            item.incorrect,
            item.omitted,
            item.to_review,
            item.difficulty,
            item.item_rest,
            item.upper,
            item.lower,
            item.discrimination,
            item.suspicion,
            item.hint,
        )


def answer_rows(found: TestStatistics) -> Iterator[Sequence[Cell]]:
    """A row an answer that was given, or could have been."""
    for item in found.items:
        for a in item.answers:
            yield item.label, a.value, "yes" if a.right else "no", a.count, a.share, a.point_biserial


def summary(found: TestStatistics) -> dict[str, object]:
    """The whole test's figures for run.json, as JSON types."""
    told = found.reliability
    return {
        "sheets": found.sheets,
        "complete": found.complete,
        "maximum": found.maximum,
        "mean": found.mean,
        "sd": found.sd,
        "median": found.median,
        "reliability": told
        and {
            "coefficient": told.coefficient,
            "value": told.value,
            "interval_95": [told.low, told.high],
            "sem": told.sem,
            "sheets": told.sheets,
            "items": told.items,
        },
    }


def render(results: Results) -> Iterator[tuple[str, bytes | None]]:
    """Both files; without a key nothing is right or wrong: then there are none, not even older ones."""
    if results.key is None:
        yield from (("items.csv", None), ("answers.csv", None))
        return
    found, forms = statistics(results), dict.fromkeys(_RATES, ".4f")
    yield "items.csv", csv_bytes(COLUMNS, rows(found), forms)
    yield "answers.csv", csv_bytes(ANSWER_COLUMNS, answer_rows(found), forms)
