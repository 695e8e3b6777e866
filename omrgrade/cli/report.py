"""``omrgrade report``: the class and the test on one page."""

from __future__ import annotations

from pathlib import Path

import click

from omrgrade.cli.following import needs_review, say_next


@click.command("report")
@click.argument("out", type=click.Path(path_type=Path))
def command(out: Path) -> None:
    """Write report.html, items.csv and answers.csv anew from what OUT (a folder of omrgrade grade) holds now.

    The report needs no other file and no network: mean, distribution, reliability, each item's difficulty
    and discrimination, keys that look wrong, pages to scan again. Answers under review are left out.
    """
    from omrgrade.outputs import load_results, write_results

    results = load_results(out)
    write_results(results, out, formats=["items", "report"])
    click.echo(out / "report.html")
    say_next(out, review=needs_review(results.batch))
