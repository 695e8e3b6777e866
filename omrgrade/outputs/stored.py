"""Results from a run's folder: what the machine read, people corrected, and the key says now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from omrgrade.corrected import other_templates
from omrgrade.corrections import Corrections, standing
from omrgrade.corrections import page_digest as corrected_digest
from omrgrade.cropping import upright_preview
from omrgrade.errors import PageError
from omrgrade.images import page_digest, read_scan
from omrgrade.kept import RUN_FILE, KeptRun, kept_run, marked
from omrgrade.outputs.results import Results
from omrgrade.records import Batch, PageReading, PageRef, Scan, Template
from omrgrade.store import Store, storable


def load_results(out: str | Path) -> Results:
    """The results kept in folder `out`, with every correction, marked by the kept key and roster.

    No scan, key or template file is looked at. `OutputError` if `out` holds no finished run.
    """
    with open_run(out) as store:
        run = kept_run(store)
        return stored_results(store, run, marked(store, run))


def open_run(out: str | Path) -> Store:
    """The run's file in folder `out`; `OutputError` if there is none."""
    return Store.open(Path(out) / RUN_FILE)


def stored_results(store: Store, run: KeptRun, batch: Batch) -> Results:
    """A marked run as results; their previews come from the run's file, opened anew for each."""
    return Results(
        batch=batch,
        template=run.template,
        key=run.key,
        roster=run.roster,
        run=run.info,
        preview=preview_of(store.path, run),
        corrections=Corrections(store).entries(),
        others=other_templates(store, run.template),
    )


def preview_of(path: Path, run: KeptRun) -> Callable[[PageReading], bytes]:
    """Gives the JPEG of a page, as it was read last; b"" where there is none."""

    def preview(page: PageReading) -> bytes:
        with Store.open(path) as store:
            log = Corrections(store)
            digest = corrected_digest(page, run.template)
            again = [
                entry.id
                for entry in standing(log.entries(page=(page.source, page.page)))
                if entry.action == "reread" and entry.digest == digest
            ]
            kept = log.preview(again[-1]) if again else store.preview(storable(page.source), page.page)
            return kept or _from_scan(
                page, other_templates(store, run.template).get(page.template, run.template)
            )

    return preview


def _from_scan(page: PageReading, template: Template) -> bytes:
    """The JPEG of a page that was graded without keeping one, if its scan is still what was read."""
    scan = scan_of(page) if page.registration else None
    if page.registration is None or scan is None:
        return b""
    return upright_preview(scan, page.registration, template)


def scan_of(page: PageReading) -> Scan | None:
    """The scan that a page was read from, if it is still where and what it was then.

    One that could not be opened is not tried again: it may have crashed its worker.
    """
    if not page.digest or not Path(page.source).is_file():
        return None
    try:
        scan = read_scan(PageRef(path=page.source, page=page.page))
    except PageError:
        return None
    return scan if page_digest(scan) == page.digest else None
