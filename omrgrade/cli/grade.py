"""``omrgrade grade``: read and mark scanned sheets."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from omrgrade.cli import INTERRUPTED
from omrgrade.cli.following import needs_review, say_next
from omrgrade.cli.running import counter_for, engine_for, inputs, policy_for, progress

if TYPE_CHECKING:
    from omrgrade.engine import Engine
    from omrgrade.outputs.results import Results
    from omrgrade.records import (
        AnswerKey,
        Batch,
        Limits,
        ModelCard,
        PageRef,
        Policy,
        Roster,
        RunInfo,
        Template,
    )
    from omrgrade.store import Store

MOST_OVERLAYS = 100
"""Pages of which pictures are written unasked: a class is leafed through, a thousand sheets are not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What the command was given: see its help."""

    scans: tuple[str, ...]
    template_names: tuple[str, ...]
    collate: str
    key_path: Path | None
    roster_path: Path | None
    output: Path
    model: Path | None
    accept: float | None
    max_error: float | None
    jobs: int | None
    form: str
    cluster: str | None
    page_timeout: float
    max_megapixels: float
    max_pages: int
    max_megabytes: float
    overlays: str | None
    no_overlays: bool
    fail_on_review: bool
    verbose: bool
    quiet: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """All that is known before reading begins."""

    template: Template
    key: AnswerKey | None
    roster: Roster | None
    pages: Sequence[PageRef]
    limits: Limits
    card: ModelCard
    policy: Policy
    jobs: int
    engine: Engine | None
    drawn: str  # pages to draw: all, doubtful, none
    started: datetime
    clock: float


@click.command("grade")
@click.argument("scans", nargs=-1, required=True, type=click.Path())
@click.option(
    "-t",
    "--template",
    "template_names",
    required=True,
    multiple=True,
    help="Template file, or a bundled one's name. Several pages a pupil: once for each, first page first.",
)
@click.option(
    "--collate",
    type=click.Choice(["identifier", "order"]),
    default="identifier",
    show_default=True,
    help="How the pages of one pupil are known: by what stands on them, or by the order of the scans.",
)
@click.option("-k", "--key", "key_path", type=click.Path(path_type=Path), help="Answer key (CSV or XLSX).")
@click.option("-r", "--roster", "roster_path", type=click.Path(path_type=Path), help="Pupils (CSV or XLSX).")
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for marks and overlays."
)
@click.option(
    "--model", type=click.Path(path_type=Path), help="Digit model (.onnx); default: the bundled one."
)
@click.option(
    "--accept",
    type=click.FloatRange(0, 1),
    help="Confidence a digit must have: higher sends more to review. Default: the model's own.",
)
@click.option(
    "--max-error",
    type=click.FloatRange(0, 1, min_open=True),
    help="Instead of --accept: the share of accepted digits that may be wrong, e.g. 0.001.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1),
    default=None,
    help="Processes that read pages; default: one a core, for small batches one.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet"]),
    default="csv",
    show_default=True,
    help="Of the readings: readings.csv, or for large runs a folder of Parquet (needs omrgrade[parquet]).",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Read on a Dask cluster: its scheduler's address, or: local. Needs omrgrade[cluster].",
)
@click.option(
    "--page-timeout",
    type=click.FloatRange(0, min_open=True),
    default=120,
    show_default=True,
    help="Seconds after which a page is read again alone, and then given up.",
)
@click.option(
    "--max-megapixels",
    type=click.FloatRange(1),
    default=170,
    show_default=True,
    help="Of a page, million pixels.",
)
@click.option("--max-pages", type=click.IntRange(1), default=5000, show_default=True, help="Of a file.")
@click.option("--max-megabytes", type=click.FloatRange(1), default=500, show_default=True, help="Of a file.")
@click.option(
    "--overlays",
    type=click.Choice(["all", "doubtful", "none"]),
    default=None,
    help=f"Pages to write marked pictures of; default: all of up to {MOST_OVERLAYS} pages, none of more.",
)
@click.option("--no-overlays", is_flag=True, help="The same as --overlays none.")
@click.option("--fail-on-review", is_flag=True, help="Exit with 5 when readings await review.")
@click.option("-v", "--verbose", is_flag=True, help="Name every page as it is read.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing but errors.")
def command(**given: Any) -> None:
    """Read SCANS (files, folders or URLs of JPEG, PNG, TIFF, PDF) and mark them.

    Writes marks.csv, readings.csv, review.csv (what to look at, least sure first), absent.csv, run.json and
    a marked picture of every page; of several pages a pupil also pages.csv (which are missing or double).
    Prints the marks to stdout, a summary to stderr.

    --max-error keeps its promise with 95 % confidence on paper like that of the model's calibration set (see
    the model card, and omrgrade calibrate to use your own).

    Exit codes: 0 done, 3 nothing could be graded, 4 some pages unreadable or missing, 5 readings await
    review (only with --fail-on-review), 130 stopped by Ctrl-C (what was read is kept and marked).
    """
    options = Options(**given)
    if options.accept is not None and options.max_error is not None:
        raise click.UsageError("--accept and --max-error both set the threshold: give one of them")
    if options.collate == "order" and len(options.template_names) == 1:
        raise click.UsageError("--collate order is for several pages a pupil: give -t once for each")
    job = _begin(options)
    from omrgrade.kept import RUN_FILE
    from omrgrade.staging import check_directory, check_no_file
    from omrgrade.store import Store

    check_no_file(options.output)
    gc.freeze()  # what has been loaded stays: it need not be searched for garbage again and again
    with Store.resume(options.output / RUN_FILE) as store:
        check_directory(options.output)
        results = _read(options, job, store)
        _write(options, job, results)
    batch = results.batch
    if not options.quiet and not batch.interrupted:
        say_next(options.output, review=needs_review(batch))
    sys.exit(INTERRUPTED if batch.interrupted else batch.exit_code(fail_on_review=options.fail_on_review))


def _begin(options: Options) -> _Job:
    """Find the pages, load what they are to be read with, start what reads them."""
    started, clock = datetime.now().astimezone(), time.monotonic()
    from omrgrade.engine import default_jobs
    from omrgrade.records import Limits

    limits = Limits(
        megapixels=options.max_megapixels, pages=options.max_pages, megabytes=options.max_megabytes
    )
    engine = partial(engine_for, page_timeout=options.page_timeout, cluster=options.cluster, limits=limits)
    early = engine(options.jobs) if options.jobs else None
    from omrgrade.images import find_pages

    template, key, roster = inputs(
        options.template_names, options.collate == "order", options.key_path, options.roster_path
    )
    own = [options.output, options.output / "overlays"]
    own += [path for path in (options.key_path, options.roster_path) if path]
    count = counter_for(options.page_timeout, limits)
    pages = find_pages(options.scans, exclude=own, limits=limits, count=count)
    jobs = options.jobs or default_jobs(len(pages))
    running = early or engine(jobs)
    from omrgrade.classify import load_card  # workers load what they need meanwhile

    card = load_card(options.model)
    return _Job(
        template=template,
        key=key,
        roster=roster,
        pages=pages,
        limits=limits,
        card=card,
        policy=policy_for(card, options.accept, options.max_error),
        jobs=jobs,
        engine=running,
        drawn=_drawn(options, len(pages)),
        started=started,
        clock=clock,
    )


def _drawn(options: Options, pages: int) -> str:
    """Of which pages marked pictures are written."""
    if options.no_overlays:
        return "none"
    return options.overlays or ("all" if pages <= MOST_OVERLAYS else "none")


def _read(options: Options, job: _Job, store: Store) -> Results:
    """Read and mark the pages; what was read, and with what, is kept in the store."""
    from omrgrade.kept import KeptRun, keep_run
    from omrgrade.pipeline import grade_batch

    with progress(len(job.pages), verbose=options.verbose, quiet=options.quiet) as tell:
        batch = grade_batch(
            job.pages,
            job.template,
            job.key,
            job.roster,
            model=options.model,
            policy=job.policy,
            jobs=job.jobs,
            store=store,
            page_timeout=options.page_timeout,
            cluster=options.cluster,
            limits=job.limits,
            engine=job.engine,
            previews=job.drawn != "none",
            progress=tell,
        )
    batch = replace(batch, seconds=time.monotonic() - job.clock)
    run = KeptRun(
        template=job.template,
        key=job.key,
        roster=job.roster,
        info=_run_info(options, job),
        model=str(options.model.resolve()) if options.model else "",
        seconds=batch.seconds,
        interrupted=batch.interrupted,
    )
    keep_run(store, run)
    from omrgrade.outputs.results import doubtful_pages
    from omrgrade.outputs.stored import stored_results

    results = stored_results(store, run, batch)
    return replace(results, redraw=doubtful_pages(batch)) if job.drawn == "doubtful" else results


def _write(options: Options, job: _Job, results: Results) -> None:
    """Write all files; say what came out as soon as the tables are there."""
    from omrgrade.outputs import WRITERS, write_results

    write = partial(write_results, results, options.output)
    tables = [name for name in WRITERS if name not in ("overlays", "readings")]
    write(formats=["parquet" if options.form == "parquet" else "readings", *tables])
    if not options.quiet:
        _say(results.batch, options.output, job.template, job.key)
        if job.drawn == "none" and options.overlays is None and not options.no_overlays:
            click.echo("Marked pictures of so many pages only on demand: --overlays all", err=True)
        if results.batch.to_review:
            click.echo(f"Look first at: {options.output / 'review.csv'}", err=True)
    if job.drawn != "none":  # last, and on their own: a full disk or Ctrl-C then leaves the tables
        write(formats=["overlays"])


def _say(batch: Batch, output: Path, template: Template, key: AnswerKey | None) -> None:
    """The marks, what is to be known about them, and where all of it is."""
    from omrgrade.key import unkeyed_items
    from omrgrade.outputs.summary import marks_table, summary

    click.echo(marks_table(batch))
    click.echo(summary(batch, unkeyed=unkeyed_items(template, key) if key else ()), err=True)
    click.echo(f"Results: {output}", err=True)
    click.echo(f"Report: {output / 'report.html'}", err=True)


def _run_info(options: Options, job: _Job) -> RunInfo:
    from omrgrade.records import RunInfo

    settings = {"scans": list(options.scans), "jobs": job.jobs, "policy": asdict(job.policy)}
    started = job.started.isoformat(timespec="seconds")
    return RunInfo(started=started, model=job.card.sha256, settings=settings)
