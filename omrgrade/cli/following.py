"""The next step, printed at the end of the last one: nobody has to remember commands."""

from __future__ import annotations

from pathlib import Path

import click

from omrgrade.records import Batch


def say_next(out: Path, *, review: bool) -> None:
    """Print the command that comes next for the results in `out`: a review if one is needed, else export."""
    folder = f'"{out}"' if " " in str(out) else str(out)
    step = f"review {folder}" if review else f"export {folder} --format xlsx"
    click.echo(f"Next: omrgrade {step}", err=True)


def needs_review(batch: Batch) -> bool:
    """Whether there is anything that `omrgrade review` would show."""
    troubles = (
        "unreadable", "unknown_student", "duplicate_student", "missing_page", "double_page", "out_of_order",
    )  # fmt: skip
    return (
        bool(batch.to_review)
        or any(sheet.status in troubles for sheet in batch.marks)
        or any(sheet.doubt and sheet.status != "set_aside" for sheet in batch.marks)
    )
