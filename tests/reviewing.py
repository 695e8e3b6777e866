"""Runs to review, made without reading a scan: a small sheet, what the machine says of it, drawn previews."""

import cv2
import numpy as np

from omrgrade.fields import KINDS
from omrgrade.kept import RUN_FILE, KeptRun, keep_run
from omrgrade.key import load_key
from omrgrade.records import PREVIEW_PX_PER_MM, BoxReading, PageReading, Pupil, Roster, RunInfo
from omrgrade.store import Store
from omrgrade.template import load_template

SHEET = """\
omrgrade: 1
name: desk
title: Desk
page: [105, 148]
registration: {method: aruco, dictionary: 4x4_50, ids: [20, 21, 22, 23], size: 8, margin: 6}
fields:
  - {id: pupil, kind: digits, role: identifier, boxes: 2, at: [22, 20], size: [9, 11], gap: 3}
  - {id: q1..q3, kind: choice, role: item, options: ABCD, at: [22, 40], size: [5, 5], gap: 4, step: [0, 10]}
  - {id: q4, kind: choice, role: item, multiple: true, options: ABCD, at: [22, 70], size: [5, 5], gap: 4}
  - {id: n1..n3, kind: digits, role: item, boxes: 2, at: [22, 90], size: [9, 11], gap: 3, step: [0, 15]}
"""
KEY = "item,answer,points,penalty\nq1,A,1,0.5\nq2,B,1,\nq3,C,1,\nq4,A+C,2,\nn1,12,2,1\nn2,7,2,\nn3,40,2,\n"
ROSTER = {"11": "Ada Abel", "12": "Ben Berg", "13": "Cleo Cole", "14": "Dara Diaz"}
RIGHT = {"q1": "A", "q2": "B", "q3": "C", "q4": "A+C", "n1": "12", "n2": "7", "n3": "40"}

DOUBT = {"9": "4", "4": "9", "7": "1", "1": "7", "2": "3", "0": "6"}  # a digit's usual rival


def digit(value, *, sure=0.999, doubt=""):
    """A box's reading; doubt: why it is under review."""
    if not value:
        return BoxReading(value="", confidence=0.999, status="blank")
    other = DOUBT.get(value, "5")
    chances = [0.0] * 10
    chances[int(value)], chances[int(other)] = sure, 1 - sure
    return BoxReading(
        value=value, confidence=sure, status="review" if doubt else "read", reason=doubt, runner_up=other,
        probabilities=tuple(chances),
    )  # fmt: skip


def reading(template, field_id, value, doubt=None):
    """A field's reading; doubt: {box or option: confidence} of what is under review."""
    field, doubt = template.field(field_id), doubt or {}
    if field.kind == "digits":
        value = value.ljust(len(field.boxes))
        boxes = [
            digit(c.strip(), sure=doubt.get(n, 0.999), doubt="unclear" if n in doubt else "")
            for n, c in enumerate(value, 1)
        ]
    else:
        marks = value.split("+")
        boxes = [
            BoxReading(value=option, confidence=doubt[option], status="review", reason="faint mark")
            if option in doubt
            else BoxReading(value=option if option in marks else "", confidence=0.99,
                            status="read" if option in marks else "blank")
            for option in field.options
        ]  # fmt: skip
    return KINDS[field.kind](field, boxes)


def sheet(template, pupil, number, *, name="scan.png", answers=(), doubts=()):
    """A page: right in everything but `answers`; doubts: {field: {box or option: confidence}}."""
    values, doubts = {"pupil": pupil, **RIGHT, **dict(answers)}, dict(doubts)
    return PageReading(
        source=name,
        page=number,
        fields=tuple(reading(template, f.id, values[f.id], doubts.get(f.id)) for f in template.fields),
        digest=f"{name}:{number}",
        preview=picture(template, values),
    )


def picture(template, values):
    """A preview with every digit written in its box and every mark filled."""
    scale = PREVIEW_PX_PER_MM
    page = np.full((round(template.page_height * scale), round(template.page_width * scale)), 255, np.uint8)
    for field in template.fields:
        for n, box in enumerate(field.boxes):
            corners = [round(v * scale) for v in (box.x, box.y, box.right, box.bottom)]
            cv2.rectangle(page, corners[:2], corners[2:], 90, 1)
            text = values[field.id].ljust(2)[n] if field.kind == "digits" else ""
            cv2.putText(page, text, (corners[0] + 8, corners[3] - 8), cv2.FONT_HERSHEY_SIMPLEX, 1.1, 0, 2)
            if field.options and field.options[n] in values[field.id].split("+"):
                cv2.rectangle(page, corners[:2], corners[2:], 60, -1)
    return cv2.imencode(".jpg", page)[1].tobytes()


def make_run(out, make_pages, *, roster=ROSTER, key=KEY):
    """A finished run in folder `out`; make_pages(template) gives its pages. Returns the template."""
    out.mkdir(parents=True, exist_ok=True)
    (out.parent / "desk.yaml").write_text(SHEET)
    (out.parent / "key.csv").write_text(key)
    template = load_template(out.parent / "desk.yaml")
    pupils = tuple(Pupil(student_id=number, name=name) for number, name in roster.items())
    with Store.create(out / RUN_FILE) as store:
        store.add_pages(list(make_pages(template)))
        run = KeptRun(
            template=template,
            key=load_key(out.parent / "key.csv", template),
            roster=Roster(pupils=pupils) if pupils else None,
            info=RunInfo(started="2026-01-01T00:00:00+00:00"),
        )
        keep_run(store, run)
    return template
