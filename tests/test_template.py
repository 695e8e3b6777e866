"""What a template says is what the reader gets, and every mistake is shown where it stands."""

import subprocess
import sys
import textwrap
import time
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omrgrade.errors import TemplateError
from omrgrade.records import Rect
from omrgrade.template import bundled_templates, load_template, quiet_zone

GOOD = """\
omrgrade: 1
name: quiz
title: A quiz
page: A4
registration: {method: aruco, dictionary: 4x4_50, ids: [12, 13, 14, 15], size: 9, margin: 9}
fields:
  - id: student_id
    kind: digits
    role: identifier
    boxes: 4
    at: [60, 40]
    size: [9, 11]
    gap: 3
  - id: q1..q6
    kind: digits
    role: item
    boxes: 2
    at: [40, 80]
    size: [9, 11]
    gap: 3
    step: [0, 15]
    group: {after: 2, step: [0, 5]}
    wrap: {after: 3, step: [80, 0]}
  - id: c1
    kind: choice
    role: item
    options: [A, B, C]
    at: [40, 200]
    size: [5, 5]
    gap: 3
  - id: bubbles
    kind: grid
    role: identifier
    same_as: student_id
    boxes: 4
    options: "0123456789"
    at: [120, 170]
    size: [5, 5]
    gap: [4, 2]
"""


@pytest.fixture
def load(tmp_path):
    """Load a template given as text, perhaps with one part of `GOOD` replaced."""

    def loader(text=GOOD, old="", new=""):
        data = text if isinstance(text, bytes) else text.encode()
        assert old.encode() in data
        path = tmp_path / "quiz.yaml"
        path.write_bytes(data.replace(old.encode(), new.encode(), 1) if old else data)
        return load_template(path)

    return loader


def test_what_is_written_is_what_is_read(load):
    template = load()
    assert (template.name, template.page_width, template.page_height) == ("quiz", 210, 297)
    assert [f.id for f in template.identifiers] == ["student_id", "bubbles"]
    assert [f.id for f in template.items] == ["q1", "q2", "q3", "q4", "q5", "q6", "c1"]
    assert template.field("student_id").boxes[3] == Rect(x=96, y=40, width=9, height=11)
    assert template.field("c1").boxes[2] == Rect(x=56, y=200, width=5, height=5)
    assert template.field("bubbles").same_as == "student_id"
    assert len(template.digest) == 64


def test_fiducials_lie_a_margin_from_the_edges(load):
    first, _, third, fourth = load().fiducials.boxes
    assert first == Rect(x=9, y=9, width=9, height=9)
    assert third == Rect(x=192, y=279, width=9, height=9)
    assert (fourth.x, fourth.y) == (9, 279)


def test_repeats_step_group_and_wrap(load):
    template = load()
    corners = [(f.boxes[0].x, f.boxes[0].y) for f in template.items[:6]]
    assert corners == [(40, 80), (40, 95), (40, 115), (120, 80), (120, 95), (120, 115)]
    assert [f.label for f in template.items[:6]] == ["1", "2", "3", "4", "5", "6"]


def test_a_grid_runs_column_after_column(load):
    boxes = load().field("bubbles").boxes
    assert len(boxes) == 40
    assert boxes[0].x == boxes[9].x and boxes[9].y > boxes[0].y
    assert boxes[10].x == boxes[0].x + 9 and boxes[10].y == boxes[0].y


def test_zero_padded_repeats_keep_their_width(load):
    template = load(GOOD, "id: q1..q6", "id: item-01..06")
    assert [f.id for f in template.items[:2]] == ["item-01", "item-02"]


def test_words_that_yaml_takes_for_truth_values_are_options(load):
    assert load(GOOD, "[A, B, C]", "[yes, no, off]").field("c1").options == ("yes", "no", "off")


def test_options_may_be_written_as_one_word(load):
    assert load(GOOD, "[A, B, C]", "WXYZ").field("c1").options == ("W", "X", "Y", "Z")


