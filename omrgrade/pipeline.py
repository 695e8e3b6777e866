"""The order of the stages: how a page becomes readings, and a folder of pages becomes marks."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain, islice
from pathlib import Path

import cv2
import numpy as np

from omrgrade import __version__, barcodes
from omrgrade.choices import read_bubbles
from omrgrade.classify import Classifier, classifier_from, load_classifier, model_files
from omrgrade.corrected import other_templates
from omrgrade.cropping import crop_boxes, upright_preview
from omrgrade.engine import (
    Chunk,
    Engine,
    ProcessEngine,
    Reader,
    SerialEngine,
    default_jobs,
    make_engine,
    memory_for,
)
from omrgrade.errors import OmrgradeError, OutputError, PageError
from omrgrade.fields import KINDS
from omrgrade.images import find_pages, page_digest, read_scan
from omrgrade.images.memory import keep_freed_memory
from omrgrade.longrun import run_pages
from omrgrade.marking import mark_batch
from omrgrade.normalize import WORK_SIDE
from omrgrade.normalize.strings import segment
from omrgrade.numbers import read_point, read_sign
from omrgrade.reading import policy_for as policy_for  # the door to these is here
from omrgrade.reading import policy_of as policy_of
from omrgrade.reading import read_boxes as read_boxes
from omrgrade.reading import read_crops as read_crops
from omrgrade.reading import read_numbers as read_numbers
from omrgrade.records import (
    AnswerKey,
    Batch,
    BoxReading,
    Crop,
    Field,
    FieldReading,
    Limits,
    PageReading,
    PageRef,
    Part,
    Policy,
    Registration,
    Roster,
    Scan,
    Template,
)
from omrgrade.registration import register
from omrgrade.registration.choosing import register_any
from omrgrade.resume import Place, page_content, page_key, unread
from omrgrade.rows import KeptBoxes
from omrgrade.snapshots import SCALE as PICTURE_SCALE
from omrgrade.snapshots import field_picture, scan_picture
from omrgrade.store import Store

# ---------------------------------------------------------------- pages

DIGIT_MARGIN = 1.2  # mm of paper round a digit box: boxes stand at least 2.5 mm apart
BUBBLE_MARGIN = 0.7  # mm
BUBBLE_SCALE = 8.0  # px/mm
BUBBLE_RIM, BUBBLE_SIDE = 0.12, 44.0  # of large ones: margin in parts of the side, and px across
CHUNK = 4  # pages a worker reads at once: enough to fill the classifier's batches, few enough to lose


def read_page(
    image: Scan | str | Path,
    template: Template,
    *,
    classifier: Classifier | None = None,
    policy: Policy | None = None,
    corners: Sequence[tuple[float, float]] = (),
) -> PageReading:
    """Read one page: a `Scan`, or the first page of a file. What is wrong with it is in its `problem`.

    template: also a set (`template.pages.sheet_set`), of which this is one page: see `PageReading.template`.
    corners: where `registration.reference_points` lie, scan px, if a person has shown them.
    """
    classifier = classifier or load_classifier()
    source = image if isinstance(image, Scan) else PageRef(path=str(image))
    return _read_pages([source], template, classifier, policy or policy_for(classifier), corners)[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class PageWork:
    """What a worker process is told once: it loads the model and then reads chunks of pages."""

    template: Template
    model: str | None = None  # path of the ONNX file; None: the bundled one
    policy: Policy | None = None  # None: the default one, with the model's thresholds
    limits: Limits | None = None  # None: the default ones
    previews: bool = True  # bring a picture of every page; it can be had from its scan later
    files: tuple[bytes, bytes] | None = None  # the model's network and card, for workers on other computers

    def packed(self) -> PageWork:
        """The same work with the model in it."""
        return replace(self, files=model_files(self.model))

    def __call__(self) -> Reader:
        """Load the model; return the reader of chunks."""
        keep_freed_memory()
        where = Path(self.model or "digits.onnx")
        classifier = classifier_from(*self.files, where=where) if self.files else load_classifier(self.model)
        policy = self.policy or policy_for(classifier)
        work = self.digest()

        def read(chunk: Chunk) -> list[PageReading]:
            # Before reading: a file that changes in between must look changed to the next run.
            contents = [page_content(ref) for ref in chunk]
            pages = _read_pages(
                chunk, self.template, classifier, policy, limits=self.limits, previews=self.previews
            )
            return [
                replace(page, content=content, work=work, fields=tuple(map(_kept, page.fields)))
                for page, content in zip(pages, contents, strict=True)
            ]

        return read

    def digest(self) -> str:
        """Sha256 (hex) of all that a page's readings depend on besides its file."""
        policy = None if self.policy is None else asdict(self.policy)
        model = [hashlib.sha256(file).hexdigest() for file in self.files or model_files(self.model)]
        tools = (*model, __version__, cv2.__version__)
        parts = (self.template.digest, policy, asdict(self.limits or Limits()), *tools)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _kept(field: FieldReading) -> FieldReading:
    """The reading with its boxes as they are kept, cheapest to send and to keep."""
    return replace(field, boxes=KeptBoxes.of(field.boxes))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Page:
    """A page on its way: registered and cut up, its digits not yet classified."""

    reading: PageReading  # without fields
    template: Template  # of this page
    crops: dict[str, list[Crop]]  # field id -> a crop a box


