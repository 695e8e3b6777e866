"""What a form's printed words say about its bubbles and boxes: headings, numbers, labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from omrgrade.forms.blank import Word, join_words
from omrgrade.forms.lattice import Block
from omrgrade.records import Rect, Role

ROW_WORDS = 22.0  # mm to the left of a row within which its number stands
HEADING = 24.0  # mm above a block within which its heading stands
LINE = 150.0  # mm: the longest line of words before a box
ABOVE = 8.0  # mm above a bubble in which its label stands
COLUMN_HEADING = 12.0  # mm above a column of boxes
SENTENCE = 2.5  # mm: words nearer to one another belong together

_NUMBER = re.compile(r"[QqFfNn]?[o.]?\s?\(?(\d{1,3})[.):*]*")
_WHOSE = re.compile(
    r"student|pupil|roll|candidate|matric|learner|examinee|\bid\b|sch[uü]ler|number|\bno\b", re.I
)
_WHAT = re.compile(  # whole beginnings of words: "candidate" is no date
    r"\b(course|subject|test|form|class|phone|date|name|code|series|version|booklet|exam(?!inee))", re.I
)


class Words:
    """The words of a form, and the areas of its blocks, which have words of their own."""

    def __init__(self, words: Sequence[Word], areas: Sequence[Rect]) -> None:
        self.words = words
        self._areas = areas

    def inside(self, rect: Rect) -> str:
        """The only word inside of an outline; "" if there is none, or several."""
        found = [word.text for word in self.words if _within(word.area.centre, rect)]
        return found[0] if len(found) == 1 else ""

    def beyond(self, rect: Rect, side: Literal["above", "left"]) -> str:
        """The short word right above or left of an outline."""
        if side == "above":
            room = Rect(x=rect.x - 0.5, y=rect.y - ABOVE, width=rect.width + 1, height=ABOVE - 0.1)
        else:
            room = Rect(x=rect.x - 5.5, y=rect.y, width=5.4, height=rect.height)
        found = [word for word in self.words if _within(word.area.centre, room)]
        nearest = max(found, key=lambda w: w.area.bottom if side == "above" else w.area.right, default=None)
        text = nearest.text.strip(".()") if nearest else ""
        return text if len(text) <= 3 and text.isalnum() else ""

    def number(self, rect: Rect, *, above: bool = False) -> int | None:
        """The number printed left of (or above) the first outline of a row (or column)."""
        if above:
            room = Rect(x=rect.x - 1, y=rect.y - 9, width=rect.width + 2, height=9)
        else:
            room = Rect(x=rect.x - ROW_WORDS, y=rect.y - 0.5, width=ROW_WORDS, height=rect.height + 1)
        found = [word for word in self.words if _within(word.area.centre, room)]
        clear = [word for word in found if not any(_within(word.area.centre, area) for area in self._areas)]
        nearest = max(clear, key=lambda word: word.area.bottom if above else word.area.right, default=None)
        match = _NUMBER.fullmatch(nearest.text) if nearest else None
        return int(match[1]) if match else None

    def numbers(self, rects: Sequence[Rect]) -> list[int] | None:
        """The numbers printed left of rows, beside or where they begin; None unless each has its own."""
        for one in (self.number, self._first_number):
            found = [number for number in map(one, rects) if number is not None]
            if len(found) == len(rects) == len(set(found)):
                return found
        return None

    def _first_number(self, rect: Rect) -> int | None:
        """The number with which the line begins that a row's first outline ends: "3. What is 4 + 5?"."""
        line = self._line_before(rect)
        match = _NUMBER.fullmatch(line[0].text) if line else None
        return int(match[1]) if match else None

    def _line_before(self, rect: Rect) -> list[Word]:
        """The words left of an outline at its height, up to the next block, left to right."""
        level = [a for a in self._areas if a.y < rect.centre[1] < a.bottom and a.right < rect.x + 0.1]
        left = max([rect.x - LINE, *(area.right for area in level)])
        if left > rect.x - 1:
            return []
        room = Rect(x=left, y=rect.y - 1, width=rect.x - left, height=rect.height + 2)
        found = [word for word in self.words if _within(word.area.centre, room)]
        return sorted(found, key=lambda word: word.area.x)

    def before(self, rect: Rect) -> str:
        """What is printed left of an outline, at most a few words: "Total marks:"."""
        line = join_words([w for w in self._line_before(rect) if w.area.x > rect.x - 2 * ROW_WORDS])
        text = line.text.strip(" .:_") if line else ""
        return text if 2 <= len(text) <= 30 and line and rect.x - line.area.right < ROW_WORDS else ""

    def after(self, rect: Rect) -> str:
        """What is printed right of an outline, its first words, up to the next block: what a tick means."""
        level = [a.x for a in self._areas if a.y < rect.centre[1] < a.bottom and a.x > rect.right]
        room = Rect(
            x=rect.right, y=rect.y - 1, width=min([ROW_WORDS, *(x - rect.right for x in level)]),
            height=rect.height + 2,
        )  # fmt: skip
        found = [word for word in self.words if _within(word.area.centre, room)]
        line = join_words(sorted(found, key=lambda word: word.area.x)[:3])
        return line.text if line else ""

    def column_heading(self, block: Block) -> str:
        """The words right above a column of boxes, no wider than it."""
        area = block.area
        room = Rect(x=area.x - 60, y=area.y - COLUMN_HEADING, width=area.width + 120, height=COLUMN_HEADING)
        found = [word for word in self.words if _within(word.area.centre, room)]
        lowest = max((w.area.bottom for w in found if area.x < w.area.centre[0] < area.right), default=None)
        line = [w for w in found if lowest and abs(w.area.bottom - lowest) < 0.6 * w.area.height]
        own = join_words([w for w in line if w.area.right > area.x - 1 and w.area.x < area.right + 1])
        if own is None or own.area.x < area.x - 1 or own.area.right > area.right + 1:
            return ""
        beside = [w.area for w in line if w.area.right < area.x or w.area.x > area.right]
        near = any(max(a.x - own.area.right, own.area.x - a.right) < SENTENCE for a in beside)
        return "" if near or not re.search("[A-Za-z]", own.text) else own.text

    def heading(self, block: Block) -> str:
        """The line of words nearest above a block."""
        area = block.area
        room = Rect(
            x=area.x - 8, y=max(area.y - HEADING, 0), width=area.width + 16, height=min(HEADING, area.y)
        )
        found = [
            word
            for word in self.words
            if _within(word.area.centre, room)
            and word.area.right > area.x - 3
            and word.area.x < area.right + 3
            and not any(_within(word.area.centre, other) for other in self._areas)
        ]
        wordy = [word for word in found if len(re.sub(r"[^A-Za-z]", "", word.text)) >= 2]
        if not wordy:
            return ""
        lowest = max(word.area.bottom for word in wordy)
        line = join_words([word for word in found if abs(word.area.bottom - lowest) < 0.6 * word.area.height])
        return line.text if line and len(line.text) <= 40 else ""


def _within(point: tuple[float, float], rect: Rect) -> bool:
    return rect.x <= point[0] <= rect.right and rect.y <= point[1] <= rect.bottom


def labels_of(texts: Sequence[str], count: int) -> tuple[tuple[str, ...], bool]:
    """Labels as printed, else the usual ones; and whether they are guessed."""
    good = all(text.isalnum() and len(text) <= 3 for text in texts) and len(set(texts)) == count == len(texts)
    return (tuple(texts), False) if good and 2 <= count <= 26 else (usual(count), True)


def usual(count: int) -> tuple[str, ...]:
    """The labels that so many bubbles usually have."""
    if count == 10:
        return tuple("0123456789")
    return tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:count])


def slug(text: str) -> str:
    """A heading as the id of a field."""
    words = re.findall(r"[A-Za-z0-9]+", text)
    slug = "_".join(words).lower()[:30].strip("_")
    return slug if slug and slug[0].isalpha() else f"field_{slug}".rstrip("_")


def role_of(heading: str) -> Role:
    """Whether a heading asks whose sheet it is."""
    return "identifier" if _WHOSE.search(heading) and not _WHAT.search(heading) else "info"
