"""Files on a web server, through requests.

Every hop of a redirect is checked like the first address: its host, then the addresses of that
host, and the connection is made to the addresses that were checked, so that a name cannot mean
one thing to the check and another to the connection.
"""

from __future__ import annotations

import base64
import email.utils
import http.client
import logging
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from include.portals.errors import (
    AccessDenied,
    BadLocation,
    Changed,
    FetchError,
    HostRefused,
    Interrupted,
    NotData,
    NotPublished,
    UnexpectedAnswer,
)
from include.portals.locations import Location, credential, host_and_port
from include.portals.transfers import (
    CHUNK,
    Answer,
    Asked,
    Deadline,
    file_type,
    is_settled,
    strong_version,
)

MAX_REDIRECTS = 5
WEB_PAGES = ("text/html", "application/xhtml+xml")


@contextmanager
def ask(location: Location, asked: Asked) -> Iterator[Answer]:
    """The file from `asked.offset` on, if the server can, and only if it is still the same file."""
    with ExitStack() as stack:
        watchdog = stack.enter_context(_Watchdog(asked.deadline))
        url = location.address
        for _ in range(MAX_REDIRECTS + 1):
            response = stack.enter_context(_get(location, url, asked, watchdog))
            target = response.headers.get("location")
            if response.status_code not in (301, 302, 303, 307, 308) or not target:
                yield _answer(location, asked, response)
                return
            url = _next(location, url, target)
        raise HostRefused(
            location.shown,
            f"redirects more than {MAX_REDIRECTS} times",
            "put the address that it ends at into the state's file",
        )


@contextmanager
def _get(location: Location, url: str, asked: Asked, watchdog: _Watchdog) -> Iterator[Any]:
    import requests

    # At DEBUG it would log whole URLs, signatures and all.
    logging.getLogger("urllib3").setLevel(logging.INFO)
    host, port = host_and_port(urlsplit(url))
    location.check_host(host, port)
    addresses = location.check_addresses(host, port)
    trouble: FetchError | None = None
    with requests.Session() as session:
        # Neither proxies nor .netrc: what we send, and to whom, is decided here.
        session.trust_env = False
        session.mount(f"{urlsplit(url).scheme}://", _adapter(addresses, watchdog))
        try:
            response = session.get(
                url,
                headers=_headers(location, url, host, port, asked),
                stream=True,
                allow_redirects=False,
                timeout=(asked.settings.connect_seconds, asked.settings.read_seconds),
                verify=os.environ.get("REQUESTS_CA_BUNDLE") or True,
            )
        except requests.RequestException as error:
            trouble = _unreached(location, host, port, error)
        if trouble:
            raise trouble
        with response:
            yield response


