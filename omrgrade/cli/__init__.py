"""The command line: options -> library calls -> exit code. The only place that imports click."""

from __future__ import annotations

import importlib
import io
import os
import sys
from typing import Any

import click

from omrgrade import __version__
from omrgrade.errors import OmrgradeError

# command -> module that defines `command`; imported only when it is called.
COMMANDS = {
    "grade": "Read and mark scanned sheets.",
    "annotate": "Write marked copies to hand back.",
    "export": "Take the marks to a spreadsheet or a school's gradebook (Canvas, Moodle, Blackboard).",
    "report": "Write the class and the test on one page: item analysis, reliability, reading quality.",
    "review": "Settle doubtful readings in a browser.",
    "score": "Mark a run again with a changed key, without reading scans again.",
    "sheet": "Print a template as PDF.",
    "template": "Check a template, or make one from a form that exists.",
    "simulate": "Make filled, scanned-looking pages with known truth.",
    "train": "Train the digit network (needs omrgrade[train]).",
    "calibrate": "Learn from labelled boxes what a model's confidence is worth.",
    "evaluate": "Measure a model on MNIST or on labelled boxes.",
}


OWN_PROCESS = "own process"
"""What commands find as their context's `obj` when this program is all that its process does."""
INTERRUPTED = 130  # what a shell reports for a program that Ctrl-C ended


class _LazyGroup(click.Group):
    """Knows every command's name and summary without importing its module."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # click would exit with 1, which is left to crashes
            click.echo("Stopped.", err=True)
            sys.exit(INTERRUPTED)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name == "grade":
            _keep_to_one_thread()
        command: click.Command = importlib.import_module(f"omrgrade.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="omrgrade")
def cli() -> None:
    """Grade scanned answer sheets: marks you can trust, doubts flagged."""


def main() -> None:
    """Entry point: errors a user can act on become one line on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show must not end a run
            stream.reconfigure(errors="backslashreplace")
    try:
        cli(standalone_mode=True, obj=OWN_PROCESS)
    except OmrgradeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)


def _keep_to_one_thread() -> None:
    """Ask libraries that are still to be loaded for no threads of their own.

    `--jobs` is what uses cores, and a process with threads cannot be copied (see `ProcessEngine`).
    """
    for name in ("OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ.setdefault(name, "1")
