"""Every method finds its page under the faults of scanners and phones, and no other page."""

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
import pytest
from tabletop import SETTINGS, Setting, take_photo
from warped_pages import CONDITIONS, METHODS, Condition, WarpedPage, other_papers, warped_page, with_method

from omrgrade import registration
from omrgrade.errors import RegistrationError
from omrgrade.placing import project
from omrgrade.records import Policy, Rect, Scan
from omrgrade.registration import register, survey
from omrgrade.registration.byhand import reference_points
from omrgrade.registration.fitting import judged, shared_out
from omrgrade.registration.geometry import Located, Pose

template = cache(with_method)


@cache
def page(method: str, condition: str, name: str = "mixed-letter", seed: int = 3) -> WarpedPage:
    return warped_page(template(name, method), CONDITIONS[condition], seed)


SWEEP = [
    *((method, "upside down") for method in METHODS),
    ("square", "marker scribbled on"),
    ("circle", "marker torn off"),
    ("timing", "marker scribbled on"),
    ("picture", "30 degrees off"),
    ("reference", "30 degrees off"),
    ("page", "shadow"),
    ("page", "skewed left"),  # the ground is as white as the paper: there are no edges to be seen
    ("page", "fed 10 mm off"),
    ("square", "skewed right"),
    ("cross", "1-bit"),
    ("reference", "100 dpi"),
]


@pytest.mark.parametrize(("method", "condition"), SWEEP)
def test_a_page_is_found_to_half_a_millimetre(method, condition):
    warped = page(method, condition)
    found = register(warped.scan, warped.template, max_residual=1.0, flag_residual=0.5)
    assert warped.worst_box(found) < 0.5
    assert found.residual < 0.3 and not found.doubt
    assert found.method == warped.template.fiducials.method
    if CONDITIONS[condition].angle in (0, 90, 180):
        assert found.rotation == CONDITIONS[condition].angle


@pytest.mark.parametrize("condition", ["as it is", "upside down", "100 dpi", "1-bit"])
@pytest.mark.parametrize("method", sorted(set(METHODS) - {"aruco"}))
def test_a_scanned_page_is_found_where_it_plainly_is(method, condition, monkeypatch):
    """Searching the whole picture takes five times as long: no scan may come to need it."""
    template = with_method("numeric-a4", method)
    monkeypatch.setitem(registration.METHODS, template.fiducials.method, _never)
    page = warped_page(template, CONDITIONS[condition], 5)
    assert page.worst_box(register(page.scan, template, max_residual=Policy().max_residual)) < 0.5


@pytest.mark.parametrize("method", ["square", "circle", "cross"])
def test_a_scribbled_mark_does_not_hide_where_the_page_plainly_is(method, monkeypatch):
    template = with_method("choice-a4", method)
    monkeypatch.setitem(registration.METHODS, "corners", _never)
    page = warped_page(template, CONDITIONS["marker scribbled on"], 5)
    assert page.worst_box(register(page.scan, template, max_residual=Policy().max_residual)) < 0.5


def _never(scan, template):
    raise AssertionError("the whole picture was searched")


@pytest.mark.parametrize("method", ["aruco", "page"])
def test_paper_stretched_on_its_way_is_followed(method):
    warped = page(method, "stretched 2 mm")
    found = register(warped.scan, warped.template, max_residual=1.0)
    assert found.bend is not None
    assert warped.worst_box(found) < 0.5


@pytest.mark.parametrize("method", ["square", "timing", "reference", "page"])
def test_a_page_of_another_template_is_refused(method):
    warped = page(method, "as it is", "numeric-a4")
    with pytest.raises(RegistrationError):
        register(warped.scan, template("mixed-letter", method), max_residual=1.0)


@pytest.mark.parametrize("method", ["square", "timing", "reference", "page"])
def test_other_papers_are_refused(method):
    rng = np.random.default_rng(0)
    text = np.full((1754, 1240), 235, np.uint8)
    for y in range(120, 1640, 34):
        words = "lorem ipsum dolor sit amet "[: int(rng.integers(8, 27))]
        cv2.putText(text, words * 2, (110, y), cv2.FONT_HERSHEY_SIMPLEX, 0.8, 30, 2)
    ruled = np.full((1754, 1240), 240, np.uint8)
    ruled[::45], ruled[:, ::45] = 120, 120
    for pixels in (text, ruled, np.full((300, 200), 200, np.uint8), np.full((3, 5), 9, np.uint8)):
        scan = Scan(source="other.jpg", page=1, pixels=pixels, dpi=0)
        with pytest.raises(RegistrationError, match=r"other\.jpg: "):
            register(scan, template("choice-a4", method), max_residual=1.0)


