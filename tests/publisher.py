"""A real web server that behaves like a publisher's: mostly well, and badly when told to.

It knows ETag, Last-Modified, conditional and range requests. A test queues misbehavior for a path;
each request takes one from the queue, and once that is empty the server behaves again.
"""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

LONG_AGO = "Mon, 05 Nov 2018 08:00:00 GMT"


@dataclass
class Document:
    """One file of the publisher; `etag` and `last_modified` may be None."""

    body: bytes
    content_type: str
    etag: str | None
    last_modified: str | None
    ranges: bool = True


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    status: int


Misbehavior = Callable[["Handler", Document | None], None]


@dataclass
class Publisher:
    """`with Publisher() as publisher:` serves until the end of the block."""

    # A PEM file with key and certificate makes it speak https.
    certificate: Path | None = None
    documents: dict[str, Document] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Publisher:
        self._queues: dict[str, deque[Misbehavior]] = defaultdict(deque)
        self.closing = threading.Event()
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.publisher = self
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    def publish(
        self,
        path: str,
        body: bytes,
        *,
        content_type: str = "text/csv",
        etag: str | None = "",
        last_modified: str | None = LONG_AGO,
        ranges: bool = True,
    ) -> None:
        """Hand out a file. Its ETag is its hash unless told; None for none."""
        if etag == "":
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        self.documents[path] = Document(body, content_type, etag, last_modified, ranges)

    def misbehave(self, path: str, *misbehaviors: Misbehavior) -> None:
        """Treat the next requests for the path so, one after the other."""
        self._queues[path].extend(misbehaviors)

    def next_misbehavior(self, path: str) -> Misbehavior | None:
        queue = self._queues[path]
        return queue.popleft() if queue else None

    def statuses(self, path: str) -> list[int]:
        return [request.status for request in self.requests if request.path == path]


def cut_after(count: int) -> Misbehavior:
    """Promise the whole (or the rest), give `count` bytes of it, and hang up."""

    def cut(handler: Handler, document: Document | None) -> None:
        assert document
        status, start = handler.start_of(document)
        handler.head(status, document, start)
        handler.wfile.write(document.body[start : start + count])
        handler.hang_up()

    return cut


def cut_then(count: int, then: Callable[[], object]) -> Misbehavior:
    """The same, and do something before the next request."""

    def cut(handler: Handler, document: Document | None) -> None:
        cut_after(count)(handler, document)
        then()

    return cut


def hold_after(count: int, reached: Callable[[], object]) -> Misbehavior:
    """Give `count` bytes, tell that they are out, and leave the line open."""

    def hold(handler: Handler, document: Document | None) -> None:
        assert document
        status, start = handler.start_of(document)
        handler.head(status, document, start)
        handler.wfile.write(document.body[start : start + count])
        handler.wfile.flush()
        reached()
        handler.server.publisher.closing.wait(60)
        handler.hang_up()

    return hold


def answer(status: int, body: bytes = b"", **headers: str) -> Misbehavior:
    """Answer with something else; `Retry_After="3"` is the header Retry-After."""

    def reply(handler: Handler, document: Document | None) -> None:
        handler.note(status)
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return reply


def redirect(target: str) -> Misbehavior:
    return answer(302, Location=target)


def without_length(count: int | None = None, chunked: bool = False) -> Misbehavior:
    """Give the file without saying how long it is; of a chunked one perhaps only `count` bytes."""

    def give(handler: Handler, document: Document | None) -> None:
        assert document
        handler.note(200)
        handler.send_response(200)
        if chunked:
            handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        body = document.body[:count]
        if chunked:
            handler.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
            if count is None:
                handler.wfile.write(b"0\r\n\r\n")
        else:
            handler.wfile.write(body)
        handler.hang_up()

    return give


def drip(where: str) -> Misbehavior:
    """Send single bytes for as long as anybody listens, in the `headers` or in the `body`."""

    def send(handler: Handler, document: Document | None) -> None:
        assert document
        handler.note(200)
        if where == "headers":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        else:
            handler.head(200, document, 0, noted=True)
        while not handler.server.publisher.closing.is_set():
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.05)

    return send


class Server(ThreadingHTTPServer):
    daemon_threads = True
    publisher: Publisher

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        publisher = self.server.publisher
        document = publisher.documents.get(self.path)
        if misbehavior := publisher.next_misbehavior(self.path):
            misbehavior(self, document)
        elif document is None:
            answer(404)(self, None)
        elif self.is_known(document):
            self.note(304)
            self.send_response(304)
            self.validators(document)
            self.end_headers()
        else:
            status, start = self.start_of(document)
            self.head(status, document, start)
            self.wfile.write(memoryview(document.body)[start:])

    def is_known(self, document: Document) -> bool:
        if told := self.headers.get("If-None-Match"):
            return told == document.etag
        since = self.headers.get("If-Modified-Since")
        if not since or not document.last_modified:
            return False
        return parsedate_to_datetime(document.last_modified) <= parsedate_to_datetime(since)

    def start_of(self, document: Document) -> tuple[int, int]:
        """Status and first byte of the answer to a request that may be for a range."""
        wanted, told = self.headers.get("Range"), self.headers.get("If-Range")
        if not wanted or not document.ranges:
            return 200, 0
        if told and told not in (document.etag, document.last_modified):
            return 200, 0
        return 206, int(wanted.removeprefix("bytes=").rstrip("-"))

    def head(self, status: int, document: Document, start: int, noted: bool = False) -> None:
        if not noted:
            self.note(status)
        self.send_response(status)
        size = len(document.body)
        self.send_header("Content-Type", document.content_type)
        self.send_header("Content-Length", str(size - start))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.validators(document)
        self.end_headers()

    def validators(self, document: Document) -> None:
        if document.etag:
            self.send_header("ETag", document.etag)
        if document.last_modified:
            self.send_header("Last-Modified", document.last_modified)

    def note(self, status: int) -> None:
        told = {name.lower(): value for name, value in self.headers.items()}
        self.server.publisher.requests.append(Request(self.path, told, status))

    def hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:
        """Tests look at `requests` instead."""


class Relay:
    """A line to a server on this machine that is cut: once for each number in `cuts`, after as many
    bytes from the server."""

    def __init__(self, port: int, cuts: list[int]) -> None:
        self.target, self.cuts = port, cuts

    def __enter__(self) -> Relay:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            left = self.cuts.pop(0) if self.cuts else None
            for one, other, limit in ((client, server, None), (server, client, left)):
                threading.Thread(target=_pass_on, args=(one, other, limit), daemon=True).start()


def _pass_on(one: socket.socket, other: socket.socket, left: int | None) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data if left is None else data[:left])
            if left is not None and (left := left - len(data)) <= 0:
                break
    for end in (one, other):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def now() -> str:
    """This second, as Last-Modified tells it."""
    return formatdate(usegmt=True)
