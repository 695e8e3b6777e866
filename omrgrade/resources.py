"""Where the bundled templates, models and samples are: in the wheel or beside the package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def bundled(*parts: str) -> Path:
    """Path of a bundled file, e.g. ``bundled("models", "digits.onnx")``; it need not exist.

    A wheel carries the folders inside the package (`omrgrade/_bundled`); a checkout at its top level.
    """
    inside = _PACKAGE / "_bundled"
    return (inside if inside.is_dir() else _PACKAGE.parent).joinpath(*parts)