def _read_pages(
    sources: Sequence[PageRef | Scan],
    template: Template,
    classifier: Classifier,
    policy: Policy,
    corners: Sequence[tuple[float, float]] = (),
    limits: Limits | None = None,
    previews: bool = True,
) -> list[PageReading]:
    """Read pages, all their digits in one call of the classifier. One reading a page, in order."""
    pages = [_open_page(source, template, policy, corners, limits, previews) for source in sources]
    every = [(page, field) for page in pages for field in page.template.fields]
    digits = [(*pair, id(page)) for page, f in every for pair in _parts(f, _of(page, f))]
    wide = [(crop, id(page)) for page, f in every if f.kind == "number" for crop in _of(page, f)]
    boxes = _read_parts(digits, classifier, policy)
    papers = [paper for _, paper in wide]
    numbers = iter(read_numbers([crop for crop, _ in wide], classifier, policy, papers))
    return [
        _with_pictures(page, tuple(_read_fields(page, page.template, boxes, numbers, policy)))
        if page.crops
        else page.reading
        for page in pages
    ]


def _parts(field: Field, crops: Sequence[Crop]) -> Iterator[tuple[Crop, Part]]:
    """The crops of boxes for one digit, sign or point each."""
    if field.kind in ("digits", "fraction"):
        yield from zip(crops, field.parts or ("digit",) * len(crops), strict=bool(crops))


def _read_parts(
    parts: Sequence[tuple[Crop, Part, int]], classifier: Classifier, policy: Policy
) -> Iterator[BoxReading]:
    """What stands in each box (crop, part, paper), in order; all digits in one call of the classifier."""
    written = [(crop, paper) for crop, part, paper in parts if part == "digit"]
    papers = [paper for _, paper in written]
    digits = iter(read_crops([crop for crop, _ in written], classifier, policy, papers))
    for crop, part, _ in parts:
        if part == "digit":
            yield next(digits)
        else:
            yield read_sign(segment(crop)) if part == "sign" else read_point(segment(crop))


def _with_pictures(page: _Page, fields: tuple[FieldReading, ...]) -> PageReading:
    """The page's reading, with a picture of each field that a person has to look at, or wants to."""
    shown = [r.field for r in fields if r.status == "review" or r.kind == "picture"]
    kept = [page.template.field(name) for name in shown]
    pictures = tuple((field.id, field_picture(field, _of(page, field))) for field in kept)
    return replace(page.reading, fields=fields, crops=pictures)


def _of(page: _Page, field: Field) -> list[Crop]:
    return page.crops.get(field.id, [])


def _open_page(
    source: PageRef | Scan,
    template: Template,
    policy: Policy,
    corners: Sequence[tuple[float, float]],
    limits: Limits | None,
    previews: bool,
) -> _Page:
    """Everything up to the crops; the one place where a bad page becomes a value."""
    if isinstance(source, Scan):
        name, number = source.source, source.page
    else:
        name, number = source.path, source.page
    blank, scan = PageReading(source=name, page=number), None
    try:
        scan = source if isinstance(source, Scan) else read_scan(source, limits)
        blank = replace(blank, digest=page_digest(scan))
        found, registration = _register(scan, template, policy, corners)
    except PageError as error:
        picture = b"" if scan is None else scan_picture(scan)
        reading = replace(blank, problem=error.reason, preview=picture)
        return _Page(reading=reading, template=template, crops={})
    preview = upright_preview(scan, registration, found) if previews else b""
    crops = crop_fields(scan, registration, found.fields)
    if found.blank:
        crops |= {name: _beside_blank(crops[name], blanks) for name, blanks in _blank_crops(found).items()}
    reading = replace(
        blank, registration=registration, preview=preview, template="" if found is template else found.name
    )
    return _Page(reading=reading, template=found, crops=crops)


