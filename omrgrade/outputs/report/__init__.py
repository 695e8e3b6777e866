"""report.html: the class and the test on one page that needs nothing else: no network, no other file."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from omrgrade.grading import NOT_COUNTED
from omrgrade.itemstats import TestStatistics
from omrgrade.outputs.csvtext import number_text
from omrgrade.outputs.items import statistics
from omrgrade.outputs.report.charts import confidence_histogram, residual_histogram, totals_histogram
from omrgrade.outputs.results import Results, in_doubt
from omrgrade.records import PageReading, Policy, SheetMarks

POOR_FIT = 0.5
"""mm; a page whose printed boxes lie further off was read, but a better scan may settle its doubts."""
MANY_DOUBTS = 0.25
"""Share (0-1) of a page's fields under review from which on scanning again is less work than reviewing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rescan:
    """A page that had better be scanned again."""

    source: str
    page: int
    reason: str


def render(results: Results) -> Iterator[tuple[str, bytes]]:
    """The file."""
    yield "report.html", page(results).encode("utf-8", errors="backslashreplace")


def page(results: Results) -> str:
    """The report as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("omrgrade.outputs.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=_number, rate=_rate, percent=_percent)
    return environment.get_template("report.html.j2").render(context(results))


def context(results: Results) -> dict[str, Any]:
    """What the template is filled with."""
    found = statistics(results)
    quality = _quality(results)
    return {
        "results": results,
        "batch": results.batch,
        "test": found,
        "keyed": results.key is not None,
        "suspects": [item for item in found.items if item.suspicion],
        "sheets": list(_sheets(results)),
        "totals": _totals(results, found),
        "confidences": confidence_histogram(quality.confidences()),
        "residuals": residual_histogram(quality.residuals, _refused(results)),
        "rescans": rescans(results),
        "gaps": sum(not sheet.complete for sheet in results.batch.sheets),
        "counts": {
            "sheets": sum(m.status not in NOT_COUNTED for m in results.batch.rows),
            "readings": quality.statuses.total(),
            "blank": quality.statuses["blank"],
            "review": quality.statuses["review"],
        },
    }


@dataclass(slots=True, eq=False)
class _Quality:
    """How reading went, over all pages that count: numbers alone, as the pages may not fit in memory."""

    statuses: Counter[str] = field(default_factory=Counter)  # of readings
    sure: array[float] = field(default_factory=lambda: array("d"))  # confidences of what was seen,
    unsure: array[float] = field(default_factory=lambda: array("d"))  # and of what awaits review
    residuals: array[float] = field(default_factory=lambda: array("d"))  # mm, a page each

    def confidences(self) -> Iterator[tuple[float, bool]]:
        """Each, and whether it awaits review."""
        yield from ((confidence, False) for confidence in self.sure)
        yield from ((confidence, True) for confidence in self.unsure)


def _quality(results: Results) -> _Quality:
    found = _Quality()
    for page, marks in results.sheets():
        if marks.status in NOT_COUNTED:
            continue
        found.statuses.update(reading.status for reading in page.fields)
        for reading in page.fields:
            if reading.value:
                (found.unsure if reading.status == "review" else found.sure).append(reading.confidence)
        if page.registration:
            found.residuals.append(page.registration.residual)
    return found


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


def rescans(results: Results) -> list[Rescan]:
    """Pages that could not be read, and pages on which little could be, in page order."""
    reasons = ((p, m, _why_again(p, m)) for p, m in results.sheets())
    return [Rescan(source=p.source, page=p.page, reason=reason) for p, m, reason in reasons if reason]


def _why_again(page: PageReading, marks: SheetMarks) -> str:
    if marks.status in NOT_COUNTED:
        return page.problem if marks.status == "unreadable" else ""
    doubts = len(in_doubt(page))
    if page.fields and doubts >= max(2, MANY_DOUBTS * len(page.fields)):
        return f"{doubts} of {len(page.fields)} fields in doubt"
    if page.registration and page.registration.residual > POOR_FIT:
        return f"the print lies {page.registration.residual:.2f} mm off: creased, curled or badly lit"
    return ""


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
