"""Forms that others printed, filled and photographed, with known truth: what `bubbles.py` measures on.

Everything is drawn with bubbles `DRAWN` px wide and then brought to the size that the scan or photo shows.
"""

from collections import namedtuple
from dataclasses import dataclass, replace

import cv2
import numpy as np

from omrgrade.cropping import crop_boxes
from omrgrade.pipeline import BUBBLE_MARGIN, BUBBLE_RIM, BUBBLE_SCALE, BUBBLE_SIDE
from omrgrade.records import Rect, Registration, Scan
from omrgrade.simulate import slips
from omrgrade.simulate.marking import mark_bubble
from omrgrade.simulate.pupils import make_habits

DRAWN = 64
SHAPES = ("round", "oval", "square", "brackets")
LETTERS = ("inside", "beside", "none")
PRINTS = {"black": (10, 60), "grey": (90, 150), "pink": (150, 205), "thin and pale": (190, 228)}
WORLDS = ("scan", "copy", "phone", "phone, off", "phone, shadow")
PATTERNS = (
    "usual",
    "slips",
    "mixed habits",
    "few marks",
    "one letter",
    "mostly blank",
    "ticks",
    "everything",
)

Question = namedtuple("Question", "crops labels truth kind")


@dataclass(frozen=True)
class Form:
    """A printed form: `columns` of questions, lengths in mm."""

    side: float  # height of a bubble
    wide: float  # its width in heights
    pitch: tuple[float, float]  # from bubble to bubble, and from question to question
    shape: str
    letters: str
    tone: float  # grey of its print, 0 black
    line: float  # mm
    shaded: bool  # every other question stands on grey
    labels: str
    questions: int
    columns: int

    @property
    def scale(self):
        """px per mm as drawn."""
        return DRAWN / self.side

    @property
    def size(self):
        """(height, width) px as drawn."""
        rows = -(-self.questions // self.columns)
        across = self.columns * (len(self.labels) + 1.5) * self.pitch[0]
        return round((rows + 1) * self.pitch[1] * self.scale), round((across + 4) * self.scale)

    def boxes(self, question):
        """Its bubbles."""
        column, row = divmod(question, -(-self.questions // self.columns))
        left = 2 + self.pitch[0] * (1 + column * (len(self.labels) + 1.5))
        return [
            Rect(
                x=left + n * self.pitch[0], y=(row + 0.7) * self.pitch[1],
                width=self.side * self.wide, height=self.side,
            ) for n in range(len(self.labels))
        ]  # fmt: skip


def make_form(rng, print_name):
    """Any form."""
    side, shape = rng.uniform(3, 6), str(rng.choice(SHAPES, p=[0.5, 0.2, 0.2, 0.1]))
    wide = rng.uniform(1.2, 1.5) if shape in ("oval", "brackets") else 1.0
    letters = str(rng.choice(LETTERS, p=[0.55, 0.25, 0.2]))
    questions = int(rng.choice([10, 20, 40, 60], p=[0.15, 0.35, 0.3, 0.2]))
    return Form(
        side=side, wide=wide, shape=shape, letters=letters,
        pitch=(side * wide * rng.uniform(1.25, 1.8) + (0.5 * side if letters == "beside" else 0),
               side * rng.uniform(1.25, 1.8)),
        tone=rng.uniform(*PRINTS[print_name]),
        line=rng.uniform(0.1, 0.2) if print_name == "thin and pale" else side * rng.uniform(0.03, 0.1),
        shaded=rng.random() < 0.2,
        labels="ABCDE"[: int(rng.choice([2, 3, 4, 5], p=[0.05, 0.1, 0.5, 0.35]))],
        questions=questions, columns=max(1, questions // 15),
    )  # fmt: skip


def printed(form):
    """The blank form."""
    page, scale = np.full(form.size, 255, np.uint8), form.scale
    stroke = max(1, round(form.line * scale))
    for question in range(form.questions):
        boxes = form.boxes(question)
        if form.shaded and question % 2:
            corners = (
                (boxes[0].x - 1, boxes[0].centre[1] - form.pitch[1] / 2),
                (boxes[-1].right + 1, boxes[0].centre[1] + form.pitch[1] / 2),
            )
            cv2.rectangle(page, *(tuple(round(v * scale) for v in corner) for corner in corners), 222, -1)
        for label, box in zip(form.labels, boxes, strict=True):
            _outline(page, form, box, stroke)
            if form.letters != "none":
                _letter(page, form, label, box)
        _text(page, f"{question + 1}.", (boxes[0].x - 0.8 * form.pitch[0], boxes[0].centre[1]), form, 0.5)
    return page


def _outline(page, form, box, stroke):
    middle = tuple(round(v * form.scale) for v in box.centre)
    half = round(box.width / 2 * form.scale), round(box.height / 2 * form.scale)
    (x, y), (a, b) = middle, half
    if form.shape == "brackets":
        for side in (-1, 1):
            line = [
                (x + side * a * 0.7, y - b),
                (x + side * a, y - b),
                (x + side * a, y + b),
                (x + side * a * 0.7, y + b),
            ]
            cv2.polylines(page, [np.int32(line)], False, form.tone, stroke, cv2.LINE_AA)
    elif form.shape == "square":
        cv2.rectangle(page, (x - a, y - b), (x + a, y + b), form.tone, stroke, cv2.LINE_AA)
    else:
        cv2.ellipse(page, middle, half, 0, 0, 360, form.tone, stroke, cv2.LINE_AA)


def _letter(page, form, label, box):
    if form.letters == "inside":
        _text(page, label, box.centre, form, 0.55)
    else:
        _text(page, label, (box.x - 0.3 * form.side, box.centre[1]), form, 0.45)


def _text(page, text, centre, form, height):
    size, thick = height * DRAWN / 21, max(2, round(0.035 * DRAWN))
    (width, tall), _ = cv2.getTextSize(text, 0, size, thick)
    at = round(centre[0] * form.scale - width / 2), round(centre[1] * form.scale + tall / 2)
    cv2.putText(page, text, at, 0, size, form.tone, thick, cv2.LINE_AA)


# ---------------------------------------------------------------- marks


def _plain(style):
    def draw(ink, page, box, scale, pen, rng):
        mark_bubble(ink, box, (scale, scale), pen, style, rng)

    return draw


def _slip(name):
    def draw(ink, page, box, scale, pen, rng):
        slips.SLIPS[name](ink, page, box, (scale, scale), pen, rng)

    return draw


def _resized(draw, least, most, aside=0.0):
    """The same, so many times as large, and off its middle by up to so many times the bubble's size."""

    def resized(ink, page, box, scale, pen, rng):
        times = rng.uniform(least, most)
        width, height = box.width * times, box.height * times
        x, y = (
            c + rng.uniform(-aside, aside) * side
            for c, side in zip(box.centre, (box.width, box.height), strict=True)
        )
        draw(ink, page, Rect(x=x - width / 2, y=y - height / 2, width=width, height=height), scale, pen, rng)

    return resized


def _lighter(draw, least, most):
    """The same with so much of the ink."""

    def lighter(ink, page, box, scale, pen, rng):
        layer = np.zeros_like(ink)
        draw(layer, page, box, scale, pen, rng)
        np.maximum(ink, (layer * rng.uniform(least, most)).astype(np.uint8), out=ink)

    return lighter


def _line(ink, box, scale, pen, rng, angle, reach):
    """One stroke through the bubble's middle, `reach` radii to each side."""
    centre = np.array(box.centre) + rng.normal(0, 0.05, 2) * (box.width, box.height)
    way = np.array([np.cos(angle), np.sin(angle)]) * reach * np.array([box.width, box.height]) / 2
    a, b = (tuple(int(v * scale * 16) for v in centre + sign * way) for sign in (-1, 1))
    cv2.line(ink, a, b, 255, max(1, round(pen.width * scale)), cv2.LINE_AA, 4)


def _struck_line(ink, page, box, scale, pen, rng):
    mark_bubble(ink, box, (scale, scale), pen, "full", rng)
    _line(
        ink,
        box,
        scale,
        pen,
        rng,
        rng.choice([rng.normal(0, 0.2), rng.uniform(0, np.pi)]),
        rng.uniform(1.5, 2.0),
    )


def _struck_cross(ink, page, box, scale, pen, rng):
    mark_bubble(ink, box, (scale, scale), pen, "full", rng)
    for angle in np.radians([45, 135]) + rng.normal(0, 0.15, 2):
        _line(ink, box, scale, pen, rng, angle, rng.uniform(1.6, 2.1))


def _struck_scribble(ink, page, box, scale, pen, rng):
    mark_bubble(ink, box, (scale, scale), pen, "full", rng)
    x = np.linspace(-1.5, 1.5, 9) * box.width / 2 + rng.normal(0, 0.05, 9) * box.width
    y = np.where(np.arange(9) % 2, 1, -1) * box.height / 2 * rng.uniform(0.9, 1.5, 9)
    points = (np.column_stack([x, y]) + box.centre) * scale * 16
    cv2.polylines(
        ink, [points.astype(np.int32)], False, 255, max(1, round(pen.width * scale)), cv2.LINE_AA, 4
    )


def _stray(ink, page, box, scale, pen, rng):
    """A slip of the pen across the question."""
    _line(
        ink, box, scale, replace(pen, width=min(pen.width, 0.5)), rng, rng.normal(0, 0.3), rng.uniform(2, 5)
    )


def _beside(ink, page, box, scale, pen, rng):
    """A small mark that begins at the bubble's outline and lies nearer to it than to any other."""
    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(0.75, 0.85)
    x, y = (
        box.centre[0] + np.cos(angle) * distance * box.width,
        box.centre[1] + np.sin(angle) * distance * box.height,
    )
    width, height = box.width * rng.uniform(0.3, 0.5), box.height * rng.uniform(0.3, 0.5)
    small = Rect(x=x - width / 2, y=y - height / 2, width=width, height=height)
    mark_bubble(ink, small, (scale, scale), pen, str(rng.choice(["tick", "cross", "full"])), rng)


DRAW = {
    "full": _plain("full"),
    "scribble": _plain("scribble"),
    "sloppy": _plain("sloppy"),
    "tick": _plain("tick"),
    "cross": _plain("cross"),
    "half": _slip("half"),
    "dot": _slip("dot"),
    "small dot": _resized(_plain("full"), 0.2, 0.35, 0.1),
    "small tick": _resized(_plain("tick"), 0.45, 0.75, 0.12),
    "small cross": _resized(_plain("cross"), 0.45, 0.75, 0.12),
    "over": _resized(_plain("full"), 1.15, 1.4, 0.05),
    "over scribble": _resized(_plain("scribble"), 1.15, 1.4, 0.05),
    "light": _lighter(_plain("full"), 0.3, 0.6),
    "light tick": _lighter(_plain("tick"), 0.4, 0.7),
    "erased": _slip("erased"),
    "fluid": _slip("fluid"),
    "ring": _slip("beside"),
    "beside": _beside,
    "line": _struck_line,
    "crossed out": _struck_cross,
    "scribbled out": _struck_scribble,
    "stray": _stray,
}
# kind -> (how its first bubble is marked, whether another is marked after, whether the first is an answer)
KINDS = {
    "filled": ("full", False, True),
    "scribbled": ("scribble", False, True),
    "sloppy": ("sloppy", False, True),
    "ticked": ("tick", False, True),
    "crossed": ("cross", False, True),
    "half filled": ("half", False, True),
    "dotted": ("dot", False, True),
    "small dot": ("small dot", False, True),
    "small tick": ("small tick", False, True),
    "small cross": ("small cross", False, True),
    "over-filled": ("over", False, True),
    "lighter": ("light", False, True),
    "lighter tick": ("light tick", False, True),
    "ring round it": ("ring", False, True),
    "mark beside it": ("beside", False, True),
    "nothing": ("", False, False),
    "erased": ("erased", False, False),
    "fluid": ("fluid", False, False),
    "stray line": ("stray", False, False),
    "stray line, answered": ("stray", True, False),
    "erased, then another": ("erased", True, False),
    "fluid, then another": ("fluid", True, False),
    "struck out, a line": ("line", False, False),
    "struck out, a cross": ("crossed out", False, False),
    "struck out, a scribble": ("scribbled out", False, False),
    "a line, then another": ("line", True, False),
    "a cross, then another": ("crossed out", True, False),
    "a scribble, then another": ("scribbled out", True, False),
    "two marks": ("full", True, True),
    "two small ticks": ("small tick", True, True),
}
_MANNERS = ("full", "scribble", "sloppy", "tick", "cross", "half", "over", "small tick", "small cross")


def _mark(ink, page, form, box, style, pen, rng):
    """Draw on the part of the page round the bubble only."""
    scale, reach = form.scale, 3 * max(form.side * form.wide, form.side)
    left, top = (max(0, round((c - reach) * scale)) for c in box.centre)
    end = [round((c + reach) * scale) for c in box.centre]
    near = Rect(x=box.x - left / scale, y=box.y - top / scale, width=box.width, height=box.height)
    part = slice(top, end[1]), slice(left, end[0])
    own, below = np.ascontiguousarray(ink[part]), np.ascontiguousarray(page[part])
    DRAW[style](own, below, near, scale, pen, rng)
    ink[part], page[part] = own, below


def filled(form, page, pattern, rng, *, faint=True):
    """A pupil fills the form: ink (0-255) to lie on `page`, which correction fluid changes; truth, kinds.

    faint: whether some marks are lighter than others; nothing is left of those on a 1-bit copy.
    """
    habits = make_habits(rng, faintest=0.45)
    pen = habits.hand.pen
    own = (
        str(rng.choice(["small tick", "tick", "light tick"]))
        if pattern == "ticks"
        else (habits.style if rng.random() < 0.7 else str(rng.choice(_MANNERS)))
    )
    blank = {"mostly blank": 0.8, "few marks": 1 - rng.uniform(1, 3) / form.questions}.get(pattern, 0.07)
    liked = int(rng.integers(len(form.labels)))
    all_of = rng.random() < 0.5  # "everything": every question, or half of them
    ink, truth = np.zeros_like(page), []
    for question in range(form.questions):
        one, two = rng.choice(len(form.labels), 2, replace=False)
        one = liked if pattern == "one letter" else one
        kind, style = f"the usual {own}", own
        if pattern == "mixed habits" and rng.random() < 0.3:
            style = str(rng.choice(_MANNERS))
        marks, right = [(style, one)], {one}
        if rng.random() < blank:
            kind, marks, right = "nothing", [], set()
        elif pattern == "everything" and (all_of or rng.random() < 0.5):
            kind, marks = "all of them", [(style, n) for n in range(len(form.labels))]
            right = set(range(len(form.labels)))
        elif (pattern == "slips" and rng.random() < 0.3) or pattern == "few marks":
            kind = str(rng.choice(list(KINDS)))
            first, again, counts = KINDS[kind]
            marks = [(first, one)] * bool(first) + [(own, two)] * again
            right = ({one} if counts else set()) | ({two} if again else set())
        for how, n in marks:
            how = how if faint else how.removeprefix("light ").replace("light", "full")
            _mark(ink, page, form, form.boxes(question)[n], how, pen, rng)
        truth.append(("+".join(form.labels[n] for n in sorted(right)), kind))
    return ink, pen, truth


# ---------------------------------------------------------------- what the scan or photo shows


def captured(page, world, px, rng):
    """The page (0-1) with bubbles `px` wide, as a file shows it, uint8."""
    phone = world.startswith("phone")
    picture = cv2.resize(page, None, fx=px / DRAWN, fy=px / DRAWN, interpolation=cv2.INTER_AREA)
    picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 1.2) if phone else rng.uniform(0.3, 0.6))
    if phone:
        picture = picture * _light(picture.shape, rng, shadow=world == "phone, shadow" or rng.random() < 0.3)
    else:
        black, white = rng.uniform(0.06, 0.2), rng.uniform(0.93, 1.0)
        picture = black + (white - black) * picture
    picture = picture * 255 + rng.normal(0, rng.uniform(1, 4) if world != "copy" else 8, picture.shape)
    if world == "copy":
        return np.where(picture > rng.uniform(140, 185), 255, 0).astype(np.uint8)
    quality = int(rng.integers(35, 85) if phone else rng.integers(60, 93))
    coded = cv2.imencode(
        ".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )[1]
    return cv2.imdecode(coded, 0)


def _light(shape, rng, *, shadow):
    y, x = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    light = rng.uniform(0.75, 0.97) * (
        1 - rng.uniform(0.05, 0.4) * (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) + 0.5)
    )
    if shadow:
        angle = rng.uniform(0, 2 * np.pi)
        along = np.cos(angle) * (x - rng.uniform(0.3, 0.7)) + np.sin(angle) * (y - rng.uniform(0.3, 0.7))
        light *= 1 - rng.uniform(0.25, 0.6) / (
            1 + np.exp(np.clip(-along / rng.uniform(0.003, 0.05), -50, 50))
        )
    return light


def _off(form, world, rng):
    """How far from where they are the page's bubbles are taken to lie, mm."""
    most = {"scan": 0.05, "copy": 0.05, "phone": 0.12, "phone, off": 0.25, "phone, shadow": 0.12}[world]
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0, most) * form.side
    return np.array([np.cos(angle), np.sin(angle)]) * reach


def questions(rng, world, pattern, print_name, px):
    """One page: its form, and its questions as they are cut out, with the truth."""
    form = make_form(rng, print_name)
    blank = printed(form)
    page = blank.copy()
    ink, pen, truth = filled(form, page, pattern, rng, faint=world != "copy")
    grain = (
        1 - pen.grain * 0.7 * cv2.GaussianBlur(rng.random(ink.shape, np.float32), (0, 0), 2)
        if pen.grain
        else 1.0
    )
    lit = page / np.float32(255) * (1 - np.float32(pen.darkness) * ink / np.float32(255) * grain)
    photo = captured(lit.astype(np.float32), world, px, rng)
    scale = px / form.side
    crops = _cut(form, photo, scale, _off(form, world, rng))
    if rng.random() < 0.3:
        blanks = _cut(form, blank, form.scale, np.zeros(2))
        crops = [
            [replace(crop, blank=other.pixels) for crop, other in zip(*pair, strict=True)]
            for pair in zip(crops, blanks, strict=True)
        ]
    return form, [Question(own, form.labels, *what) for own, what in zip(crops, truth, strict=True)]


def _cut(form, picture, scale, off):
    """The bubbles of each question, as `grade` cuts them out."""
    rows = (1.0, 0.0, off[0]), (0.0, 1.0, off[1])
    place = Registration(
        page_to_scan=(*((scale * a, scale * b, scale * c - 0.5) for a, b, c in rows), (0.0, 0.0, 1.0)),
        residual=0.0,
        rotation=0,
        method="known",
        landmarks=0,
    )
    scan = Scan(source="simulated", page=1, pixels=np.ascontiguousarray(picture), dpi=0.0)
    margin, finest = max(BUBBLE_MARGIN, BUBBLE_RIM * form.side), min(BUBBLE_SCALE, BUBBLE_SIDE / form.side)
    return [
        crop_boxes(scan, place, form.boxes(n), margin=margin, scale=finest) for n in range(form.questions)
    ]