def _register(
    scan: Scan, template: Template, policy: Policy, corners: Sequence[tuple[float, float]]
) -> tuple[Template, Registration]:
    """Which page it is, of a set, and where it lies."""
    limits = {"max_residual": policy.max_residual, "flag_residual": policy.flag_residual}
    if corners:
        return template, register(scan, template, shown=corners, **limits)
    return register_any(scan, template, _says_it_is, **limits)


def _says_it_is(scan: Scan, template: Template, registration: Registration) -> bool | None:
    """Whether the QR code of a prefilled sheet says that it is this template's; None if there is none."""
    for field in template.fields:
        for crop in crop_field(scan, registration, field) if field.kind == "barcode" else ():
            if name := barcodes.template_named(crop, field):
                return name == template.name
    return None


def crop_fields(scan: Scan, registration: Registration, fields: Sequence[Field]) -> dict[str, list[Crop]]:
    """The boxes of fields, by id; those that are cut alike are cut in one go."""
    alike: dict[tuple[float, float], list[Field]] = {}
    for field in fields:
        alike.setdefault(_margin_and_scale(field), []).append(field)
    crops: dict[str, list[Crop]] = {}
    for (margin, scale), members in alike.items():
        boxes = [box for field in members for box in field.boxes]
        cut = iter(crop_boxes(scan, registration, boxes, margin=margin, scale=scale))
        crops |= {field.id: list(islice(cut, len(field.boxes))) for field in members}
    return crops


def crop_field(scan: Scan, registration: Registration, field: Field) -> list[Crop]:
    """One field's boxes."""
    return crop_fields(scan, registration, [field])[field.id]


def _margin_and_scale(field: Field) -> tuple[float, float]:
    """mm round a field's boxes, and px per mm: digits come at the size that the normaliser works at."""
    if field.bubble_columns:
        side = min(min(box.width, box.height) for box in field.boxes)
        return max(BUBBLE_MARGIN, BUBBLE_RIM * side), min(BUBBLE_SCALE, BUBBLE_SIDE / side)
    if field.kind == "barcode":
        return barcodes.MARGIN, barcodes.SCALE
    if field.kind == "picture":
        return DIGIT_MARGIN, PICTURE_SCALE
    side = min(min(box.width, box.height) for box in field.boxes) + 2 * DIGIT_MARGIN
    return DIGIT_MARGIN, WORK_SIDE / side


