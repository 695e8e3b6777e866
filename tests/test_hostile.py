"""Files made to break a reader are refused with a reason; none crashes it, runs code or leaves its place.

A small part of what tests/benchmarks/hostile.py tries.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from classroom import grade, save, slip_pixels, table, write_slip
from hostile import (
    CANARY,
    FORMULAS,
    MARKUP,
    SHARES,
    attempt,
    corpus,
    drawn_pdf,
    good_scans,
    pdf,
    pdf_of_tables,
    png,
)

from omrgrade.engine.counting import CountingApart
from omrgrade.errors import ModelError, UnreadableImageError
from omrgrade.images import find_pages, read_scan
from omrgrade.outputs.names import file_names
from omrgrade.records import Limits, PageReading


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return corpus(tmp_path_factory.mktemp("hostile"), seed=3, count=220, heavy=False)


@pytest.mark.parametrize("kind", SHARES)
def test_hostile_files_are_read_or_refused_with_a_reason(kind, files):
    mine = [path for path in files if path.parent.name == kind]
    reasons = {path.name: attempt(path) for path in mine}
    assert any(reasons.values())
    assert not (mine[0].parents[1] / CANARY).exists(), "a file ran code"
    for name, reason in reasons.items():
        assert "Traceback" not in reason and "<class" not in reason, name


def test_a_folder_of_hostile_scans_lists_every_one(files, tmp_path):
    folder = files[0].parents[1]
    write_slip(tmp_path)
    before = set(folder.rglob("*"))
    result = grade(tmp_path, "--no-overlays", "--page-timeout", 20, "-q", scans=str(folder / "scans"))
    assert result.exit_code == 3, "none of them is a sheet"
    rows = {row["source"]: row["reason"] for row in table(tmp_path / "out/review.csv") if not row["field"]}
    assert {str(path) for path in files if path.parent.name == "scans"} <= set(rows)
    assert all(rows.values())
    assert set(folder.rglob("*")) == before
    assert {path.name for path in tmp_path.iterdir()} == {"slip.yaml", "key.csv", "roster.csv", "out"}


def test_what_is_no_file_is_passed_over_and_named_files_are_refused(tmp_path):
    write_slip(tmp_path)
    scans = tmp_path / "scans"
    scans.mkdir()
    (scans / "good-name.png").write_bytes(b"")
    (scans / "folder.png").mkdir()
    (scans / "endless.png").symlink_to("/dev/zero")
    (scans / "loop.png").symlink_to(scans / "loop.png")
    (scans / "nowhere.png").symlink_to(scans / "missing")
    os.mkfifo(scans / "pipe.png")
    begun = time.monotonic()
    assert [ref.path for ref in find_pages([scans])] == [str(scans / "good-name.png")]
    assert time.monotonic() - begun < 30, "a pipe would be waited for forever"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted in /proc")
def test_damaged_pdfs_leave_no_file_open(tmp_path):
    (tmp_path / "a.pdf").write_bytes(pdf(b"<</Type /Catalog /Pages 2 0 R>>", b"<</Type /Pages /Kids []>>"))
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        (ref,) = find_pages([tmp_path])
        with pytest.raises(UnreadableImageError, match="the PDF is damaged"):
            read_scan(ref)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(megapixels=0.5), "too large.*--max-megapixels"),
        (Limits(pages=2), "more than 2 pages.*--max-pages"),
        (Limits(megabytes=0.001), "more than 0.001 MB.*--max-megabytes"),
    ],
)
def test_a_limit_can_be_set_and_is_named_where_it_strikes(limits, reason, tmp_path):
    from PIL import Image

    pages = [Image.new("L", (1000, 700), shade) for shade in (10, 20, 30)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    for ref in find_pages([tmp_path], limits=limits)[:1]:
        with pytest.raises(Exception, match=reason):
            read_scan(ref, limits)
    refs = find_pages([tmp_path])
    assert len(refs) == 3 and read_scan(refs[2]).pixels.shape == (700, 1000)


def test_limits_reach_the_command_and_can_be_raised(tmp_path):
    write_slip(tmp_path)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.png").write_bytes(png(2000, 2000, b""))
    for megapixels, words in ((1, "too large, at most 1 million pixels"), (5, "")):
        grade(tmp_path, "--no-overlays", "--max-megapixels", megapixels)
        (row,) = table(tmp_path / "out/review.csv")
        assert (words in row["reason"]) if words else ("too large" not in row["reason"])


# ---------------------------------------------------------------- files whose pages cannot be counted


def count_apart(*paths, seconds):
    return find_pages(paths, count=CountingApart(limits=Limits(), page_timeout=seconds))


@pytest.mark.skipif(sys.platform != "linux", reason="bounds memory by what the kernel counts")
def test_a_pdf_whose_pages_cannot_be_counted_costs_the_command_only_itself(tmp_path):
    template = write_slip(tmp_path)
    save(slip_pixels(template, "11"), tmp_path / "scans/good.pdf")
    (tmp_path / "scans/greedy.pdf").write_bytes(pdf_of_tables(1 << 30, 1))
    command = [sys.executable, "-m", "omrgrade", "grade", "scans", "-t", "slip.yaml", "-o", "out"]
    run = subprocess.run([*command, "--no-overlays", "-q"], cwd=tmp_path)
    assert run.returncode == 4
    status = {row["source"]: row["status"] for row in table(tmp_path / "out/marks.csv")}
    assert status == {"scans/good.pdf": "ok", "scans/greedy.pdf": "unreadable"}
    (reason,) = (r["reason"] for r in table(tmp_path / "out/review.csv") if r["source"] == "scans/greedy.pdf")
    assert reason.startswith("its pages cannot be counted: "), "it takes 2.1 GB to count the one that it has"


@pytest.mark.parametrize("platform", ["linux", "another"])
def test_a_pdf_whose_pages_take_forever_to_count_costs_only_itself(platform, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", platform)
    (tmp_path / "a.pdf").write_bytes(drawn_pdf())
    (tmp_path / "b.pdf").write_bytes(pdf_of_tables(100 << 20, 1_000))
    (tmp_path / "c.pdf").write_bytes(b"%PDF-1.7 nothing more")
    refs = count_apart(tmp_path, seconds=1)
    assert [(Path(ref.path).name, ref.page) for ref in refs] == [
        ("a.pdf", 1), ("a.pdf", 2), ("a.pdf", 3), ("b.pdf", 1), ("c.pdf", 1),
    ]  # fmt: skip
    assert [ref.problem for ref in refs if ref.problem] == [
        "its pages cannot be counted: reading this page took longer than --page-timeout 1 s"
    ]
    with pytest.raises(UnreadableImageError, match="cannot be counted"):
        read_scan(refs[3])


def test_a_process_that_counts_is_started_only_for_pdfs(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("a process")

    monkeypatch.setattr("omrgrade.engine.pool.start_worker", refuse)
    for name in ("a.png", "b.tif", "c.jpg", "d.pdf"):
        (tmp_path / name).write_bytes(
            good_scans()[{"b.tif": "pages.tif", "d.pdf": "drawn.pdf"}.get(name, "grey.png")]
        )
    assert len(count_apart(*(tmp_path / name for name in ("a.png", "b.tif", "c.jpg")), seconds=1)) == 5
    assert len(find_pages([tmp_path])) == 8, "nor by the library unasked"
    with pytest.raises(AssertionError, match="a process"):
        count_apart(tmp_path, seconds=1)


# ---------------------------------------------------------------- names, formulas, markup

NAMES = (
    "../../up.png",
    "/etc/passwd",
    "..",
    "a/../../b.png",
    "\\..\\c.png",
    "C:\\d.png",
    "nul\0.png",
    "." * 300,
    "x" * 999,
)


def test_no_file_name_leads_out_of_the_results():
    for name in file_names([PageReading(source=source, page=1) for source in NAMES]):
        assert "/" not in name and "\\" not in name and "\0" not in name
        assert name not in ("", ".", "..") and not name.startswith(".") and len(name.encode()) < 200


def test_no_cell_of_any_table_starts_a_formula(tmp_path):
    """Whatever a roster, a key or a file name says."""
    write_slip(tmp_path)
    (tmp_path / "scans").mkdir()
    (tmp_path / "=1+2.png").write_bytes(b"")
    quoted = [text.replace('"', '""') for text in FORMULAS + MARKUP]
    lines = [f'"{text}","{text}"' for text in quoted]
    (tmp_path / "roster.csv").write_text("\n".join(["student_id,name", *lines]) + "\n", encoding="utf-8")
    result = grade(tmp_path, "--no-overlays", "-r", "roster.csv", scans="=1+2.png")
    assert result.exit_code == 3, result.output
    found = 0
    for path in (tmp_path / "out").glob("*.csv"):
        for row in table(path):
            for cell in row.values():
                found += 1
                assert not re.match(r"[=+\-@\t\r\n＝＋－＠]", cell or "") or re.fullmatch(
                    r"-?\d+(\.\d+)?", cell
                )
    assert found > len(lines)


def test_no_text_from_a_file_becomes_markup_in_the_report(tmp_path):
    write_slip(tmp_path)
    names = ["<script>alert(1)<", "'-alert(1)-'", "&lt;b&gt;", '"><img src=x onerror=alert(1)>']
    for name in names:
        (tmp_path / f"{name}.png").write_bytes(b"")
    quoted = [text.replace('"', '""') for text in MARKUP]
    roster = "\n".join(["student_id,name", *(f'{n},"{text}"' for n, text in enumerate(quoted))])
    (tmp_path / "roster.csv").write_text(roster + "\n", encoding="utf-8")
    grade(tmp_path, "--no-overlays", "-r", "roster.csv", scans=".")
    pages = list((tmp_path / "out").rglob("*.html"))
    assert pages
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for bad in ("<script>alert(1)", "<img src=x", "onerror=alert(1)>"):
            assert bad not in text


def test_a_number_of_a_billion_digits_is_no_number():
    from omrgrade.grading.scoring import _number

    assert _number("1e999999999") is None and _number("1e3") == 1000


# ---------------------------------------------------------------- models


def test_a_model_that_is_not_the_one_of_its_card_is_refused(tmp_path):
    import shutil

    from omrgrade.classify import load_classifier
    from omrgrade.resources import bundled

    for end in ("onnx", "json"):
        shutil.copy(bundled("models", f"digits.{end}"), tmp_path / f"m.{end}")
    load_classifier(tmp_path / "m.onnx")
    data = bytearray((tmp_path / "m.onnx").read_bytes())
    data[-1] ^= 1
    (tmp_path / "m.onnx").write_bytes(data)
    with pytest.raises(ModelError, match="not the one its card describes"):
        load_classifier(tmp_path / "m.onnx")
    write_slip(tmp_path)
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans/a.png").write_bytes(b"")
    result = grade(tmp_path, "--model", "m.onnx")
    assert isinstance(result.exception, ModelError) and not (tmp_path / "out").exists()


def test_the_bundled_model_has_the_hash_of_its_card():
    import hashlib

    from omrgrade.classify import load_classifier, model_files

    assert load_classifier().card.sha256 == hashlib.sha256(model_files()[0]).hexdigest()
