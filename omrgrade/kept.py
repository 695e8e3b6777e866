"""What a run was made with, kept in its file: template, key, roster and settings.

So that reviewing, scoring and exporting need nothing but the results' folder, even when the scans, the key
and the template have moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from omrgrade.codec import from_text, to_text
from omrgrade.corrected import other_templates
from omrgrade.errors import OutputError
from omrgrade.longrun import run_pages
from omrgrade.marking import mark_batch
from omrgrade.records import AnswerKey, Batch, Roster, RunInfo, Template
from omrgrade.store import Store

RUN_FILE = "run.sqlite"
"""The run's file in the results' folder."""
_PARTS = ("template", "key", "roster", "info", "model", "seconds", "interrupted")


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptRun:
    """All that a run's marks follow from, besides its pages."""

    template: Template
    key: AnswerKey | None = None
    roster: Roster | None = None
    info: RunInfo = field(default_factory=RunInfo)
    model: str = ""  # path of the ONNX file; "": the bundled one
    seconds: float = 0.0
    interrupted: bool = False


def keep_run(store: Store, run: KeptRun) -> None:
    """Keep it in the run's file, in place of what was kept before."""
    store.set_meta({f"run.{part}": to_text(getattr(run, part)) for part in _PARTS})


def kept_run(store: Store) -> KeptRun:
    """What `keep_run` kept; `OutputError` if nothing was."""
    meta = store.meta()
    if "run.template" not in meta:
        raise OutputError("this run was never finished", where=str(store.path), fix="grade the scans again")
    found = {part: from_text(meta[f"run.{part}"], where=str(store.path)) for part in _PARTS}
    return KeptRun(**found)


def marked(store: Store, run: KeptRun) -> Batch:
    """The run as it stands now: what the machine read and people corrected, marked."""
    pages, others = run_pages(store, run.template), other_templates(store, run.template)
    batch = mark_batch(pages, run.template, run.key, run.roster, others)
    return replace(batch, seconds=run.seconds, interrupted=run.interrupted)
