"""How reading went: how sure, how much of it in doubt, and which pages had better be scanned again."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field

from omrgrade.grading import NOT_COUNTED
from omrgrade.records import PageReading, SheetMarks

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


@dataclass(slots=True, eq=False)
class Quality:
    """Of all pages that count: numbers alone, as the pages may not fit in memory."""

    statuses: Counter[str] = field(default_factory=Counter)  # of readings
    sure: array[float] = field(default_factory=lambda: array("d"))  # confidences of what was seen,
    unsure: array[float] = field(default_factory=lambda: array("d"))  # and of what awaits review
    residuals: array[float] = field(default_factory=lambda: array("d"))  # mm, a page each
    rescans: list[Rescan] = field(default_factory=list)  # in page order

    def add(self, page: PageReading, marks: SheetMarks) -> None:
        """One page more."""
        doubts = [reading for reading in page.fields if reading.status == "review"]
        if reason := _why_again(page, marks, len(doubts)):
            self.rescans.append(Rescan(source=page.source, page=page.page, reason=reason))
        if marks.status in NOT_COUNTED:
            return
        self.statuses.update([reading.status for reading in page.fields])
        self.unsure.extend(reading.confidence for reading in doubts if reading.value)
        self.sure.extend([r.confidence for r in page.fields if r.value and r.status != "review"])
        if page.registration:
            self.residuals.append(page.registration.residual)


def _why_again(page: PageReading, marks: SheetMarks, doubts: int) -> str:
    if marks.status in NOT_COUNTED:
        return page.problem if marks.status == "unreadable" else ""
    if page.fields and doubts >= max(2, MANY_DOUBTS * len(page.fields)):
        return f"{doubts} of {len(page.fields)} fields in doubt"
    if page.registration and page.registration.residual > POOR_FIT:
        return f"the print lies {page.registration.residual:.2f} mm off: creased, curled or badly lit"
    return ""
