"""A page of ruled rows laid a row off shows all its boxes; its words say where it is."""

import cv2
import numpy as np
import pytest

from omrgrade.records import Scan
from omrgrade.registration import register
from omrgrade.registration.ownprint import better_move
from omrgrade.template import load_template

PX = 8  # per mm
ROW = 9.0  # mm


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A table of 15 ruled rows with numbers, a heading over them; the template and the form's picture."""
    folder = tmp_path_factory.mktemp("table")
    page = np.full((297 * PX, 210 * PX), 255, np.uint8)
    for row in range(17):
        cv2.line(
            page, (20 * PX, round((30 + ROW * row) * PX)), (130 * PX, round((30 + ROW * row) * PX)), 0, 3
        )
    for x in (20, 30, 90, 110, 130):
        cv2.line(page, (x * PX, 30 * PX), (x * PX, round((30 + 16 * ROW) * PX)), 0, 3)
    for row in range(1, 16):
        where = (22 * PX, round((36 + ROW * row) * PX))
        cv2.putText(page, str(row), where, cv2.FONT_HERSHEY_SIMPLEX, 0.8, 0, 2, cv2.LINE_AA)
    for text, x, y in (("Class 7b", 20, 20), ("Name", 32, 36), ("Oral", 92, 36), ("Part A", 111, 36)):
        cv2.putText(page, text, (x * PX, y * PX), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 0, 2, cv2.LINE_AA)
    cv2.imwrite(str(folder / "blank.png"), page)
    (folder / "table.yaml").write_text(
        "omrgrade: 1\nname: table\ntitle: Table\npage: A4\n"
        "registration: {method: reference, blank: blank.png}\nblank: blank.png\nfields:\n"
        "  - {id: oral1..oral15, kind: number, role: item, at: [90, 39], size: [20, 9], step: [0, 9]}\n"
        "  - {id: a1..a15, kind: number, role: item, at: [110, 39], size: [20, 9], step: [0, 9]}\n"
    )
    return load_template(folder / "table.yaml"), page


def scanned(page, x=0.0, y=0.0):
    """The form at 150 dpi, moved by mm and turned by a degree; and the matrix page mm -> px."""
    scale = 150 / 25.4
    turn = np.vstack([cv2.getRotationMatrix2D((105, 148), 1.0, 1.0), [0, 0, 1]])
    matrix = np.diag([scale, scale, 1]) @ np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]) @ turn
    soft = cv2.GaussianBlur(page, (0, 0), 0.7)
    size = round(210 * scale), round(297 * scale)
    pixels = cv2.warpPerspective(soft, matrix @ np.diag([1 / PX, 1 / PX, 1]), size, borderValue=255)
    noise = np.random.default_rng(1).normal(0, 6, pixels.shape)
    return Scan(
        source="x.png", page=1, pixels=np.clip(pixels + noise, 0, 255).astype(np.uint8), dpi=150
    ), matrix


@pytest.mark.parametrize("rows", [-1, 1])
def test_a_row_off_is_seen_by_the_words(table, rows):
    template, page = table
    scan, matrix = scanned(page)
    off = matrix @ np.array([[1, 0, 0], [0, 1, rows * ROW], [0, 0, 1.0]])
    moves = [(0.0, ROW), (0.0, -ROW), (20.0, 0.0), (-20.0, 0.0)]
    assert better_move(scan, template, matrix, moves) is None
    assert better_move(scan, template, off, moves) == pytest.approx(matrix)


@pytest.mark.parametrize("y", [0.0, ROW])
def test_a_page_fed_a_row_off_is_laid_where_it_is(table, y):
    template, page = table
    scan, matrix = scanned(page, y=y)
    found = np.array(register(scan, template, max_residual=1.5).page_to_scan)
    points = np.array([(90.0, 39.0, 1.0), (130.0, 170.0, 1.0)])
    off = points @ found.T - points @ matrix.T
    assert np.hypot(*off[:, :2].T).max() < 0.5 * scan.dpi / 25.4