# one mistake each: what is replaced, by what, the line it stands on, words of the message
MISTAKES = {
    "version": ("omrgrade: 1", "omrgrade: 2", 1, "must be 1"),
    "no version": ("omrgrade: 1\n", "", 1, "'omrgrade'"),
    "name": ("name: quiz", "name: 'my quiz'", 2, "letters, digits"),
    "no title": ("title: A quiz\n", "", 1, "lacks 'title'"),
    "page name": ("page: A4", "page: A44", 4, "one of A4, Letter"),
    "page size": ("page: A4", "page: [210]", 4, "two numbers"),
    "page too small": ("page: A4", "page: [10, 10]", 4, "between 70 and 1000"),
    "method": ("aruco", "guess", 5, "one of aruco, corners, page, reference, timing"),
    "dictionary": ("4x4_50", "4x4_51", 5, "'dictionary'"),
    "five ids": ("[12, 13, 14, 15]", "[12, 13, 14, 15, 16]", 5, "four different"),
    "same ids": ("[12, 13, 14, 15]", "[12, 13, 14, 14]", 5, "four different"),
    "id not in dictionary": ("15]", "50]", 5, "between 0 and 49"),
    "unknown key at top": ("title:", "titel:", 3, "did you mean 'title'?"),
    "unknown key in a field": ("boxes: 4", "boxs: 4", 10, "did you mean 'boxes'?"),
    "unknown key in registration": ("margin: 9", "margn: 9", 5, "did you mean 'margin'?"),
    "key of another kind": ("options: [A, B, C]", "options: [A, B, C]\n    boxes: 3", 28, "not a known key"),
    "duplicate key": ("    gap: 3\n", "    gap: 3\n    gap: 4\n", 14, "given twice"),
    "missing key": ("    boxes: 4\n", "", 7, "lacks 'boxes'"),
    "kind": ("kind: choice", "kind: bubbles", 25, "one of digits, fraction, picture, number, choice, grid"),
    "role": ("role: item", "role: question", 16, "one of identifier, item"),
    "text for a number": ("gap: 3", "gap: wide", 13, "must be a number"),
    "infinity": ("at: [60, 40]", "at: [.inf, 40]", 11, "must be a number"),
    "fraction of a box": ("boxes: 4", "boxes: 2.5", 10, "whole number"),
    "no boxes": ("boxes: 4", "boxes: 0", 10, "between 1 and 20"),
    "gap too small": ("gap: 3", "gap: 0.5", 13, "between 2 and"),
    "box too small": ("size: [9, 11]", "size: [4, 4]", 12, "between 5 and 50"),
    "no option": ("[A, B, C]", "[]", 27, "1 to 26"),
    "one option in a grid": ('"0123456789"', "[A]", 36, "2 to 26"),
    "double option": ("[A, B, C]", "[A, B, A]", 27, "different labels"),
    "two signs in a grid": ('"0123456789"', "[1, 10]", 36, "single characters"),
    "bar in an option": ("[A, B, C]", "['A|B', C]", 27, "letters or digits"),
    "duplicate id": ("id: c1", "id: q3", 24, "used twice"),
    "bad id": ("id: c1", "id: '1 c'", 24, "must be a letter"),
    "reserved id": ("id: c1", "id: total", 24, "column of marks.csv"),
    "downward repeat": ("q1..q6", "q6..q1", 14, "run upward"),
    "changing stem": ("q1..q6", "q1..r6", 14, "run upward"),
    "huge repeat": ("q1..q6", "q1..q9999", 14, "at most 500"),
    "step without repeat": ("id: c1", "id: c1\n    step: [0, 9]", 25, "needs a repeat"),
    "repeat without step": ("    step: [0, 15]\n", "", 14, "lacks 'step'"),
    "same_as nowhere": ("same_as: student_id", "same_as: pupil", 34, "another field"),
    "same_as itself": ("same_as: student_id", "same_as: bubbles", 34, "another field"),
    "same_as another role": ("same_as: student_id", "same_as: c1", 34, "another role"),
    "overlap": ("step: [0, 15]", "step: [0, 10]", 18, "puts q2 on q1"),
    "overlap of two entries": ("at: [40, 200]", "at: [70, 40]", 28, "puts c1 on student_id"),
    "on a marker": ("at: [60, 40]", "at: [19, 19]", 11, "a marker's quiet zone"),
    "off the page": ("at: [60, 40]", "at: [180, 40]", 11, "off the page of 210 x 297"),
    "header on a field": ("fields:", "header: {at: [20, 30], size: [100, 30]}\nfields:", 12, "on the header"),
    "fields not a list": ("fields:\n", "fields: none\nother:\n", 7, "not a known key"),
    "entry not a mapping": ("fields:\n", "fields:\n  - q1\n", 7, "must be a mapping"),
    "broken YAML": ("page: A4", "page: [A4", 5, "not valid YAML"),
    "tab": ("    kind: choice", "\tkind: choice", 25, "not valid YAML"),
    "alias": ("at: [40, 200]", "at: *here", 28, "aliases"),
    "tag": ("title: A quiz", "title: !!python/object:os.system A quiz", 3, "tags"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_shown_where_it_stands(load, mistake):
    old, new, line, words = MISTAKES[mistake]
    with pytest.raises(TemplateError) as caught:
        load(GOOD, old, new)
    message = str(caught.value)
    assert words in message
    assert f"quiz.yaml:{line}:" in message
    assert "(received " in message


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xff\xfe\x00junk", b"just a sentence", b"- a\n- list\n", b"omrgrade: 1\n---\nomrgrade: 1\n",
        b"a: \x00", b"[" * 60_000, b"{a: " * 15_000, b"x" * 70_000, b"&a [*a, *a]", b"? [1, 2]\n: 3\n",
    ],
    ids=lambda data: repr(data[:12]),
)  # fmt: skip
def test_what_is_no_template_is_refused_quickly(load, data):
    start = time.perf_counter()
    with pytest.raises(TemplateError):
        load(data)
    assert time.perf_counter() - start < 5


