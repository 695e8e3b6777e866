"""``omrgrade grade``: read and mark scanned sheets."""

from __future__ import annotations

import gc
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omrgrade.cli import INTERRUPTED, OWN_PROCESS
from omrgrade.cli.following import needs_review, say_next

if TYPE_CHECKING:
    from omrgrade.engine import Engine
    from omrgrade.records import (
        AnswerKey,
        Batch,
        Limits,
        ModelCard,
        PageReading,
        Policy,
        Roster,
        RunInfo,
        Template,
    )

MOST_OVERLAYS = 100
"""Pages of which pictures are written unasked: a class is leafed through, a thousand sheets are not."""


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
def command(
    scans: tuple[str, ...],
    template_names: tuple[str, ...],
    collate: str,
    key_path: Path | None,
    roster_path: Path | None,
    output: Path,
    model: Path | None,
    accept: float | None,
    max_error: float | None,
    jobs: int | None,
    form: str,
    cluster: str | None,
    page_timeout: float,
    max_megapixels: float,
    max_pages: int,
    max_megabytes: float,
    overlays: str | None,
    no_overlays: bool,
    fail_on_review: bool,
    verbose: bool,
    quiet: bool,
) -> None:
    """Read SCANS (files, folders or URLs of JPEG, PNG, TIFF, PDF) and mark them.

    Writes marks.csv, readings.csv, review.csv (what to look at, least sure first), absent.csv, run.json and
    a marked picture of every page; of several pages a pupil also pages.csv (which are missing or double).
    Prints the marks to stdout, a summary to stderr.

    --max-error keeps its promise with 95 % confidence on paper like that of the model's calibration set (see
    the model card, and omrgrade calibrate to use your own).

    Exit codes: 0 done, 3 nothing could be graded, 4 some pages unreadable or missing, 5 readings await
    review (only with --fail-on-review), 130 stopped by Ctrl-C (what was read is kept and marked).
    """
    if accept is not None and max_error is not None:
        raise click.UsageError("--accept and --max-error both set the threshold: give one of them")
    if collate == "order" and len(template_names) == 1:
        raise click.UsageError("--collate order is for several pages a pupil: give -t once for each")
    started, clock = datetime.now().astimezone(), time.monotonic()
    from omrgrade.engine import default_jobs
    from omrgrade.records import Limits

    limits = Limits(megapixels=max_megapixels, pages=max_pages, megabytes=max_megabytes)
    engine = _engine(jobs, page_timeout, cluster, limits) if jobs else None
    from omrgrade.images import find_pages

    template, key, roster = _load(template_names, collate == "order", key_path, roster_path)
    own = [output, output / "overlays", *(path for path in (key_path, roster_path) if path)]
    pages = find_pages(scans, exclude=own, limits=limits)
    drawn = "none" if no_overlays else overlays or ("all" if len(pages) <= MOST_OVERLAYS else "none")
    jobs = jobs or default_jobs(len(pages))
    engine = engine or _engine(jobs, page_timeout, cluster, limits)
    # not before workers may have been started, which load what they need meanwhile
    from omrgrade.classify import load_card
    from omrgrade.kept import RUN_FILE, KeptRun, keep_run
    from omrgrade.outputs import WRITERS, check_directory, check_no_file, write_results
    from omrgrade.outputs.results import doubtful_pages
    from omrgrade.outputs.stored import stored_results
    from omrgrade.pipeline import grade_batch
    from omrgrade.store import Store

    card = load_card(model)
    policy = _policy(card, accept, max_error)
    check_no_file(output)
    gc.freeze()  # what has been loaded stays: it need not be searched for garbage again and again
    with Store.resume(output / RUN_FILE) as store:
        check_directory(output)
        with _progress(len(pages), verbose=verbose, quiet=quiet) as progress:
            batch = grade_batch(
                pages,
                template,
                key,
                roster,
                model=model,
                policy=policy,
                jobs=jobs,
                store=store,
                page_timeout=page_timeout,
                cluster=cluster,
                limits=limits,
                engine=engine,
                previews=drawn != "none",
                progress=progress,
            )
        batch = replace(batch, seconds=time.monotonic() - clock)
        run = KeptRun(
            template=template,
            key=key,
            roster=roster,
            info=_run_info(started, card.sha256, policy, scans, jobs),
            model=str(model.resolve()) if model else "",
            seconds=batch.seconds,
            interrupted=batch.interrupted,
        )
        keep_run(store, run)
        results = stored_results(store, run, batch)
        if drawn == "doubtful":
            results = replace(results, redraw=doubtful_pages(batch))
        write = partial(write_results, results, output)
        tables = [name for name in WRITERS if name not in ("overlays", "readings")]
        write(formats=["parquet" if form == "parquet" else "readings", *tables])
        if not quiet:
            _say(batch, output, template, key)
            if drawn == "none" and overlays is None and not no_overlays:
                click.echo("Marked pictures of so many pages only on demand: --overlays all", err=True)
            if batch.to_review:
                click.echo(f"Look first at: {output / 'review.csv'}", err=True)
        if drawn != "none":  # last, and on their own: a full disk or Ctrl-C then leaves the tables
            write(formats=["overlays"])
    if not quiet and not batch.interrupted:
        say_next(output, review=needs_review(batch))
    sys.exit(INTERRUPTED if batch.interrupted else batch.exit_code(fail_on_review=fail_on_review))


