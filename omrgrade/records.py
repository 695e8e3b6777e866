"""The frozen records that pass between stages: the vocabulary of omrgrade.

Lengths are millimetres from the page's top-left corner, x right, y down, unless a comment says pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal["read", "blank", "review"]
Role = Literal["identifier", "item", "info"]
Part = Literal["digit", "sign", "point"]
"""Says whose sheet it is; earns points; or is read and listed, no more."""
Outcome = Literal["correct", "incorrect", "omitted", "unresolved"]
Collation = Literal["identifier", "code", "order"]
"""By student number; by a barcode that says which pages are of one sheet; by the order of the scans."""
Settled = Literal["", "confirmed", "corrected", "illegible"]
Action = Literal["set", "blank", "illegible", "doubt", "aside", "confirm", "whole", "reread", "undo"]
Matrix = tuple[tuple[float, float, float], ...]
"""A 3x3 projective matrix, row by row."""


def _in_unit_interval(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must lie in [0, 1] (received {value!r})")


# ---------------------------------------------------------------- what the teacher writes


@dataclass(frozen=True, kw_only=True, slots=True)
class Rect:
    """An axis-parallel rectangle on the page, mm."""

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError(f"a rectangle needs a positive size (received {self!r})")

    @property
    def right(self) -> float:
        """x of the right edge, mm."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """y of the bottom edge, mm."""
        return self.y + self.height

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the centre, mm."""
        return self.x + self.width / 2, self.y + self.height / 2

    def overlaps(self, other: Rect) -> bool:
        """Whether the two share area (touching edges do not count)."""
        return (
            self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Legal:
    """What a field's number can be; whatever else is read is looked at by a person."""

    low: float | None = None
    high: float | None = None
    lengths: tuple[int, ...] = ()  # how many digits are written, leading zeros included; empty: any
    check: str = ""  # a key of grading.legal.CHECKS: the last digit follows from the others


@dataclass(frozen=True, kw_only=True, slots=True)
class Field:
    """A named answer area: a number, or one question's bubbles."""

    id: str
    kind: str  # a key of fields.KINDS: "digits", "number", "choice", "grid", "barcode"
    role: Role
    boxes: tuple[Rect, ...]  # "grid": column after column, each with all options top to bottom
    options: tuple[str, ...] = ()  # bubble labels; empty for "digits" and for a grid with `columns`
    columns: tuple[tuple[str, ...], ...] = ()  # "grid": each column's own labels, where they differ
    label: str = ""  # printed beside the field
    multiple: bool = False  # "choice": several marks are an answer, not a doubt
    same_as: str = ""  # id of the field that carries the same value; a difference is a review
    empty: Literal["none", "ends", "any"] = "none"  # "grid": columns that may stay without a mark
    digits: int = 4  # "number": the most digits it may have
    parts: tuple[Part, ...] = ()  # "digits": what is written in each box; empty: a digit in all of them
    decimals: int = 0  # "digits": how many digits stand behind the point
    over: int = 0  # "fraction": how many of the boxes, the first ones, stand over the bar
    row: int = 0  # of a class list: the value belongs to the roster's pupil of this place, from 1; 0: not so
    name_room: float = 0.0  # mm of room for a row's name, left of the box
    legal: Legal | None = None  # what its value can be, where the template says so
    version: bool = False  # its value says which version of the sheet this is, and so which answers are right
    sheet: bool = False  # "barcode": says which pages are of one sheet; not whose they are
    part: bool = False  # "choice": which part of a class list the page is, the first option the first
    formats: tuple[str, ...] = ()  # "barcode": keys of barcodes.FORMATS that are looked for
    square: bool = False  # bubbles: printed as rectangles, not as ellipses
    struck_out: Literal["review", "cancels"] = "review"  # a bubble filled and then crossed out

    @property
    def bubble_columns(self) -> tuple[tuple[str, ...], ...]:
        """The labels of each row or column of bubbles of which one is marked, in the order of `boxes`."""
        if self.columns or not self.options:
            return self.columns
        return (self.options,) * (len(self.boxes) // len(self.options))


@dataclass(frozen=True, kw_only=True, slots=True)
class Fiducials:
    """How the page is found in a scan, and what is printed on it for that."""

    method: str  # a key of registration.METHODS
    dictionary: str = ""  # "aruco": e.g. "4x4_50"
    ids: tuple[int, ...] = ()  # "aruco": top-left, top-right, bottom-right, bottom-left
    boxes: tuple[
        Rect, ...
    ] = ()  # markers, top-left first, clockwise; "timing": the marks, track by track; mm
    marker: str = ""  # "corners": "square", "circle", "cross" or "picture"
    picture: bytes = b""  # PNG, grey: one marker ("corners"), or the blank form, which fills it ("reference")
    tracks: tuple[int, ...] = ()  # "timing": how many of `boxes` each track has
    looks: bool = False  # whether boxes are told by what empty ones look like on a page before all else


@dataclass(frozen=True, kw_only=True, slots=True)
class Template:
    """One sheet's geometry and meaning."""

    name: str
    title: str
    page_width: float  # mm
    page_height: float  # mm
    fiducials: Fiducials
    fields: tuple[Field, ...]
    header: Rect | None = None  # where name line and instructions are printed
    instructions: str = ""  # printed for the pupil
    blank: bytes = b""  # the empty form as grey PNG that fills the page; none where it is not known
    digest: str = ""  # sha256 of the YAML text and the pictures it names
    pages: tuple[Template, ...] = ()  # of a set, whose `fields` are those of all; the rest is the first's
    collate: Collation = "identifier"  # of a set: how the pages of one pupil are known

    def __hash__(self) -> int:
        """Of a part of it: what is worked out once a template is looked up by it several times a page."""
        return hash((self.name, self.digest, len(self.fields)))

    def field(self, field_id: str) -> Field:
        """The field of that id; KeyError if there is none."""
        for candidate in self.fields:
            if candidate.id == field_id:
                return candidate
        raise KeyError(field_id)

    def of_page(self, name: str) -> Template:
        """Of a set the page of that name; else, and where there is none, this template."""
        return next((page for page in self.pages if page.name == name), self)

    @property
    def items(self) -> tuple[Field, ...]:
        """The fields that earn points, in sheet order."""
        return tuple(f for f in self.fields if f.role == "item")

    @property
    def identifiers(self) -> tuple[Field, ...]:
        """The fields that say whose sheet it is, in sheet order."""
        return tuple(f for f in self.fields if f.role == "identifier")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyItem:
    """One line of an answer key."""

    item: str  # a field id
    answers: tuple[str, ...]  # any of these is right
    points: float = 1.0
    tolerance: float = 0.0  # numbers this far off are still right
    penalty: float = 0.0  # taken off for a wrong (not an omitted) answer, >= 0
    version: str = ""  # of the sheet, for which this line is; "" for all that have none of their own


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerKey:
    """What is right and what it earns."""

    items: tuple[KeyItem, ...]  # with versions, several may be of one field
    digest: str = ""  # sha256 of the file

    @property
    def versions(self) -> tuple[str, ...]:
        """The versions of the sheet that it tells apart, in its order; empty if there is only one."""
        return tuple(dict.fromkeys(item.version for item in self.items if item.version))

    def of_version(self, version: str) -> tuple[KeyItem, ...]:
        """What is right on a sheet of that version, one line a field."""
        lines = {item.item: item for item in self.items if not item.version}
        return tuple((lines | {i.item: i for i in self.items if i.version == version}).values())

    @property
    def total(self) -> float:
        """The most points a sheet can earn."""
        return max(sum(item.points for item in self.of_version(v)) for v in self.versions or ("",))


@dataclass(frozen=True, kw_only=True, slots=True)
class Pupil:
    """One line of a roster."""

    student_id: str
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Roster:
    """Who should have handed in a sheet."""

    pupils: tuple[Pupil, ...]
    digest: str = ""  # sha256 of the file


# ---------------------------------------------------------------- a page's way


@dataclass(frozen=True, kw_only=True, slots=True)
class PageRef:
    """Where a page's pixels are: small enough to send to a worker."""

    path: str
    page: int = 1  # 1-based page within the file
    problem: str = ""  # why the file is not to be read at all
    version: str = ""  # of a file at a URL: another one when the file changes


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a file may ask for before it is refused: a small file can unfold to any size."""

    megapixels: float = 170.0  # a page; A4 at 1200 dpi has 139
    pages: int = 5000  # a file
    megabytes: float = 500.0  # a file


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scan:
    """One side of a sheet as pixels."""

    source: str
    page: int  # 1-based
    pixels: NDArray[np.uint8]  # (height, width) grey, 0 black .. 255 white
    dpi: float  # dots per inch; 0 when the file does not say


@dataclass(frozen=True, kw_only=True, slots=True)
class Bend:
    """How points of a flat page lie displaced on a curled or stretched one: a cubic B-spline surface."""

    step: float  # mm between coefficients; the first stands one step left of and above the page's corner
    columns: int
    rows: int
    shifts: tuple[tuple[float, float], ...]  # coefficients, mm (x, y), row by row


@dataclass(frozen=True, kw_only=True, slots=True)
class Registration:
    """Where the template's page lies in a scan."""

    page_to_scan: Matrix  # maps page mm -> scan px (pixel centres at whole numbers)
    residual: float  # mm, 90th percentile over landmarks not used for the fit
    rotation: int  # quarter turns of the scan, degrees clockwise: 0, 90, 180, 270
    method: str
    landmarks: int  # how many independent landmarks the residual was measured on
    bend: Bend | None = None  # displaces page points before `page_to_scan`; None: the paper is flat
    doubt: str = ""  # why a person should see where the page lies; "" when it lies well


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Crop:
    """One box as sampled from a scan, with the paper round it."""

    pixels: NDArray[np.uint8]  # (height, width) grey, dark ink on light paper
    margin: int  # px of paper sampled outside the printed outline, on every side; 0 = unknown
    blank: NDArray[np.uint8] | None = None  # (height, width) grey, the same place on the blank form


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Ink:
    """A box's ink, ready to be classified, and how it looks."""

    image: NDArray[np.uint8]  # (28, 28), ink 255 on 0; all zero when the box is empty
    uncut: NDArray[np.uint8] | None = None  # the same, had the one doubtful line been left in
    restored: NDArray[np.uint8] | None = None  # the same with ink that seems to hide under the outline
    faint: NDArray[np.uint8] | None = None  # the same with strokes that hardly pressed
    along: NDArray[np.uint8] | None = None  # the same with the part of the outline along which ink runs
    contrast: float  # grey levels between paper and the darkest ink
    noise: float  # grey levels, standard deviation of the paper
    lines: int  # sides on which a printed line was found and removed, 0-4
    through: bool = False  # a piece of it comes in from outside and leaves on the other side
    clings: bool = False  # what was taken for the outline's own is as dark inside of it as ink
    empty: bool = field(init=False)  # nothing stands out from the paper

    def __post_init__(self) -> None:
        object.__setattr__(self, "empty", not self.image.any())


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Span:
    """Neighbouring pieces of a number's ink that may be one digit together."""

    start: int  # its first piece
    stop: int  # the piece after its last
    image: NDArray[np.uint8]  # (28, 28), ink 255 on 0
    joints: int  # neighbours in it that do not touch
    gap: float  # widest paper between these, in parts of the writing's height; below 0 they overlap
    cut: bool  # its left end is a cut through ink
    height: float  # in parts of the height of the number's tallest component
    width: float  # likewise
    print_like: bool = False  # one piece along the outline: it may be print, and no digit at all


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NumberInk:
    """The ink of one wide box, cut at every place where a digit may end."""

    spans: tuple[Span, ...]  # by start, then stop; none when there is no ink, or too much of it
    pieces: int
    contrast: float  # grey levels between paper and the darkest ink
    noise: float  # grey levels, standard deviation of the paper
    lines: int  # sides on which a printed line was found and removed, 0-4
    through: bool = False  # a piece of it comes in from outside and leaves on the other side
    faint: bool = False  # beside it stands ink as large that is too faint to be taken with it
    width: float = 0.0  # of all its pieces together, in parts of the crop's smaller side
    height: float = 0.0  # likewise

    @property
    def empty(self) -> bool:
        """Whether nothing stands out from the paper."""
        return not self.pieces


@dataclass(frozen=True, kw_only=True, slots=True)
class BoxReading:
    """What one box says."""

    value: str  # a digit, an option label, or "" for nothing
    confidence: float  # calibrated probability that `value` is right, 0-1
    status: Status
    reason: str = ""  # why it is under review
    runner_up: str = ""  # the next likelier value
    probabilities: tuple[float, ...] = ()  # of the digits 0-9; empty for bubbles

    def __post_init__(self) -> None:
        _in_unit_interval("confidence", self.confidence)
        if (self.status == "review") != bool(self.reason):
            raise ValueError("a reading has a reason exactly when it is under review")


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldReading:
    """What one field says: the same as a box, with its boxes."""

    field: str  # the field's id
    kind: str
    value: str  # "" blank; several options joined as "A+C"
    confidence: float
    status: Status
    reason: str = ""
    runner_up: str = ""
    boxes: Sequence[BoxReading] = ()
    settled: Settled = ""  # by a person; "" as the machine read it

    def __post_init__(self) -> None:
        _in_unit_interval("confidence", self.confidence)
        if (self.status == "review") != bool(self.reason):
            raise ValueError("a reading has a reason exactly when it is under review")


@dataclass(frozen=True, kw_only=True, slots=True)
class PageReading:
    """What one page says, or why it says nothing."""

    source: str
    page: int
    registration: Registration | None = None
    fields: tuple[FieldReading, ...] = ()
    problem: str = ""  # why the page could not be read; "" when it was
    digest: str = ""  # sha256 of the page's pixels
    content: str = ""  # sha256 of the page's file; "" when it is to be read again in any case
    work: str = ""  # sha256 of what it was read with: template, model, policy, versions
    preview: bytes = b""  # JPEG of the upright page at PREVIEW_PX_PER_MM, for overlays; a page with a
    # problem has what was scanned instead, reduced, so that its corners can be marked by hand
    crops: tuple[tuple[str, bytes], ...] = ()  # (field id, JPEG) of doubtful fields, see cropping.field_crop
    aside: bool = False  # a person has set it aside: it does not count
    whole: bool = False  # a person says that its sheet counts with the pages that there are
    template: str = ""  # name of the template it was read with, if not the run's, or which of a set


PREVIEW_PX_PER_MM = 4.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Correction:
    """One decision of a person, as it stands in a run's log. Nothing is ever taken out of the log."""

    id: int  # counts up; the last one about a field is the field's version
    time: str  # ISO 8601 with offset
    who: str
    source: str
    page: int
    digest: str  # of the page's pixels then: it holds for these only
    field: str  # "" when it is about the whole page
    box: int  # 1-based; 0 when it is about the whole field
    action: Action
    value: str  # what is written there, for "set"; of "aside" and "reread" how, in words
    old: str  # what stood there before
    undoes: int = 0  # id of the decision that this one takes back
    batch: int = 0  # id of the first of those that were made at one stroke


# ---------------------------------------------------------------- marks


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemScore:
    """What one item earned."""

    item: str
    outcome: Outcome
    points: float
    max_points: float
    answer: str  # the right answers, joined with "|"


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetMarks:
    """One sheet's row of marks."""

    source: str
    page: int
    student_id: str
    status: str  # ok, review, unknown_student, duplicate_student, duplicate_page, unreadable, set_aside;
    # of several pages a pupil also missing_page, double_page, out_of_order
    problem: str  # in words; "" when status is "ok" or "review"
    scores: tuple[ItemScore, ...]
    total: float
    maximum: float
    to_review: int  # readings under review, identifier included
    doubt: str = ""  # why a person should see where the page's boxes lie; "" when they lie well

    @property
    def percent(self) -> float:
        """100 * total / maximum; 0 when the key is worth nothing."""
        return 100 * self.total / self.maximum if self.maximum else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """What belongs together of several pages a pupil, and its row of marks."""

    marks: SheetMarks  # its source and page are those of the first one there is
    pages: tuple[int, ...]  # places in `Batch.pages`, in the order of the set, then of the scans
    templates: tuple[str, ...]  # of each of `pages` which page of the set it is; "" for none of it
    complete: bool  # every page is there once and only once, or a person has said that it is enough


# ---------------------------------------------------------------- models and policies


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """The thresholds by which a reading is accepted. One policy serves all paper."""

    accept: float = 0.99  # a digit of this calibrated confidence or more is accepted
    accept_number: float = 0.8  # a number in one wide box of this confidence or more is accepted
    beside: bool = True  # whether a page's other digit boxes tell how likely ink that is no digit is there
    faint: float = 11.0  # grey levels over the paper: weaker ink is never accepted as a digit
    mark_seen: float = 0.08  # darkness (0 paper .. 1 black) of the ink in a bubble; lighter is empty paper
    mark_dark: float = 0.5  # share (0-1) of the pupil's usual darkness; a lighter mark is faint: review
    mark_area: float = 0.12  # share (0-1) of a bubble's inside; a smaller mark is in doubt: review
    mark_like: float = 0.6  # share (0-1) of the ink of its question's plainest mark; less is in doubt
    max_residual: float = 1.0  # mm; a page registered worse than this is refused
    flag_residual: float = 0.5  # mm; a page registered worse than this is read, but to be looked at


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCard:
    """What belongs to a model: classes, calibration, training, hash."""

    classes: tuple[str, ...]  # a column each: "0".."9", then perhaps "not_digit"
    normalizer: int  # normalize.VERSION that the model was made for
    temperature: float  # logits are divided by this before softmax
    parameters: int
    sha256: str  # of the ONNX file
    thresholds: dict[str, float] = field(default_factory=dict)  # Policy fields that go with it
    accuracy: float = 0.0  # on the MNIST test set, plain argmax over digits
    training: dict[str, Any] = field(default_factory=dict)  # data, network, seed, epochs, versions
    calibration: dict[str, Any] = field(default_factory=dict)  # training.calibration
    notes: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """A graded batch: the counts and the exit code."""

    pages: Sequence[PageReading]  # previews stripped; they stay in the store, as do all of many pages
    marks: tuple[SheetMarks, ...]  # one a page, in page order; empty scores without a key
    absent: tuple[Pupil, ...]  # on the roster, no sheet
    sheets: tuple[Sheet, ...] = ()  # of several pages a pupil; else empty, every page is a sheet
    seconds: float = 0.0
    kept: int = 0  # pages that an earlier run into the same store had read
    interrupted: bool = False

    @property
    def rows(self) -> tuple[SheetMarks, ...]:
        """One row of marks a sheet, that is, of several pages a pupil one for all of them."""
        return tuple(sheet.marks for sheet in self.sheets) if self.sheets else self.marks

    @property
    def gaps(self) -> frozenset[tuple[str, int]]:
        """(source, page) of the pages of sheets that lack one, or have one twice: they have no total."""
        rows = (self.marks[n] for sheet in self.sheets if not sheet.complete for n in sheet.pages)
        return frozenset((row.source, row.page) for row in rows)

    @property
    def unreadable(self) -> int:
        """Pages that gave no reading."""
        return sum(row.status == "unreadable" for row in self.marks)

    @property
    def to_review(self) -> int:
        """Readings a person has to look at."""
        return sum(marks.to_review for marks in self.marks)

    def exit_code(self, *, fail_on_review: bool = False) -> int:
        """0 done, 3 nothing graded, 4 pages unreadable or missing, 5 (if asked) readings await review."""
        if self.unreadable == len(self.pages):
            return 3
        if self.unreadable or self.gaps:
            return 4
        return 5 if fail_on_review and self.to_review else 0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunInfo:
    """How a batch was graded: what run.json tells beyond the batch itself."""

    started: str = ""  # ISO 8601 with offset
    model: str = ""  # sha256 of the ONNX file
    settings: dict[str, Any] = field(default_factory=dict)  # options as they took effect, policy included
