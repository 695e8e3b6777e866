"""``omrgrade template check --scan``: a picture of where a template lands, also on a page that is refused."""

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from omrgrade.cli import cli
from omrgrade.errors import RegistrationError, TemplateError
from omrgrade.resources import bundled
from omrgrade.simulate import save_capture


@pytest.fixture
def check(tmp_path, page_factory, monkeypatch):
    """Run the command on a simulated page of `sheet`; the result and its picture (h, w, 3) RGB, or None."""
    monkeypatch.chdir(tmp_path)

    def run(template, sheet):
        page = page_factory(sheet, seed=4, turn=180)
        scan = save_capture(page.capture, tmp_path / "page 1")
        result = CliRunner().invoke(cli, ["template", "check", template, "--scan", str(scan), "-o", "on.png"])
        picture = cv2.imread("on.png")
        return result, None if picture is None else picture[..., ::-1].astype(int)

    return run


def shares(picture):
    """How much of a picture is drawn in green, in red."""
    red, green, blue = (picture[..., n] for n in range(3))
    return np.mean((green > red + 60) & (green > blue + 60)), np.mean((red > green + 90) & (red > blue + 90))


def test_on_a_page_that_fits_boxes_are_green(check):
    result, picture = check("mixed-letter", "mixed-letter")
    assert result.exit_code == 0, result.output
    assert "residual 0." in result.output and "boxes seen" in result.output
    green, red = shares(picture)
    assert green > 5 * red


def test_on_another_sheet_the_reason_is_told_and_a_picture_written(check):
    result, picture = check("numeric-a4", "mixed-letter")
    assert isinstance(result.exception, RegistrationError)
    assert "markers of another template" in str(result.exception)
    assert picture is not None


def test_a_page_of_another_edition_shows_its_boxes_red(check, tmp_path):
    text = bundled("templates", "mixed-letter.yaml").read_text()
    moved = text.replace("at: [126, 100]", "at: [119, 93]")
    assert moved != text
    (tmp_path / "moved.yaml").write_text(moved)
    result, picture = check("moved.yaml", "mixed-letter")
    assert isinstance(result.exception, RegistrationError)
    green, red = shares(picture)
    assert red > green


def test_a_form_that_somebody_else_printed_needs_no_room_for_our_labels(tmp_path):
    """Its layout is drawn to be looked at; only what we print must be fit to be printed."""
    crowded = tmp_path / "crowded.yaml"
    rest = "kind: choice, role: item, options: ABCD, size: [3, 3], gap: 1"
    crowded.write_text(
        "omrgrade: 1\nname: crowded\ntitle: Crowded\npage: A4\nregistration: {method: page}\nfields:\n"
        f"  - {{id: q1, label: one, at: [40, 90], {rest}}}\n"
        f"  - {{id: q2, label: two, at: [57, 90], {rest}}}\n"
    )
    result = CliRunner().invoke(cli, ["template", "check", str(crowded), "-o", str(tmp_path / "l.png")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "l.png").exists()
    printed = CliRunner().invoke(cli, ["sheet", str(crowded), "-o", str(tmp_path / "s.pdf")])
    assert isinstance(printed.exception, TemplateError) and "comes too near" in str(printed.exception)
