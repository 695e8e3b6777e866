"""What the README shows is what happens: its commands run, its marks are those of the samples.

`UPDATE_README=1 pytest tests/test_readme.py` renews the marks shown.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
BASH = re.findall(r"^```bash\n(.*?)^```", TEXT, re.M | re.S)
QUICK = {  # a real training takes the better part of an hour
    "train": ["--limit", "300", "--epochs", "1", "--min-accuracy", "0"],
    "evaluate": ["--min-accuracy", "0"],
}


def run(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "80"}
    command = [sys.executable, "-m", "omrgrade", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=environment)


def commands(blocks: list[str]) -> list[list[str]]:
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [shlex.split(line, comments=True) for line in lines]


def first_command() -> list[str]:
    words = shlex.split(BASH[0])
    return words[words.index(".venv/bin/omrgrade") + 1 :]


def test_the_first_two_blocks_are_the_two_commands():
    assert "pip install" in BASH[0] and "omrgrade grade samples/scans" in BASH[0]
    assert BASH[1].rstrip().endswith(".venv/bin/pytest")
    assert len(commands(BASH[:2])) == 2


@pytest.fixture(scope="module")
def samples_graded(tmp_path_factory):
    arguments = first_command()
    out = tmp_path_factory.mktemp("samples")
    arguments[arguments.index("--output") + 1] = str(out)
    return run(arguments, ROOT), out


def test_the_marks_shown_are_those_of_the_samples(samples_graded):
    result, _ = samples_graded
    assert result.returncode == 0, result.stderr
    shown = re.search(r"<!-- marks -->\n```text\n(.*?)```\n<!-- end of marks -->", TEXT, re.S)
    if os.environ.get("UPDATE_README"):
        README.write_text(TEXT[: shown.start(1)] + result.stdout + TEXT[shown.end(1) :], encoding="utf-8")
    else:
        assert shown[1] == result.stdout


def test_every_other_command_runs_one_after_the_other(tmp_path):
    for words in commands(BASH[2:]):
        assert words[0] == "omrgrade"
        result = run(words[1:] + QUICK.get(words[1], []), tmp_path)
        assert result.returncode == 0, f"{words}: {result.stderr}"


def test_the_commands_that_wait_for_a_person_are_there():
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, re.M | re.S)
    named = {words[1] for words in commands(blocks) if words[0] == "omrgrade"}
    assert {"grade", "review", "export"} <= named
    for name in named:
        assert run([name, "--help"], ROOT).returncode == 0


def test_the_python_example_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    (example,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)
    exec(compile(example, "README.md", "exec"), {})
    assert capsys.readouterr().out.strip()


def test_links_and_pictures_are_there():
    targets = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert len(targets) >= 6
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_every_dependency_is_justified():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.match(r"[A-Za-z0-9_-]+", spec)[0] for spec in project["dependencies"]]
    table = TEXT[TEXT.index("## What gets installed") :]
    assert [name for name in names if name not in table] == []
