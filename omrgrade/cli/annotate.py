"""``omrgrade annotate``: marked copies to hand back."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("annotate")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the PDFs.",
)
@click.option("--together", is_flag=True, help="One PDF for the class, to print in one go.")
@click.option("--no-answers", is_flag=True, help="Leave out the right answers.")
@click.option("--even-unreviewed", is_flag=True, help="Also while readings await review; these get a ?.")
def command(out: Path, output: Path, together: bool, no_answers: bool, even_unreviewed: bool) -> None:
    """Write the sheets of OUT (a folder of omrgrade grade) with ticks, crosses, right answers and points.

    One PDF a pupil, named by number and name; with --together one PDF in the order of the roster. Pages are
    taken from the scans if these are where they were, else from the coarser pictures kept in OUT.
    """
    from omrgrade.outputs import load_results
    from omrgrade.outputs.annotate import class_file, pupils_files
    from omrgrade.outputs.export import check_final
    from omrgrade.staging import staged

    results = load_results(out)
    check_final(results, out, even_unreviewed=even_unreviewed)
    files = (
        iter([class_file(results, answers=not no_answers)])
        if together
        else pupils_files(results, answers=not no_answers)
    )
    with staged(output) as staging:
        for name, data in files:
            staging.write(name, data)
        paths = staging.publish(output)
    click.echo("\n".join(str(path) for path in paths))