def test_marks_are_found_at_a_slant_that_makes_one_twice_another():
    template = with_method("numeric-a4", "square")
    page = warped_page(template, CONDITIONS["30 degrees off"], 350000)
    assert page.worst_box(register(page.scan, template, max_residual=Policy().max_residual)) < 0.5


@pytest.mark.parametrize("setting", ["paper beside it", "light wood"])
def test_filled_bubbles_like_the_marks_do_not_hide_them(setting):
    """Of the blobs that may be a mark at a slant the right one need not be the nearest, either way up."""
    template = with_method("numeric-a4", "circle")
    photo = take_photo(template, SETTINGS[setting], 380000)
    assert photo.worst_box(register(photo.scan, template, max_residual=Policy().max_residual)) < 0.5


def test_three_marks_are_enough_where_only_three_are_printed():
    whole = template("numeric-a4", "square")
    three = replace(whole, fiducials=replace(whole.fiducials, boxes=whole.fiducials.boxes[:3]))
    warped = warped_page(three, CONDITIONS["upside down"], 5)
    found = register(warped.scan, three, max_residual=1.0)
    assert warped.worst_box(found) < 0.5 and found.rotation == 180


def test_curled_paper_is_followed_by_the_looks_of_boxes_as_well():
    """A corner of this page, of which hardly a box is seen, lay 1.5 mm off by these, and nothing said so."""
    curled = replace(
        template("choice-a4", "page"), fiducials=replace(template("choice-a4", "page").fiducials, looks=True)
    )
    laid = warped_page(curled, CONDITIONS["curled 4 mm"], 320007)
    assert laid.worst_box(register(laid.scan, curled, max_residual=1.0)) < 0.5


def test_a_folded_corner_with_a_few_boxes_is_in_doubt():
    """Ten bubbles of two hundred lie up to 2.5 mm off there: neither rows nor thirds of the page show it."""
    template = with_method("choice-a4", "page")
    photo = take_photo(template, SETTINGS["folded twice"], 340001)
    policy = Policy()
    found = register(
        photo.scan, template, max_residual=policy.max_residual, flag_residual=policy.flag_residual
    )
    assert photo.worst_box(found) < 0.5 or found.doubt.startswith("the boxes lie up to 0.7 mm")


def test_a_page_of_hardly_any_boxes_and_no_marks_is_in_doubt():
    whole = template("choice-a4", "page")
    (field,) = (field for field in whole.fields if field.kind == "choice" and field.id == "q1")
    few = replace(whole, fields=(field,))
    laid = warped_page(whole, CONDITIONS["as it is"], 5)
    found = survey(laid.scan, few, max_residual=1.0)
    assert found.fits and "hardly any boxes" in found.registration(few).doubt


def test_a_page_that_may_lie_either_way_up_is_in_doubt():
    whole = template("numeric-a4", "square")
    first = whole.fields[0].boxes[:4]
    boxes = tuple(replace(b, x=50 + 30 * n, y=90 + 18 * m) for m in range(3) for n, b in enumerate(first))
    mirrored = tuple(
        replace(b, x=whole.page_width - b.right, y=whole.page_height - b.bottom) for b in reversed(boxes)
    )
    every = boxes + mirrored
    fields = tuple(
        replace(whole.items[0], id=f"q{n}", label="", boxes=every[n : n + 3]) for n in range(0, len(every), 3)
    )
    alike = replace(whole, fields=fields, header=None, title="o")
    warped = warped_page(alike, Condition(), 1)
    found = register(warped.scan, alike, max_residual=1.0, flag_residual=0.5)
    assert "other way up" in found.doubt


def test_a_page_drawn_together_to_one_of_its_boxes_is_none():
    """All its boxes lie well on that one, which was read as a page without a mark."""
    template = with_method("choice-a4", "page")
    page = warped_page(template, CONDITIONS["as it is"], 5)
    located = Located(page_to_scan=page.page_to_scan, contrast=100.0)
    _, verifying = shared_out(template, 60)
    assert judged(page.scan, Pose(matrix=page.page_to_scan), located, verifying).share == 1
    x, y = verifying[0].rect.centre
    for scale in (0.02, 0.6, 1.6):
        drawn = np.array([[scale, 0, x * (1 - scale)], [0, scale, y * (1 - scale)], [0, 0, 1]])
        fit = judged(page.scan, Pose(matrix=page.page_to_scan @ drawn), located, verifying)
        assert fit.share == 0 and fit.residual > Policy().max_residual