def test_a_billion_laughs_are_refused(load):
    lines = ["a0: &a0 [x, x, x, x]"] + [
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)
    ]
    with pytest.raises(TemplateError, match="aliases"):
        load("\n".join(lines))


@given(st.binary(max_size=400))
def test_any_bytes_give_a_template_or_a_template_error(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "t.yaml"
    path.write_bytes(data)
    with pytest.raises(TemplateError):
        load_template(path)


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("\n :[]{}#'x0-,&*!"))
def test_any_slip_of_the_pen_gives_a_template_or_a_template_error(tmp_path_factory, place, letter):
    path = tmp_path_factory.mktemp("slip") / "t.yaml"
    path.write_text(GOOD[:place] + letter + GOOD[place + 1 :])
    try:
        assert load_template(path).fields
    except TemplateError as error:
        assert "t.yaml" in str(error)


def test_a_missing_file_and_an_unknown_name_are_told_apart(tmp_path):
    with pytest.raises(TemplateError, match="cannot be read"):
        load_template(tmp_path / "none.yaml")
    with pytest.raises(TemplateError, match="choice-a4, marklist-a4, mixed-letter, numeric-a4"):
        load_template("numerics")
    with pytest.raises(TemplateError, match="cannot be read"):
        load_template(tmp_path)


def test_the_digest_follows_the_text(load):
    assert load().digest != load(GOOD, "A quiz", "B quiz").digest


# ---------------------------------------------------------------- the bundled ones


def test_three_templates_are_bundled():
    assert bundled_templates() == ["choice-a4", "marklist-a4", "mixed-letter", "numeric-a4"]


@pytest.mark.parametrize("name", bundled_templates())
def test_bundled_boxes_stand_apart_and_clear_of_markers(name):
    template = load_template(name)
    for made in template.fields:
        for box in made.boxes:
            assert not any(box.overlaps(quiet_zone(marker)) for marker in template.fiducials.boxes)
    digit_boxes = [box for made in template.fields if made.kind == "digits" for box in made.boxes]
    for one, other in combinations(digit_boxes, 2):
        grown = Rect(x=one.x - 2.5, y=one.y - 2.5, width=one.width + 5, height=one.height + 5)
        assert not grown.overlaps(other)


def test_bundled_templates_share_no_marker():
    ids = [marker for name in bundled_templates() for marker in load_template(name).fiducials.ids]
    assert len(ids) == len(set(ids)) == 16


def test_the_choice_sheet_has_its_number_twice():
    template = load_template("choice-a4")
    assert template.field("student_bubbles").same_as == "student_id"
    assert sum(made.multiple for made in template.items) == 4
    assert len(template.items) == 40


def test_loading_a_template_loads_no_image_library():
    code = "import sys, omrgrade.template as t; t.load_template('choice-a4'); print('cv2' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_the_documented_example_is_valid(tmp_path):
    import omrgrade.template as module

    example = module.__doc__.split("::\n", 1)[1].split("\nLengths are", 1)[0]
    path = tmp_path / "example.yaml"
    path.write_text(textwrap.dedent(example))
    template = load_template(path)
    assert len(template.items) == 21
