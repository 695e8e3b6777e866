"""Filled, scanned-looking sheets with known truth.

The digits are MNIST's *test* digits, traced as pen strokes; bubbles are filled as people fill them; then a
world is laid over the page (see `PROFILES`): ``scanner``, ``copier``, ``photo``, or none, ``clean``.

What it cannot imitate: one writer's digits do not look alike (MNIST does not say who wrote what), and they
are American (no 1 with a long upstroke, hardly a crossed 7); digits that MNIST shows as a blot are passed
over; nothing is struck out, corrected or written beside its box; paper lies flat unless asked, without folds,
staples, holes, coffee, or print from the back; the printer prints to scale and evenly; no marker is covered
or torn; lenses do not distort or reflect; a feeder does not stretch the page midway; file formats are a few
common ones. Figures on simulated pages are therefore an upper bound for figures on real ones.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from omrgrade.errors import OutputError
from omrgrade.fields import spread
from omrgrade.records import Bend, Field, Matrix, Pupil, Template
from omrgrade.render import render_page
from omrgrade.render.prefilled import prefilled_page
from omrgrade.simulate.bent import bent_sheet, make_bend
from omrgrade.simulate.camera import photo
from omrgrade.simulate.files import save_capture, write_key, write_roster, write_truth
from omrgrade.simulate.handwriting import Digits, write_digit, write_number
from omrgrade.simulate.marking import Style, mark_bubble, scrawl, smudge, write_sign
from omrgrade.simulate.pupils import Answers, Habits, fill_in, make_habits, make_key, make_roster
from omrgrade.simulate.world import Capture, Sheet, clean, copier, scanner

__all__ = ["PROFILES", "Digits", "SimulatedPage", "save_capture", "simulate_batch", "simulate_page"]

PROFILES: dict[str, Callable[[Sheet, np.random.Generator, int], Capture]] = {
    "scanner": scanner,
    "photo": photo,
    "copier": copier,
    "clean": clean,
}
"""How a page becomes an image: from the sheet, a random generator and a quarter turn in degrees."""

_DPI = 300.0  # of the page that is written on, before the world
_TURNS = ([0, 90, 180, 270], [0.85, 0.04, 0.07, 0.04])
# A copier loses the faintest pencil altogether; no reader could know what was there.
_FAINTEST = {"copier": 0.6}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class SimulatedPage:
    """One page, and everything there is to know about it."""

    image: NDArray[np.uint8]  # (height, width) grey, or (height, width, 3) BGR
    truth: dict[str, str]  # field -> value; "" blank, several marks joined by "+"
    page_to_scan: Matrix  # page mm -> px of `image` (pixel centres at whole numbers)
    rotation: int  # quarter turns, degrees clockwise: 0, 90, 180, 270
    capture: Capture  # how it is to be filed
    bend: Bend | None = None  # displaces page points before `page_to_scan`


def simulate_page(
    template: Template,
    *,
    seed: int | tuple[int, ...],
    profile: str = "scanner",
    values: Mapping[str, str] | None = None,
    turn: int | None = None,
    digits: Digits | None = None,
    bent: float = 0.0,
) -> SimulatedPage:
    """One filled page; the same arguments give the same page.

    `values` says what is written where (field -> value, as in `SimulatedPage.truth`; fields left out stay
    blank); without it a pupil with a random number answers at random. `turn` is the page's quarter turn in
    degrees clockwise, at random by default. `profile` is a key of `PROFILES`. `bent` is by how many mm curl
    and uneven feeding displace the worst point of the page.
    """
    rng = np.random.default_rng(seed)
    habits = make_habits(rng, faintest=_FAINTEST.get(profile, 0.35))
    if values is None:
        pupil = make_roster(template, 1, rng)[0]
        values = fill_in(template, pupil.student_id, make_key(template, rng), habits, rng)
    truth = {made.id: values.get(made.id, "") for made in template.fields}
    digits = digits or _default_digits()
    return _simulate(template, truth, habits, profile, turn, digits, rng, bent)


def _simulate(
    template: Template, truth: dict[str, str], habits: Habits, profile: str, turn: int | None, digits: Digits,
    rng: np.random.Generator, bent: float = 0.0,
) -> SimulatedPage:  # fmt: skip
    printed = _printed(template, truth)
    ink = np.zeros_like(printed)
    px_per_mm = printed.shape[1] / template.page_width, printed.shape[0] / template.page_height
    for made in template.fields:
        _fill_field(ink, made, truth[made.id], px_per_mm, habits, digits, rng)
    if template.header and any(truth.values()):
        start = template.header.x + 14, template.header.y + 6
        scrawl(
            ink, start, min(rng.uniform(25, 40), template.header.width / 3), px_per_mm, habits.hand.pen, rng
        )
    sheet = Sheet(
        printed=printed, ink=ink, pen=habits.hand.pen, width=template.page_width, height=template.page_height
    )
    bend = None
    if bent:
        bend = make_bend(template.page_width, template.page_height, bent, rng)
        sheet = bent_sheet(sheet, bend)
    if turn is None:
        turn = 0 if profile == "clean" else int(rng.choice(_TURNS[0], p=_TURNS[1]))
    capture = PROFILES[profile](sheet, rng, turn)
    rows = [tuple(float(v) for v in row) for row in capture.page_to_scan / capture.page_to_scan[2, 2]]
    return SimulatedPage(
        image=capture.image,
        truth=truth,
        page_to_scan=tuple((row[0], row[1], row[2]) for row in rows),
        rotation=turn,
        capture=capture,
        bend=bend,
    )


@functools.lru_cache(maxsize=4)
def _blank(template: Template) -> NDArray[np.uint8]:
    return render_page(template, _DPI)


def _printed(template: Template, truth: Mapping[str, str]) -> NDArray[np.uint8]:
    """The sheet as it was handed out: blank, or printed for the pupil whose number its barcode is to have."""
    numbers = [truth[made.id] for made in template.fields if made.kind == "barcode" and truth[made.id]]
    return prefilled_page(template, Pupil(student_id=numbers[0]), _DPI) if numbers else _blank(template)


@functools.lru_cache(maxsize=1)
def _default_digits() -> Digits:
    return Digits.load()


# ---------------------------------------------------------------- one field


def _fill_field(
    ink: NDArray[np.uint8], made: Field, value: str, px_per_mm: tuple[float, float], habits: Habits,
    digits: Digits, rng: np.random.Generator,
) -> None:  # fmt: skip
    if made.kind in ("barcode", "picture"):
        return
    if made.kind in ("digits", "fraction"):
        for box, text in zip(made.boxes, spread(made, value, right=habits.align_right), strict=True):
            if text.isdecimal():
                write_digit(ink, digits.pick(int(text), rng), box, px_per_mm, habits.hand, rng)
            elif text:
                write_sign(ink, text, box, px_per_mm, habits.hand.pen, rng)
        return
    if made.kind == "number":
        write_number(ink, [digits.pick(int(digit), rng) for digit in value], made.boxes[0], px_per_mm,
                     habits.hand, rng)  # fmt: skip
        return
    for n, box in enumerate(made.boxes):
        column, row = divmod(n, len(made.options))
        marks = value.split("+") if made.kind == "choice" else value[column : column + 1]
        if made.options[row] in marks:
            mark_bubble(ink, box, px_per_mm, habits.hand.pen, _style(habits, rng), rng)
        elif habits.eraser and rng.random() < 0.004:
            smudge(ink, box, px_per_mm, rng)


def _style(habits: Habits, rng: np.random.Generator) -> Style:
    """The pupil's own, now and then another: one mark in a hundred and fifty is a tick or cross."""
    if rng.random() < 1 / 150:
        return "tick" if rng.random() < 0.5 else "cross"
    return habits.style