def test_boxes_printed_otherwise_than_the_template_says_are_found():
    """As in templates for other programs: the places are right, the sizes are not."""
    warped = page("page", "as it is", "choice-a4")

    def smaller(b: Rect) -> Rect:
        return Rect(x=b.x + 0.4, y=b.y + 0.4, width=b.width - 0.8, height=b.height - 0.8)

    fields = tuple(replace(f, boxes=tuple(map(smaller, f.boxes))) for f in warped.template.fields)
    loose = replace(warped.template, fields=fields)
    found = register(warped.scan, loose, max_residual=1.0)
    assert replace(warped, template=loose).worst_box(found) < 0.7


@pytest.mark.parametrize("step", [(-9.0, 0.0), (9.0, 0.0), (0.0, -6.6)])
def test_a_page_laid_a_column_or_row_of_bubbles_off_is_moved(step):
    """Most boxes would be there one bubble further, too, and every answer wrong."""
    warped = page("page", "as it is", "choice-a4")
    questions = [f for f in warped.template.fields if f.kind == "choice"]
    bubbles = replace(warped.template, fields=tuple(questions))
    corners = reference_points(bubbles) + step
    shown = [(float(x), float(y)) for x, y in project(warped.page_to_scan, corners)]
    found = register(warped.scan, bubbles, max_residual=1.0, shown=shown)
    assert replace(warped, template=bubbles).worst_box(found) < 0.5


def test_a_refused_page_can_still_be_shown():
    warped = page("page", "as it is", "numeric-a4")
    found = survey(warped.scan, template("mixed-letter", "page"), max_residual=1.0)
    assert found.refusal is not None and found.fits


@pytest.mark.parametrize(("name", "seed"), [("numeric-a4", 95000), ("numeric-a4", 95003)])
def test_a_page_is_not_laid_a_row_or_column_off(name, seed):
    """With its edge off the glass it was: 9 boxes in 10 fitted there, within a tenth of a millimetre."""
    template = with_method(name, "page")
    page = warped_page(template, CONDITIONS["fed 10 mm off"], seed)
    assert page.worst_box(register(page.scan, template, max_residual=Policy().max_residual)) < 0.5


@pytest.mark.parametrize("seed", [95004, 120007])
def test_a_curled_page_is_told_from_its_other_turns(seed):
    """On a flat page none of its boxes were there, and places at which some happened to be were tried."""
    warped = page("square", "curled 4 mm", "choice-a4", seed)
    assert warped.worst_box(register(warped.scan, warped.template, max_residual=1.0)) < 0.5


@pytest.mark.parametrize(
    ("setting", "seed"), [("white table", 130000), ("thumb", 130000), ("sheet beside it", 130001)]
)
def test_a_sheet_is_found_by_what_is_seen_of_its_edges(setting, seed):
    """A shadow's border, a thumb over an edge, and a sheet that lies on another one: no outline is whole."""
    name = "mixed-letter" if seed % 2 == 0 else "numeric-a4"
    photo = take_photo(with_method(name, "page"), SETTINGS[setting], seed)
    assert photo.worst_box(register(photo.scan, photo.template, max_residual=1.0)) < 0.5


def test_paper_that_is_nearly_flat_is_followed_as_well():
    """The residual was 0.18 mm, which was taken for flat; its worst box was half a millimetre off."""
    photo = take_photo(with_method("numeric-a4", "page"), SETTINGS["from above"], 130001)
    assert photo.worst_box(register(photo.scan, photo.template, max_residual=1.0)) < 0.2


def test_a_table_of_like_boxes_is_no_page():
    """Its rows were as far apart as a class list's; upside down, 9 boxes in 10 were there."""
    template = with_method("marklist-a4", "page")
    table = list(other_papers(2, 145000))[1]
    with pytest.raises(RegistrationError):
        register(Scan(source="table.jpg", page=1, pixels=table, dpi=0), template, max_residual=1.0)


def test_a_page_of_which_a_part_is_bent_on_to_the_next_row_is_not_accepted():
    """Its student number was a row off and everything else right; 94 % of its boxes were there."""
    setting = Setting(table="white", beside="same", finger=True, shadow=True, fills=0.7)
    photo = take_photo(with_method("choice-a4", "page"), setting, 160001)
    found = survey(photo.scan, photo.template, max_residual=1.0)
    assert found.refusal is not None or photo.worst_box(found.registration(photo.template)) < 0.5
