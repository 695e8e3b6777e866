"""``omrgrade template check``: is a template right, and what does it look like."""

from __future__ import annotations

from pathlib import Path

import click


@click.group("template")
def command() -> None:
    """Work with templates."""


@command.command("check")
@click.argument("template")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: TEMPLATE's name with -layout.png.",
)
def check(template: str, output: Path | None) -> None:
    """Check TEMPLATE (a file, or a bundled name) and draw its layout, every field with its id, as PNG."""
    from omrgrade.errors import OutputError
    from omrgrade.render import render_layout
    from omrgrade.template import load_template

    loaded = load_template(template)
    picture = render_layout(loaded)
    output = output or Path(f"{loaded.name}-layout.png")
    from PIL import Image

    try:
        Image.fromarray(picture[..., ::-1]).save(output, format="PNG")
    except OSError as error:
        raise OutputError(
            "the layout cannot be written", where=str(output), fix="choose another place",
            received=error.strerror,
        ) from error  # fmt: skip
    boxes = sum(len(field.boxes) for field in loaded.fields)
    click.echo(
        f"{loaded.name}: {len(loaded.items)} items, {len(loaded.identifiers)} identifiers, {boxes} boxes; "
        f"layout in {output}",
        err=True,
    )
