"""Bubbles drawn with known ink: what is a mark, what is none, and what only a person can tell."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omrgrade.choices import read_bubbles
from omrgrade.pipeline import read_page
from omrgrade.records import Crop, Policy, Scan
from omrgrade.template import load_template

SIZE, MARGIN = 52, 6  # px: a 5 mm bubble and 0.7 mm of paper round it, 8 px/mm
LABELS = "ABCDE"
UP = 4  # drawn so many times finer
TICK = [(0.3, 0.5), (0.45, 0.68), (0.72, 0.28)]  # shares of the crop


def bubble(mark="", dark=0.7, *, paper=235, moved=(0, 0), line=0.35, rng=None):
    """A crop with the printed ring and a mark `dark` (0-1) as drawn by a pen `line` mm wide."""
    side = SIZE * UP
    pixels, ink = np.full((side, side), 1.0, np.float32), np.zeros((side, side), np.float32)
    middle, radius, pen = side // 2, (SIZE // 2 - MARGIN) * UP, round(line * 8 * UP)
    if mark == "full":
        cv2.circle(ink, (middle, middle), radius, 1, -1)
    elif mark == "half":
        cv2.ellipse(ink, (middle, middle), (radius, radius), 0, 20, 200, 1, -1)
    elif mark == "tick":
        cv2.polylines(ink, [np.int32(np.array(TICK) * side)], False, 1, pen)
    elif mark == "cross":
        for a, b in [((0.22, 0.22), (0.78, 0.78)), ((0.78, 0.22), (0.22, 0.78))]:
            cv2.line(ink, *(tuple(int(v * side) for v in p) for p in (a, b)), 1, pen)
    elif mark == "scribble":
        points = [(0.25 + 0.5 * (n % 2), 0.25 + 0.055 * n) for n in range(10)]
        cv2.polylines(ink, [np.int32(np.array(points) * side)], False, 1, pen)
    elif mark == "dot":
        cv2.circle(ink, (middle, middle), radius // 2, 1, -1)
    elif mark == "arc":
        cv2.ellipse(ink, (middle, middle), (round(0.72 * radius),) * 2, 0, -65, 65, 1, pen)
    elif mark == "speck":
        cv2.circle(ink, (middle + 20, middle - 12), round(0.2 * 8 * UP), 1, -1)
    elif mark == "streak":
        ink[:, middle : middle + UP] = 1
    ring = np.zeros_like(ink)
    cv2.circle(ring, (middle + moved[0] * UP, middle + moved[1] * UP), radius, 1, round(0.3 * 8 * UP))
    pixels = paper * (1 - 0.8 * ring) * (1 - dark * np.roll(ink, (moved[1] * UP, moved[0] * UP), (0, 1)))
    small = cv2.GaussianBlur(cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA), (0, 0), 0.7)
    if rng is not None:
        small = small + rng.normal(0, 3, small.shape)
    return Crop(pixels=np.clip(small, 0, 255).astype(np.uint8), margin=MARGIN)


def question(**marks):
    """A question's crops: question(B="full") has B filled; values are arguments of `bubble`."""
    drawn = {label: value if isinstance(value, tuple) else (value,) for label, value in marks.items()}
    return [bubble(*drawn.get(label, ())) for label in LABELS], LABELS


def read(*questions):
    return read_bubbles(questions, Policy())


def said(boxes):
    """The labels read as marks, then after a question mark those in doubt."""
    sure = "".join(box.value for box in boxes if box.status == "read")
    doubtful = "".join(box.value for box in boxes if box.status == "review")
    return f"{sure}?{doubtful}" if doubtful else sure


def page(mark="full", dark=0.7):
    """Twelve plain answers: enough to know the pupil's pen."""
    return [question(**{LABELS[n % 5]: (mark, dark)}) for n in range(12)]


@pytest.mark.parametrize("mark", ["full", "half", "scribble", "tick", "cross", "dot"])
@pytest.mark.parametrize("others", ["full", "tick"])
def test_a_clear_mark_alone_in_its_question_is_read_whatever_its_shape(mark, others):
    assert said(read(question(C=mark), *page(others))[0]) == "C"


