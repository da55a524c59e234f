"""Files on an SFTP server, through paramiko."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from include.portals.errors import (
    AccessDenied,
    Changed,
    FetchError,
    HostRefused,
    Interrupted,
    NotPublished,
    UnexpectedAnswer,
)
from include.portals.locations import Location, credential, host_and_port
from include.portals.transfers import CHUNK, Answer, Asked, is_settled


@contextmanager
def ask(location: Location, asked: Asked) -> Iterator[Answer]:
    """The file from `asked.offset` on, if its size and time are those of the part that we have."""
    parts = urlsplit(location.address)
    path = unquote(parts.path)
    with ExitStack() as stack:
        with _translated(location):
            client = stack.enter_context(_connected(location, asked))
            session = client.open_sftp()
            session.get_channel().settimeout(asked.settings.read_seconds)
            file = stack.enter_context(session.open(path, "rb"))
            before = file.stat()
        if before.st_mode is not None and not stat.S_ISREG(before.st_mode):
            raise UnexpectedAnswer(location.shown, "is not a plain file", "name a file")
        headers = {
            "last-modified": formatdate(before.st_mtime or 0, usegmt=True),
            "date": formatdate(time.time(), usegmt=True),
        }
        version = f"{before.st_size} {headers['last-modified']}" if is_settled(headers) else None
        seen = asked.previous or {}
        if (
            seen.get("bytes") == before.st_size
            and is_settled(seen.get("headers", {}))
            and seen["headers"]["last-modified"] == headers["last-modified"]
        ):
            yield Answer(unchanged=True, headers=headers)
            return
        start = asked.offset if asked.version and asked.version == version else 0
        yield Answer(
            start=start,
            size=before.st_size,
            version=version,
            headers=headers,
            body=_body(location, file, start, before),
        )


def _body(location: Location, file: Any, start: int, before: Any) -> Iterator[bytes]:
    with _translated(location):
        file.seek(start)
        # Otherwise each 32 kB wait for the answer to the last.
        file.prefetch(before.st_size, max_concurrent_requests=64)
    while True:
        with _translated(location):
            chunk = file.read(CHUNK)
        if not chunk:
            break
        yield chunk
    with _translated(location):
        after = file.stat()
    if (after.st_size, after.st_mtime) != (before.st_size, before.st_mtime):
        raise Changed(
            location.shown, "was written to while it was read", "run fetch when it is complete"
        )


@contextmanager
def _connected(location: Location, asked: Asked) -> Iterator[Any]:
    import paramiko

    host, port = host_and_port(urlsplit(location.address))
    location.check_host(host, port)
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(_refusal(location))
    known = Path(os.environ.get("STATEWIDE_SFTP_KNOWN_HOSTS") or "~/.ssh/known_hosts").expanduser()
    if known.exists():
        client.load_host_keys(str(known))
    key = credential("SFTP", host, "KEY")
    with _line(location, host, port, asked) as line, client:
        client.connect(
            host,
            port,
            sock=line,
            username=location.user or credential("SFTP", host, "USER"),
            password=location.password or credential("SFTP", host, "PASSWORD"),
            key_filename=str(Path(key).expanduser()) if key else None,
            passphrase=credential("SFTP", host, "KEY_PASSPHRASE"),
            timeout=asked.settings.connect_seconds,
            banner_timeout=asked.settings.connect_seconds,
            auth_timeout=asked.settings.connect_seconds,
            channel_timeout=asked.settings.connect_seconds,
            # The keys of whoever runs this are not the pipeline's to offer.
            allow_agent=False,
            look_for_keys=False,
        )
        yield client


def _line(location: Location, host: str, port: int, asked: Asked) -> socket.socket:
    failed: OSError | None = None
    for address in location.check_addresses(host, port):
        try:
            return socket.create_connection((address, port), asked.settings.connect_seconds)
        except OSError as error:
            failed = error
    raise failed or OSError(f"{host} has no address")


def _refusal(location: Location) -> Any:
    import paramiko

    class Refuse(paramiko.MissingHostKeyPolicy):
        def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
            digest = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
            raise HostRefused(
                location.shown,
                f"{hostname} shows a {key.get_name()} key that is not known: SHA256:{digest}",
                "compare it with what the publisher says, then add it to the file that "
                "STATEWIDE_SFTP_KNOWN_HOSTS names",
            )

    return Refuse()


@contextmanager
def _translated(location: Location) -> Iterator[None]:
    """Paramiko's errors as ours."""
    import paramiko

    trouble: FetchError
    try:
        yield
        return
    except FetchError:
        raise
    except paramiko.BadHostKeyException as error:
        trouble = HostRefused(
            location.shown,
            f"{error.hostname} shows another host key than the known one",
            "do not go on before the publisher has confirmed the new key",
        )
    except paramiko.AuthenticationException:
        trouble = _denied(location, "the server does not accept who we say we are")
    except FileNotFoundError:
        trouble = NotPublished(
            location.shown,
            "there is no such file",
            "check the source in the state's file and STATEWIDE_EXTRACTS, or wait until there is",
        )
    except PermissionError:
        trouble = _denied(location, "we may not read it")
    except (paramiko.SSHException, EOFError, OSError) as error:
        if isinstance(error, paramiko.SSHException) and "authentication" in str(error).lower():
            trouble = _denied(location, "no way to log in was given")
        else:
            trouble = Interrupted(
                location.shown,
                f"the connection was cut or never made ({type(error).__name__})",
                "run fetch again to go on from there",
            )
    raise trouble


def _denied(location: Location, problem: str) -> AccessDenied:
    host = urlsplit(location.address).hostname or ""
    return AccessDenied(
        location.shown,
        problem,
        f"set STATEWIDE_SFTP_<HOST>_USER and _PASSWORD or _KEY (a file) for {host}",
    )