@functools.lru_cache(maxsize=8)
def _blank_crops(template: Template) -> dict[str, list[Crop]]:
    """The bubbles of the blank form, cut out as those of a page are."""
    pixels = np.asarray(cv2.imdecode(np.frombuffer(template.blank, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
    scan = Scan(source="blank form", page=1, pixels=pixels, dpi=0.0)
    x, y = pixels.shape[1] / template.page_width, pixels.shape[0] / template.page_height
    to_scan = ((x, 0.0, -0.5), (0.0, y, -0.5), (0.0, 0.0, 1.0))
    registration = Registration(page_to_scan=to_scan, residual=0.0, rotation=0, method="blank", landmarks=0)
    return crop_fields(scan, registration, [f for f in template.fields if f.bubble_columns])


def _beside_blank(crops: Sequence[Crop], blanks: Sequence[Crop]) -> list[Crop]:
    return [replace(crop, blank=blank.pixels) for crop, blank in zip(crops, blanks, strict=True)]


def _read_fields(
    page: _Page,
    template: Template,
    digits: Iterator[BoxReading],
    numbers: Iterator[BoxReading],
    policy: Policy,
) -> Iterator[FieldReading]:
    """The page's fields in sheet order; `digits` and `numbers` bring its boxes, then those of the next."""
    cancels = [f.struck_out == "cancels" for f in template.fields for _ in f.bubble_columns]
    bubbles = chain.from_iterable(read_bubbles(list(_questions(page, template)), policy, cancels))
    for field in template.fields:
        crops = _of(page, field)
        codes = (barcodes.read_barcode(crop, field, template.name) for crop in crops)
        read = {"digits": digits, "number": numbers, "barcode": codes, "fraction": digits}.get(
            field.kind, bubbles
        )
        boxes = [] if field.kind == "picture" else list(islice(read, len(crops)))
        yield KINDS[field.kind](field, boxes)


def _questions(page: _Page, template: Template) -> Iterator[tuple[list[Crop], tuple[str, ...]]]:
    """The bubbles of each question, or of each column of a grid, with their labels, in sheet order."""
    for field in template.fields:
        if field.bubble_columns:
            crops = iter(_of(page, field))
            yield from ((list(islice(crops, len(labels))), labels) for labels in field.bubble_columns)


# ---------------------------------------------------------------- batches


def grade_batch(
    paths: Sequence[str | Path | PageRef],
    template: Template,
    key: AnswerKey | None = None,
    roster: Roster | None = None,
    *,
    model: str | Path | None = None,
    policy: Policy | None = None,
    jobs: int | None = 1,
    store: Store | None = None,
    exclude: Sequence[str | Path] = (),
    page_timeout: float | None = None,
    limits: Limits | None = None,
    previews: bool = True,
    cluster: str | None = None,
    engine: Engine | None = None,
    progress: Callable[[PageReading], object] | None = None,
) -> Batch:
    """Read every page of files and folders, or the pages that `find_pages` found, and mark them.

    jobs: worker processes; None: as many as pay. store: where readings are kept chunk by chunk as they come,
    and pages that an earlier run has read are taken from while their file, the template, the model and the
    policy are the same; page previews are then kept there only. exclude: files and folders not to be read.
    page_timeout: seconds after which a page is read again alone, and then given up. limits: what a file may
    ask for. previews: whether pages that were found bring a picture of themselves. cluster: address of a Dask
    scheduler whose workers are to read, or "local". engine: what is to read instead of one of so many `jobs`.
    progress: called with each page once it is read. Ctrl-C ends the reading, not the marking: see
    `Batch.interrupted`.
    """
    found = [path for path in paths if isinstance(path, PageRef)]
    others = [path for path in paths if not isinstance(path, PageRef)]
    refs = found if found and not others else found + find_pages(others, exclude=exclude, limits=limits)
    model = None if model is None else str(model)
    work = PageWork(template=template, model=model, policy=policy, limits=limits, previews=previews)
    todo = list(enumerate(refs)) if store is None else unread(store, refs, work.digest())
    kept, tell = 0 if store is None else len(store), progress or (lambda page: None)
    for page in store.pages() if kept and store is not None and progress else ():
        tell(page)
    pages: list[PageReading] = []
    interrupted = False
    try:
        for places, chunk in _read(work, todo, store, jobs, page_timeout, cluster, engine):
            if store is not None:  # an empty store is falsy
                _keep(store, chunk, places)
            else:
                pages.extend(chunk)
            for page in chunk:
                tell(page)
    except KeyboardInterrupt:
        interrupted = True
    read = pages if store is None else run_pages(store, template)
    known = None if store is None else other_templates(store, template)
    return replace(mark_batch(read, template, key, roster, known), kept=kept, interrupted=interrupted)


def _read(
    work: PageWork,
    places: Sequence[Place],
    store: Store | None,
    jobs: int | None,
    page_timeout: float | None,
    cluster: str | None,
    engine: Engine | None,
) -> Iterator[tuple[list[int], list[PageReading]]]:
    """The readings of pages, chunk by chunk, with their positions.

    Pages at which an earlier run into the store died come first, in a process of their own: one of them may
    have killed it.
    """
    if cluster:
        yield from _map(make_engine(jobs, page_timeout=page_timeout, cluster=cluster), work.packed(), places)
        return
    suspects = set(store.left_behind) if store is not None else set()
    if suspects:
        deadly = [place for place in places if page_key(place[1]) in suspects]
        yield from _map(ProcessEngine(1, page_timeout, memory=memory_for(work.limits)), work, deadly)
        places = [place for place in places if page_key(place[1]) not in suspects]
    jobs = jobs or default_jobs(len(places))
    engine = engine or make_engine(jobs, page_timeout=page_timeout, memory=memory_for(work.limits))
    yield from _map(engine, work, places, store if isinstance(engine, SerialEngine) else None)


def _map(
    engine: Engine, work: PageWork, places: Sequence[Place], store: Store | None = None
) -> Iterator[tuple[list[int], list[PageReading]]]:
    """Readings and positions, chunk by chunk; `store` is told which pages this very process is reading."""
    if not places:
        return
    chunks = [places[start : start + CHUNK] for start in range(0, len(places), CHUNK)]

    def handed_out() -> Iterator[Chunk]:
        for chunk in chunks:
            if store is not None:
                store.note_reading([ref for _, ref in chunk])
            yield [ref for _, ref in chunk]

    digest = work.digest()
    for chunk, found in zip(chunks, engine.map(work, handed_out()), strict=True):
        if any(page.work not in ("", digest) for page in found):
            raise OmrgradeError(
                "the workers are of another version of omrgrade or OpenCV, and might read differently",
                fix="install the same everywhere",
            )
        yield [position for position, _ in chunk], found


def _keep(store: Store, readings: list[PageReading], positions: list[int]) -> None:
    """Keep what was read; when that fails (a full disk), say how to go on."""
    try:
        store.add_pages(readings, positions)
    except OutputError as error:
        raise OutputError(
            f"{error}; the {len(store)} pages read so far are kept",
            fix="put that right, then give the same command again: it goes on from there",
        ) from error
