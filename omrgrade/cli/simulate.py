"""``omrgrade simulate``: filled, scanned-looking pages with known truth."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command("simulate")
@click.argument("templates", metavar="TEMPLATE...", nargs=-1, required=True)
@click.option("-n", "--count", type=click.IntRange(1, 100_000), default=10, show_default=True, help="Pupils.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed gives the same pages."
)
@click.option(
    "--profile",
    type=click.Choice(["scanner", "photo", "copier", "clean"]),
    default="scanner",
    show_default=True,
    help="What the pages go through.",
)
@click.option(
    "--bent",
    type=click.FloatRange(0, 8),
    default=0,
    show_default=True,
    help="mm that curl moves print by, at most.",
)
@click.option("--data", type=click.Path(path_type=Path), help="MNIST as .npz; default: the bundled one.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder to write into.",
)
def command(
    templates: tuple[str, ...],
    count: int,
    seed: int,
    profile: str,
    bent: float,
    data: Path | None,
    output: Path,
) -> None:
    """Fill in TEMPLATE as a class of pupils would and scan it; of several, each pupil hands in all.

    Writes the pages, truth.csv (what stands in every field), and key.csv and roster.csv to grade them with.
    """
    from tqdm import tqdm

    from omrgrade.simulate import simulate_batch
    from omrgrade.template import load_template
    from omrgrade.template.pages import sheet_set

    loaded = sheet_set([load_template(name) for name in templates], in_order=True)
    with tqdm(total=count, unit="page", disable=not sys.stderr.isatty()) as progress:

        def advance(done: int) -> None:
            progress.update(done - progress.n)

        paths = simulate_batch(loaded, count, seed, profile, output, data=data, on_page=advance, bent=bent)
    click.echo(f"{len(paths)} pages in {output}", err=True)
