"""An OMRChecker folder -> our template, and its evaluation -> our key: ``omrgrade template import``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from omrgrade.errors import TemplateError
from omrgrade.forms.clearance import cleared
from omrgrade.forms.entries import Use, entry, field_ids, runs
from omrgrade.forms.evaluation import Evaluation
from omrgrade.forms.omrchecker import Group, Imported, paper_size, read_omrchecker
from omrgrade.forms.settling import ROUGHLY, Scale, settled, settled_by_looks
from omrgrade.images import SUFFIXES
from omrgrade.records import Scan, Template
from omrgrade.registration import survey

BETWEEN_MARKERS = 0.85  # of a sheet's width lies between the middles of its corner markers, usually
IGNORED = {
    "Levels": "readings go by the paper beside each bubble",
    "GaussianBlur": "scans are smoothed as far as their own resolution asks for",
    "MedianBlur": "scans are smoothed as far as their own resolution asks for",
    "CLAHE": "readings go by the paper beside each bubble",
    "Contrast": "readings go by the paper beside each bubble",
    "AutoRotate": "pages are turned upright by what is printed on them",
}
LOOKED_AT = 6  # pictures beside the JSON file, until one shows the bubbles
_PAGES = SUFFIXES - {".pdf"}
_MARKERS = {
    "relativePath", "referenceImage", "sheetToMarkerWidthRatio", "markerDimensions", "processingImageShape",
    "type",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """The page, and how px become mm."""

    width: float  # mm, of the page
    height: float
    scale: Scale
    registration: str  # YAML


@dataclass(slots=True)
class Translation:
    """An OMRChecker template as ours, the files to lay beside it, and what a person should know."""

    name: str
    source: Imported
    place: _Place
    use: Use = field(default_factory=Use)
    settled_on: str = ""  # the page on which the bubbles were laid
    looks: bool = False  # whether bubbles are told by how empty ones look, not by their outline
    files: dict[str, bytes] = field(default_factory=dict)  # name -> content
    notes: list[str] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)  # OMRChecker's column -> our field id

    @property
    def groups(self) -> dict[str, Group]:
        """The fields by OMRChecker's column."""
        return {group.name: group for group in self.source.groups}

    @property
    def text(self) -> str:
        """Our template."""
        scale = self.place.scale
        groups = cleared(self.source.groups, scale, self.place.width, self.place.height)
        entries = [
            line for run in runs(groups, self.ids, self.use) for line in entry(run, self.ids, scale, self.use)
        ]
        return "\n".join([*_head(self), *entries]) + "\n"

    def settle(self, template: Template, scans: Iterable[Scan]) -> bool:
        """Lay the bubbles on those of the first page that shows them; template: this one, loaded."""
        pages = list(scans)
        for lay in (settled, settled_by_looks):
            for scan in pages:
                groups = lay(self.source.groups, self.place.scale, template, scan)
                if groups:
                    self.source.groups = groups
                    self.settled_on = Path(scan.source).name
                    return True
        return False

    def look(self, template: Template, scans: Iterable[Scan]) -> bool:
        """Have boxes told by their looks if the page that they are laid on needs that; template: loaded."""
        for scan in scans:
            if Path(scan.source).name == self.settled_on:
                found = survey(scan, template, max_residual=ROUGHLY)
                self.looks = found.refusal is None and found.fits[0].by_looks
        return self.looks


def translate(path: Path, name: str, *, evaluation: Evaluation | None = None) -> Translation:
    """Read a `template.json`.

    evaluation: says which columns are questions, and to which several marks are one answer. Without it, all
    are questions that are not called like a person's number.
    """
    source = read_omrchecker(path)
    files: dict[str, bytes] = {}
    notes = list(source.notes)
    result = Translation(
        name=name, source=source, place=_place(source, name, files, notes), files=files, notes=notes
    )
    if evaluation:
        result.use = Use(
            multiple=evaluation.multiple(result.groups),
            items=[question.name for question in evaluation.questions],
            version=evaluation.version if evaluation.version in result.groups else "",
        )
    result.ids = field_ids(source.groups, notes)
    return result


def pictures_beside(translation: Translation) -> list[Path]:
    """Pictures in the JSON's folder and the folders in it: OMRChecker's way to lay out pages to be read."""
    folder = translation.source.source.parent
    named = set(translation.files.values())
    found = [
        p for pattern in ("*", "*/*") for p in sorted(folder.glob(pattern)) if p.suffix.lower() in _PAGES
    ]
    return [path for path in found if path.is_file() and path.read_bytes() not in named][:LOOKED_AT]


def _head(made: Translation) -> list[str]:
    name, place = made.name, made.place
    settled_on = f"# Bubbles are where {made.settled_on} has them." if made.settled_on else ""
    registration = place.registration.replace("{", "{looks: true, " if made.looks else "{", 1)
    lines = [
        "omrgrade: 1",
        f"# Imported from OMRChecker's {made.source.source.name}. Columns are called as in its output,",
        "# lengths are mm. Where it lands on a page of yours: omrgrade template check THIS-FILE --scan PAGE",
        *filter(None, [settled_on]),
        *(f"# Note: {note}" for note in made.notes),
        f"name: {name}",
        f"title: {name.replace('-', ' ').replace('_', ' ')}",
        f"page: [{place.width:g}, {place.height:g}]",
        f"registration: {registration}",
        "fields:",
    ]
    return lines


