"""OMRChecker's templates and evaluations become ours, and what cannot be taken over is named."""

import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from omrgrade.cli import cli
from omrgrade.errors import AnswerKeyError, TemplateError
from omrgrade.forms import settling
from omrgrade.forms.evaluation import key_text, read_evaluation
from omrgrade.forms.importing import translate
from omrgrade.forms.settling import settled, settled_by_looks
from omrgrade.images import read_scan
from omrgrade.key import load_key
from omrgrade.pipeline import grade_batch
from omrgrade.records import PageRef
from omrgrade.template import load_template

TEMPLATE = {
    "pageDimensions": [1000, 1414],
    "bubbleDimensions": [20, 20],
    "customLabels": {"Roll": ["Kind", "roll1..3"]},
    "fieldBlocks": {
        "Kind": {
            "bubbleValues": ["E", "HT"], "direction": "vertical", "fieldLabels": ["Kind"],
            "origin": [100, 200], "bubblesGap": 40, "labelsGap": 0,
        },
        "Roll": {
            "fieldType": "QTYPE_INT", "fieldLabels": ["roll1..3"], "origin": [150, 200], "bubblesGap": 40,
            "labelsGap": 50,
        },
        "Choices": {
            "fieldType": "QTYPE_MCQ4", "fieldLabels": ["q1..10"], "origin": [400, 200], "bubblesGap": 50,
            "labelsGap": 40, "emptyValue": "-",
        },
    },
    "preProcessors": [{"name": "CropPage", "options": {}}, {"name": "Levels", "options": {"low": 0.1}}],
}  # fmt: skip


