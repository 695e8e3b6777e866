"""OMRChecker's `evaluation.json` as an answer key of ours."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

from omrgrade.errors import AnswerKeyError
from omrgrade.forms.answers import from_csv, marks_in, written
from omrgrade.forms.omrchecker import Group, expand, read_json
from omrgrade.forms.spellings import spelt

_KEYS = [  # as the released version spells them; later ones also sourceType and so on
    "source_type", "options", "marking_schemes", "marking_scheme", "sections", "conditional_sets",
    "questions_in_order", "answers_in_order", "answer_key_csv_path", "formatString", "matchRegex",
]  # fmt: skip
_FEW = 6  # options of which every set of marks is listed where any mark earns points
_DEFAULT = {"correct": 1, "incorrect": 0, "unmarked": 0}


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question's right answers, each as OMRChecker joins marks ("AC"), and what they earn."""

    name: str
    answers: tuple[str, ...]
    points: float
    penalty: float
    any_mark: bool = False  # whatever is marked earns the points


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionalSet:
    """Answers for the sheets on which the version's column fits."""

    name: str
    fits: re.Pattern[str]
    questions: tuple[Question, ...]


@dataclass(slots=True)
class Evaluation:
    """What an evaluation file says that a key of ours can say."""

    questions: list[Question]
    notes: list[str] = field(default_factory=list)
    version: str = ""  # the column that says which of `sets` holds
    sets: list[ConditionalSet] = field(default_factory=list)

    def multiple(self, groups: Mapping[str, Group]) -> list[str]:
        """Questions of one row of bubbles to which several marks together are an answer."""
        everything = [*self.questions, *(question for one in self.sets for question in one.questions)]
        names = [
            q.name
            for q in everything
            if q.name in groups
            and not groups[q.name].joined
            and not q.any_mark
            and any(len(marks_in(answer, groups[q.name].lines[0]) or ()) > 1 for answer in q.answers)
        ]
        return list(dict.fromkeys(names))

    def by_version(self, groups: Mapping[str, Group]) -> list[tuple[str, list[Question]]]:
        """A version (a mark in its column) with its questions, each; "" is for all."""
        if not self.version:
            return [("", self.questions)]
        if self.version not in groups or groups[self.version].joined:
            self.notes.append(
                f"conditional sets: {self.version} is no row of bubbles here; every sheet is marked alike"
            )
            return [("", self.questions)]
        result = []
        line = groups[self.version].lines[0]
        for mark, value in zip(line.options, line.values, strict=True):
            own = next((one.questions for one in self.sets if one.fits.search(value)), ())
            known = {question.name: question for question in self.questions}
            result.append((mark, list((known | {question.name: question for question in own}).values())))
        return result


def read_evaluation(path: Path) -> Evaluation:
    """Read an `evaluation.json`, with its CSV of answers where it names one."""
    data = spelt(read_json(path), _KEYS)
    answers = _given(path, data)
    sets = data.get("conditional_sets") or []
    if not answers and not sets:
        raise AnswerKeyError(
            "there must be questions and as many answers", where=str(path), fix="correct 'options'",
            received=data.get("options"),
        )  # fmt: skip
    notes: list[str] = []
    schemes = _schemes(path, data, notes)
    result = Evaluation(questions=_questions(path, answers, schemes, notes), notes=notes)
    for number, entry in enumerate(sets, 1):
        _add_set(path, result, entry, number, answers, schemes)
    return result