# ---------------------------------------------------------------- a class


def simulate_batch(
    template: Template,
    count: int,
    seed: int,
    profile: str,
    directory: str | Path,
    *,
    data: str | Path | None = None,
    on_page: Callable[[int], None] | None = None,
    bent: float = 0.0,
) -> list[Path]:
    """Write a class of `count` pupils: images, truth.csv, key.csv, roster.csv; returns the images' paths.

    Of a set of several pages (`template.pages.sheet_set`) there is an image a page, and one key for all.
    `bent`: see `simulate_page`. `data` is an MNIST ``.npz``; `on_page` is called with the number of pages
    done.
    """
    directory = Path(directory)
    digits = Digits.load(data)
    rng = np.random.default_rng(seed)
    key, roster = make_key(template, rng), make_roster(template, count, rng)
    paths: list[Path] = []
    truths: list[tuple[str, int, dict[str, str]]] = []
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for n, pupil in enumerate(roster, 1):
            for number, made in enumerate(template.pages or (template,)):
                page = _pupils_page(made, pupil, key, (seed, n), number, profile, digits, bent)
                stem = f"page-{n:03d}-{number + 1}" if template.pages else f"page-{n:03d}"
                paths.append(save_capture(page.capture, directory / stem))
                truths.append((paths[-1].name, 1, page.truth))
            if on_page:
                on_page(n)
        write_key(directory / "key.csv", key)
        write_roster(directory / "roster.csv", roster)
        write_truth(directory / "truth.csv", truths)
    except OSError as error:
        raise OutputError(
            "the pages cannot be written", where=str(directory), fix="choose another folder",
            received=error.strerror,
        ) from error  # fmt: skip
    return paths


def _pupils_page(
    template: Template,
    pupil: Pupil,
    key: Answers,
    seed: tuple[int, int],
    number: int,
    profile: str,
    digits: Digits,
    bent: float,
) -> SimulatedPage:
    """A pupil's page, from 0; all that one pupil fills in are by one hand."""
    rng = np.random.default_rng(seed)
    habits = make_habits(rng, faintest=_FAINTEST.get(profile, 0.35))
    rng = np.random.default_rng((*seed, number)) if number else rng
    truth = fill_in(template, pupil.student_id, key, habits, rng)
    return _simulate(template, truth, habits, profile, None, digits, rng, bent)
