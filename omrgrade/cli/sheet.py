"""``omrgrade sheet``: print a template as PDF."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("sheet")
@click.argument("template")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: TEMPLATE's name with .pdf.",
)
@click.option(
    "-r",
    "--roster",
    "roster_path",
    type=click.Path(path_type=Path),
    help="Pupils (CSV or XLSX): prints their names on a class list such as marklist-a4.",
)
def command(template: str, output: Path | None, roster_path: Path | None) -> None:
    """Print TEMPLATE (a file, or a bundled name such as numeric-a4) as a vector PDF."""
    from omrgrade.render import render_pdf
    from omrgrade.roster import load_roster
    from omrgrade.template import load_template

    loaded = load_template(template)
    output = output or Path(f"{loaded.name}.pdf")
    render_pdf(loaded, output, load_roster(roster_path) if roster_path else None)
    click.echo(f"{output}: print it at 100 %, not fitted to the page", err=True)