# ---------------------------------------------------------------- registration


def _place(source: Imported, name: str, files: dict[str, bytes], notes: list[str]) -> _Place:
    """Which registration of ours does what the preprocessors did."""
    for used, _ in source.processors:
        if used in IGNORED:
            notes.append(f"preProcessor {used}: not needed, {IGNORED[used]}")
        elif used not in ("CropOnMarkers", "CropPage", "FeatureBasedAlignment"):
            notes.append(f"preProcessor {used}: not supported, left out")
    options = source.processor("CropOnMarkers")
    if options is not None and (kind := str(options.get("type", "FOUR_MARKERS"))) != "FOUR_MARKERS":
        notes.append(f"preProcessor CropOnMarkers of type {kind}: not supported, left out")
    elif options is not None:
        return _between_markers(source, options, name, files, notes)
    width, height = paper_size(source.width, source.height)
    if (options := source.processor("FeatureBasedAlignment")) is not None:
        named = options.get("reference") or options.get("referenceImage")
        blank = _picture(source, named, "FeatureBasedAlignment.reference")
        file = f"{name}-blank{blank.suffix.lower()}"
        files[file] = blank.read_bytes()
        registration = f"{{method: reference, blank: {file}}}"
    elif source.processor("CropPage") is not None:
        registration = "{method: page}  # the sheet's own edges, as CropPage did"
    else:
        registration = (
            "{method: page}  # the sheet's edges, or else the picture's: OMRChecker took the picture"
        )
        notes.append(
            "no CropPage, CropOnMarkers or FeatureBasedAlignment: a page must about fill its picture; with a "
            "blank form, 'registration: {method: reference, blank: form.pdf}' finds it anywhere"
        )
    scale = Scale(x=0.0, y=0.0, across=width / source.width, down=height / source.height)
    return _Place(width=width, height=height, scale=scale, registration=registration)


def _between_markers(
    source: Imported, options: Mapping[str, Any], name: str, files: dict[str, bytes], notes: list[str]
) -> _Place:
    """The page that OMRChecker cuts out reaches from marker middle to marker middle; ours has them on it."""
    named = options.get("relativePath") or options.get("referenceImage")
    marker = _picture(source, named, "CropOnMarkers.relativePath")
    file = f"{name}-marker{marker.suffix.lower()}"
    files[file] = marker.read_bytes()
    for option in sorted(options.keys() - _MARKERS):
        notes.append(f"CropOnMarkers.{option}: not needed, left out")
    sheet = 210.0 if source.height > 0.6 * source.width else 297.0
    scale = BETWEEN_MARKERS * sheet / source.width
    size = sheet / _sheet_to_marker(source, options)
    tall = size * _proportion(marker)
    rim_x, rim_y = round(size, 1), round(tall, 1)
    width, height = source.width * scale, source.height * scale
    places = [
        (rim_x, rim_y),
        (rim_x + width, rim_y),
        (rim_x + width, rim_y + height),
        (rim_x, rim_y + height),
    ]
    at = ", ".join(f"[{x - size / 2:.2f}, {y - tall / 2:.2f}]" for x, y in places)
    return _Place(
        width=round(width + 2 * rim_x, 1),
        height=round(height + 2 * rim_y, 1),
        scale=Scale(x=rim_x, y=rim_y, across=scale, down=scale),
        registration=f"{{method: corners, marker: {file}, size: [{size:.2f}, {tall:.2f}], at: [{at}]}}",
    )


def _sheet_to_marker(source: Imported, options: Mapping[str, Any]) -> float:
    """The sheet's width in markers' widths, as either version says it."""
    shape = options.get("processingImageShape") or source.shape or (900, 650)
    size = options.get("markerDimensions")
    try:
        ratio = shape[1] / size[0] if size else float(options.get("sheetToMarkerWidthRatio") or 17)
    except (TypeError, ValueError, LookupError, ZeroDivisionError) as error:
        raise TemplateError(
            "'CropOnMarkers' must say in numbers how large the marker is", where=str(source.source),
            fix='write e.g. "sheetToMarkerWidthRatio": 17', received=dict(options),
        ) from error  # fmt: skip
    return float(np.clip(ratio, 5, 60))


def _picture(source: Imported, name: Any, where: str) -> Path:
    """A picture that the JSON names, beside it."""
    path = source.source.parent / str(name or "")
    if not name or not path.is_file():
        raise TemplateError(
            f"{where!r} names a picture that is not there", where=str(source.source),
            fix="lay it beside the JSON file", received=str(path),
        )  # fmt: skip
    return path


def _proportion(path: Path) -> float:
    """Height over width of a picture."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.height / image.width
    except OSError as error:
        raise TemplateError("this picture cannot be read", where=str(path), received=str(error)) from error
