"""``omrgrade template check``, ``new`` and ``import``: is a template right; one from a form that exists."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from omrgrade.forms.evaluation import Evaluation
    from omrgrade.records import Template


@click.group("template")
def command() -> None:
    """Work with templates."""


@command.command("check")
@click.argument("template")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: TEMPLATE's name with -layout.png, or -on- and SCAN's name.",
)
@click.option(
    "--scan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Draw instead where TEMPLATE lands on this scan or photo, box by box.",
)
@click.option("--number", default=1, show_default=True, help="Which page of the scan.")
def check(template: str, output: Path | None, scan: Path | None, number: int) -> None:
    """Check TEMPLATE (a file, or a bundled name) and draw its layout, every field with its id, as PNG.

    With --scan the picture shows where the boxes land on a real page and how far each is off, also when the
    page is refused; the exit code is then 3.
    """
    from omrgrade.render import render_layout
    from omrgrade.template import load_template

    loaded = load_template(template)
    if scan is not None:
        _check_on(loaded, scan, number, output)
        return
    output = output or Path(f"{loaded.name}-layout.png")
    _write_picture(render_layout(loaded), output)
    boxes = sum(len(field.boxes) for field in loaded.fields)
    click.echo(
        f"{loaded.name}: {len(loaded.items)} items, {len(loaded.identifiers)} identifiers, {boxes} boxes; "
        f"layout in {output}",
        err=True,
    )


def _check_on(template: Template, path: Path, number: int, output: Path | None) -> None:
    """Draw where a template lands on a page of a scan; ends with the refusal, if it is refused."""
    import numpy as np

    from omrgrade.images import read_scan
    from omrgrade.outputs.landing import landing
    from omrgrade.records import PageRef, Policy
    from omrgrade.registration import survey

    scan, policy = read_scan(PageRef(path=str(path), page=number)), Policy()
    found = survey(scan, template, max_residual=policy.max_residual, flag_residual=policy.flag_residual)
    picture, off = landing(scan, template, found)
    output = output or Path(f"{template.name}-on-{path.stem}.png")
    _write_picture(picture, output)
    click.echo(f"where {template.name} lands on {path.name} is in {output}", err=True)
    if found.refusal:
        raise found.refusal
    seen = off[np.isfinite(off)]
    doubt = found.registration(template, policy.flag_residual).doubt
    click.echo(
        f"residual {found.fits[0].residual:.2f} mm; {len(seen)} of {len(off)} boxes seen, "
        f"the worst {seen.max():.2f} mm off" + (f"; to be looked at: {doubt}" if doubt else ""),
        err=True,
    )


def _write_picture(picture: NDArray[np.uint8], output: Path) -> None:
    """Write (h, w, 3) BGR as PNG."""
    from PIL import Image

    from omrgrade.errors import OutputError

    try:
        Image.fromarray(picture[..., ::-1]).save(output, format="PNG")
    except OSError as error:
        raise OutputError(
            "the picture cannot be written", where=str(output), fix="choose another place",
            received=error.strerror,
        ) from error  # fmt: skip


@command.command("new")
@click.argument("blank", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The template. Default: BLANK's name with .yaml.",
)
@click.option("--page", help="Page size: A4, Letter or 210x297 (mm). Only for pictures that do not say it.")
@click.option("--number", default=1, show_default=True, help="Which page of BLANK.")
@click.option("--force", is_flag=True, help="Write over a template that exists.")
def new(blank: Path, output: Path | None, page: str | None, number: int, force: bool) -> None:
    """Make a template from a BLANK form (PDF or picture).

    Writes the template, the blank form it refers to, and a picture of what was found, all side by side.
    """
    from omrgrade.forms.discovery import discover
    from omrgrade.template import load_template

    output = output or Path(f"{blank.stem}.yaml")
    picture = output.with_name(f"{output.stem}-blank.png")
    overlay = output.with_name(f"{output.stem}-overlay.png")
    _refuse_overwriting(output, force)
    found = discover(
        blank,
        name=_name_of(output),
        picture=picture.name,
        marker=f"{output.stem}-marker.png",
        page=number,
        size=_page_size(page) if page else None,
    )
    for name, data in found.files.items():
        _write(output.with_name(name), data)
    _write(output, found.text.encode())
    _write(overlay, _png(found.overlay))
    loaded = load_template(output)
    click.echo(
        f"{output}: {len(loaded.items)} items, {len(loaded.identifiers)} identifiers, {found.boxes} boxes; "
        f"{found.marks.why}. Look at {overlay}",
        err=True,
    )


@command.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The template. Default: FILE's name with .yaml.",
)
@click.option(
    "--evaluation",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="evaluation.json to make a key of. Default: the one beside FILE, if there is one.",
)
@click.option(
    "--scan",
    "scans",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A page to lay the bubbles on. Default: the pictures beside FILE.",
)
@click.option("--force", is_flag=True, help="Write over a template that exists.")
def import_(
    file: Path, output: Path | None, evaluation: Path | None, scans: tuple[Path, ...], force: bool
) -> None:
    """Make a template from OMRChecker's template.json (FILE), and a key from its evaluation.json.

    Pictures that FILE names (a marker, a reference) are copied beside the template. Where pages lie beside
    FILE, as OMRChecker has them, bubbles are laid on theirs.
    """
    from omrgrade.forms.evaluation import key_text
    from omrgrade.forms.importing import pictures_beside, translate
    from omrgrade.images import read_scan
    from omrgrade.records import PageRef
    from omrgrade.template import load_template

    output = output or Path(f"{file.stem}.yaml")
    _refuse_overwriting(output, force)
    marked = _evaluation(file, evaluation)
    made = translate(file, _name_of(output), evaluation=marked)
    for name, data in made.files.items():
        _write(output.with_name(name), data)
    _write(output, made.text.encode())
    loaded = load_template(output)
    pages = list(scans) or pictures_beside(made)
    seen = [read_scan(PageRef(path=str(page))) for page in pages]
    if made.settle(loaded, seen):
        _write(output, made.text.encode())
        loaded = load_template(output)
        if made.look(loaded, seen):
            _write(output, made.text.encode())
            loaded = load_template(output)
        click.echo(f"Bubbles are laid on those of {made.settled_on}", err=True)
    elif pages:
        click.echo(
            "Note: none of the pictures beside it shows the bubbles; they are where FILE says", err=True
        )
    else:
        click.echo(
            "Note: bubbles are where FILE says; a page (--scan PAGE) shows where they are printed",
            err=True,
        )
    if marked:
        key = output.with_name(f"{output.stem}-key.csv")
        _write(key, key_text(marked, made.ids, made.groups).encode())
        click.echo(f"{key}: {len(marked.questions)} questions{_key_fault(key, loaded)}", err=True)
    for note in dict.fromkeys([*made.notes, *(marked.notes if marked else [])]):
        click.echo(f"Note: {note}", err=True)
    click.echo(
        f"{output}: {len(loaded.items)} items, {len(loaded.identifiers)} identifiers, "
        f"{len(loaded.fields) - len(loaded.items) - len(loaded.identifiers)} others",
        err=True,
    )


def _evaluation(file: Path, given: Path | None) -> Evaluation | None:
    """The evaluation that was given; or the one beside FILE, unless there is something wrong with it."""
    from omrgrade.errors import AnswerKeyError, TemplateError
    from omrgrade.forms.evaluation import read_evaluation

    if given:
        return read_evaluation(given)
    beside = file.with_name("evaluation.json")
    try:
        return read_evaluation(beside) if beside.is_file() else None
    except (AnswerKeyError, TemplateError) as error:
        click.echo(f"Note: no key is made. {error}", err=True)
        return None


def _key_fault(key: Path, template: Template) -> str:
    """What is to be corrected in a key by hand."""
    from omrgrade.errors import AnswerKeyError
    from omrgrade.key import load_key

    try:
        load_key(key, template)
    except AnswerKeyError as error:
        return f", to be corrected by hand: {error}"
    return ""


def _refuse_overwriting(output: Path, force: bool) -> None:
    from omrgrade.errors import OutputError

    if output.exists() and not force:
        raise OutputError(
            "this template exists", where=str(output), fix="choose another name, or give --force"
        )


def _name_of(output: Path) -> str:
    """A template's name from its file's: letters, digits, - and _."""
    import re

    return re.sub(r"[^A-Za-z0-9_-]+", "-", output.stem).strip("-_")[:40] or "form"


def _page_size(text: str) -> tuple[float, float]:
    """A4, Letter, or width x height in mm."""
    import re

    from omrgrade.template import PAGES

    named = {name.casefold(): size for name, size in PAGES.items()}
    if text.casefold() in named:
        return named[text.casefold()]
    if match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*[xX*,]\s*(\d+(?:\.\d+)?)\s*", text):
        return float(match[1]), float(match[2])
    raise click.BadParameter(f"write A4, Letter or 210x297 (received {text!r})", param_hint="--page")


def _png(picture: NDArray[np.uint8]) -> bytes:
    from io import BytesIO

    from PIL import Image

    data = BytesIO()
    Image.fromarray(picture[..., ::-1]).save(data, format="PNG")
    return data.getvalue()


def _write(path: Path, data: bytes) -> None:
    from omrgrade.errors import OutputError

    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(
            "this file cannot be written",
            where=str(path),
            fix="choose another place",
            received=error.strerror,
        ) from error