def _given(path: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    """The answers by question, as the file has them."""
    options = spelt(data.get("options") or {}, _KEYS)
    if data.get("source_type") in ("csv", "image_and_csv"):
        names, answers = from_csv(path, options)
    else:
        names = expand(path, options.get("questions_in_order") or [])
        answers = options.get("answers_in_order") or []
    if len(names) != len(answers):
        raise AnswerKeyError(
            "there must be as many answers as questions", where=str(path), fix="correct 'options'",
            received=f"{len(names)} questions, {len(answers)} answers",
        )  # fmt: skip
    return dict(zip(names, answers, strict=True))


def _questions(
    path: Path, answers: Mapping[str, Any], schemes: Mapping[str, _Marks], notes: list[str]
) -> list[Question]:
    """The questions with these answers, by these marking schemes; those without an answer are named."""
    result = []
    for name, answer in answers.items():
        if answer is None or answer in ("", []):
            notes.append(f"question {name}: no answer is given, left out")
        else:
            result.append(_question(path, name, answer, schemes.get(name, schemes[""]), notes))
    return result


def _add_set(
    path: Path,
    result: Evaluation,
    entry: Any,
    number: int,
    known: Mapping[str, Any],
    schemes: Mapping[str, _Marks],
) -> None:
    """A conditional set, if one column's marks say whether it holds; otherwise it is named.

    known, schemes: answers and marks that hold where the set has none of its own.
    """
    entry = entry if isinstance(entry, dict) else {}
    name, matcher = str(entry.get("name") or number), spelt(entry.get("matcher") or {}, _KEYS)
    column = re.fullmatch(r"\{(\w+)\}", str(matcher.get("formatString") or ""))
    if not column or result.version not in ("", column[1]) or not isinstance(entry.get("evaluation"), dict):
        result.notes.append(
            f"conditional set {name}: only one column's marks can say which answers are right; left out"
        )
        return
    try:
        fits = re.compile(str(matcher.get("matchRegex") or ""))
    except re.error as error:
        raise AnswerKeyError(
            f"conditional set {name!r} has no valid 'matchRegex'", where=str(path),
            received=matcher.get("matchRegex"),
        ) from error  # fmt: skip
    own = spelt(entry["evaluation"], _KEYS)
    answers = {**known, **_given(path, own)}
    questions = _questions(
        path, answers, {**schemes, **_schemes(path, own, result.notes, required=False)}, result.notes
    )
    result.version = column[1]
    result.sets.append(ConditionalSet(name=name, fits=fits, questions=tuple(questions)))


def key_text(evaluation: Evaluation, ids: Mapping[str, str], groups: Mapping[str, Group]) -> str:
    """The key as CSV for `load_key`; questions that the template lacks are noted and left out."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    versions = evaluation.by_version(groups)
    together = evaluation.multiple(groups)
    writer.writerow(("item", "answer", "points", "penalty", *(["version"] if len(versions) > 1 else [])))
    for version, questions in versions:
        evaluation.notes += _doubts(questions, groups)
        for question in questions:
            if question.name not in ids:
                evaluation.notes.append(f"question {question.name}: no field of that name, left out")
                continue
            group = groups[question.name]
            answers = "|".join(_answers(question, group, several=question.name in together))
            row = (ids[question.name], answers, f"{question.points:g}", f"{question.penalty:g}")
            writer.writerow((*row, version) if version else row)
    return out.getvalue()


def _doubts(questions: Sequence[Question], groups: Mapping[str, Group]) -> list[str]:
    """Where answers of joined columns count otherwise than in OMRChecker, which compares texts."""
    joined = {q.name: q for q in questions if q.name in groups and groups[q.name].joined}
    any_mark = [name for name, q in joined.items() if q.any_mark]
    by_value = [
        name
        for name, q in joined.items()
        if not q.any_mark
        and all(value.isdecimal() for line in groups[name].lines for value in line.values)
        and any(len(answer) < len(groups[name].lines) or answer[0] == "0" for answer in q.answers)
    ]
    notes = []
    if any_mark:
        notes.append(f"of several columns not any mark but the answer earns points: {', '.join(any_mark)}")
    if by_value:
        notes.append(f"a number counts by its value here, 07 as 7: {', '.join(by_value)}")
    return notes


def _answers(question: Question, group: Group, *, several: bool) -> list[str]:
    """Its right answers in our spelling; several: whether its field takes several marks."""
    if not question.any_mark or group.joined:
        return [written(answer, group) for answer in question.answers]
    options = group.lines[0].options
    most = len(options) if several and len(options) <= _FEW else 1
    return ["+".join(marks) for count in range(1, most + 1) for marks in combinations(options, count)]


# ---------------------------------------------------------------- marks


_Marks = tuple[Fraction, Fraction, bool]
"""Points, penalty, and whether any mark earns the points."""


def _schemes(
    path: Path, data: Mapping[str, Any], notes: list[str], *, required: bool = True
) -> dict[str, _Marks]:
    """What questions earn, by name; "" for those without a scheme of their own.

    required: whether that must be there, OMRChecker's own if the file has none.
    """
    schemes = data.get("marking_schemes") or data.get("marking_scheme") or {}
    sections = data.get("sections") or {}  # of older files: their questions stood there
    result = {}
    if (default := schemes.get("DEFAULT", _DEFAULT if required else None)) is not None:
        result[""] = _scheme(path, "DEFAULT", default, notes)
    for name, scheme in schemes.items():
        if name == "DEFAULT":
            continue
        if isinstance(scheme, dict) and "marking" not in scheme and name in sections:
            scheme = {"marking": scheme, "questions": sections[name]}
        if not isinstance(scheme, dict) or not isinstance(scheme.get("marking"), dict):
            notes.append(f"marking scheme {name}: not understood, left out")
            continue
        listed = scheme.get("questions") or []
        marks = _scheme(path, name, scheme["marking"], notes)
        result |= dict.fromkeys(expand(path, listed if isinstance(listed, list) else [listed]), marks)
    return result


def _scheme(path: Path, name: str, marking: Mapping[str, Any], notes: list[str]) -> _Marks:
    streaks = [key for key in _DEFAULT if isinstance(marking.get(key), list)]
    if streaks:
        notes.append(f"marking scheme {name}: streaks are not supported; the first number counts")
    correct, incorrect, unmarked = (
        _number(path, name, marking.get(key, _DEFAULT[key])) for key in ("correct", "incorrect", "unmarked")
    )
    if unmarked:
        notes.append(
            f"marking scheme {name}: {unmarked} for an unmarked question is not supported; it earns 0"
        )
    any_mark = incorrect > 0 and incorrect == correct
    if any_mark:
        notes.append(f"marking scheme {name}: one mark, whichever, earns {correct}; several are looked at")
    elif incorrect > 0:
        notes.append(f"marking scheme {name}: {incorrect} for a wrong answer is not supported; it earns 0")
    return max(correct, Fraction(0)), max(-incorrect, Fraction(0)), any_mark


def _number(path: Path, name: str, value: Any) -> Fraction:
    """A number, or a text like "-1/3"; of a streak's list, the first."""
    if isinstance(value, list) and value:
        value = value[0]
    try:
        return Fraction(str(value).replace(" ", ""))
    except (ValueError, ZeroDivisionError) as error:
        raise AnswerKeyError(
            f"marking scheme {name!r} has something else than a number", where=str(path),
            fix='write e.g. "3", "-1" or "-1/3"', received=value,
        ) from error  # fmt: skip


def _question(path: Path, name: str, answer: Any, marks: _Marks, notes: list[str]) -> Question:
    """One question: a text, a list of texts any of which is right, or of [text, marks] pairs."""
    points, penalty, any_mark = marks
    if (
        isinstance(answer, list)
        and answer
        and all(isinstance(pair, list) and len(pair) == 2 for pair in answer)
    ):
        worth = {str(text): _number(path, name, value) for text, value in answer}
        points = max(*worth.values(), Fraction(0))
        answers = tuple(text for text, value in worth.items() if value == max(worth.values()))
        if less := [f"{text} ({v})" for text, v in worth.items() if text not in answers and v != -penalty]:
            notes.append(
                f"question {name}: part marks for {', '.join(less)} are not supported; they count as wrong"
            )
        if max(worth.values()) < 0:
            notes.append(f"question {name}: no answer of it earns points")
    else:
        answers = tuple(str(text) for text in (answer if isinstance(answer, list) else [answer]))
    answers = tuple(text for text in answers if text)
    if not answers:
        raise AnswerKeyError("a question has no answer", where=str(path), fix="give one", received=name)
    return Question(
        name=name, answers=answers, points=float(points), penalty=float(penalty), any_mark=any_mark
    )
