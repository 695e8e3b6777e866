"""run.json: how the marks came about. The only output that differs between two identical runs."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from omrgrade import __version__
from omrgrade.outputs import items
from omrgrade.outputs.results import Results

# What a reading depends on, by the name of its distribution.
_PACKAGES = {"opencv": "opencv-python-headless", "numpy": "numpy", "onnxruntime": "onnxruntime"}


def document(results: Results) -> dict[str, object]:
    """The contents, as JSON types."""
    batch, run = results.batch, results.run
    return {
        "versions": {
            "omrgrade": __version__,
            "python": platform.python_version(),
            **{name: _version(distribution) for name, distribution in _PACKAGES.items()},
        },
        "sha256": {
            "template": results.template.digest,
            "key": results.key.digest if results.key else None,
            "roster": results.roster.digest if results.roster else None,
            "model": run.model or None,
        },
        "template": results.template.name,
        "settings": run.settings,
        "counts": {
            "pages": len(batch.pages),
            "unreadable": batch.unreadable,
            "to_review": batch.to_review,
            "absent": len(batch.absent),
            "sheets_by_status": dict(sorted(Counter(sheet.status for sheet in batch.rows).items())),
        },
        "statistics": items.summary(items.statistics(results)) if results.key else None,
        "interrupted": batch.interrupted,
        "started": run.started or None,
        "seconds": round(batch.seconds, 3),
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:  # e.g. OpenCV from the system
        return None


def render(results: Results) -> Iterator[tuple[str, bytes]]:
    """The file."""
    text = json.dumps(document(results), indent=2, ensure_ascii=False, default=str)
    yield "run.json", (text + "\n").encode("utf-8", errors="backslashreplace")
