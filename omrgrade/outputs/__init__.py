"""A graded batch as files: one module a format, named in WRITERS."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from omrgrade.errors import OutputError
from omrgrade.outputs import (
    absent,
    corrections,
    items,
    marklist,
    marks,
    overlays,
    pages,
    partitions,
    readings,
    report,
    review,
    run,
)
from omrgrade.outputs.results import Results, own_preview
from omrgrade.outputs.stored import load_results
from omrgrade.records import AnswerKey, Batch, PageReading, Roster, RunInfo, Template
from omrgrade.staging import staged

__all__ = ["WRITERS", "load_results", "write_outputs", "write_results"]

Contents = bytes | Iterable[bytes] | None
"""Of a file: whole, part by part, or None for a file that must not be there."""
Writer = Callable[[Results], Iterator[tuple[str, Any]]]
"""Yields (file name under the results, `Contents`), file by file."""

WRITERS: dict[str, Writer] = {
    "marks": marks.render,
    "readings": readings.render,
    "review": review.render,
    "absent": absent.render,
    "pages": pages.render,
    "marklist": marklist.render,
    "items": items.render,
    "report": report.render,
    "corrections": corrections.render,
    "run": run.render,
    "overlays": overlays.render,
}
ON_DEMAND: dict[str, Writer] = {"parquet": partitions.render}
"""Formats that are written only when asked for by name."""


def write_outputs(
    batch: Batch,
    directory: str | Path,
    *,
    template: Template,
    key: AnswerKey | None = None,
    roster: Roster | None = None,
    run_info: RunInfo | None = None,
    preview: Callable[[PageReading], bytes] = own_preview,
    formats: Sequence[str] = tuple(WRITERS),
    progress: Callable[[str], object] | None = None,
) -> tuple[Path, ...]:
    """Write a batch to `directory` in these formats (keys of `WRITERS`, `ON_DEMAND`); the paths written.

    Nothing appears until all of it is written; then each file is renamed into place over an older one.
    `preview` gives the JPEG of a page, or b"" where there is none, and is asked for one page at a time.
    `progress` is called with the name of each file as it is done.
    """
    results = Results(
        batch=batch,
        template=template,
        key=key,
        roster=roster,
        run=run_info or RunInfo(),
        preview=preview,
    )
    return write_results(results, directory, formats=formats, progress=progress)


def write_results(
    results: Results,
    directory: str | Path,
    *,
    formats: Sequence[str] = tuple(WRITERS),
    progress: Callable[[str], object] | None = None,
) -> tuple[Path, ...]:
    """Write results, e.g. those of `load_results`, as `write_outputs` does a batch."""
    unknown = [name for name in formats if name not in {**WRITERS, **ON_DEMAND}]
    if unknown:
        raise OutputError("no such format", fix=f"choose from {', '.join(WRITERS)}", received=unknown[0])
    with staged(Path(directory)) as staging:
        for name, data in _files(results, formats):
            if data is None:
                staging.remove(name)
            else:
                staging.write(name, data)
                if progress:
                    progress(name)
        return staging.publish(Path(directory))


def _files(results: Results, formats: Iterable[str]) -> Iterator[tuple[str, Contents]]:
    for name in formats:
        yield from {**WRITERS, **ON_DEMAND}[name](results)
