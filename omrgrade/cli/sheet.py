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
    help="Pupils (CSV or XLSX): a sheet each, with name, number and QR code; a class list gets their names.",
)
@click.option(
    "--back", multiple=True, help="Template of the other side, or, again, of further pages; with --roster."
)
@click.option("--double-sided", is_flag=True, help="Every pupil begins on a new leaf; with --roster.")
@click.option(
    "--sort",
    type=click.Choice(["roster", "name", "number"]),
    default="roster",
    show_default=True,
    help="Order of the pupils' sheets.",
)
def command(
    template: str,
    output: Path | None,
    roster_path: Path | None,
    back: tuple[str, ...],
    double_sided: bool,
    sort: str,
) -> None:
    """Print TEMPLATE (a file, or a bundled name such as numeric-a4) as a vector PDF.

    With --roster a sheet for every pupil: when it is read, its QR code says whose it is, and a student number
    written by hand that says otherwise is put under review.
    """
    from omrgrade.render import render_pdf, write_pdf
    from omrgrade.render.prefilled import prefilled_pdf
    from omrgrade.roster import load_roster
    from omrgrade.template import load_template

    loaded = load_template(template)
    output = output or Path(f"{loaded.name}.pdf")
    roster = load_roster(roster_path) if roster_path else None
    if roster is None and (back or double_sided):
        raise click.UsageError("--back and --double-sided are for pupils' sheets: give --roster too")
    if roster is None or any(field.row for field in loaded.fields):
        render_pdf(loaded, output, roster)
    else:
        sheets = [loaded, *map(load_template, back)]
        write_pdf(prefilled_pdf(sheets, roster, order=sort, double_sided=double_sided or bool(back)), output)
    click.echo(f"{output}: print it at 100 %, not fitted to the page", err=True)
