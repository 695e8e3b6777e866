"""report.html: the class and the test on one page that needs nothing else: no network, no other file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from omrgrade.grading import NOT_COUNTED
from omrgrade.itemstats import TestStatistics
from omrgrade.outputs.csvtext import number_text
from omrgrade.outputs.gathering import gathered
from omrgrade.outputs.items import statistics
from omrgrade.outputs.report.charts import confidence_histogram, residual_histogram, totals_histogram
from omrgrade.outputs.results import Results
from omrgrade.records import Policy, SheetMarks

if TYPE_CHECKING:
    from jinja2 import Template

_BUFFERED = 1000
"""Pieces of the page put together before they are written."""


def render(results: Results) -> Iterator[tuple[str, Iterable[bytes]]]:
    """The file."""
    yield "report.html", (part.encode("utf-8", errors="backslashreplace") for part in _parts(results))


def page(results: Results) -> str:
    """The report as HTML."""
    return "".join(_parts(results))


def _parts(results: Results) -> Iterator[str]:
    """The report part by part: of a long run it names a great many sheets."""
    stream = form().stream(context(results))
    stream.enable_buffering(_BUFFERED)
    return stream


@cache
def form() -> Template:
    """The report's template, compiled. That takes longer than filling it: ask for it while others work."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("omrgrade.outputs.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, rate=_rate, percent=_percent)
    return environment.get_template("report.html.j2")


def context(results: Results) -> dict[str, Any]:
    """What the template is filled with."""
    found = statistics(results)
    quality = gathered(results).quality
    return {
        "results": results,
        "batch": results.batch,
        "test": found,
        "keyed": results.key is not None,
        "suspects": [item for item in found.items if item.suspicion],
        "sheets": _sheets(results),
        "totals": _totals(results, found),
        "confidences": confidence_histogram(quality.sure, quality.unsure),
        "residuals": residual_histogram(quality.residuals, _refused(results)),
        "rescans": quality.rescans,
        "gaps": sum(not sheet.complete for sheet in results.batch.sheets),
        "counts": {
            "sheets": sum(m.status not in NOT_COUNTED for m in results.batch.rows),
            "readings": quality.statuses.total(),
            "blank": quality.statuses["blank"],
            "review": quality.statuses["review"],
        },
    }


def _totals(results: Results, found: TestStatistics) -> Any:
    gaps = results.batch.gaps
    scored = [m for m in results.batch.rows if _scored(m, gaps)]
    doubts = [any(score.outcome == "unresolved" for score in m.scores) for m in scored]
    return totals_histogram(
        [(m.total, doubt) for m, doubt in zip(scored, doubts, strict=True)], found.maximum
    )


def _sheets(results: Results) -> Iterator[dict[str, Any]]:
    names = {pupil.student_id: pupil.name for pupil in results.roster.pupils} if results.roster else {}
    gaps = results.batch.gaps
    for marks in results.batch.rows:
        name = names.get(marks.student_id, "")
        yield {"marks": marks, "name": name, "scored": _scored(marks, gaps)}


def _scored(marks: SheetMarks, gaps: frozenset[tuple[str, int]]) -> bool:
    counts = marks.status not in NOT_COUNTED and (marks.source, marks.page) not in gaps
    return bool(marks.scores) and counts


def _refused(results: Results) -> float:
    """The residual at which this run refused a page, mm."""
    policy = results.run.settings.get("policy")
    limit = policy.get("max_residual") if isinstance(policy, dict) else None
    return float(limit or Policy().max_residual)


def _number(value: float | None, digits: int = 2) -> str:
    """A figure in at most so many digits after the point; a dash where there is none."""
    return "–" if value is None else number_text(round(value, digits)).replace("-", "−")


def _rate(value: float | None) -> str:
    """A correlation or difficulty: always two digits after the point."""
    return "–" if value is None else f"{value + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "−")


def _percent(value: float | None) -> str:
    """A share as percent."""
    return "–" if value is None else f"{100 * value:.0f} %"
