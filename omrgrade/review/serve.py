"""Runs the review on this computer until Ctrl-C, and brings the results up to date."""

from __future__ import annotations

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from omrgrade.corrections import Corrections
from omrgrade.errors import OmrgradeError
from omrgrade.outputs import WRITERS, load_results, write_results
from omrgrade.review.desk import Desk

HOST = "127.0.0.1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A review that is being served."""

    desk: Desk
    address: str  # with its secret: whoever has it may review
    once: str  # the same, but it opens only once: for a browser's command line, which others can read
    write: Callable[[], list[str]]  # brings the results up to date; the names of the files
    finished: threading.Event  # set when the person has pressed Finish


@contextmanager
def serving(desk: Desk, *, port: int = 0) -> Iterator[Served]:
    """Serve `desk` on 127.0.0.1 while the context lasts. port: 0 for any that is free."""
    from werkzeug.serving import WSGIRequestHandler, make_server

    from omrgrade.review.server import create_app

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # a connection serves many pictures

        def log(self, type: str, message: str, *args: object) -> None:
            """Say nothing: addresses with pupils' pages belong in no terminal."""

    token, once = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    write, finished = Writing(desk), threading.Event()
    app = create_app(desk, token=token, write=write, once=once, finish=finished.set)
    try:
        server = make_server(HOST, port, app, threaded=True, request_handler=Handler)
    except (OSError, SystemExit) as error:
        fix = "choose another with --port"
        raise OmrgradeError("this port is taken", fix=fix, received=port) from error
    server.daemon_threads = True  # type: ignore[attr-defined]  # a browser keeps its connections open
    server.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        base = f"http://{HOST}:{server.server_port}/?token="
        yield Served(desk=desk, address=base + token, once=base + once, write=write, finished=finished)
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


class Writing:
    """Rewrites the results from the run's file. Overlays only of pages about which something was decided."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._written = 0  # the last entry of the log that the results know

    def __call__(self) -> list[str]:
        """Rewrite what has changed; the names of the files."""
        with self._lock, self._desk.open() as store:
            entries = Corrections(store).entries()
            last = entries[-1].id if entries else 0
            if last == self._written:
                return []
            return self._rewrite({(e.source, e.page) for e in entries if e.id > self._written}, last)

    def _rewrite(self, pages: set[tuple[str, int]], last: int) -> list[str]:
        results = load_results(self._desk.out)
        tables = [name for name in WRITERS if name != "overlays"]
        written = write_results(results, self._desk.out, formats=tables)
        if (self._desk.out / "overlays").is_dir():
            some = replace(results, redraw=frozenset(pages))
            written += write_results(some, self._desk.out, formats=["overlays"])
        self._written = last
        return [path.relative_to(self._desk.out).as_posix() for path in written]