def test_a_mark_far_smaller_than_the_others_is_left_to_a_person():
    """As the outline of a bubble that lies off is seen inside of it."""
    (box,) = (box for box in read(question(C=("arc", 0.85)), *page("full", 0.85))[0] if box.value)
    assert (box.value, box.status, box.reason) == ("C", "review", "smaller than other marks")


@pytest.mark.parametrize("mark", ["full", "tick", "scribble"])
def test_the_first_marks_of_a_page_need_no_others(mark):
    assert said(read(question(D=(mark, 0.6)))[0]) == "D"


def test_an_untouched_page_is_blank_without_doubt():
    for boxes in read(*[question() for _ in range(12)]):
        assert said(boxes) == ""
        assert min(box.confidence for box in boxes) > 0.99


@pytest.mark.parametrize("dirt", [("speck", 0.9), ("streak", 0.2)])
def test_dirt_is_no_mark(dirt):
    assert said(read(question(A=dirt), *page())[0]) == ""
    assert said(read(question(A=dirt, B="full"), *page())[0]) == "B"


def test_two_equal_marks_are_both_read():
    assert said(read(question(A="full", D="full"), *page())[0]) == "AD"


@pytest.mark.parametrize("lighter", [("full", 0.3), ("tick", 0.7)])
def test_less_ink_beside_a_filled_bubble_is_left_to_a_person(lighter):
    boxes = read(question(A=lighter, D="full"), *page())[0]
    assert said(boxes) == "D?A"
    assert boxes[0].reason == "lighter than D"


def test_what_an_eraser_left_gives_way_to_the_new_mark():
    assert said(read(question(A=("full", 0.12), D="full"), *page())[0]) == "D"


def test_the_remains_alone_are_in_doubt():
    boxes = read(question(A=("full", 0.15)), *page())[0]
    assert said(boxes) == "?A"
    assert boxes[0].reason == "faint mark"


def test_a_faint_pencil_is_read_by_its_own_measure():
    assert [said(boxes) for boxes in read(*page("full", 0.15))] == [LABELS[n % 5] for n in range(12)]


def test_marks_hardly_darker_than_paper_are_not_taken_for_blank():
    found = read(*page("full", 0.06))
    assert [said(boxes).strip("?") for boxes in found] == [LABELS[n % 5] for n in range(12)]


@pytest.mark.parametrize("threshold", [118, 141, 188])
def test_a_one_bit_copy_reads_like_its_original(threshold):
    def copied(crop):
        return Crop(pixels=np.where(crop.pixels > threshold, 255, 0).astype(np.uint8), margin=MARGIN)

    questions = [question(C="full"), question(A="tick"), question(), question(B="cross"), *page("scribble")]
    copies = [([copied(crop) for crop in crops], labels) for crops, labels in questions]
    assert [said(boxes) for boxes in read(*copies)[:4]] == ["C", "A", "", "B"]


