"""Several pages a pupil: which scans are the pages of one sheet.

Knows only what each page says about where it belongs; what a page earns is worked out in `sheets`. Nothing is
dropped: a page that cannot be told where to go is a group of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from omrgrade.records import Collation

Scans = tuple[int, ...]
"""Places in the run, 0-based, in its order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Placed:
    """What a page says about where it belongs."""

    kind: int = -1  # which page of the set it is, from 0; -1: not read, or not of the set
    counts: bool = True  # it was read, and is no copy of another
    aside: bool = False  # a person has set it aside: it stands in no order
    owner: str = ""  # student number; "" when in doubt, or not on this page
    code: str = ""  # says which pages are of one sheet; "" when in doubt, or not on this page
    source: str = ""  # the file
    number: int = 1  # its page in the file


@dataclass(slots=True)
class Group:
    """Scans that are the pages of one sheet, as far as can be told."""

    pages: list[list[int]]  # of each page of the set its scans: one, if all is well
    loose: bool = False  # nothing says where this one scan belongs
    broken: str = ""  # why the pages may not belong together
    holes: list[int] = field(default_factory=list)  # unreadable scans that stand in a page's place

    @property
    def scans(self) -> Scans:
        """All of them, page after page."""
        return tuple(scan for page in self.pages for scan in page)

    @property
    def missing(self) -> tuple[int, ...]:
        """The pages of the set that are not there."""
        return tuple(kind for kind, scans in enumerate(self.pages) if not scans)

    @property
    def double(self) -> tuple[int, ...]:
        """The pages of the set that are there more than once."""
        return tuple(kind for kind, scans in enumerate(self.pages) if len(scans) > 1)


def group_pages(placed: Sequence[Placed], kinds: int, by: Collation) -> list[Group]:
    """The sheets of a set of `kinds` pages, in the order of their first scans.

    Scans that were not read, are copies or were set aside are in none of them.
    """
    return _WAYS[by](placed, kinds)


def _empty(kinds: int) -> Group:
    return Group(pages=[[] for _ in range(kinds)])


def _gathered(placed: Sequence[Placed], kinds: int, keys: Sequence[str]) -> list[Group]:
    """Scans of one key together; one without a key by itself."""
    groups: dict[object, Group] = {}
    for scan, (page, key) in enumerate(zip(placed, keys, strict=True)):
        if not page.counts or page.kind < 0:
            continue
        group = groups.setdefault(key or scan, _empty(kinds))
        group.pages[page.kind].append(scan)
        group.loose = not key
    return list(groups.values())


def _by_identifier(placed: Sequence[Placed], kinds: int) -> list[Group]:
    return _gathered(placed, kinds, [page.owner for page in placed])


def _by_code(placed: Sequence[Placed], kinds: int) -> list[Group]:
    """By code; a page whose code cannot be read goes to the one sheet that bears its student number."""
    codes: dict[str, set[str]] = defaultdict(set)
    for page in placed:
        if page.counts and page.code and page.owner:
            codes[page.owner].add(page.code)

    def key(page: Placed) -> str:
        if page.code or not page.owner:
            return page.code and f"code {page.code}"
        found = codes[page.owner]
        return f"code {min(found)}" if len(found) == 1 else f"number {page.owner}"

    return _gathered(placed, kinds, [key(page) for page in placed])


def _by_order(placed: Sequence[Placed], kinds: int) -> list[Group]:
    """One sheet after the other, page after page, as a duplex scanner leaves them.

    A scan that could not be read counts as the page that is due. Where another page comes than is due, the
    sheets on both sides are `broken`: they may be put together wrongly. A file of several pages begins and
    ends with whole sheets.
    """
    groups: list[Group] = []
    due, before = 0, ""
    for scan, page in enumerate(placed):
        if page.aside:
            continue
        new_file = page.source != before and _several(placed, scan)
        before = page.source
        kind = page.kind if page.kind >= 0 else 0 if new_file else due
        if kind != due or (new_file and due):
            why = f"another page is due at {page.source} page {page.number}"
            if groups:
                groups[-1].broken = why
            groups.append(_empty(kinds))
            groups[-1].broken = "" if new_file and kind == 0 else why
        elif kind == 0:
            groups.append(_empty(kinds))
        if page.kind >= 0 and page.counts:
            groups[-1].pages[kind].append(scan)
        else:
            groups[-1].holes.append(scan)
        due = (kind + 1) % kinds
    if groups and due:
        groups[-1].broken = "the scans end before its last page"
    return [group for group in groups if group.scans]


def _several(placed: Sequence[Placed], scan: int) -> bool:
    """Whether the file of a scan, or of the one before, has several pages: then they are its own."""
    here, before = placed[scan], placed[max(scan - 1, 0)]
    following = placed[min(scan + 1, len(placed) - 1)]
    return here.number > 1 or before.number > 1 or (following is not here and following.source == here.source)


_WAYS: dict[Collation, Callable[[Sequence[Placed], int], list[Group]]] = {
    "identifier": _by_identifier,
    "code": _by_code,
    "order": _by_order,
}
