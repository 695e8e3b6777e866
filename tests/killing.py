"""`omrgrade grade` killed at random moments and started again until it is done."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from omrgrade.store import Store


def start(folder, *arguments):
    """The command in a process group of its own, so that a kill hits its workers as well."""
    return subprocess.Popen(
        [sys.executable, "-m", "omrgrade", "grade", *map(str, arguments)],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def kill_until_done(folder, arguments, *, seconds, moments: random.Random, most: int = 1000) -> int:
    """Kill the command up to `most` times, each at a random moment of its `seconds`; the kills it took."""
    for kills in range(most):
        run = start(folder, *arguments)
        end = time.monotonic() + moments.uniform(0, seconds)
        while run.poll() is None and time.monotonic() < end:
            time.sleep(0.005)
        if run.poll() is not None:
            _expect_done(run)
            return kills
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()
    run = start(folder, *arguments)
    run.wait()
    _expect_done(run)
    return most


def _expect_done(run) -> None:
    error = run.communicate()[1].decode()
    if run.returncode not in (0, 4):
        raise AssertionError(f"ended with {run.returncode}: {error}")


def results(out: Path) -> dict[str, object]:
    """All that a run leaves in its folder: bytes, but for what names the time it took."""
    found: dict[str, object] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = str(path.relative_to(out))
        if name == "run.json":
            found[name] = {
                k: v for k, v in json.loads(path.read_text()).items() if k not in ("started", "seconds")
            }
        elif name == "run.sqlite":
            with Store.open(path) as store:
                found[name] = list(store.pages(previews=True))
        else:
            found[name] = path.read_bytes()
    return found
