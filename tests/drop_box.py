"""A real SFTP server over a folder, for tests: paramiko's server side on the loopback address."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import paramiko

USER, PASSWORD = "statewide", "only-for-tests"


class DropBox:
    """`with DropBox(folder) as box:` serves the folder read-only until the end of the block.

    `cuts` holds byte counts; each new connection takes one and is cut after that many bytes.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = paramiko.RSAKey.generate(2048)
        self.cuts: list[int] = []
        self.reads: list[tuple[int, int]] = []
        self._transports: list[paramiko.Transport] = []

    def __enter__(self) -> DropBox:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
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
        self._thread.join()
        for transport in self._transports:
            transport.close()

    @property
    def url(self) -> str:
        return f"sftp://{USER}@127.0.0.1:{self.port}"

    def known_hosts(self, path: Path) -> Path:
        """Write the file that vouches for this server."""
        name = f"[127.0.0.1]:{self.port}"
        path.write_text(f"{name} {self.key.get_name()} {self.key.get_base64()}\n")
        return path

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            cut = self.cuts.pop(0) if self.cuts else None
            transport.set_subsystem_handler(
                "sftp", paramiko.SFTPServer, _Files, box=self, cut=cut, transport=transport
            )
            self._transports.append(transport)
            with suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(server=_Door())


class _Door(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        known = (username, password) == (USER, PASSWORD)
        return paramiko.AUTH_SUCCESSFUL if known else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class _Files(paramiko.SFTPServerInterface):
    def __init__(
        self, server: Any, box: DropBox, cut: int | None, transport: paramiko.Transport
    ) -> None:
        super().__init__(server)
        self.box, self.left, self.transport = box, cut, transport

    def stat(self, path: str) -> paramiko.SFTPAttributes | int:
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(self._path(path)))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> paramiko.SFTPHandle | int:
        try:
            return _File(self, self._path(path).open("rb"))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    def _path(self, path: str) -> Path:
        return self.box.folder / self.canonicalize(path).lstrip("/")


class _File(paramiko.SFTPHandle):
    def __init__(self, files: _Files, file: Any) -> None:
        super().__init__(os.O_RDONLY)
        self.files, self.file = files, file

    def stat(self) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.file.fileno()))

    def read(self, offset: int, length: int) -> bytes:
        files = self.files
        if files.left is not None:
            files.left -= length
            if files.left < 0:
                files.transport.close()
                return b""
        files.box.reads.append((offset, length))
        self.file.seek(offset)
        return self.file.read(length)

    def close(self) -> None:
        self.file.close()
