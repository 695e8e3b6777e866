"""Imports go one way (DESIGN section 2), and grading never loads the heavy packages."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "omrgrade"
VOCABULARY = {"records", "errors", "resources", "codec", "lock", "placing", ""}
STAGES = {
    "images", "registration", "cropping", "normalize", "classify", "boxes", "numbers", "choices", "fields",
    "grading", "itemstats", "metrics", "snapshots", "barcodes",
}  # fmt: skip
INPUTS = {"template", "key", "roster", "tables"}
MIDDLE = {
    "pipeline",
    "reading",
    "engine",
    "cluster",
    "store",
    "database",
    "rows",
    "resume",
    "corrections",
    "corrected",
    "marking",
    "kept",
    "rescoring",
    "longrun",
    "staging",
}
TOP = {"outputs", "review", "training", "render", "simulate", "forms"}
MAY_IMPORT = {
    **dict.fromkeys(VOCABULARY, VOCABULARY),
    **dict.fromkeys(STAGES | INPUTS, VOCABULARY),
    **dict.fromkeys(("key", "roster"), VOCABULARY | {"tables"}),
    **dict.fromkeys(MIDDLE, VOCABULARY | STAGES | INPUTS | MIDDLE),
    **dict.fromkeys(TOP, VOCABULARY | STAGES | INPUTS | MIDDLE | TOP),
    "cli": VOCABULARY | STAGES | INPUTS | MIDDLE | TOP,
}
HEAVY = {
    "tensorflow",
    "keras",
    "pandas",
    "sklearn",
    "matplotlib",
    "flask",
    "distributed",
    "dask",
    "fsspec",
    "pyarrow",
    "onnxruntime",
}


def modules():
    return sorted(p for p in PACKAGE.rglob("*.py") if p.name != "__main__.py")


def unit(path: Path) -> str:
    """The design's name for a file: its module, or its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "" if parts == ("__init__",) else parts[0]


def imports(tree: ast.AST):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path):
    if path == PACKAGE / "__init__.py":
        return  # the public names are forwarded lazily from wherever they live
    here = unit(path)
    for name in imports(ast.parse(path.read_text())):
        if name.startswith("omrgrade."):
            there = name.split(".")[1]
            there = "" if there.startswith("__") else there
            assert there == here or there in MAY_IMPORT[here], f"{path.name} imports {name}"
        if name.split(".")[0] == "click":
            assert here == "cli"
        if name.split(".")[0] in {"tensorflow", "keras"}:
            assert here == "training"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_imports_stand_inside_functions(path):
    tree = ast.parse(path.read_text())
    top = [n for n in tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
    found = {name.split(".")[0] for name in imports(ast.Module(body=top, type_ignores=[]))}
    assert not found & HEAVY


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from click.testing import CliRunner; from omrgrade.cli import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0\n"
        f"print(sorted({HEAVY | {'cv2', 'numpy', 'skimage'}} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
