"""What goes into a run's file comes out again, in order, and trouble becomes a message."""

import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omrgrade.codec import from_text, to_text
from omrgrade.errors import OutputError
from omrgrade.records import BoxReading, FieldReading, PageReading, Registration
from omrgrade.store import Store

unit = st.floats(0, 1)
text = st.text(max_size=8)
status = st.sampled_from([("read", ""), ("blank", ""), ("review", "faint")])
boxes = st.builds(
    lambda s, **k: BoxReading(status=s[0], reason=s[1], **k),
    status, value=text, confidence=unit, runner_up=text, probabilities=st.lists(unit, max_size=3).map(tuple),
)  # fmt: skip
fields = st.builds(
    lambda s, **k: FieldReading(status=s[0], reason=s[1], **k),
    status, field=text, kind=text, value=text, confidence=unit, runner_up=text,
    boxes=st.lists(boxes, max_size=3).map(tuple),
)  # fmt: skip
finite = st.floats(allow_nan=False, allow_infinity=False)
registrations = st.builds(
    Registration,
    page_to_scan=st.tuples(*[st.tuples(finite, finite, finite)] * 3),
    residual=finite,
    rotation=st.sampled_from([0, 90, 180, 270]),
    method=text,
    landmarks=st.integers(0, 99),
)
surrogate_free = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
readings = st.builds(
    PageReading,
    source=surrogate_free, page=st.integers(1, 5), registration=st.none() | registrations,
    fields=st.lists(fields, max_size=3).map(tuple), problem=text, digest=text, preview=st.binary(max_size=9),
    template=surrogate_free,
)  # fmt: skip


def page(source="a.png", number=1, **more) -> PageReading:
    return PageReading(source=source, page=number, **more)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(readings, max_size=3), max_size=3))
def test_pages_come_back_as_they_were_in_input_order(tmp_path_factory, chunks):
    path = tmp_path_factory.mktemp("run") / "run.sqlite"
    seen, unique = set(), []
    for chunk in chunks:
        unique.append([r for r in chunk if (k := (r.source, r.page)) not in seen and not seen.add(k)])
    with Store.create(path) as store:
        for chunk in unique:
            store.add_pages(chunk)
    expected = [reading for chunk in unique for reading in chunk]
    with Store.open(path) as store:
        assert list(store.pages(previews=True)) == expected
        assert [r.preview for r in store.pages()] == [b""] * len(expected)
        assert [store.preview(r.source, r.page) for r in expected] == [r.preview for r in expected]
        assert len(store) == len(expected)


@settings(max_examples=40, deadline=None)
@given(st.lists(boxes, max_size=3).map(tuple))
def test_boxes_from_the_file_serve_like_those_that_were_kept(tmp_path_factory, made):
    reading = FieldReading(field="q", kind="digits", value="", confidence=1.0, status="blank", boxes=made)
    with Store.create(tmp_path_factory.mktemp("run") / "run.sqlite") as store:
        store.add_pages([page(fields=(reading,))])
        (kept,) = next(store.pages()).fields
    assert kept == reading and reading == kept and hash(kept) == hash(reading)
    assert [*kept.boxes] == [*made] and len(kept.boxes) == len(made) and kept.boxes[:2] == made[:2]
    assert from_text(to_text(kept)) == reading
    assert kept != replace(reading, boxes=(*made, BoxReading(value="", confidence=1.0, status="blank")))


def test_a_file_name_that_is_no_text_does_not_stop_the_run(tmp_path):
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    with Store.create(tmp_path / "run.sqlite") as store:
        store.add_pages([page(name, preview=b"jpeg")])
        assert store.preview(name, 1) == b"jpeg"
        assert [r.source for r in store.pages()] == ["caf\\udce9.png"]


def test_facts_about_the_run_are_kept(tmp_path):
    with Store.create(tmp_path / "run.sqlite") as store:
        store.set_meta({"model": "abc", "version": "1"})
        store.set_meta({"version": "2"})
        assert store.meta() == {"model": "abc", "version": "2"}


def test_a_second_run_replaces_the_first(tmp_path):
    path = tmp_path / "new" / "folder" / "run.sqlite"
    for name in ("a.png", "b.png"):
        with Store.create(path) as store:
            store.add_pages([page(name)])
    with Store.open(path) as store:
        assert [r.source for r in store.pages()] == ["b.png"]


def test_a_chunk_is_there_wholly_or_not_at_all(tmp_path):
    with Store.create(tmp_path / "run.sqlite") as store:
        store.add_pages([page("a.png")])
        with pytest.raises(OutputError, match="UNIQUE"):
            store.add_pages([page("b.png"), page("a.png")])
        store.add_pages([page("c.png")])
        assert [r.source for r in store.pages()] == ["a.png", "c.png"]


def test_a_killed_run_keeps_what_was_written(tmp_path):
    path = tmp_path / "run.sqlite"
    code = (
        "import os, sys; from omrgrade.store import Store; from omrgrade.records import PageReading\n"
        "store = Store.create(sys.argv[1])\n"
        "store.add_pages([PageReading(source='a', page=1)])\n"
        "store._database.execute('BEGIN'); store._database.execute(\"DELETE FROM pages\")\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -9
    with Store.open(path) as store:
        assert [r.source for r in store.pages()] == ["a"]


def test_a_full_disk_is_reported(tmp_path):
    with Store.create(tmp_path / "run.sqlite") as store:
        pages = store._database.execute("PRAGMA page_count").fetchone()[0]
        store._database.execute(f"PRAGMA max_page_count = {pages + 4}")
        store.add_pages([page("a.png")])
        with pytest.raises(OutputError, match=r"run\.sqlite: the run cannot be kept.*full"):
            store.add_pages([page("b.png", preview=bytes(100_000))])
        assert [r.source for r in store.pages()] == ["a.png"]


def test_an_unwritable_place_is_reported(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="the run cannot be kept"):
        Store.create(tmp_path / "file" / "run.sqlite")


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(OutputError, match="no run here"):
        Store.open(tmp_path / "missing.sqlite")
    (tmp_path / "text.sqlite").write_text("not a database, though long enough to have been one" * 10)
    with pytest.raises(OutputError, match="not a database"):
        Store.open(tmp_path / "text.sqlite")
    sqlite3.connect(tmp_path / "other.sqlite").execute("CREATE TABLE t (x)")
    with pytest.raises(OutputError, match=r"not a run.*another file"):
        Store.open(tmp_path / "other.sqlite")


def test_a_file_of_the_version_before_is_read_on(tmp_path):
    path = tmp_path / "run.sqlite"
    with Store.create(path) as store:
        store.add_pages([page(), page(number=2)])
    database = sqlite3.connect(path)
    database.executescript("ALTER TABLE pages DROP COLUMN template; PRAGMA user_version = 2;")
    database.close()
    for _ in range(2):
        with Store.open(path) as store:
            assert list(store.pages()) == [page(), page(number=2)]
    with Store.resume(path) as store:
        store.add_pages([page(number=3, template="back")])
        assert [found.template for found in store.pages()] == ["", "", "back"]
