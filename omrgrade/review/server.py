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
from omrgrade.review.desk import Desk
from omrgrade.review.pictures import Pictures
from omrgrade.review.routes import serve_decisions, serve_end, serve_pictures, serve_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask, Response

COOKIE = "omrgrade"
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
    from flask import Flask, jsonify, render_template

    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    form_token = secrets.token_urlsafe(16)  # known to the page only, not to the cookie jar
    _guard(app, token, [once] if once else [], form_token)
    _seal(app)

    @app.errorhandler(OmrgradeError)
    def refused(error: OmrgradeError) -> Any:
        return jsonify(error=str(error)), 409 if isinstance(error, ConflictError) else 400

    @app.get("/")
    def page() -> str:
        return render_template("review.html", title=desk.run.template.title, token=form_token)

    pictures = Pictures(desk)
    serve_pictures(app, desk, pictures)
    serve_state(app, desk)
    serve_decisions(app, desk, pictures)
    serve_end(app, write, finish)
    return app


def _guard(app: Flask, token: str, launch: list[str], form_token: str) -> None:
    """Answer nobody but the page that was opened with a secret. launch: secrets that are good for once."""
    from flask import abort, make_response, redirect, request

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


def _seal(app: Flask) -> None:
    """Let the page load and show nothing but its own."""

    @app.after_request
    def seal(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = POLICY
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        answer.headers.setdefault("Cache-Control", "no-store")
        return answer


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())


def _used_up(launch: list[str], given: str) -> bool:
    """Whether `given` is the secret that opens the review once, which it then no longer does."""
    return bool(launch) and _same(given, launch[0]) and launch.pop() == given
