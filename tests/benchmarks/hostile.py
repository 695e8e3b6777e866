"""Reads thousands of hostile files, each in a process that is watched, and says what became of them.

    python tests/benchmarks/hostile.py [--count 2000] [--seed 1] [--seconds 60] [--megabytes 1700]

For every file: read, refused with a reason, given up (a scan that takes longer than the seconds, as with
`grade --page-timeout`, or more memory than a worker may have), or a fault: another exception, a crash, too
much memory, code that ran, a hang elsewhere. Then all scans go through `omrgrade grade`, with two jobs and
with one, which must list every one. Exit code 1 if there is a fault.
"""

import argparse
import csv
import multiprocessing
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from hostile import CANARY, attempt, corpus


def serve(pipe) -> None:
    import cv2

    from omrgrade.engine import MEMORY, bounded_memory

    cv2.setNumThreads(1)
    with bounded_memory(MEMORY):  # as in a worker
        attempts(pipe)


def attempts(pipe) -> None:
    """Read the files that are named through the pipe, until there are no more."""
    while path := pipe.recv():
        Path("/proc/self/clear_refs").write_text("5")  # the peak of memory starts anew
        begun = time.monotonic()
        try:
            outcome, reason = "refused", attempt(path)
            outcome = "refused" if reason else "read"
        except BaseException:
            outcome, reason = "FAULT", traceback.format_exc()[-1500:]
        status = Path("/proc/self/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
        pipe.send((outcome, reason, time.monotonic() - begun, peak))


class Watched:
    """A process that reads files; a new one after each that did not answer."""

    def __init__(self) -> None:
        self.process = None
        self.pipe = None
        self.exit_code = None  # of the last process that died

    def read(self, path: Path, seconds: float):
        if self.process is None:
            context = multiprocessing.get_context("spawn")
            self.pipe, theirs = context.Pipe()
            self.process = context.Process(target=serve, args=(theirs,), daemon=True)
            self.process.start()
            theirs.close()
        self.exit_code, begun = None, time.monotonic()
        self.pipe.send(path)
        try:
            if self.pipe.poll(seconds):
                return self.pipe.recv()
            fault = f"more than {seconds:g} s"
        except (EOFError, OSError):
            self.process.join()
            self.exit_code = self.process.exitcode
            fault = f"crash, exit code {self.exit_code}"
        self.process.kill()
        self.process.join()
        self.process, took = None, time.monotonic() - begun
        # what a worker of `grade` may do: it is given up, or aborts, and costs its page. Libraries abort at
        # their memory's bound, but not only there, so those are counted and named by themselves.
        aborted = self.exit_code == -signal.SIGABRT
        if path.parent.name != "scans" or not (fault.startswith("more") or aborted):
            return "FAULT", fault, took, 0.0
        if aborted:
            print(f"aborted: {path.name}", flush=True)
        return "aborted" if aborted else "given up", fault, took, 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("count", 2000), ("seed", 1), ("seconds", 60), ("megabytes", 1700)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--keep", type=Path, help="folder to write the files to and leave them in")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return report(options.keep or Path(folder), options)


def report(folder: Path, options: argparse.Namespace) -> int:
    files = corpus(folder, options.seed, options.count)
    watched, counts, faults, figures = Watched(), Counter(), [], []
    for path in files:
        outcome, reason, seconds, peak = watched.read(path, options.seconds)
        if (folder / CANARY).exists():
            (folder / CANARY).unlink()
            outcome, reason = "FAULT", "it ran code"
        if peak > options.megabytes:
            outcome, reason = "FAULT", f"{peak:.0f} MB"
        counts[path.parent.name, outcome] += 1
        figures.append((seconds, peak, path.name))
        if outcome == "FAULT":
            faults.append(path)
            print(f"FAULT {path.parent.name}/{path.name}: {reason}", flush=True)
    watched.pipe.send(None)
    for (kind, outcome), number in sorted(counts.items()):
        print(f"{kind:10} {outcome:8} {number:5}")
    print("slowest:", ", ".join(f"{name} {s:.1f} s" for s, _, name in sorted(figures)[-6:]))
    print(
        "most memory:",
        ", ".join(f"{name} {p:.0f} MB" for _, p, name in sorted(figures, key=lambda f: f[1])[-6:]),
    )
    scans = [path for path in files if path.parent.name == "scans"]
    for jobs in (2, 1):
        faults += graded(folder, scans, options.seconds, jobs)
    print(f"{len(files)} files, {len(faults)} faults")
    return bool(faults)


def graded(folder: Path, scans: list[Path], seconds: float, jobs: int) -> list[str]:
    """Run `omrgrade grade` over all scans: none may be missing, nothing may be written but the results."""
    out, before = folder / f"out{jobs}", set(folder.rglob("*"))
    command = [sys.executable, "-m", "omrgrade", "grade", str(folder / "scans"), "-t", "numeric-a4"]
    command += ["-o", str(out), "--page-timeout", str(seconds / 4), "-j", str(jobs), "-q", "--no-overlays"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    with (out / "review.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    reasons = {Path(row["source"]).name: row["reason"] for row in rows if row["reason"]}
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"grade -j {jobs}: exit code {run.returncode}, {len(rows)} rows, largest process so far {peak:.0f} MB"
    )
    faults = [f"not listed: {path.name}" for path in scans if path.name not in reasons]
    faults += [
        f"written: {path}" for path in set(folder.rglob("*")) - before if out not in (path, *path.parents)
    ]
    faults += [f"exit code {run.returncode}: {run.stderr[-500:]}"] * (run.returncode not in (3, 4))
    for fault in faults:
        print(f"FAULT {fault}")
    return faults


if __name__ == "__main__":
    sys.exit(main())
