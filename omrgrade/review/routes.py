"""What the review's page asks for: pictures, what there is to settle, and what is decided about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from omrgrade.errors import OmrgradeError
from omrgrade.records import Field
from omrgrade.review import wire
from omrgrade.review.byhand import read_by_hand, templates_offered
from omrgrade.review.desk import Desk
from omrgrade.review.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask, Response

WALL = 120  # boxes of the group view sent at once


def serve_pictures(app: Flask, desk: Desk, pictures: Pictures) -> None:
    """Pictures of this run's pages, fields and boxes, by number, never by file name."""
    from flask import abort, make_response

    def picture(data: bytes) -> Response:
        if not data:
            abort(404)
        answer = make_response(data)
        answer.mimetype = "image/jpeg"
        answer.headers["Cache-Control"] = "private, max-age=3600"  # addresses change with the page
        return answer

    @app.get("/page/<int:n>.jpg")
    def whole(n: int) -> Response:
        return picture(pictures.page(_number(desk, n)))

    @app.get("/field/<int:n>/<field_id>.jpg")
    def part(n: int, field_id: str) -> Response:
        return picture(pictures.field(n, _known(desk, n, field_id)))

    @app.get("/box/<int:n>/<field_id>/<int:box>.jpg")
    def single(n: int, field_id: str, box: int) -> Response:
        found = _known(desk, n, field_id)
        if not 0 < box <= len(found.boxes):
            abort(404)
        return picture(pictures.box(n, found.boxes[box - 1]))


def serve_state(app: Flask, desk: Desk) -> None:
    """What there is to settle."""
    from flask import jsonify, request

    @app.get("/api/state")
    def state() -> Response:
        roster = desk.run.roster
        return jsonify(
            doubts=[wire.doubt(desk, doubt) for doubt in desk.doubts()],
            roster=[[pupil.student_id, pupil.name] for pupil in roster.pupils] if roster else [],
            templates=templates_offered(desk),
            keyed=desk.run.key is not None,
            **_common(desk),
        )

    @app.get("/api/wall/<digit>")
    def wall(digit: str) -> Response:
        start = request.args.get("from", 0, type=int)
        found = desk.wall(digit)
        return jsonify(boxes=[wire.seen(desk, s) for s in found[start : start + WALL]], all=len(found))

    @app.get("/api/field/<int:n>/<field_id>")
    def one(n: int, field_id: str) -> Response:
        return jsonify(wire.field(desk, _number(desk, n), *desk.field(n, field_id)))

    @app.get("/api/expected/<field_id>")
    def expected(field_id: str) -> Response:
        return jsonify(answers=desk.expected(field_id))


def serve_decisions(app: Flask, desk: Desk, pictures: Pictures) -> None:
    """What is decided, taken back, or read again."""
    from flask import jsonify, request

    def changed(pages: set[int], fields: list[tuple[int, str]]) -> Response:
        """What a decision about `fields` has changed: these, the doubts on their pages, and the counts."""
        return jsonify(
            pages=sorted(pages),
            fields=[wire.field(desk, n, *desk.field(n, name)) for n, name in dict.fromkeys(fields) if name],
            doubts=[wire.doubt(desk, doubt) for doubt in desk.doubts(pages)],
            **_common(desk),
        )

    @app.post("/api/decide")
    def decide() -> Response:
        wanted = [
            desk.decision(
                _number(desk, _int(d, "page")), _text(d, "field"), _int(d, "box"), _text(d, "action"),
                _text(d, "value"), _int(d, "version"),
            )
            for d in _list(request.get_json())
        ]  # fmt: skip
        places = [(desk.place(d.source, d.page) or 0, d.field) for d in wanted]
        return changed(desk.decide(wanted), places)

    @app.post("/api/undo")
    def undo() -> Response:
        asked = request.get_json()
        pages, made = desk.undo(_int(asked, "id"), whole=asked.get("whole") is True)
        return changed(pages, [(desk.place(e.source, e.page) or 0, e.field) for e in made])

    @app.post("/api/reread")
    def reread() -> Response:
        asked = request.get_json()
        n = _number(desk, _int(asked, "page"))
        again, how = read_by_hand(desk, pictures, n, _text(asked, "template"), asked.get("corners"))
        return changed(desk.reread(n, again, how, _int(asked, "version")), [])


def serve_end(app: Flask, write: Callable[[], list[str]], finish: Callable[[], object]) -> None:
    """The results written anew, now or at the end."""
    from flask import jsonify

    @app.post("/api/write")
    def rewrite() -> Response:
        return jsonify(written=write())

    @app.post("/api/finish")
    def finished() -> Response:
        written = write()
        finish()
        return jsonify(written=written)


def _common(desk: Desk) -> dict[str, Any]:
    """What every answer brings up to date."""
    progress = desk.progress()
    return {
        "troubles": [wire.trouble(desk, trouble) for trouble in desk.troubles()],
        "recent": [wire.entry(desk, entry) for entry in desk.recent()],
        "digits": desk.digits(),
        "settled": progress.settled,
        "left": progress.left,
    }


# ---------------------------------------------------------------- what was sent


def _number(desk: Desk, n: int) -> int:
    """The number of a page that there is."""
    from flask import abort

    if n >= len(desk):
        abort(404)
    return n


def _known(desk: Desk, n: int, field_id: str) -> Field:
    """A field of page n."""
    from flask import abort

    fields = {f.id: f for f in desk.template_of(desk.sheet(_number(desk, n))[0]).fields}
    if field_id not in fields:
        abort(404)
    return fields[field_id]


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list) or not 0 < len(value) <= 2000:
        raise OmrgradeError("a list of decisions is needed", received=type(value).__name__)
    return value


def _int(value: Any, name: str) -> int:
    found = value.get(name, 0) if isinstance(value, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found < 0:
        raise OmrgradeError(f"{name} must be a whole number", received=found)
    return found


def _text(value: Any, name: str) -> str:
    found = value.get(name, "") if isinstance(value, dict) else None
    if not isinstance(found, str) or len(found) > 200:
        raise OmrgradeError(f"{name} must be text", received=type(found).__name__)
    return found
