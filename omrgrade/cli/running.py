"""What ``omrgrade grade`` needs to begin: its inputs, its thresholds, its processes, its progress bar."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omrgrade.cli import OWN_PROCESS

if TYPE_CHECKING:
    from omrgrade.engine import Engine
    from omrgrade.images import Counter
    from omrgrade.records import AnswerKey, Limits, ModelCard, PageReading, Policy, Roster, Template


def inputs(
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


def policy_for(card: ModelCard, accept: float | None, max_error: float | None) -> Policy:
    """The model's own thresholds, unless others are asked for."""
    from omrgrade.pipeline import policy_of

    policy = policy_of(card, max_error=max_error)
    return policy if accept is None else replace(policy, accept=accept, accept_number=accept)


def engine_for(jobs: int, *, page_timeout: float, cluster: str | None, limits: Limits) -> Engine | None:
    """What is to read; None for a cluster. Its processes are started at once."""
    from omrgrade.engine import ProcessEngine, make_engine, memory_for

    context = click.get_current_context()
    apart = context.obj == OWN_PROCESS
    memory = memory_for(limits)
    engine = None if cluster else make_engine(jobs, page_timeout=page_timeout, memory=memory, apart=apart)
    if isinstance(engine, ProcessEngine):
        engine.start("omrgrade.pipeline", "onnxruntime", "numpy.ma")  # the last one: for its medians
        context.call_on_close(engine.stop)  # should a wrong key end the command
    return engine


def counter_for(page_timeout: float, limits: Limits) -> Counter | None:
    """What counts a file's pages; None: this process, unless that is all it is for."""
    from omrgrade.engine.counting import CountingApart

    apart = click.get_current_context().obj == OWN_PROCESS
    return CountingApart(limits=limits, page_timeout=page_timeout) if apart else None


@contextmanager
def progress(total: int, *, verbose: bool, quiet: bool) -> Iterator[Callable[[PageReading], object]]:
    """A bar on a terminal, nothing elsewhere; with -v a line a page."""
    from tqdm import tqdm

    done = itertools.count(1)
    tqdm.monitor_interval = 0  # no thread beside this one: see ProcessEngine
    with tqdm(total=total, unit="page", disable=True if quiet or verbose else None, file=sys.stderr) as bar:

        def show(page: PageReading) -> None:
            bar.update()
            _load_outputs()
            if verbose:
                from omrgrade.outputs.summary import page_line

                click.echo(f"{next(done)}/{total} {page_line(page)}", err=True)

        yield show


@cache
def _load_outputs() -> None:
    """Load what writes the results, once the first page is there: the others are read meanwhile."""
    from omrgrade.outputs.report import form

    form()
