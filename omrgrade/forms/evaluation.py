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


@dataclass(slots=True)
class Evaluation:
    """What an evaluation file says that a key of ours can say."""

    questions: list[Question]
    notes: list[str] = field(default_factory=list)

    def multiple(self, groups: Mapping[str, Group]) -> list[str]:
        """Questions of one row of bubbles to which several marks together are an answer."""
        return [
            q.name
            for q in self.questions
            if q.name in groups
            and not groups[q.name].joined
            and any(len(_marks(answer, groups[q.name].lines[0].options) or ()) > 1 for answer in q.answers)
        ]


def read_evaluation(path: Path) -> Evaluation:
    """Read an `evaluation.json`, with its CSV of answers where it names one."""
    data = read_json(path)
    notes: list[str] = []
    options = data.get("options") or {}
    if data.get("source_type") == "csv":
        names, answers = _from_csv(path, options)
    else:
        names, answers = (
            expand(path, options.get("questions_in_order") or []),
            options.get("answers_in_order") or [],
        )
    if not names or len(names) != len(answers):
        raise AnswerKeyError(
            "there must be as many answers as questions", where=str(path), fix="correct 'options'",
            received=f"{len(names)} questions, {len(answers)} answers",
        )  # fmt: skip
    schemes = _schemes(path, data.get("marking_schemes") or {}, notes)
    questions = [
        _question(path, name, answer, schemes.get(name, schemes[""]), notes)
        for name, answer in zip(names, answers, strict=True)
    ]
    return Evaluation(questions=questions, notes=notes)


def key_text(evaluation: Evaluation, ids: Mapping[str, str], groups: Mapping[str, Group]) -> str:
    """The key as CSV for `load_key`; questions that the template lacks are noted and left out."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("item", "answer", "points", "penalty"))
    for question in evaluation.questions:
        if question.name not in ids:
            evaluation.notes.append(f"question {question.name}: no field of that name, left out")
            continue
        answers = [_written(answer, groups[question.name]) for answer in question.answers]
        writer.writerow(
            (ids[question.name], "|".join(answers), f"{question.points:g}", f"{question.penalty:g}")
        )
    return out.getvalue()


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


def _schemes(
    path: Path, schemes: Mapping[str, Any], notes: list[str]
) -> dict[str, tuple[Fraction, Fraction]]:
    """Points and penalty by question; "" for those without a scheme of their own."""
    default = schemes.get("DEFAULT", _DEFAULT)
    result = {"": _scheme(path, "DEFAULT", default, notes)}
    for name, scheme in schemes.items():
        if name == "DEFAULT":
            continue
        if not isinstance(scheme, dict) or "marking" not in scheme:
            notes.append(f"marking scheme {name}: not understood, left out")
            continue
        if re.match(r"BONUS", name):
            notes.append(
                f"marking scheme {name}: bonus points are not supported; the answer must be right here"
            )
        listed = scheme.get("questions") or []
        marks = _scheme(path, name, scheme["marking"], notes)
        result |= dict.fromkeys(expand(path, listed if isinstance(listed, list) else [listed]), marks)
    return result


def _scheme(path: Path, name: str, marking: Mapping[str, Any], notes: list[str]) -> tuple[Fraction, Fraction]:
    correct, incorrect, unmarked = (
        _number(path, name, marking.get(key, _DEFAULT[key])) for key in ("correct", "incorrect", "unmarked")
    )
    if unmarked:
        notes.append(
            f"marking scheme {name}: {unmarked} for an unmarked question is not supported; it earns 0"
        )
    if incorrect > 0:
        notes.append(f"marking scheme {name}: {incorrect} for a wrong answer is not supported; it earns 0")
    return max(correct, Fraction(0)), max(-incorrect, Fraction(0))


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


def _question(
    path: Path, name: str, answer: Any, marks: tuple[Fraction, Fraction], notes: list[str]
) -> Question:
    """One question: a text, a list of texts any of which is right, or of [text, marks] pairs."""
    points, penalty = marks
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
    return Question(name=name, answers=answers, points=float(points), penalty=float(penalty))
