"""How exactly pages are found: every method under every condition, on simulated pages of known truth.

    python tests/benchmarks/registration.py --pages 30

Prints the largest displacement of any box in mm (over the pages accepted), and the shares of pages refused,
registered to 0.5 mm at every box, and flagged. Not a test: nothing here passes or fails. With --foreign COUNT
it asks each template instead how many pages of the other templates, and other papers, it takes for its own.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))
from tabletop import SETTINGS, Photo, take_photo
from warped_pages import CONDITIONS, METHODS, WarpedPage, other_papers, warped_page, with_method

from omrgrade.errors import RegistrationError
from omrgrade.images import find_pages, read_scan
from omrgrade.records import Policy, Scan, Template
from omrgrade.registration import register
from omrgrade.template import bundled_templates

TEMPLATES = ("numeric-a4", "choice-a4", "mixed-letter")
TABLE = "on a table: "
"""Begins the names of `tabletop.SETTINGS` among the conditions."""
CLOSE, FAR = 0.5, 1.5
"""mm: a page is registered when every box is nearer; none may be accepted of which one is farther off."""


def make(template: Template, condition: str, seed: int) -> WarpedPage | Photo:
    """A page under one of the conditions."""
    if condition.startswith(TABLE):
        return take_photo(template, SETTINGS[condition.removeprefix(TABLE)], seed)
    return warped_page(template, CONDITIONS[condition], seed)


def kind(condition: str) -> str:
    """With which pages those under a condition are counted."""
    if condition.startswith(TABLE):
        return "on a table"
    return "photo" if CONDITIONS[condition].photo else "scanner"


def run(method: str, condition: str, pages: int, seed: int) -> tuple[list[float], int, int, float]:
    """Worst box of each page accepted, mm; pages refused; pages flagged; seconds."""
    policy, worst, refused, flagged, seconds = Policy(), [], 0, 0, 0.0
    for n in range(pages):
        template = with_method(TEMPLATES[n % len(TEMPLATES)], method)
        page = make(template, condition, seed + n)
        started = time.process_time()
        try:
            found = register(
                page.scan, template, max_residual=policy.max_residual, flag_residual=policy.flag_residual
            )
            worst.append(page.worst_box(found))
            flagged += bool(found.doubt)
        except RegistrationError as error:
            refused += 1
            print(
                f"  {method}, {condition}, seed {seed + n}, {template.name}: {error.reason}", file=sys.stderr
            )
        seconds += time.process_time() - started
    return worst, refused, flagged, seconds


def sweep(methods: list[str], conditions: list[str], pages: int, seed: int) -> None:
    """Print a Markdown table, and the shares over scanner, photo and tabletop conditions."""
    print(
        "| method | condition | pages | refused % | worst box mm | within 0.5 mm % | flagged % | s a page |"
    )
    print("|---|---|---|---|---|---|---|---|")
    total: dict[tuple[str, str], list[int]] = {}
    for method in methods:
        for condition in conditions:
            worst, refused, flagged, seconds = run(method, condition, pages, seed)
            close = sum(distance <= CLOSE for distance in worst)
            print(
                f"| {method} | {condition} | {pages} | {100 * refused / pages:.0f} "
                f"| {max(worst, default=float('nan')):.2f} | {100 * close / pages:.0f} "
                f"| {100 * flagged / pages:.0f} | {seconds / pages:.2f} |",
                flush=True,
            )
            counts = total.setdefault((method, kind(condition)), [0, 0, 0])
            counts[0] += pages
            counts[1] += close
            counts[2] += sum(distance > FAR for distance in worst)
    print("\n| method | pages | registered to 0.5 mm % | accepted beyond 1.5 mm |\n|---|---|---|---|")
    for (method, what), (count, close, far) in total.items():
        print(f"| {method} | {count} {what} | {100 * close / count:.1f} | {far} |")


def foreign(methods: list[str], pages: int, seed: int, folder: Path | None) -> None:
    """Print how many pages of others each template accepts, and how long it takes to refuse one.

    A fifth of the pages are no sheets at all; the others are the other templates' under every condition, each
    shown to all templates but its own. Pages in `folder` come on top.
    """
    print("| method | template | foreign pages | accepted | s a page |\n|---|---|---|---|---|")
    for method in methods:
        templates = {name: with_method(name, method) for name in bundled_templates()}
        tried, accepted, seconds = (dict.fromkeys(templates, 0.0) for _ in range(3))
        for owner, what, scan in _others(templates, pages, seed, folder):
            for name, template in templates.items():
                if name == owner:
                    continue
                started = time.process_time()
                try:
                    register(scan, template, max_residual=Policy().max_residual)
                    accepted[name] += 1
                    print(f"  {name}, {method}: accepts {what}", file=sys.stderr)
                except RegistrationError:
                    pass
                seconds[name] += time.process_time() - started
                tried[name] += 1
        for name in templates:
            print(
                f"| {method} | {name} | {tried[name]:.0f} | {accepted[name]:.0f} "
                f"| {seconds[name] / tried[name]:.2f} |",
                flush=True,
            )


def _others(
    templates: dict[str, Template], pages: int, seed: int, folder: Path | None
) -> Iterator[tuple[str, str, Scan]]:
    """Whose page, what it is, and the page, so that each template is shown `pages` that are not its own."""
    papers = pages // 5
    for n, pixels in enumerate(other_papers(papers, seed)):
        yield "", f"paper {n}", Scan(source="paper.jpg", page=1, pixels=pixels, dpi=0)
    names, conditions = list(templates), list(CONDITIONS)
    for n in range(-(-(pages - papers) * len(names) // (len(names) - 1))):
        owner, condition = names[n % len(names)], conditions[n // len(names) % len(conditions)]
        page = warped_page(templates[owner], CONDITIONS[condition], seed + n)
        yield owner, f"{owner}, {condition}, seed {seed + n}", page.scan
    for ref in find_pages([folder]) if folder else ():
        yield "", ref.path, read_scan(ref)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=10, help="pages a method and condition")
    parser.add_argument("--seed", type=int, default=5000, help="first seed")
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument(
        "--conditions", nargs="+", default=[*CONDITIONS, *(TABLE + name for name in SETTINGS)]
    )
    parser.add_argument("--foreign", type=int, default=0, help="foreign pages a template and method")
    parser.add_argument("--papers", type=Path, help="a folder of other pages to show on top")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    np.seterr(all="ignore")
    if options.foreign:
        foreign(options.methods, options.foreign, options.seed, options.papers)
    else:
        sweep(options.methods, options.conditions, options.pages, options.seed)


if __name__ == "__main__":
    main()
