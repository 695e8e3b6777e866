"""Readings as partitioned Parquet say what readings.csv says."""

import pytest
from classroom import grade, save, slip_pixels, table, write_slip

from omrgrade.outputs import partitions

pytest.importorskip("pyarrow")


def test_parquet_files_hold_the_rows_of_the_csv_in_order(tmp_path, monkeypatch):
    import pandas as pd

    template = write_slip(tmp_path)
    for pupil in ("11", "12"):
        save(slip_pixels(template, pupil), tmp_path / f"scans/{pupil}.png")
    grade(tmp_path, "--no-overlays", out="csv")
    monkeypatch.setattr(partitions, "ROWS", 7)
    assert grade(tmp_path, "--no-overlays", "--format", "parquet", out="parquet").exit_code == 0
    parts = sorted((tmp_path / "parquet/readings").iterdir())
    assert len(parts) == 3 and not (tmp_path / "parquet/readings.csv").exists()
    expected = table(tmp_path / "csv/readings.csv")
    found = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
    assert list(found.columns) == list(expected[0]) and len(found) == len(expected)
    for row, line in zip(found.to_dict("records"), expected, strict=True):
        assert [row[name] for name in ("source", "field", "value", "status")] == [
            line[name] for name in ("source", "field", "value", "status")
        ]
        assert row["confidence"] == pytest.approx(float(line["confidence"]), abs=1e-4)
        assert (line["points"] == "") == pd.isna(row["points"])
