"""Marks where they are needed: tables of one's own, and files that gradebooks gave out, filled in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from omrgrade.errors import OutputError
from omrgrade.outputs.export import blackboard, boxes, canvas, moodle, pictures, plain
from omrgrade.outputs.export.filling import Filled, Target, fill
from omrgrade.outputs.export.pupils import Marked, marked
from omrgrade.outputs.export.rawcsv import RawTable
from omrgrade.outputs.export.workbook import workbook
from omrgrade.outputs.results import Results
from omrgrade.staging import staged

__all__ = ["FORMATS", "Exported", "Options", "check_final", "export"]

FORMATS = ("csv", "xlsx", "canvas", "moodle", "blackboard", "parquet", "boxes", "pictures")
_FILLED: dict[str, Callable[[RawTable, str, str], Target]] = {
    "canvas": canvas.target,
    "moodle": moodle.target,
    "blackboard": blackboard.target,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How to export."""

    into: Path | None = None  # the file that the gradebook gave out
    assignment: str = ""  # title or id of the column to fill; for a new column its title
    match: str = ""  # heading of the column that has the pupils' numbers
    by: str = "id"  # moodle without `into`: "id" or "email"
    people: Mapping[str, Sequence[str]] = field(default_factory=dict)  # export.people
    scale: bool = False  # convert points to those possible there
    even_unreviewed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What was written, and what a teacher should know about it."""

    paths: tuple[Path, ...]
    marked: Marked
    filled: Filled | None = None  # for a gradebook's own file
    crops: int = 0  # for "boxes"


def export(results: Results, path: str | Path | None, form: str, options: Options, *, out: Path) -> Exported:
    """Write results in a format of FORMATS to `path`, by default a file of that name in `out`.

    `OutputError`, and nothing written, while readings await review, unless the options allow it.
    """
    if form not in FORMATS:
        raise OutputError("no such format", fix=f"choose from {', '.join(FORMATS)}", received=form)
    given = marked(results)
    if form == "boxes":
        target = Path(path or out / "boxes.npz")
        data, crops = boxes.boxes_file(results)
        return Exported(paths=_publish(target.parent, [(target.name, data)]), marked=given, crops=crops)
    if form == "pictures":
        folder, files = Path(path or out / "pictures"), pictures.picture_files(results, out)
        return Exported(paths=_publish(folder, files), marked=given)
    check_final(results, out, even_unreviewed=options.even_unreviewed)
    if form == "parquet":
        folder = Path(path or out / "parquet")
        return Exported(paths=_publish(folder, plain.parquet_files(results, given)), marked=given)
    target = Path(path or out / _default_name(form, options))
    filled = None
    if options.into:
        if form not in _FILLED:
            raise OutputError(f"{form} fills in no file", fix="leave out --into", received=str(options.into))
        if target.exists() and target.samefile(options.into):
            raise OutputError(
                "would overwrite the file it fills in", where=str(target), fix="give another name"
            )
        data, filled = _filled(results, given, form, options)
    else:
        data, filled = _new(results, given, form, options)
    return Exported(paths=_publish(target.parent, [(target.name, data)]), marked=given, filled=filled)


def check_final(results: Results, out: Path, *, even_unreviewed: bool) -> None:
    """`OutputError` unless there are marks, and final ones, or others are wanted all the same.

    `out`: the run's folder, for the command that the message names.
    """
    if results.key is None:
        raise OutputError(
            "there are no marks: the scans were read without a key",
            fix=f"give them one: omrgrade score {out} -k KEY",
        )
    if results.batch.to_review and not even_unreviewed:
        raise OutputError(
            f"these marks are not final, readings await review: {results.batch.to_review}",
            fix=f"look at them with: omrgrade review {out}; or go on all the same with --even-unreviewed",
        )


def _default_name(form: str, options: Options) -> str:
    if options.into:
        return f"{options.into.stem}-filled{options.into.suffix}"
    return (
        "marks-by-pupil.xlsx" if form == "xlsx" else f"{form}.csv" if form != "csv" else "marks-by-pupil.csv"
    )


def _filled(results: Results, given: Marked, form: str, options: Options) -> tuple[bytes, Filled]:
    assert options.into is not None
    table = RawTable.read(options.into)
    target = _FILLED[form](table, options.assignment, results.template.title)
    filled = fill(table, target, given, people=options.people, match=options.match, scale=options.scale)
    return table.bytes(), filled


def _new(results: Results, given: Marked, form: str, options: Options) -> tuple[bytes, Filled | None]:
    title = options.assignment or results.template.title
    if form == "canvas":
        raise OutputError(
            "Canvas takes back only a gradebook that it gave out",
            fix="in Canvas: Grades, Export, Export Entire Gradebook; then give the file with --into",
        )
    if form == "moodle":
        data, missing = moodle.gradebook(given, title, by=options.by, people=options.people)
        return data, Filled(marks=len(given.marks) - len(missing), missing=missing)
    if form == "blackboard":
        return blackboard.gradebook(given, title), Filled(marks=len(given.marks))
    return (workbook if form == "xlsx" else plain.csv_file)(results, given), None


def _publish(folder: Path, files: Iterable[tuple[str, bytes | Iterable[bytes]]]) -> tuple[Path, ...]:
    with staged(folder) as staging:
        for name, data in files:
            staging.write(name, data)
        return staging.publish(folder)
