"""OMRChecker's `evaluation.json` as an answer key of ours."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from omrgrade.errors import AnswerKeyError
from omrgrade.forms.omrchecker import Group, expand, read_json

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
            and any(len(_marks(answer, groups[q.name].lines[0].options) or ()) > 1 for answer in q.answers)
        ]
        return list(dict.fromkeys(names))

    def by_version(self, groups: Mapping[str, Group]) -> list[tuple[str, list[Question]]]:
        """A version (a mark in its column) with its questions, each; "" is for all."""
        if self.version not in groups or groups[self.version].joined:
            return [("", self.questions)]
        result = []
        for mark in groups[self.version].lines[0].options:
            own = next((one.questions for one in self.sets if one.fits.search(mark)), ())
            known = {question.name: question for question in self.questions}
            result.append((mark, list((known | {question.name: question for question in own}).values())))
        return result


def read_evaluation(path: Path) -> Evaluation:
    """Read an `evaluation.json`, with its CSV of answers where it names one."""
    data = read_json(path)
    answers = _given(path, data)
    notes: list[str] = []
    result = Evaluation(questions=_questions(path, data, answers, notes), notes=notes)
    for number, entry in enumerate(data.get("conditional_sets") or data.get("conditionalSets") or [], 1):
        _add_set(path, result, entry, number, answers)
    return result


def _given(path: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    """The answers by question, as the file has them."""
    options = data.get("options") or {}
    if data.get("source_type") in ("csv", "image_and_csv"):
        names, answers = _from_csv(path, options)
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
    path: Path, data: Mapping[str, Any], answers: Mapping[str, Any], notes: list[str]
) -> list[Question]:
    """The questions with these answers, by the file's (or a conditional set's) marking schemes."""
    if not answers:
        raise AnswerKeyError(
            "there must be questions and as many answers", where=str(path), fix="correct 'options'",
            received=data.get("options"),
        )  # fmt: skip
    schemes = _schemes(path, data, notes)
    return [
        _question(path, name, answer, schemes.get(name, schemes[""]), notes)
        for name, answer in answers.items()
    ]


def _add_set(path: Path, result: Evaluation, entry: Any, number: int, known: Mapping[str, Any]) -> None:
    """A conditional set, if one column's marks say whether it holds; otherwise it is named.

    known: answers that hold where the set has none of its own.
    """
    entry = entry if isinstance(entry, dict) else {}
    name, matcher = str(entry.get("name") or number), entry.get("matcher") or {}
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
    own = entry["evaluation"]
    questions = _questions(path, own, {**known, **_given(path, own)}, result.notes)
    result.version = column[1]
    result.sets.append(ConditionalSet(name=name, fits=fits, questions=tuple(questions)))


def key_text(evaluation: Evaluation, ids: Mapping[str, str], groups: Mapping[str, Group]) -> str:
    """The key as CSV for `load_key`; questions that the template lacks are noted and left out."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    versions = evaluation.by_version(groups)
    writer.writerow(("item", "answer", "points", "penalty", *(["version"] if len(versions) > 1 else [])))
    for version, questions in versions:
        for question in questions:
            if question.name not in ids:
                evaluation.notes.append(f"question {question.name}: no field of that name, left out")
                continue
            answers = "|".join(_answers(question, groups[question.name]))
            row = (ids[question.name], answers, f"{question.points:g}", f"{question.penalty:g}")
            writer.writerow((*row, version) if version else row)
    return out.getvalue()


def _answers(question: Question, group: Group) -> list[str]:
    if question.any_mark and not group.joined:
        return list(group.lines[0].options)
    return [_written(answer, group) for answer in question.answers]


def _written(answer: str, group: Group) -> str:
    """An answer in our spelling: marks of one row joined by "+"."""
    if group.joined:
        return answer
    marks = _marks(answer, group.lines[0].options)
    return "+".join(marks) if marks else answer


def _marks(answer: str, options: Sequence[str]) -> list[str] | None:
    """The options that a text is put together from, None if it is not."""
    if not answer:
        return []
    for option in options:
        if answer.startswith(option):
            rest = _marks(answer[len(option) :], options)
            if rest is not None:
                return [option, *rest]
    return None


def _from_csv(path: Path, options: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
    """Question and answer from the first two columns of the CSV beside the JSON file."""
    file = path.parent / str(options.get("answer_key_csv_path") or "answer_key.csv")
    try:
        rows = [row for row in csv.reader(file.read_text(encoding="utf-8-sig").splitlines()) if len(row) >= 2]
    except OSError as error:
        raise AnswerKeyError(
            "the answers are read from pictures or from a file that is not there; write a key by hand",
            where=str(path), received=f"{file}: {error.strerror}",
        ) from error  # fmt: skip
    return [row[0].strip() for row in rows], [_csv_answer(",".join(row[1:]).strip()) for row in rows]


def _csv_answer(text: str) -> Any:
    """A CSV cell: an answer, several (``A,B``), or a list as JSON has them."""
    if text.startswith("["):
        import json

        try:
            return json.loads(text.replace("'", '"'))
        except (ValueError, RecursionError):
            return text  # no list: an answer that no option fits, which is told
    return [part.strip() for part in text.split(",")] if "," in text else text


# ---------------------------------------------------------------- marks


_Marks = tuple[Fraction, Fraction, bool]
"""Points, penalty, and whether any mark earns the points."""


def _schemes(path: Path, data: Mapping[str, Any], notes: list[str]) -> dict[str, _Marks]:
    """What questions earn, by name; "" for those without a scheme of their own."""
    schemes = data.get("marking_schemes") or data.get("marking_scheme") or {}
    sections = data.get("sections") or {}  # of older files: their questions stood there
    result = {"": _scheme(path, "DEFAULT", schemes.get("DEFAULT", _DEFAULT), notes)}
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
        points = max(worth.values())
        answers = tuple(text for text, value in worth.items() if value == points)
        if less := [text for text, value in worth.items() if 0 < value < points]:
            notes.append(
                f"question {name}: part marks for {', '.join(less)} are not supported; they count as wrong"
            )
    else:
        answers = tuple(str(text) for text in (answer if isinstance(answer, list) else [answer]))
    answers = tuple(text for text in answers if text)
    if not answers:
        raise AnswerKeyError("a question has no answer", where=str(path), fix="give one", received=name)
    return Question(
        name=name, answers=answers, points=float(points), penalty=float(penalty), any_mark=any_mark
    )
