"""Run by .ci/run in an environment that holds the wheel and nothing else, outside the checkout."""

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path

import omrgrade
from omrgrade.resources import bundled

assert "site-packages" in omrgrade.__file__, omrgrade.__file__
for name in ("tensorflow", "keras", "sklearn", "matplotlib", "pytest"):
    assert importlib.util.find_spec(name) is None, f"{name} came with the core install"
assert not bundled("models", "mnist.npz").exists(), "mnist.npz must not travel in the wheel"


def omrgrade_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "omrgrade", *arguments]
    return subprocess.run(command, capture_output=True, text=True)


samples = bundled("samples")
run = omrgrade_command(
    "grade", str(samples / "scans"), "-t", "mixed-letter", "-k", str(samples / "key.csv"),
    "-r", str(samples / "roster.csv"), "-o", "graded",
)  # fmt: skip
assert run.returncode == 0, run.stderr
with Path("graded/marks.csv").open(newline="", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
assert len(rows) >= 12, rows

from omrgrade.review.desk import Desk  # noqa: E402
from omrgrade.review.server import create_app  # noqa: E402

client = create_app(Desk("graded", who="nobody"), token="secret", write=list).test_client()
assert "Loading" in client.get("/?token=secret", follow_redirects=True, base_url="http://127.0.0.1:1").text
assert client.get("/static/review.js", base_url="http://127.0.0.1:1").status_code == 200
assert client.get("/api/state", base_url="http://127.0.0.1:1").json["doubts"]

assert omrgrade_command("sheet", "numeric-a4", "-o", "sheet.pdf").returncode == 0
assert Path("sheet.pdf").read_bytes().startswith(b"%PDF")
trained = omrgrade_command("train", "-o", "model")
assert trained.returncode == 3, trained
assert "omrgrade[train]" in trained.stderr, trained.stderr
print(f"wheel: {len(rows)} sample pages graded, sheet printed, review served, training asks for its extra")
