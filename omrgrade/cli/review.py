"""``omrgrade review``: settle in a browser what the machine was not sure of."""

from __future__ import annotations

import getpass
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING

import click

from omrgrade.cli.following import say_next

if TYPE_CHECKING:
    from omrgrade.review.desk import Desk


@click.command("review")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--who", help="Name that stands beside your decisions; default: your user name.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any that is free.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def command(out: Path, who: str | None, port: int, no_browser: bool) -> None:
    """Settle doubtful readings of the run in folder OUT, in a browser on this computer.

    Every decision is kept at once in OUT/run.sqlite: stop whenever you like and start again where you were.
    Marks and all other results are brought up to date when you press Write marks, and at the end (Finish, or
    Ctrl-C here).
    Nothing leaves this computer.
    """
    from omrgrade.review.desk import Desk
    from omrgrade.review.serve import serving

    desk = Desk(out, who=who or _user())
    with serving(desk, port=port) as served:
        click.echo(f"Review: {served.address}", err=True)
        click.echo("End it there with Finish, or here with Ctrl-C; everything decided is kept.", err=True)
        if not no_browser:
            webbrowser.open(served.once)
        try:
            while not served.finished.wait(1):  # without a limit, Windows would not hear of Ctrl-C
                pass
        except KeyboardInterrupt:
            click.echo("", err=True)
        written = served.write()
    _say_next(desk, written)


def _say_next(desk: Desk, written: list[str]) -> None:
    progress = desk.progress()
    if written:
        click.echo(f"Results brought up to date: {desk.out}", err=True)
    click.echo(f"{progress.settled} settled, {progress.left} left", err=True)
    say_next(desk.out, review=bool(progress.left))


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user, as in some containers
        return "unknown"