def _headers(location: Location, url: str, host: str, port: int, asked: Asked) -> dict[str, str]:
    headers = {"User-Agent": "statewide", "Accept": "*/*", "Accept-Encoding": "identity"}
    if asked.offset and asked.version:
        headers |= {"Range": f"bytes={asked.offset}-", "If-Range": asked.version}
    elif asked.previous:
        seen = asked.previous.get("headers", {})
        if seen.get("etag"):
            headers["If-None-Match"] = seen["etag"]
        elif is_settled(seen):
            headers["If-Modified-Since"] = seen["last-modified"]
    # Each host is told its own secret only, and none is told over an open line, but the
    # operator's own host if the operator says http.
    mine = location.vouched_for(host, port)
    if urlsplit(url).scheme == "https" or mine:
        user = (location.user if mine else None) or credential("HTTP", host, "USER")
        password = (location.password if mine else None) or credential("HTTP", host, "PASSWORD")
        if token := credential("HTTP", host, "TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        elif user:
            pair = f"{user}:{password or ''}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    return headers


def _next(location: Location, url: str, target: str) -> str:
    """Where a redirect leads, if we may go there at all; its host is checked before we do."""
    parts = urlsplit(urljoin(url, target))
    if parts.scheme not in ("http", "https"):
        raise HostRefused(
            location.shown,
            f"redirects to {parts.scheme or 'nothing'}:, which is not the web",
            "look at the source in a browser, and correct the state's file",
        )
    if urlsplit(url).scheme == "https" and parts.scheme == "http":
        raise HostRefused(
            location.shown,
            f"redirects from https to http, on {parts.hostname}",
            "ask the publisher for an address that stays encrypted",
        )
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()


def _answer(location: Location, asked: Asked, response: Any) -> Answer:
    status, source = response.status_code, location.shown
    headers = {name.lower(): value for name, value in response.headers.items()}
    if status == 304 and asked.previous and not asked.offset:
        return Answer(unchanged=True, headers=headers)
    if status in (412, 416) and asked.offset:
        raise Changed(source, "changed since its beginning was fetched", "fetch it again")
    if status not in (200, 206) or (status == 206 and not asked.offset):
        raise _refused(location, status, headers)
    expected = file_type(source)
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in WEB_PAGES and expected not in ("html", "htm"):
        raise NotData(
            source,
            f"a web page ({kind}) came instead of {expected or 'the file'}",
            "open the source in a browser: the file moved, or the publisher wants a log-in",
        )
    if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise UnexpectedAnswer(
            source,
            f"came in Content-Encoding {headers['content-encoding']}, which was not asked for",
            "ask the publisher for the file as it is",
        )
    length = headers.get("content-length", "")
    size = int(length) if length.isdigit() and "transfer-encoding" not in headers else None
    start = 0
    if status == 206:
        start, size = _range(location, headers.get("content-range", ""), asked)
        by = "etag" if (asked.version or "").startswith('"') else "last-modified"
        if headers.get(by, asked.version) != asked.version:
            raise Changed(source, "sent the rest of another version", "fetch it again")
    return Answer(
        start=start,
        size=size,
        version=strong_version(headers),
        headers=headers,
        body=_body(location, response),
    )


def _range(location: Location, told: str, asked: Asked) -> tuple[int, int | None]:
    """Where a partial answer starts, and the size of the whole. Raises Changed if not as asked."""
    unit, _, rest = told.partition(" ")
    span, _, whole = rest.partition("/")
    start = span.partition("-")[0]
    if unit.lower() != "bytes" or not start.isdigit() or int(start) != asked.offset:
        raise Changed(location.shown, "sent another part than was asked for", "fetch it again")
    return int(start), int(whole) if whole.isdigit() else None


def _body(location: Location, response: Any) -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError

    while True:
        trouble: FetchError | None = None
        try:
            # What is there, rather than all of CHUNK: a slow file is kept as it comes.
            chunk = response.raw.read1(CHUNK, decode_content=False)
        except (HTTPError, http.client.HTTPException, OSError, ValueError) as error:
            trouble = Interrupted(
                location.shown,
                f"the connection was cut ({type(error).__name__})",
                "run fetch again to go on from there",
            )
        if trouble:
            raise trouble
        if not chunk:
            return
        yield chunk


def _refused(location: Location, status: int, headers: dict[str, str]) -> FetchError:
    source, problem = location.shown, f"the server answered {status}"
    if status in (404, 410):
        return NotPublished(
            source,
            f"{problem}: there is no such file",
            "check the source in the state's file and STATEWIDE_EXTRACTS, or wait until there is",
        )
    if status in (401, 403, 407):
        host = urlsplit(location.address).hostname or ""
        return AccessDenied(
            source,
            f"{problem}: it wants other credentials",
            f"set STATEWIDE_HTTP_<HOST>_TOKEN, or _USER and _PASSWORD, for {host}",
        )
    if status in (408, 425, 429) or (status >= 500 and status not in (501, 505)):
        wait = _retry_after(headers)
        said = f" and asks to wait {wait:g} s" if wait else ""
        return Interrupted(source, f"{problem}{said}", "run fetch again later", wait)
    return UnexpectedAnswer(
        source, f"{problem}, not the file", "open the source in a browser, or ask the publisher"
    )


def _retry_after(headers: dict[str, str]) -> float | None:
    """Seconds: the header holds a number of them, or a date."""
    told = headers.get("retry-after", "").strip()
    if told.isdigit():
        return float(told)
    with suppress(ValueError, TypeError):
        when = email.utils.parsedate_to_datetime(told)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    return None


def _unreached(location: Location, host: str, port: int, error: Exception) -> FetchError:
    """Why there was no answer, in words that do not repeat the URL."""
    import requests

    place = f"{host}:{port}"
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return HostRefused(
            location.shown,
            f"{place} shows a certificate that is not trusted",
            "if your network has its own authority, name its file in REQUESTS_CA_BUNDLE",
        )
    if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
        return BadLocation(location.shown, "cannot be asked for", "correct the source")
    if isinstance(error, requests.Timeout):
        said = "did not answer in time"
    else:
        spoken = [c.strerror for c in causes if isinstance(c, OSError) and c.strerror]
        said = f"was not reached ({(spoken or [type(error).__name__])[-1]})"
    return Interrupted(location.shown, f"{place} {said}", "run fetch again later")


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[Any] = [error]
    for one in seen:
        yield one
        around = [*one.args, one.__cause__, one.__context__, getattr(one, "reason", None)]
        known = {id(it) for it in seen}
        seen += [it for it in around if isinstance(it, BaseException) and id(it) not in known]


def _adapter(addresses: list[str], watchdog: _Watchdog) -> Any:
    """A requests adapter that connects to these addresses, whatever the name means by now."""
    from requests.adapters import HTTPAdapter
    from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
    from urllib3.util.connection import create_connection

    class Checked:
        def _new_conn(self: Any) -> socket.socket:
            failed: OSError | None = None
            for address in addresses:
                try:
                    connected = create_connection(
                        (address, self.port), self.timeout, socket_options=self.socket_options
                    )
                except OSError as error:
                    failed = error
                    continue
                watchdog.watch(connected)
                return connected
            kind = ConnectTimeoutError if isinstance(failed, TimeoutError) else NewConnectionError
            raise kind(self, "no address answered") from failed

    class CheckedHTTP(Checked, HTTPConnection):
        pass

    class CheckedHTTPS(Checked, HTTPSConnection):
        pass

    class PoolHTTP(HTTPConnectionPool):
        ConnectionCls = CheckedHTTP

    class PoolHTTPS(HTTPSConnectionPool):
        ConnectionCls = CheckedHTTPS

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = {"http": PoolHTTP, "https": PoolHTTPS}

    return Adapter()


class _Watchdog:
    """Hangs up at the deadline.

    A server that sends one byte now and then never trips a timeout of reading, not even in the
    middle of its headers.
    """

    def __init__(self, deadline: Deadline) -> None:
        self._lock = threading.Lock()
        self._watched: list[socket.socket] = []
        self._rung = False
        self._timer = threading.Timer(max(deadline.left, 0), self._ring)
        self._timer.daemon = True

    def __enter__(self) -> _Watchdog:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            self._rung = True
            for one in self._watched:
                one.close()
            self._watched.clear()

    def watch(self, connected: socket.socket) -> None:
        # A second handle on the connection, because TLS takes the first one over.
        second = connected.dup()
        with self._lock:
            self._watched.append(second)
            if self._rung:
                self._hang_up()

    def _ring(self) -> None:
        with self._lock:
            self._rung = True
            self._hang_up()

    def _hang_up(self) -> None:
        for one in self._watched:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