def _load(
    template_names: tuple[str, ...], in_order: bool, key_path: Path | None, roster_path: Path | None
) -> tuple[Template, AnswerKey | None, Roster | None]:
    """What the teacher wrote."""
    from omrgrade.key import load_key
    from omrgrade.roster import load_roster
    from omrgrade.template import load_template
    from omrgrade.template.pages import sheet_set

    template = sheet_set([load_template(name) for name in template_names], in_order=in_order)
    key = load_key(key_path, template) if key_path else None
    return template, key, load_roster(roster_path) if roster_path else None


def _policy(card: ModelCard, accept: float | None, max_error: float | None) -> Policy:
    """The model's own thresholds, unless others are asked for."""
    from omrgrade.pipeline import policy_of

    policy = policy_of(card, max_error=max_error)
    return policy if accept is None else replace(policy, accept=accept, accept_number=accept)


def _say(batch: Batch, output: Path, template: Template, key: AnswerKey | None) -> None:
    """The marks, what is to be known about them, and where all of it is."""
    from omrgrade.key import unkeyed_items
    from omrgrade.outputs.summary import marks_table, summary

    click.echo(marks_table(batch))
    click.echo(summary(batch, unkeyed=unkeyed_items(template, key) if key else ()), err=True)
    click.echo(f"Results: {output}", err=True)
    click.echo(f"Report: {output / 'report.html'}", err=True)


def _engine(jobs: int, page_timeout: float, cluster: str | None, limits: Limits) -> Engine | None:
    """What is to read; None for a cluster. Its processes are started at once."""
    from omrgrade.engine import ProcessEngine, make_engine, memory_for

    context = click.get_current_context()
    apart = context.obj == OWN_PROCESS
    memory = memory_for(limits)
    engine = None if cluster else make_engine(jobs, page_timeout=page_timeout, memory=memory, apart=apart)
    if isinstance(engine, ProcessEngine):
        engine.start("omrgrade.pipeline", "onnxruntime")
        context.call_on_close(engine.stop)  # should a wrong key end the command
    return engine


def _run_info(started: datetime, model: str, policy: Policy, scans: tuple[str, ...], jobs: int) -> RunInfo:
    from omrgrade.records import RunInfo

    settings = {"scans": list(scans), "jobs": jobs, "policy": asdict(policy)}
    return RunInfo(started=started.isoformat(timespec="seconds"), model=model, settings=settings)


@contextmanager
def _progress(total: int, *, verbose: bool, quiet: bool) -> Iterator[Callable[[PageReading], object]]:
    """A bar on a terminal, nothing elsewhere; with -v a line a page."""
    from tqdm import tqdm

    from omrgrade.outputs.report import form
    from omrgrade.outputs.summary import page_line

    done = itertools.count(1)
    tqdm.monitor_interval = 0  # no thread beside this one: see ProcessEngine
    with tqdm(total=total, unit="page", disable=True if quiet or verbose else None, file=sys.stderr) as bar:

        def show(page: PageReading) -> None:
            bar.update()
            form()  # only the first time: workers go on reading meanwhile
            if verbose:
                click.echo(f"{next(done)}/{total} {page_line(page)}", err=True)

        yield show
