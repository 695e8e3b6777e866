"""``omrgrade score``: mark a run again with a changed key, without reading scans again."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omrgrade.cli.following import needs_review, say_next

if TYPE_CHECKING:
    from omrgrade.records import Roster
    from omrgrade.rescoring import Change


@click.command("score")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "-k",
    "--key",
    "key_path",
    required=True,
    type=click.Path(path_type=Path),
    help="Answer key (CSV or XLSX).",
)
@click.option(
    "-r", "--roster", "roster_path", type=click.Path(path_type=Path), help="Pupils, if they changed too."
)
@click.option("--no-overlays", is_flag=True, help="Write tables only.")
@click.option("--fail-on-review", is_flag=True, help="Exit with 5 when readings await review.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def command(
    out: Path, key_path: Path, roster_path: Path | None, no_overlays: bool, fail_on_review: bool, quiet: bool
) -> None:
    """Mark the run in folder OUT again with another key; scans are not looked at.

    Prints to stdout whose marks changed, from what to what, and by which items; rewrites all results in OUT
    with what people have corrected. Exit codes as those of grade.
    """
    from omrgrade.kept import keep_run, kept_run, marked
    from omrgrade.key import load_key, unkeyed_items
    from omrgrade.outputs import WRITERS, write_results
    from omrgrade.outputs.changes import changes_table
    from omrgrade.outputs.stored import open_run, stored_results
    from omrgrade.outputs.summary import summary
    from omrgrade.rescoring import changes
    from omrgrade.roster import load_roster

    with open_run(out) as store:
        run = kept_run(store)
        key = load_key(key_path, run.template)
        roster = load_roster(roster_path) if roster_path else run.roster
        before = marked(store, run)
        run = replace(run, key=key, roster=roster)
        after = marked(store, run)
        keep_run(store, run)
        results = stored_results(store, run, after)
    unwanted = () if (out / "overlays").is_dir() and not no_overlays else ("overlays",)
    write_results(results, out, formats=[name for name in WRITERS if name not in unwanted])
    if not quiet:
        found = list(changes(before, after))
        if found:
            click.echo(changes_table(found, _names(roster)))
        click.echo(_told(found, len(after.rows)), err=True)
        click.echo(summary(after, unkeyed=unkeyed_items(run.template, key)), err=True)
        click.echo(f"Results: {out}", err=True)
        say_next(out, review=needs_review(after))
    sys.exit(after.exit_code(fail_on_review=fail_on_review))


def _names(roster: Roster | None) -> dict[str, str]:
    return {pupil.student_id: pupil.name for pupil in roster.pupils} if roster else {}


def _told(found: list[Change], sheets: int) -> str:
    if not found:
        return f"no marks changed on {sheets} sheets"
    return f"marks changed on {len(found)} of {sheets} sheets"
