"""OMRChecker's templates and evaluations become ours, and what cannot be taken over is named."""

import json

import cv2
import numpy as np
import pytest

from omrgrade.errors import AnswerKeyError, TemplateError
from omrgrade.forms.evaluation import key_text, read_evaluation
from omrgrade.forms.importing import translate
from omrgrade.key import load_key
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
    ],
)
def test_a_mistake_is_named_with_its_place(imported, changes):
    with pytest.raises(TemplateError, match=r"template\.json"):
        imported(**changes)


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