@pytest.fixture
def imported(tmp_path):
    """Import a template (changed at some keys), perhaps with an evaluation."""

    def run(evaluation=None, **changes):
        source = tmp_path / "template.json"
        source.write_text(json.dumps(TEMPLATE | changes))
        marked = None
        if evaluation is not None:
            (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
            marked = read_evaluation(tmp_path / "evaluation.json")
        made = translate(source, "theirs", evaluation=marked)
        for name, data in made.files.items():
            (tmp_path / name).write_bytes(data)
        (tmp_path / "theirs.yaml").write_text(made.text)
        template = load_template(tmp_path / "theirs.yaml")
        if not marked:
            return template, made
        (tmp_path / "key.csv").write_text(key_text(marked, made.ids, made.groups))
        return load_key(tmp_path / "key.csv", template), marked.notes

    return run


def test_fields_are_called_as_in_omrcheckers_output(imported):
    template, _ = imported()
    assert [f.id for f in template.items] == [f"q{n}" for n in range(1, 11)]
    assert [f.id for f in template.identifiers] == ["Roll"]
    assert template.field("Roll").bubble_columns == (("E", "HT"), *[tuple("0123456789")] * 3)
    assert template.fiducials.method == "page"


def test_bubbles_are_where_the_pixels_say(imported):
    template, _ = imported()
    first, tenth = template.field("q1").boxes, template.field("q10").boxes
    scale = 210 / 1000
    assert first[0].x == pytest.approx(400 * scale, abs=0.01)
    assert first[3].x - first[0].x == pytest.approx(150 * scale, abs=0.01)
    assert tenth[0].y - first[0].y == pytest.approx(9 * 40 * 297 / 1414, abs=0.02)


def test_what_is_not_taken_over_is_named(imported):
    more = [*TEMPLATE["preProcessors"], {"name": "Sharpen9000"}]
    _, made = imported(preProcessors=more, shiny=1)
    notes = "\n".join(made.notes)
    for part in ("Levels", "Sharpen9000: not supported", "shiny", "emptyValue '-'"):
        assert part in notes
        assert part in made.text


def test_markers_and_references_are_laid_beside_the_template(imported, tmp_path):
    picture = np.full((60, 60), 255, np.uint8)
    cv2.circle(picture, (30, 30), 25, 0, 8)
    cv2.imwrite(str(tmp_path / "marker.png"), picture)
    crop = {"name": "CropOnMarkers", "options": {"relativePath": "marker.png", "sheetToMarkerWidthRatio": 17}}
    template, made = imported(preProcessors=[crop])
    assert list(made.files) == ["theirs-marker.png"]
    assert (template.fiducials.method, len(template.fiducials.boxes)) == ("corners", 4)
    with pytest.raises(TemplateError, match="not there"):
        crop["options"]["relativePath"] = "lost.png"
        imported(preProcessors=[crop])


@pytest.mark.parametrize(
    "changes",
    [
        {"fieldBlocks": {"A": {"origin": [1, 2], "fieldLabels": ["q1"], "fieldType": "QTYPE_MCQ9"}}},
        {"fieldBlocks": {"A": {"origin": [1], "fieldLabels": ["q1"], "fieldType": "QTYPE_MCQ4"}}},
        {"customLabels": {"X": ["nobody"]}},
        {"pageDimensions": "large"},
        {"fieldBlocks": {"A": TEMPLATE["fieldBlocks"]["Choices"] | {"fieldLabels": ["q1..q10"]}}},
        {"fieldBlocks": {"A": TEMPLATE["fieldBlocks"]["Kind"] | {"direction": "V"}}},
        {"preProcessors": ["CropPage"]},
        {"qBlocks": {"A": {"qType": "QTYPE_MCQ4", "qNos": [[["q1"]]], "orig": [1, 2], "gaps": [3]}}},
        {"qBlocks": {"A": {"qType": "QTYPE_9", "qNos": [[["q1"]]], "orig": [1, 2], "gaps": [3, 4]}}},
    ],
)
def test_a_mistake_is_named_with_its_place(imported, changes):
    with pytest.raises(TemplateError, match=r"template\.json"):
        imported(**changes)


def test_forms_of_blocks_that_samples_have_are_understood(imported):
    """Right to left, lines unevenly far apart, a box to tick alone, and blocks of any size."""
    base = {"bubblesGap": 40, "bubbleDimensions": [24, 18]}
    template, _ = imported(
        customLabels={},
        fieldBlocks={
            "Rtl": base
            | {
                "fieldType": "QTYPE_MCQ4_RTL",
                "fieldLabels": ["q1..4"],
                "origin": [100, 100],
                "labelsGap": [40, 80, 40],
            },
            "Tick": base
            | {
                "bubbleValues": ["yes"],
                "direction": "horizontal",
                "fieldLabels": ["q5..7"],
                "origin": [100, 500],
                "labelsGap": 50,
            },
        },
    )
    assert template.field("q1").options == tuple("DCBA")
    y = [template.field(f"q{n}").boxes[0].y / 297 * 1414 for n in range(1, 5)]
    assert np.diff(y) == pytest.approx([40, 80, 40], abs=0.1)
    assert template.field("q5").options == ("yes",)
    assert len(template.field("q5").boxes) == 1


def test_templates_of_other_versions_of_it_are_the_same_template(imported):
    released, _ = imported(customLabels={}, fieldBlocks=TEMPLATE["fieldBlocks"] | {})
    new, made = imported(
        pageDimensions=None,
        templateDimensions=[1000, 1414],
        customLabels={},
        fieldBlocks={},
        customBubbleFieldTypes={"TWO": {"bubbleValues": ["E", "HT"], "direction": "vertical"}},
        fieldBlockGroups={
            "DEFAULT": {
                "Kind": {
                    "bubbleFieldType": "TWO",
                    "fieldDetectionType": "BUBBLES_THRESHOLD",
                    "fieldLabels": ["Kind"],
                    "origin": [100, 200],
                    "bubblesGap": 40,
                    "labelsGap": 0,
                },
                "Roll": TEMPLATE["fieldBlocks"]["Roll"],
                "Choices": TEMPLATE["fieldBlocks"]["Choices"]
                | {"fieldType": "BUBBLES_THRESHOLD", "bubbleFieldType": "QTYPE_MCQ4"},
                "Sticker": {"fieldDetectionType": "BARCODE_QR", "fieldLabels": ["code"], "origin": [1, 1]},
            }
        },
    )
    assert [(f.id, f.options, f.boxes) for f in new.fields] == [
        (f.id, f.options, f.boxes) for f in released.fields
    ]
    assert any("Sticker: BARCODE_QR" in note for note in made.notes)
    old, _ = imported(
        pageDimensions=None,
        dimensions=[1000, 1414],
        customLabels={},
        fieldBlocks=None,
        concatenations={},
        singles=[],
        qBlocks={
            "Kind": {
                "vals": ["E", "HT"],
                "orient": "V",
                "qNos": [[["Kind"]]],
                "orig": [100, 200],
                "gaps": [0, 40],
            },
            "Roll": {
                "qType": "QTYPE_INT",
                "qNos": [[["roll1", "roll2", "roll3"]]],
                "orig": [150, 200],
                "gaps": [50, 40],
                "bigGaps": [1, 1],
            },
            "Choices": {
                "qType": "QTYPE_MCQ4",
                "qNos": [[[f"q{n}" for n in range(1, 11)]]],
                "orig": [400, 200],
                "gaps": [50, 40],
            },
        },
    )
    assert [(f.id, f.options, f.boxes) for f in old.fields] == [
        (f.id, f.options, f.boxes) for f in released.fields
    ]


def boxes_px(field):
    """Middles of a field's boxes in px of `TEMPLATE`'s page."""
    return [
        (round((box.x + box.width / 2) * 1000 / 210), round((box.y + box.height / 2) * 1414 / 297))
        for box in field.boxes
    ]


def test_the_first_version_had_several_groups_in_a_block_and_keys_in_any_case(imported):
    """Blocks stood beside the other keys; groups follow at bigGaps; labels that no block has were empty."""
    template, made = imported(
        fieldBlocks={},
        customLabels={},
        preProcessors={"CropPage": {}},
        Dimensions=[1000, 1414],
        BubbleDimensions=[20, 20],
        pageDimensions=None,
        bubbleDimensions=None,
        Concatenations={
            "Roll": ["Squad", "Medium", "r0", "r1"], "q5": ["q5.1", "q5.2"], "q6": ["q6.1", "q6.2"],
        },
        Singles=["q1", "q2", "q3", "q4"],
        Medium={"qType": "QTYPE_MED", "orig": [60, 100], "gaps": [50, 40], "qNos": [[["Medium"]]]},
        Roll={"qType": "QTYPE_ROLL", "orig": [110, 100], "gaps": [50, 40], "qNos": ["r0", "r1"]},
        Int={
            "qType": "QTYPE_INT", "orig": [300, 100], "bigGaps": [90, 11], "gaps": [50, 40],
            "qNos": [[["q5.1", "q5.2"], ["q6.1", "q6.2"]]],
        },
        Mcq={
            "qType": "PAIR", "orig": [100, 700], "bigGaps": [100, 150], "gaps": [60, 50],
            "qNos": [[["q1", "q2"], ["q3"]], [["q4"]]],
        },
        qTypes={"PAIR": {"vals": ["X", "Y"], "orient": "H"}},
    )  # fmt: skip
    assert template.field("Roll").bubble_columns == (("E", "H"), *[tuple("0123456789")] * 2)
    assert any("Squad" in note for note in made.notes)
    assert boxes_px(template.field("q5"))[0] == (310, 110)
    assert boxes_px(template.field("q6"))[0] == (310 + 90 + 40, 110), "its code adds the bubbles' gap here"
    first = {n: boxes_px(template.field(f"q{n}")) for n in (1, 2, 3, 4)}
    assert first[1] == [(110, 710), (170, 710)]
    assert first[2][0] == (110, 760)
    assert first[3][0] == (110, 710 + 150 + 50)
    assert first[4][0] == (110 + 100 + 60, 710)
    assert template.field("q4").options == ("X", "Y")


def test_groups_of_blocks_offsets_and_blocks_that_are_text(imported):
    """As later versions write them; a joined column goes without what is no bubbles."""
    blocks = TEMPLATE["fieldBlocks"]
    plain, _ = imported()
    name = {"fieldDetectionType": "OCR", "fieldLabels": ["name"], "origin": [5, 5]}
    moved, made = imported(
        fieldBlocks={"DEFAULT": dict(blocks), "more": {"Name": name}},
        customLabels={"Roll": ["Kind", "roll1..3", "name"], "Name": []},
        fieldBlocksOffset=[30, -20],
        conditionalSets=[{"name": "B"}],
        alignment={"maxDisplacement": 5},
    )
    before, after = boxes_px(plain.field("q7")), boxes_px(moved.field("q7"))
    assert [(x - 30, y + 20) for x, y in after] == before
    assert len(moved.field("Roll").bubble_columns) == 4
    notes = "\n".join(made.notes)
    assert all(word in notes for word in ("OCR", "customLabels.Roll", "import each by itself", "alignment"))


def test_a_known_type_goes_before_a_blocks_own_values_as_in_omrchecker(imported):
    choices = TEMPLATE["fieldBlocks"]["Choices"]
    template, made = imported(
        customLabels={},
        fieldBlocks={
            "Typed": choices | {"direction": "vertical", "bubbleValues": ["X", "Y"]},
            "Own": choices
            | {
                "fieldType": "MY_TYPE", "direction": "vertical", "bubbleValues": ["X", "Y"],
                "fieldLabels": ["q11..13"], "origin": [100, 900],
            },
        },
    )  # fmt: skip
    assert template.field("q1").options == tuple("ABCD")
    assert len({y for _, y in boxes_px(template.field("q1"))}) == 1
    assert template.field("q11").options == ("X", "Y")
    assert len({x for x, _ in boxes_px(template.field("q11"))}) == 1
    assert sum("goes by the type QTYPE_MCQ4" in note for note in made.notes) == 2
    assert any("MY_TYPE is not known" in note for note in made.notes)


def test_bubbles_read_twice_are_read_once(imported):
    """Their samples lay two blocks on the same bubbles, of other values; here a bubble is of one field."""
    kind = TEMPLATE["fieldBlocks"]["Kind"]
    twin = kind | {"bubbleValues": ["J", "H"], "fieldLabels": ["Squad"]}
    blocks = TEMPLATE["fieldBlocks"] | {"Squad": twin}
    template, made = imported(fieldBlocks=blocks, customLabels={"Roll": ["Squad", "Kind", "roll1..3"]})
    assert len(template.field("Roll").bubble_columns) == 4
    assert any("Squad has the bubbles of Kind" in note for note in made.notes)


def test_areas_that_overlap_or_leave_the_page_become_smaller_about_the_same_middles(imported):
    """A size in such a template is that of the area looked at."""
    choices = TEMPLATE["fieldBlocks"]["Choices"] | {"origin": [960, 995], "bubblesGap": 30, "labelsGap": 15}
    rows = choices | {"origin": [870, 1214], "bubbleDimensions": [32, 64]}
    template, _ = imported(customLabels={}, fieldBlocks={"Choices": rows})
    first, tenth = template.field("q1"), template.field("q10")
    assert boxes_px(first)[0] == (886, 1246)
    assert boxes_px(tenth)[3] == (976, 1381)
    assert tenth.boxes[3].y + tenth.boxes[3].height < 297
    over = choices | {"origin": [400, 1414 - 30 * 9 - 12], "labelsGap": 30, "bubbleDimensions": [20, 20]}
    template, _ = imported(customLabels={}, fieldBlocks={"Choices": over})
    assert boxes_px(template.field("q9"))[0] == (410, 1414 - 30 - 2)
    assert template.field("q9").boxes[0].height > 4, "only what passes the edge is smaller"
    last = template.field("q10").boxes[0]
    assert 1.5 < last.height < 2
    assert last.y + last.height < 297


def test_an_evaluation_becomes_a_key(imported):
    key, notes = imported(
        {
            "source_type": "custom",
            "options": {
                "questions_in_order": ["q1..5"],
                "answers_in_order": ["A", ["B", "C"], "AD", [["A", 2], ["B", 0.5]], "D"],
            },
            "marking_schemes": {
                "DEFAULT": {"correct": "3", "incorrect": "-1", "unmarked": "0"},
                "LAST": {"questions": ["q5"], "marking": {"correct": 1, "incorrect": "-1/4", "unmarked": -1}},
            },
        }
    )
    said = {item.item: (item.answers, item.points, item.penalty) for item in key.items}
    assert said == {
        "q1": (("A",), 3, 1),
        "q2": (("B", "C"), 3, 1),
        "q3": (("A+D",), 3, 1),
        "q4": (("A",), 2, 1),
        "q5": (("D",), 1, 0.25),
    }
    assert any("part marks for B" in note for note in notes)
    assert any("unmarked" in note for note in notes)


def test_answers_that_do_not_fit_their_questions_are_refused(imported):
    with pytest.raises(AnswerKeyError, match="as many answers"):
        imported({"options": {"questions_in_order": ["q1..3"], "answers_in_order": ["A"]}})


def test_conditional_sets_become_versions(imported):
    key, notes = imported(
        {
            "source_type": "local",
            "options": {"questions_in_order": ["q1..2"], "answers_in_order": ["A", [["B", 2], ["C", 1]]]},
            "conditional_sets": [
                {
                    "name": "Set D",
                    "matcher": {"formatString": "{q10}", "matchRegex": "^D$"},
                    "evaluation": {
                        "options": {"questions_in_order": ["q1"], "answers_in_order": ["C"]},
                        "marking_schemes": {"DEFAULT": {"correct": 3, "incorrect": "-1", "unmarked": 0}},
                    },
                },
                {
                    "name": "odd",
                    "matcher": {"formatString": "{q9}-{q8}", "matchRegex": "x"},
                    "evaluation": {},
                },
            ],
        }
    )
    assert key.versions == ("A", "B", "C", "D")
    said = {v: [(i.answers, i.points, i.penalty) for i in key.of_version(v)] for v in key.versions}
    assert said["A"] == said["B"] == said["C"] == [(("A",), 1, 0), (("B",), 2, 0)]
    assert said["D"] == [(("C",), 3, 1), (("B",), 2, 1)]
    assert any("conditional set odd" in note for note in notes)


def test_points_for_any_mark_and_older_spellings_of_schemes(imported):
    key, notes = imported(
        {
            "options": {"questions_in_order": ["q1..3"], "answers_in_order": ["A", "B", "C"]},
            "sections": {"BONUS_TWO": ["q2"], "STREAK": ["q3"]},
            "marking_scheme": {
                "DEFAULT": {"correct": "2", "incorrect": "-2/3", "unmarked": "0"},
                "BONUS_TWO": {"correct": 3, "incorrect": 3, "unmarked": 3},
                "STREAK": {"correct": [1, 2, 3], "incorrect": 0, "unmarked": 0},
            },
        }
    )
    said = [(item.answers, item.points) for item in key.items]
    assert said == [(("A",), 2), (("A", "B", "C", "D"), 3), (("C",), 1)]
    assert sum(word in note for note in notes for word in ("whichever", "unmarked", "streaks")) == 3


def test_a_set_keeps_the_marks_of_all_where_it_has_none_of_its_own(imported):
    """And keys may be written as the latest versions do."""
    key, _ = imported(
        {
            "sourceType": "local",
            "options": {"questionsInOrder": ["q1..3"], "answersInOrder": ["A", "B", "C"]},
            "markingSchemes": {
                "DEFAULT": {"correct": 4, "incorrect": -1, "unmarked": 0},
                "HARD": {
                    "questions": ["q2", "q3"],
                    "marking": {"correct": 9, "incorrect": -2, "unmarked": 0},
                },
            },
            "conditionalSets": [
                {
                    "name": "D",
                    "matcher": {"format_string": "{q10}", "match_regex": "D"},
                    "evaluation": {
                        "options": {"questions_in_order": ["q1"], "answers_in_order": ["D"]},
                        "marking_schemes": {
                            "OWN": {
                                "questions": "q3",
                                "marking": {"correct": 5, "incorrect": 0, "unmarked": 0},
                            }
                        },
                    },
                }
            ],
        }
    )
    said = {v: [(i.answers, i.points, i.penalty) for i in key.of_version(v)] for v in key.versions}
    assert said["A"] == [(("A",), 4, 1), (("B",), 9, 2), (("C",), 9, 2)]
    assert said["D"] == [(("D",), 4, 1), (("B",), 9, 2), (("C",), 5, 0)]


def test_a_version_that_is_no_row_of_bubbles_is_told(imported):
    sets = [{"name": "B", "matcher": {"formatString": "{Roll}", "matchRegex": "B"}, "evaluation": {}}]
    options = {"questions_in_order": ["q1"], "answers_in_order": ["A"]}
    key, notes = imported({"options": options, "conditional_sets": sets})
    assert key.versions == ()
    assert any("every sheet is marked alike" in note for note in notes)


def test_what_an_answer_earns_otherwise_than_there_is_told(imported):
    """Weights below nothing, questions without an answer, numbers compared as texts, any mark in columns."""
    digits = TEMPLATE["fieldBlocks"]["Roll"] | {"fieldLabels": ["a", "b"], "origin": [700, 200]}
    more = digits | {"fieldLabels": ["c", "d"], "origin": [850, 200]}
    key, notes = imported(
        {
            "options": {
                "questions_in_order": ["q1..5", "Sum", "Any"],
                "answers_in_order": [
                    [["A", 3], ["C", -2]], [["A", 3], ["B", "-1"]], None, "", [["B", -1]], "7", "12",
                ],
            },
            "marking_schemes": {
                "DEFAULT": {"correct": 3, "incorrect": "-1", "unmarked": 0},
                "BONUS": {"questions": ["Any"], "marking": {"correct": 2, "incorrect": 2, "unmarked": 0}},
            },
        },
        fieldBlocks=TEMPLATE["fieldBlocks"] | {"Digits": digits, "More": more},
        customLabels={"Sum": ["a", "b"], "Any": ["c", "d"]},
    )  # fmt: skip
    said = {item.item: (item.answers, item.points) for item in key.items}
    assert said == {
        "q1": (("A",), 3), "q2": (("A",), 3), "q5": (("B",), 0), "Sum": (("7",), 3), "Any": (("12",), 2),
    }  # fmt: skip
    told = {name: [note for note in notes if note.startswith(f"question {name}:")] for name in said}
    assert "C (-2)" in told["q1"][0]
    assert not told["q2"], "a wrong mark costs as much"
    assert "no answer of it earns points" in told["q5"][0]
    assert "a number counts by its value here, 07 as 7: Sum" in notes
    assert "of several columns not any mark but the answer earns points: Any" in notes
    assert sum("no answer is given" in note for note in notes) == 2


def test_answers_are_in_the_templates_own_values(imported):
    """Their values may be long, or no letters; what answers say is found in those."""
    judged = {
        "bubbleValues": ["True", "False", "Tr"], "direction": "horizontal", "fieldLabels": ["q11..12"],
        "origin": [100, 900], "bubblesGap": 60, "labelsGap": 50,
    }  # fmt: skip
    sign = judged | {"bubbleValues": ["+", "-"], "fieldLabels": ["s"], "origin": [500, 900]}
    key, _ = imported(
        {
            "options": {
                "questions_in_order": ["q11", "q12", "s"],
                "answers_in_order": ["False", ["True", "TrueTr"], "-"],
            }
        },
        fieldBlocks=TEMPLATE["fieldBlocks"] | {"Judged": judged, "Sign": sign},
    )
    false, true, minus = (item.answers for item in key.items)
    assert [len(false), len(true), len(minus)] == [1, 2, 1]
    assert minus == ("neg",)
    assert true[1].startswith(f"{true[0]}+")
    assert false[0] not in true


def test_any_mark_or_several_earn_points_where_another_sheets_answer_is_several(imported):
    options = {"questions_in_order": ["q1..2"], "answers_in_order": ["A", ["B", "C", "BC"]]}
    bonus = {"BONUS": {"questions": ["q2"], "marking": {"correct": 3, "incorrect": 3, "unmarked": 0}}}
    plain = {"DEFAULT": {"correct": 3, "incorrect": 0, "unmarked": 0}}
    key, _ = imported({"options": options, "marking_schemes": plain | bonus})
    assert key.items[1].answers == ("A", "B", "C", "D"), "two marks are under review"
    none = {"BONUS": {"questions": ["q1"], "marking": plain["DEFAULT"]}}
    sets = [
        {
            "name": "B",
            "matcher": {"formatString": "{q10}", "matchRegex": "B"},
            "evaluation": {
                "options": {"questions_in_order": ["q2"], "answers_in_order": ["CD"]},
                "marking_schemes": none | {"TWO": {"questions": ["q2"], "marking": plain["DEFAULT"]}},
            },
        }
    ]
    key, _ = imported({"options": options, "marking_schemes": plain | bonus, "conditional_sets": sets})
    assert len(key.of_version("A")[1].answers) == 15
    assert key.of_version("B")[1].answers == ("C+D",)


def test_bubbles_of_two_sizes_keep_both_when_laid_on_a_page(imported, tmp_path):
    wide = TEMPLATE["fieldBlocks"]["Choices"] | {"bubbleDimensions": [40, 20], "bubblesGap": 60}
    template, made = imported(fieldBlocks=TEMPLATE["fieldBlocks"] | {"Choices": wide})
    page = np.full((1414, 1000), 250, np.uint8)
    for group in made.source.groups:
        for line in group.lines:
            for n in range(len(line.options)):
                x = line.x + line.width / 2 + (0 if line.down else n * line.gap)
                y = line.y + line.height / 2 + (n * line.gap if line.down else 0)
                axes = round(line.width / 2), round(line.height / 2)
                cv2.ellipse(page, (round(x), round(y)), axes, 0, 0, 360, 60, 2, cv2.LINE_AA)
    cv2.imwrite(str(tmp_path / "page.png"), page)
    scan = read_scan(PageRef(path=str(tmp_path / "page.png")))
    laid = {
        line.block: line
        for group in settled(made.source.groups, made.place.scale, template, scan)
        for line in group.lines
    }
    assert (laid["Choices"].width, laid["Choices"].height) == pytest.approx((40, 20), abs=2)
    assert (laid["Roll"].width, laid["Roll"].height) == pytest.approx((20, 20), abs=2)


def test_how_large_a_marker_is_follows_the_size_pictures_are_brought_to(imported, tmp_path):
    """That of the preprocessor, else of the template, as there."""
    picture = np.full((60, 60), 255, np.uint8)
    cv2.circle(picture, (30, 30), 25, 0, 8)
    cv2.imwrite(str(tmp_path / "marker.png"), picture)
    options = {"referenceImage": "marker.png", "markerDimensions": [80, 80]}
    crop = {"name": "CropOnMarkers", "options": options}
    _, made = imported(preProcessors=[crop], processingImageShape=[2000, 1600])
    assert "size: [10.50, 10.50]" in made.text, "a twentieth of 210 mm"
    options["processingImageShape"] = [1000, 800]
    _, made = imported(preProcessors=[crop], processingImageShape=[2000, 1600])
    assert "size: [21.00, 21.00]" in made.text
    with pytest.raises(TemplateError, match="how large the marker is"):
        options["markerDimensions"] = "large"
        imported(preProcessors=[crop])


def test_an_evaluation_that_cannot_be_read_does_not_keep_the_template(tmp_path):
    """Answers that OMRChecker would read from a picture: a template is made, and it says why no key is."""
    (tmp_path / "template.json").write_text(json.dumps(TEMPLATE))
    beside = {
        "source_type": "csv",
        "options": {"answer_key_csv_path": "lost.csv", "answer_key_image_path": "k.jpg"},
    }
    (tmp_path / "evaluation.json").write_text(json.dumps(beside))
    run = CliRunner().invoke(
        cli, ["template", "import", str(tmp_path / "template.json"), "-o", str(tmp_path / "t.yaml")]
    )
    assert run.exit_code == 0, run.output
    assert "no key is made" in run.output
    assert not (tmp_path / "t-key.csv").exists()
    assert load_template(tmp_path / "t.yaml").field("q1")


def drawn(blocks, marked, *, off, size):
    """A page of theirs, photographed: bubbles of `size` px, all `off` px from where the JSON has them."""
    page = np.full((1414, 1000), 245, np.uint8)
    for block in blocks.values():
        down = block.get("direction") == "vertical" or block.get("fieldType") == "QTYPE_INT"
        labels, values = block["count"], block["values"]
        for n in range(labels):
            for k in range(values):
                across, along = n * block["labelsGap"], k * block["bubblesGap"]
                x = block["origin"][0] + (across if down else along) + 10 + off[0]
                y = block["origin"][1] + (along if down else across) + 10 + off[1]
                cv2.circle(page, (x, y), size // 2, 60, 2, cv2.LINE_AA)
                if (block["name"], n, k) in marked:
                    cv2.circle(page, (x, y), size // 2 - 3, 40, -1, cv2.LINE_AA)
    return cv2.copyMakeBorder(page, 60, 60, 80, 80, cv2.BORDER_CONSTANT, value=40)


def test_a_page_of_theirs_is_graded_with_their_columns(tmp_path):
    """Their folder as it is: JSON measured a third of a bubble off, evaluation, pages in a folder below."""
    counted = {"Kind": (1, 2), "Roll": (3, 10), "Choices": (10, 4)}
    blocks = {
        name: block | {"name": name, "count": counted[name][0], "values": counted[name][1]}
        for name, block in TEMPLATE["fieldBlocks"].items()
    }
    answers = [1, 2, 0, 3, 1, 1, 2, 0, 3, 2]
    marked = {("Kind", 0, 1), *(("Roll", n, d) for n, d in enumerate((4, 0, 7)))}
    marked |= {("Choices", n, k) for n, k in enumerate(answers)}
    (tmp_path / "inputs" / "room 1").mkdir(parents=True)
    (tmp_path / "inputs" / "template.json").write_text(json.dumps(TEMPLATE))
    letters = ["ABCD"[k] for k in answers]
    evaluation = {"options": {"questions_in_order": ["q1..10"], "answers_in_order": letters}}
    (tmp_path / "inputs" / "evaluation.json").write_text(json.dumps(evaluation))
    cv2.imwrite(
        str(tmp_path / "inputs" / "room 1" / "page 1.jpg"), drawn(blocks, marked, off=(6, -5), size=24)
    )
    ours = str(tmp_path / "ours.yaml")
    run = CliRunner().invoke(
        cli, ["template", "import", str(tmp_path / "inputs" / "template.json"), "-o", ours]
    )
    assert run.exit_code == 0, run.output
    assert "laid on those of page 1.jpg" in run.output
    template = load_template(ours)
    batch = grade_batch([tmp_path / "inputs"], template, load_key(tmp_path / "ours-key.csv", template))
    (page,), (marks,) = batch.pages, batch.marks
    read = {reading.field: (reading.value, reading.status) for reading in page.fields}
    expected = {"Roll": "HT407"} | {f"q{n + 1}": "ABCD"[k] for n, k in enumerate(answers)}
    assert read == {name: (value, "read") for name, value in expected.items()}
    assert marks.total == 10

    by_looks = replace(template, fiducials=replace(template.fiducials, looks=True))
    (again,) = grade_batch([tmp_path / "inputs"], by_looks).pages
    assert {reading.field: (reading.value, reading.status) for reading in again.fields} == read


def test_close_rows_are_not_laid_a_row_off(imported, tmp_path, monkeypatch):
    """Laid too long, a page of close rows shows as many bubbles: that of two ways counts which is nearer."""
    rows = {
        "fieldType": "QTYPE_MCQ5", "bubblesGap": 34, "labelsGap": 33, "origin": [300, 150],
        "fieldLabels": ["q1..36"],
    }  # fmt: skip
    template, made = imported(customLabels={}, fieldBlocks={"All": rows})
    drawing = {"All": rows | {"name": "All", "count": 36, "values": 5}}
    page = drawn(drawing, set(), off=(3, -4), size=20)[60:-60, 80:-80].copy()
    for n in range(36):
        cv2.circle(page, (313 + 34 * (n * 7 % 5), 156 + 33 * n), 11, 40, -1, cv2.LINE_AA)
    cv2.imwrite(str(tmp_path / "page.png"), page)
    scan = read_scan(PageRef(path=str(tmp_path / "page.png")))
    right = np.diag([1000 / 210, 1414 / 297, 1.0])
    long = right @ np.array([[1, 0, 0], [0, 1.02, -0.02 * 140], [0, 0, 1.0]])
    ways = [[SimpleNamespace(page_to_scan=way)] for way in (long, right)]
    monkeypatch.setattr(settling, "METHODS", {"page": lambda *_: ways})
    monkeypatch.setattr(settling, "PLENTY", 1.0)
    laid = settled(made.source.groups, made.place.scale, template, scan)[0].lines[0]
    assert (laid.x + laid.width / 2, laid.y + laid.height / 2) == pytest.approx((313, 156), abs=1)


def test_bubbles_are_laid_where_registration_sees_them_when_told_by_their_looks(imported, tmp_path):
    """As where bubbles have no outline to speak of, or another one than the template says."""
    template, made = imported()
    blocks = {
        name: block | {"name": name, "count": count, "values": values}
        for (name, block), (count, values) in zip(
            TEMPLATE["fieldBlocks"].items(), ((1, 2), (3, 10), (10, 4)), strict=True
        )
    }
    page = drawn(blocks, {("Choices", 2, 1), ("Roll", 0, 4)}, off=(6, -5), size=25)
    cv2.imwrite(str(tmp_path / "page.png"), page)
    scan = read_scan(PageRef(path=str(tmp_path / "page.png")))
    by_looks = replace(template, fiducials=replace(template.fiducials, looks=True))
    scale = made.place.scale
    laid = settled_by_looks(made.source.groups, scale, by_looks, scan)
    before = {line.label: line for group in made.source.groups for line in group.lines}
    after = {line.label: line for group in laid for line in group.lines}
    apart = np.array([(line.x - before[name].x, line.y - before[name].y) for name, line in after.items()])
    assert np.ptp(apart, axis=0).max() < 2, "px: no line is moved otherwise than the others"
    assert all(line.gap == pytest.approx(before[name].gap, abs=0.5) for name, line in after.items())
