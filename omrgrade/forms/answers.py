"""Answers as OMRChecker writes them: in a CSV beside its evaluation, and as marks put together."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omrgrade.errors import AnswerKeyError
from omrgrade.forms.omrchecker import Group, Line


def written(answer: str, group: Group) -> str:
    """An answer in our spelling: marks of one row joined by "+"."""
    if group.joined:
        labels = _labels_in(answer, group.lines)
        return answer if labels is None else "".join(labels)
    marks = marks_in(answer, group.lines[0])
    return "+".join(marks) if marks else answer


def marks_in(answer: str, line: Line) -> list[str] | None:
    """The options whose values a text is put together from, None if it is not."""
    if not answer:
        return []
    for option, value in zip(line.options, line.values, strict=True):
        if value and answer.startswith(value):
            rest = marks_in(answer[len(value) :], line)
            if rest is not None:
                return [option, *rest]
    return None


def _labels_in(answer: str, lines: Sequence[Line]) -> list[str] | None:
    """The options, at most one a line, whose values a text is put together from, None if it is not."""
    if not lines:
        return None if answer else []
    for option, value in [*zip(lines[0].options, lines[0].values, strict=True), ("", "")]:
        if answer.startswith(value):
            rest = _labels_in(answer[len(value) :], lines[1:])
            if rest is not None:
                return [option, *rest]
    return None


def from_csv(path: Path, options: Mapping[str, Any]) -> tuple[list[str], list[Any]]:
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
