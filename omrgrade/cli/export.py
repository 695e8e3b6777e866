"""``omrgrade export``: marks where they are needed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from omrgrade.outputs.export import Exported
    from omrgrade.outputs.export.pupils import Unmatched

_FORMATS = (
    "csv",
    "xlsx",
    "canvas",
    "moodle",
    "blackboard",
    "parquet",
    "boxes",
    "pictures",
)  # of outputs.export, unloaded


@click.command("export")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("-f", "--format", "form", required=True, type=click.Choice(_FORMATS), help="What for.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: a file in OUT.")
@click.option(
    "--into",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file that the gradebook gave you; it is not changed, a filled copy is written.",
)
@click.option("--assignment", default="", help="Title or id of the column that gets the marks.")
@click.option("--match", default="", help="Heading of the column that has the student numbers.")
@click.option(
    "--by",
    type=click.Choice(["id", "email"]),
    default="id",
    show_default=True,
    help="moodle without --into: how Moodle finds pupils.",
)
@click.option(
    "--people",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Table of student_id with email or login, where the gradebook knows no student numbers.",
)
@click.option("--scale", is_flag=True, help="Convert marks to the points possible in the gradebook.")
@click.option("--even-unreviewed", is_flag=True, help="Export although readings await review.")
def command(
    out: Path,
    form: str,
    output: Path | None,
    into: Path | None,
    assignment: str,
    match: str,
    by: str,
    people: Path | None,
    scale: bool,
    even_unreviewed: bool,
) -> None:
    """Write the marks of OUT (a folder of omrgrade grade) for a spreadsheet or a school's gradebook.

    \b
    csv, xlsx    a row a pupil
    canvas       filled into the exported gradebook (--into)
    moodle       filled into the grading worksheet (--into), or a table to import
    blackboard   filled into the downloaded gradebook (--into), or a new column
    parquet      marks, readings, items, for statistics
    pictures     the fields of kind picture, a JPEG each, named by pupil
    boxes        digits that were confirmed in the review, for omrgrade train and evaluate

    Pupils without a mark and marks without a pupil are listed, never guessed.
    """
    from omrgrade.outputs import load_results
    from omrgrade.outputs.export import Options, export
    from omrgrade.outputs.export.people import load_people

    options = Options(
        into=into,
        assignment=assignment,
        match=match,
        by=by,
        people=load_people(people) if people else {},
        scale=scale,
        even_unreviewed=even_unreviewed,
    )
    done = export(load_results(out), output, form, options, out=out)
    for path in done.paths if form != "pictures" else done.paths[:1]:
        click.echo(path.parent if form == "pictures" else path)
    if form == "pictures":
        _line(f"{len(done.paths)} picture{'' if len(done.paths) == 1 else 's'}")
        return
    if form == "boxes":
        click.echo(f"{done.crops} boxes; try: omrgrade evaluate --boxes {done.paths[0]}", err=True)
    else:
        _say(done)
        folder = f'"{out}"' if " " in str(out) else str(out)
        _line(f"Next, to hand back: omrgrade annotate {folder} -o copies")


def _say(done: Exported) -> None:
    """What the teacher should know, on stderr."""
    marked, filled = done.marked, done.filled
    count = filled.marks if filled else len(marked.marks)
    _line(f"{count} mark{'' if count == 1 else 's'} written")
    unfinished = [m for m in marked.marks if m.sheet.to_review]
    _list("not final, something awaits review", [f"{m.student_id} {m.name}".strip() for m in unfinished])
    if filled:
        for note in filled.notes:
            _line(note)
        _list("had another mark there before", filled.changed)
        _list("the number fits but the name does not: please check", filled.names)
        _list("marks whose pupil is not in that file", filled.missing)
        _list("rows left as they were", filled.left)
    _list("pupils without a mark", _reasons(marked.without_mark))
    _list("marks without a pupil, not exported", _reasons(marked.without_pupil))


def _reasons(found: tuple[Unmatched, ...]) -> list[str]:
    return [f"{entry.who}: {entry.reason}" for entry in found]


def _list(title: str, lines: list[str]) -> None:
    if lines:
        _line(f"{title} ({len(lines)}):")
        for line in lines:
            _line(f"  {line}")


def _line(text: str) -> None:
    # A name from a file must not steer the terminal.
    click.echo("".join(c if c.isprintable() else "?" for c in text), err=True)
