"""omrgrade: scanned answer sheets in, marks out, doubts flagged."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# name -> module; loaded when first used, so that `import omrgrade` costs nothing.
_PUBLIC = {
    "load_template": "template",
    "load_key": "key",
    "load_roster": "roster",
    "load_classifier": "classify",
    "read_boxes": "pipeline",
    "read_page": "pipeline",
    "grade_batch": "pipeline",
    "write_outputs": "outputs",
}
__all__ = [*_PUBLIC, "__version__"]

if TYPE_CHECKING:
    from omrgrade.classify import load_classifier as load_classifier
    from omrgrade.key import load_key as load_key
    from omrgrade.outputs import write_outputs as write_outputs
    from omrgrade.pipeline import grade_batch as grade_batch
    from omrgrade.pipeline import read_boxes as read_boxes
    from omrgrade.pipeline import read_page as read_page
    from omrgrade.roster import load_roster as load_roster
    from omrgrade.template import load_template as load_template


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'omrgrade' has no attribute {name!r}")
    return getattr(importlib.import_module(f"omrgrade.{_PUBLIC[name]}"), name)
