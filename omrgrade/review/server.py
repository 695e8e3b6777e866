"""The web page's other end: one person's own computer, nobody else's.

Whoever can reach the port is asked for the secret in the address that `omrgrade review` opens; requests under
another host name (DNS rebinding) or from another site's pages (CSRF) are refused; only pictures of this run
are served, by number, never by file name; and the page may load only its own script, style and pictures.
"""

from __future__ import annotations

import hmac
import secrets
from typing import TYPE_CHECKING, Any

from omrgrade.corrections import ConflictError
from omrgrade.errors import OmrgradeError
from omrgrade.review import wire
from omrgrade.review.byhand import read_by_hand, templates_offered
from omrgrade.review.desk import Desk
from omrgrade.review.pictures import Pictures

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask, Response

COOKIE = "omrgrade"
WALL = 120  # boxes of the group view sent at once
MAX_BODY = 1_000_000  # bytes
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def create_app(
    desk: Desk,
    *,
    token: str,
    write: Callable[[], list[str]],
    once: str = "",
    finish: Callable[[], object] = bool,
) -> Flask:
    """The application. token: the secret of this review; write: rewrites the results, gives their names.

    finish: called when the person says that the review is over. once: another secret, that opens the review a
    single time: a browser's command line can be read by others.
    """
    from flask import Flask, abort, jsonify, make_response, redirect, render_template, request

    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    pictures = Pictures(desk)
    launch = [once] if once else []
    form_token = secrets.token_urlsafe(16)  # known to the page only, not to the cookie jar

    @app.before_request
    def guard() -> Any:
        port = request.environ["SERVER_PORT"]
        cookie = f"{COOKIE}-{port}"  # cookies know no ports, and two runs may be under review at once
        hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        if request.host not in hosts:
            abort(403, "another host name")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in hosts}:
            abort(403, "another origin")
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
            abort(403, "another site")
        given = request.args.get("token", "")
        if request.path == "/" and given and (_same(given, token) or _used_up(launch, given)):
            answer = make_response(redirect("/"))  # out of the address, so that it stays out of the history
            answer.set_cookie(cookie, token, httponly=True, samesite="Strict")
            return answer
        if not _same(request.cookies.get(cookie, ""), token):
            abort(403, "open the address that `omrgrade review` printed")
        if request.method == "POST" and not _same(request.headers.get("X-Review", ""), form_token):
            abort(403, "not from this page")
        return None

    @app.after_request
    def seal(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = POLICY
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer

    @app.errorhandler(OmrgradeError)
    def refused(error: OmrgradeError) -> Any:
        return jsonify(error=str(error)), 409 if isinstance(error, ConflictError) else 400

    # ------------------------------------------------------------ the page and its pictures

    @app.get("/")
    def page() -> str:
        return render_template("review.html", title=desk.run.template.title, token=form_token)

    def picture(data: bytes) -> Response:
        if not data:
            abort(404)
        answer = make_response(data)
        answer.mimetype = "image/jpeg"
        answer.headers["Cache-Control"] = "private, max-age=3600"  # addresses change with the page
        return answer

    def number(n: int) -> int:
        if n >= len(desk):
            abort(404)
        return n

    @app.get("/page/<int:n>.jpg")
    def whole(n: int) -> Response:
        return picture(pictures.page(number(n)))

    @app.get("/field/<int:n>/<field_id>.jpg")
    def part(n: int, field_id: str) -> Response:
        return picture(pictures.field(number(n), known(n, field_id)))

    @app.get("/box/<int:n>/<field_id>/<int:box>.jpg")
    def single(n: int, field_id: str, box: int) -> Response:
        found = known(number(n), field_id)
        if not 0 < box <= len(found.boxes):
            abort(404)
        return picture(pictures.box(n, found.boxes[box - 1]))

    def known(n: int, field_id: str) -> Any:
        fields = {f.id: f for f in desk.template_of(desk.sheet(n)[0]).fields}
        if field_id not in fields:
            abort(404)
        return fields[field_id]

    # ------------------------------------------------------------ what there is

    @app.get("/api/state")
    def state() -> Response:
        return jsonify(
            doubts=[wire.doubt(desk, doubt) for doubt in desk.doubts()],
            roster=[[pupil.student_id, pupil.name] for pupil in desk.run.roster.pupils]
            if desk.run.roster
            else [],
            templates=templates_offered(desk),
            keyed=desk.run.key is not None,
            **common(),
        )

    def common() -> dict[str, Any]:
        progress = desk.progress()
        return {
            "troubles": [wire.trouble(desk, trouble) for trouble in desk.troubles()],
            "recent": [wire.entry(desk, entry) for entry in desk.recent()],
            "digits": desk.digits(),
            "settled": progress.settled,
            "left": progress.left,
        }

    @app.get("/api/wall/<digit>")
    def wall(digit: str) -> Response:
        start = request.args.get("from", 0, type=int)
        found = desk.wall(digit)
        return jsonify(boxes=[wire.seen(desk, s) for s in found[start : start + WALL]], all=len(found))

    @app.get("/api/field/<int:n>/<field_id>")
    def one(n: int, field_id: str) -> Response:
        return jsonify(wire.field(desk, number(n), *desk.field(n, field_id)))

    @app.get("/api/expected/<field_id>")
    def expected(field_id: str) -> Response:
        return jsonify(answers=desk.expected(field_id))

    # ------------------------------------------------------------ what is decided

    def changed(pages: set[int], fields: list[tuple[int, str]]) -> Response:
        """What a decision about `fields` has changed: these, the doubts on their pages, and the counts."""
        return jsonify(
            pages=sorted(pages),
            fields=[wire.field(desk, n, *desk.field(n, name)) for n, name in dict.fromkeys(fields) if name],
            doubts=[wire.doubt(desk, doubt) for doubt in desk.doubts(pages)],
            **common(),
        )

    @app.post("/api/decide")
    def decide() -> Response:
        wanted = [
            desk.decision(
                number(_int(d, "page")), _text(d, "field"), _int(d, "box"), _text(d, "action"),
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
        n = number(_int(asked, "page"))
        again, how = read_by_hand(desk, pictures, n, _text(asked, "template"), asked.get("corners"))
        return changed(desk.reread(n, again, how, _int(asked, "version")), [])

    @app.post("/api/write")
    def rewrite() -> Response:
        return jsonify(written=write())

    @app.post("/api/finish")
    def finished() -> Response:
        written = write()
        finish()
        return jsonify(written=written)

    return app


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _used_up(launch: list[str], given: str) -> bool:
    """Whether `given` is the secret that opens the review once, which it then no longer does."""
    return bool(launch) and _same(given, launch[0]) and launch.pop() == given


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