@given(
    paper=st.integers(90, 255),
    right=st.floats(-0.25, 0.25),
    down=st.floats(-0.25, 0.25),
    moved=st.tuples(st.integers(-4, 4), st.integers(-4, 4)),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_light_noise_and_place_hide_no_mark(paper, right, down, moved, seed):
    """Shadows that fall off by a quarter across a bubble, and a page 0.5 mm off its place each way.

    Where both are at their worst an empty bubble may be doubted ("B?E"), but not taken for a mark.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-0.5 : 0.5 : SIZE * 1j, -0.5 : 0.5 : SIZE * 1j]
    light = 0.88 * (1 + right * x + down * y)
    questions = []
    for marked in "BDA":
        crops = [
            bubble("full" if label == marked else "", 0.5, paper=paper, moved=moved, rng=rng)
            for label in LABELS
        ]
        lit = [Crop(pixels=(c.pixels * light).astype(np.uint8), margin=MARGIN) for c in crops]
        questions.append((lit, LABELS))
    found = [said(boxes) for boxes in read(*questions)]
    assert [text.split("?")[0] for text in found] == ["B", "D", "A"]
    if max(abs(right), abs(down)) <= 0.15 and max(map(abs, moved)) <= 2:
        assert found == ["B", "D", "A"]


def test_the_more_ink_the_surer():
    marks = [read(question(B=("full", dark)), *page())[0][1] for dark in (0.02, 0.2, 0.3, 0.45, 0.7)]
    blank, faint, less_faint, mark, plain = marks
    assert (blank.status, faint.status, mark.status, plain.status) == ("blank", "review", "read", "read")
    assert faint.confidence < less_faint.confidence < mark.confidence < plain.confidence


def test_bubbles_of_several_sizes_and_labels_keep_their_order():
    small = [Crop(pixels=cv2.resize(c.pixels, (39, 39)), margin=4) for c in question(A="full", E="full")[0]]
    digits = [bubble("full" if n == 7 else "") for n in range(10)]
    found = read(question(B="full"), (small, "vwxyz"), (digits, "0123456789"))
    assert [said(boxes) for boxes in found] == ["B", "vz", "7"]
    assert [len(boxes) for boxes in found] == [5, 5, 10]


@pytest.mark.parametrize("answered", [1, 3])
def test_a_page_that_is_mostly_blank_does_not_take_its_own_grain_for_a_pencil(answered):
    """The inkiest bubble of each empty question was taken for a mark of a very faint pen."""
    rng = np.random.default_rng(answered)
    questions = []
    for n in range(30):
        crops = question(**({LABELS[n]: "full"} if n < answered else {}))[0]
        rough = [cv2.GaussianBlur(rng.normal(0, 60, (SIZE, SIZE)), (0, 0), 2) for _ in crops]
        pixels = [np.clip(c.pixels + grain, 0, 255) for c, grain in zip(crops, rough, strict=True)]
        questions.append(([Crop(pixels=p.astype(np.uint8), margin=MARGIN) for p in pixels], LABELS))
    found = [said(boxes) for boxes in read(*questions)]
    assert found[:answered] == list(LABELS[:answered])
    assert sum(text != "" for text in found[answered:]) <= 1


@pytest.mark.parametrize("share", [1.0, 0.75])
def test_a_pupil_who_fills_everything_is_seen(share):
    """All bubbles with one letter are alike then: their filling was taken for print, and read as blank."""
    filled = round(20 * share)
    questions = [
        question(**(dict.fromkeys(LABELS, "full") if n < filled else {"B": "full"})) for n in range(20)
    ]
    found = [said(boxes) for boxes in read(*questions)]
    assert found == [LABELS] * filled + ["B"] * (20 - filled)


def test_a_pupil_who_ticks_one_letter_everywhere_is_not_taken_for_print():
    """Ticks lie a little differently in each bubble; letters do not."""
    rng = np.random.default_rng(3)
    questions = [([small(letter=label) for label in LABELS], LABELS) for _ in range(24)]
    for crops, _ in questions[:-2]:
        points = np.array(TICK) * 46 + rng.normal(0, 2.5, (3, 2))
        pixels = crops[0].pixels.copy()
        cv2.polylines(pixels, [np.int32(points * 16)], False, 60, 2, cv2.LINE_AA, 4)
        crops[0] = Crop(pixels=pixels, margin=6)
    found = [said(boxes) for boxes in read(*questions)]
    assert all("A" in text for text in found[:-2])
    assert found[-2:] == ["", ""]


@pytest.mark.parametrize("px", [14, 24])
def test_who_crosses_everything_is_not_taken_for_print(px):
    """One question left blank tells that the crosses are not printed."""
    rng = np.random.default_rng(5)
    questions = [([small(letter=label, px=px) for label in LABELS], LABELS) for _ in range(20)]
    for n, (crops, _) in enumerate(questions):
        for k in range(5) if n != 7 else ():
            crops[k] = crossed(crops[k], rng)
    found = [said(boxes) for boxes in read(*questions)]
    assert found[:7] + found[8:] == [LABELS] * 19
    assert found[7].split("?")[0] == ""


def crossed(crop, rng):
    """The crop with a cross, a little elsewhere each time."""
    pixels = crop.pixels.copy()
    ends = np.array([[(0.25, 0.25), (0.75, 0.75)], [(0.75, 0.25), (0.25, 0.75)]]) * 46
    for stroke in ends + rng.normal(0, 2.5, ends.shape):
        cv2.line(pixels, *(tuple(map(int, end * 16)) for end in stroke), 60, 2, cv2.LINE_AA, 4)
    return Crop(pixels=pixels, margin=crop.margin)


def test_small_ticks_at_one_letter_are_seen_however_dark_the_letters():
    """A small tick adds little to a bold letter: the two together were taken for what is printed there."""
    rng = np.random.default_rng(8)
    questions = [([small(letter=label, px=30) for label in LABELS], LABELS) for _ in range(20)]
    for crops, _ in questions[:-1]:
        points = 23 + (np.array(TICK) - 0.5) * 30 + rng.normal(0, 1.5, (3, 2))
        pixels = crops[2].pixels.copy()
        cv2.polylines(pixels, [np.int32(points * 16)], False, 60, 2, cv2.LINE_AA, 4)
        crops[2] = Crop(pixels=pixels, margin=6)
    found = [said(boxes) for boxes in read(*questions)]
    assert all("C" in text for text in found[:-1])
    assert found[-1] == ""


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("darkness", [0.3, 0.5, 0.6])
def test_the_edge_of_a_shadow_through_empty_bubbles_is_no_sure_mark(darkness, seed):
    """One bubble is filled, in the shadow; of the empty ones some are darker on one side than the other."""
    rng = np.random.default_rng(seed)
    questions = []
    for n in range(20):
        off = rng.uniform(-0.12, 0.12, 2)
        crops = [
            small("full" if (n, k) == (2, 1) else "", px=30, letter=LABELS[k], off=off) for k in range(4)
        ]
        questions.append(([shaded(crop, n, k, darkness) for k, crop in enumerate(crops)], LABELS[:4]))
    found = [said(boxes) for boxes in read(*questions)]
    assert all(text == "" or "?" in text for n, text in enumerate(found) if n != 2)
    assert sum("?" in text for text in found) <= 6


def shaded(crop, row, column, darkness):
    """The crop as it looks on a page on the left of which a shadow falls, its edge aslant."""
    height, width = crop.pixels.shape
    x, y = np.arange(width) / width + 1.2 * column, np.arange(height)[:, None] / height + 1.2 * row
    light = 1 - darkness / (1 + np.exp((x - 3.6 + 0.45 * y) / 0.05))
    return Crop(pixels=np.clip(crop.pixels * light, 0, 255).astype(np.uint8), margin=crop.margin)


def test_letters_beside_bubbles_are_no_streak():
    """They lie on opposite rims of a crop, at one height; all between them was taken off as dirt."""
    questions = [question(**{LABELS[n % 5]: "tick"}) for n in range(12)]
    for crops, _ in questions:
        for crop in crops:
            crop.pixels[20:32, :4] = crop.pixels[20:32, -4:] = 190
    assert [said(boxes) for boxes in read(*questions)] == [LABELS[n % 5] for n in range(12)]


@pytest.mark.parametrize("seed", range(3))
def test_a_scribble_over_a_filled_bubble_is_seen(seed):
    rng = np.random.default_rng(seed)
    crops, labels = question(B="full")
    x = np.linspace(-1.3, 1.3, 9) * (SIZE / 2 - MARGIN) + rng.normal(0, 1, 9)
    y = np.where(np.arange(9) % 2, 1, -1) * (SIZE / 2 - MARGIN) * rng.uniform(1.1, 1.3, 9)
    points = np.column_stack([x, y]) + (SIZE - 1) / 2
    cv2.polylines(crops[1].pixels, [np.int32(points * 16)], False, 60, 3, cv2.LINE_AA, 4)
    assert said(read((crops, labels), *page())[0]) == "?B"


def square(mark="", *, line=5):
    """A square with a thick black outline, which reaches into the crop's corners."""
    pixels = np.full((SIZE, SIZE), 225, np.uint8)
    cv2.rectangle(pixels, (MARGIN, MARGIN), (SIZE - MARGIN, SIZE - MARGIN), 30, line)
    if mark == "scribble":
        points = [(14 + 24 * (n % 2), 13 + 3 * n) for n in range(9)]
        cv2.polylines(pixels, [np.int32(points)], False, 70, 2, cv2.LINE_AA)
    elif mark == "over":
        cv2.rectangle(pixels, (2, 2), (SIZE - 3, SIZE - 3), 30, -1)
    return Crop(pixels=cv2.GaussianBlur(pixels, (0, 0), 1.5), margin=MARGIN)


@pytest.mark.parametrize("mark", ["scribble", "over"])
def test_marks_in_squares_with_thick_outlines_are_seen(mark):
    """The corners of the crop are no paper there; ink was hardly darker than they were."""
    questions = [([square(mark if k == n % 4 else "") for k in range(4)], "ABCD") for n in range(12)]
    assert [said(boxes) for boxes in read(*questions)] == ["ABCD"[n % 4] for n in range(12)]


def test_a_page_without_bubbles_has_no_readings():
    assert read() == []


def struck(crop, angles, dark=0.8, reach=1.7):
    """The crop with strokes right through the bubble, degrees from the right; reach in radii."""
    pixels, middle = crop.pixels.copy(), (SIZE - 1) / 2
    for angle in np.radians(angles):
        way = np.array([np.cos(angle), np.sin(angle)]) * reach * (SIZE / 2 - MARGIN)
        a, b = (tuple(int(v * 16) for v in middle + sign * way) for sign in (-1, 1))
        cv2.line(pixels, a, b, round(235 * (1 - dark)), 3, cv2.LINE_AA, 4)
    return Crop(pixels=pixels, margin=MARGIN)


@pytest.mark.parametrize("angles", [(45, 135), (30, 150), (15,), (60,)])
def test_a_struck_out_mark_is_left_to_a_person_or_is_none(angles):
    crops, labels = question(B="full")
    crops[1] = struck(crops[1], angles)
    boxes = read_bubbles([(crops, labels), *page()], Policy())[0]
    assert (said(boxes), boxes[1].reason) == ("?B", "struck out?")
    assert said(read_bubbles([(crops, labels), *page()], Policy(), [True] + [False] * 12)[0]) == ""


@pytest.mark.parametrize("angle", [8, 35, 140])
@pytest.mark.parametrize("others", ["full", ""])
def test_a_slip_of_the_pen_through_an_empty_bubble_is_no_sure_mark(angle, others):
    crops, labels = question()
    crops[3] = struck(crops[3], (angle,), reach=1.9)
    boxes = read_bubbles([(crops, labels), *page(others)], Policy())[0]
    assert (said(boxes), boxes[3].reason) == ("?D", "a line through it")


def test_who_marks_by_strokes_through_bubbles_is_read():
    questions = [question() for _ in range(12)]
    for n, (crops, _) in enumerate(questions):
        crops[n % 5] = struck(crops[n % 5], (50,), reach=1.5)
    assert [said(boxes) for boxes in read(*questions)] == [LABELS[n % 5] for n in range(12)]


@pytest.mark.parametrize("angles", [(45, 135), (20,)])
def test_the_only_mark_of_a_page_is_seen_to_be_struck_out(angles):
    """Its strokes were taken for this pupil's generous way of filling bubbles."""
    crops, labels = question(C="full")
    crops[2] = struck(crops[2], angles)
    boxes = read_bubbles([(crops, labels), *(question() for _ in range(12))], Policy())[0]
    assert boxes[2].reason == "struck out?"


@pytest.mark.parametrize("seed", range(6))
def test_marks_that_come_out_of_their_bubbles_are_not_struck_out(seed):
    """A pupil who fills generously: bulges of up to a quarter of the radius all round."""
    rng = np.random.default_rng(seed)
    questions = page()
    for n, (crops, _) in enumerate(questions):
        angle, radius = np.linspace(0, 2 * np.pi, 40), (SIZE / 2 - MARGIN) * 1.1
        waves = sum(rng.normal(0, 0.04) * np.cos(k * angle + rng.uniform(0, 6)) for k in (3, 5, 8, 11))
        points = radius * (1 + waves)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
        pixels = crops[n % 5].pixels.copy()
        cv2.fillPoly(pixels, [np.int32((points + (SIZE - 1) / 2) * 16)], 70, cv2.LINE_AA, 4)
        crops[n % 5] = Crop(pixels=pixels, margin=MARGIN)
    assert [said(boxes) for boxes in read(*questions)] == [LABELS[n % 5] for n in range(12)]


def test_rings_round_many_bubbles_of_one_letter_are_seen():
    questions = [question() for _ in range(6)] + page()
    for crops, _ in questions[:6]:
        middle = SIZE // 2
        cv2.circle(crops[1].pixels, (middle, middle), SIZE // 2 - 2, 60, 2, cv2.LINE_AA)
    found = read(*questions)[:6]
    assert {said(boxes) for boxes in found} == {"?B"}
    assert {boxes[1].reason for boxes in found} == {"a mark beside it"}


@pytest.mark.parametrize("option", ["A", "B", "D"])
@pytest.mark.parametrize("other", [0, 4])
@pytest.mark.parametrize("sheet", ["mixed-letter", "choice-a4"])
def test_who_likes_one_option_is_not_taken_for_print(page_factory, sheet, option, other):
    """Most of the bubbles with one letter are filled then, and look alike; it was read as print once."""
    fields = [field for field in load_template(sheet).fields if field.kind == "choice"]
    liked = {field.id: option if n >= other else "C" for n, field in enumerate(fields)}
    made = page_factory(sheet, seed=11, values=liked)
    page = read_page(Scan(source="", page=1, pixels=made.image, dpi=300), load_template(sheet))
    said = {field.field: field for field in page.fields if field.kind == "choice"}
    assert len(said) == len(liked)
    wrong = [n for n, field in said.items() if field.status != "review" and field.value != liked[n]]
    assert not wrong
    assert sum(field.status == "review" for field in said.values()) <= len(said) / 10


def small(mark="", *, px=14, thick=0.1, blur=0.9, off=(0.0, 0.0), letter=""):
    """A bubble `px` wide in a photo, as it is cut out: enlarged, blurred, `off` by parts of its width."""
    side, up = 640, 640 / 1.33
    pixels, middle, radius = np.full((side, side), 225, np.uint8), side / 2, up / 2
    at = tuple(int(16 * (middle + v * up)) for v in off)
    if letter:
        size = cv2.getTextSize(letter, 0, 8, 40)[0]
        place = (int(at[0] / 16 - size[0] / 2), int(at[1] / 16 + size[1] / 2))
        cv2.putText(pixels, letter, place, 0, 8, 60, 40, cv2.LINE_AA)
    cv2.circle(pixels, at, int(radius * 16), 40, round(thick * up), cv2.LINE_AA, 4)
    if mark == "full":
        cv2.circle(pixels, at, int(radius * 0.9 * 16), 60, -1, cv2.LINE_AA, 4)
    coarse = cv2.resize(pixels, (round(px * 1.33), round(px * 1.33)), interpolation=cv2.INTER_AREA)
    coarse = cv2.GaussianBlur(coarse, (0, 0), blur)
    crop = cv2.resize(coarse, (46, 46), interpolation=cv2.INTER_LINEAR)
    return Crop(pixels=np.clip(crop, 0, 255).astype(np.uint8), margin=6)


@pytest.mark.parametrize("letters", [False, True])
@pytest.mark.parametrize("off", [(0.0, 0.0), (0.08, 0.0), (-0.06, 0.08)])
@pytest.mark.parametrize(("px", "thick"), [(12, 0.06), (16, 0.11)])
def test_small_blurred_bubbles_off_their_place_are_read(letters, off, px, thick):
    """On a page fitted up to 0.4 mm off; thick outlines darken the corners of the crops."""
    questions, wanted = [], []
    for n in range(20):
        marked = n % 6  # the last of them: nothing
        crops = [
            small("full" if k == marked else "", px=px, thick=thick, off=off, letter=letters * LABELS[k])
            for k in range(5)
        ]
        questions.append((crops, LABELS))
        wanted.append(LABELS[marked : marked + 1])
    found = [said(boxes) for boxes in read(*questions)]
    wrong = [(f, w) for f, w in zip(found, wanted, strict=True) if f != w and "?" not in f]
    assert not wrong
    assert sum("?" in text for text in found) <= 1
