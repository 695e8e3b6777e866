"""A quick class: a small sheet, a few pupils' pages, and `omrgrade grade` run on them."""

import contextlib
import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
from click.testing import CliRunner
from PIL import Image

from omrgrade.cli import cli
from omrgrade.simulate import simulate_page
from omrgrade.template import load_template

SLIP = """\
omrgrade: 1
name: slip
title: Slip
page: [105, 148]
registration: {method: aruco, dictionary: 4x4_50, ids: [20, 21, 22, 23], size: 8, margin: 6}
fields:
  - {id: pupil, kind: grid, role: identifier, options: "0123456789", boxes: 2,
     at: [70, 24], size: [4.5, 4.5], gap: [5, 1.5]}
  - {id: q1..q6, kind: choice, role: item, options: ABCD, at: [22, 26], size: [5, 5], gap: 4, step: [0, 10]}
  - {id: n1..n3, kind: digits, role: item, boxes: 2, at: [22, 96], size: [9, 11], gap: 3, step: [30, 0],
     wrap: {after: 2, step: [0, 16]}}
"""
KEY = "item,answer,points\nq1,A,1\nq2,B,1\nq3,C,1\nq4,D,1\nq5,A,1\nq6,B|C,2\nn1,12,2\nn2,7,2\nn3,40,2\n"
ROSTER = "student_id,name\n11,Ada Abel\n12,Ben Berg\n13,Cleo Cole\n14,Dara Diaz\n"

QUESTIONS = ("q1", "q2", "q3", "q4", "q5", "q6", "n1", "n2", "n3")
ANSWERS = {
    "11": dict(zip(QUESTIONS, ("A", "B", "C", "D", "A", "B", "12", "7", "40"), strict=True)),
    "12": dict(zip(QUESTIONS, ("A", "C", "", "D", "B", "C", "21", "", "40"), strict=True)),
    "13": dict(zip(QUESTIONS, ("D", "B", "A+C", "", "A", "A", "12", "70", "4"), strict=True)),
    "14": dict(zip(QUESTIONS, ("", "B", "C", "C", "A", "D", "1", "7", ""), strict=True)),
}


def write_slip(folder):
    """The sheet, its key and its roster; the template."""
    for name, text in (("slip.yaml", SLIP), ("key.csv", KEY), ("roster.csv", ROSTER)):
        Path(folder, name).write_text(text)
    return load_template(Path(folder, "slip.yaml"))


def slip_pixels(template, pupil, *, turn=0, seed=None):
    """A pupil's filled slip at 200 dpi, (height, width) uint8."""
    values = {"pupil": pupil, **ANSWERS[pupil]}
    seed = int(pupil) if seed is None else seed
    page = simulate_page(template, seed=seed, profile="clean", values=values, turn=turn)
    size = round(page.image.shape[1] * 2 / 3), round(page.image.shape[0] * 2 / 3)
    return cv2.resize(page.image, size, interpolation=cv2.INTER_AREA)


def save(pixels, path, **options):
    """Write a picture in the format of its suffix, at 200 dpi."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, dpi=(200, 200), **options)
    return path


def grade(folder, *arguments, template="slip.yaml", key="key.csv", scans="scans", out="out"):
    """Run ``omrgrade grade`` in `folder`, so that paths in tables are the same wherever it is."""
    line = ["grade", scans, "-t", template, "-o", out, *(["-k", key] if key else []), *map(str, arguments)]
    with contextlib.chdir(folder):
        return CliRunner().invoke(cli, line)


def run_omrgrade(folder, *arguments, **options):
    """Run ``python -m omrgrade`` as a process of its own; what it printed and its exit code."""
    command = [sys.executable, "-m", "omrgrade", *map(str, arguments)]
    environment = {**os.environ, **options.pop("env", {})}
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, encoding="utf-8", env=environment, **options
    )


def table(path):
    """A CSV's rows."""
    return list(csv.DictReader(io.StringIO(Path(path).read_bytes().decode("utf-8"))))


def tables(folder):
    """The bytes of all CSVs of a run."""
    return {path.name: path.read_bytes() for path in sorted(Path(folder).glob("*.csv"))}
