"""S3 as releases and a shared lake need it: objects written once and never again, and pointers
moved by compare-and-swap.

Every write is conditional and carries its SHA-256, so the store itself refuses to overwrite and
refuses bytes that were damaged on their way. Any S3 that keeps `If-None-Match` and `If-Match` will
do. Where it is and who we are comes from the environment: `STATEWIDE_S3_ENDPOINT` for a store that
is not Amazon's, and the usual `AWS_*` variables, profile or instance role. None of it is logged.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Up to this size an object is sent in one request; above it, in parts of PART.
SINGLE = 64 * 2**20
PART = 64 * 2**20


class BadDestination(ValueError):
    """A destination that is not `s3://bucket/prefix`."""


class StoreFailed(RuntimeError):
    """The store refused a request, or could not be reached. Nothing of ours was overwritten."""


class DifferentContent(StoreFailed):
    """An object of that name is there with other bytes. It was left as it is."""


class Damaged(StoreFailed):
    """An object's bytes are not those that its name or its record promises."""


class Absent(StoreFailed):
    """An object that has to be there is not."""


class LostRace(StoreFailed):
    """Somebody else moved the pointer meanwhile. It was left as they put it."""


@dataclass(frozen=True)
class Pointer:
    """The bytes of a pointer object and the version (ETag) at which they were read.

    Both are None where there is no pointer yet.
    """

    content: bytes | None
    etag: str | None


class ObjectStore:
    """One bucket and prefix."""

    def __init__(self, destination: str, setting: str = "STATEWIDE_PUBLISH") -> None:
        """`destination` is `s3://bucket/prefix`, told by `setting`. Raises BadDestination."""
        told = urlsplit(destination)
        if told.scheme != "s3" or not told.netloc or told.query or told.fragment:
            raise BadDestination(
                f"{destination!r} is not a place in S3; {setting} wants s3://bucket/prefix"
            )
        self.bucket = told.netloc
        self.prefix = told.path.strip("/")
        self._client = _client()

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def key(self, name: str) -> str:
        return f"{self.prefix}/{name}" if self.prefix else name

    def create(self, name: str, source: Path, sha256: str) -> bool:
        """Upload a file if no object has that name. Returns whether it was uploaded.

        Where one is there already its bytes are compared: the same are fine. `sha256` is the
        file's hash in hexadecimal. Raises DifferentContent, StoreFailed.
        """
        size = source.stat().st_size
        if not self._is_there(name):
            sent = self._send(name, source, sha256) if size <= SINGLE else self._parts(name, source)
            if sent:
                return True
        # Found there, or written by somebody in between, or by a request of ours whose answer was
        # lost: it is what we would have written, or it is an error.
        if (found := self.sha256(name)) != sha256:
            raise DifferentContent(
                f"{self}/{name} is there with other content (sha256 {found[:12]} instead of "
                f"{sha256[:12]}); it was not touched. What is written once never changes: find out "
                "who wrote it, and remove it only if no reader can have it"
            )
        return False

    def sha256(self, name: str) -> str:
        """The hash of an object's bytes: as the store checked it, or else by reading them all."""
        with self._spoken("read", name):
            head = self._client.head_object(
                Bucket=self.bucket, Key=self.key(name), ChecksumMode="ENABLED"
            )
            told = head.get("ChecksumSHA256", "")
            # An object sent in parts has a hash of hashes, marked by the number of parts.
            if told and "-" not in told and head.get("ChecksumType") != "COMPOSITE":
                return base64.b64decode(told).hex()
            body = self._client.get_object(Bucket=self.bucket, Key=self.key(name))["Body"]
            seen = hashlib.sha256()
            for chunk in body.iter_chunks(2**20):
                seen.update(chunk)
            return seen.hexdigest()

    def fetch(self, name: str, to: Path, sha256: str) -> None:
        """Download an object to a file. Raises Damaged where its bytes have another hash, and
        Absent where there is none; then there is no file.
        """
        seen = hashlib.sha256()
        try:
            with self._spoken("read", name), open(to, "wb", opener=_owner_only) as file:
                try:
                    found = self._client.get_object(Bucket=self.bucket, Key=self.key(name))
                except self._client.exceptions.NoSuchKey:
                    raise Absent(f"{self}/{name} is gone from the store") from None
                for chunk in found["Body"].iter_chunks(2**20):
                    seen.update(chunk)
                    file.write(chunk)
            if seen.hexdigest() != sha256:
                raise Damaged(
                    f"{self}/{name} came with other bytes (sha256 {seen.hexdigest()[:12]} instead "
                    f"of {sha256[:12]}); nothing was done with them"
                )
        except BaseException:
            to.unlink(missing_ok=True)
            raise

    def touch(self, name: str, source: Path, sha256: str) -> None:
        """Write the same bytes once more, so that the object counts as new."""
        if source.stat().st_size > SINGLE:
            self._parts(name, source, only_if_absent=False)
            return
        with source.open("rb") as body, self._spoken("write", name):
            self._put(name, body, _Known(sha256))

    def listed(self, under: str) -> Iterator[tuple[str, datetime]]:
        """Names of the objects under a folder, and when each was last written."""
        with self._spoken("list", under):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self.key(under).rstrip("/") + "/"
            )
            for page in pages:
                for found in page.get("Contents", ()):
                    name = found["Key"]
                    if self.prefix:
                        name = name.removeprefix(f"{self.prefix}/")
                    yield name, found["LastModified"]

    def remove(self, name: str) -> None:
        """Remove an object; none of that name is fine as well."""
        with self._spoken("remove", name):
            self._client.delete_object(Bucket=self.bucket, Key=self.key(name))

    def read(self, name: str) -> Pointer:
        """A small object and its version; of None and None if it is not there."""
        with self._spoken("read", name):
            try:
                found = self._client.get_object(Bucket=self.bucket, Key=self.key(name))
            except self._client.exceptions.NoSuchKey:
                return Pointer(None, None)
            return Pointer(found["Body"].read(), found["ETag"])

    def swap(self, name: str, seen: Pointer, content: bytes) -> bool:
        """Replace a small object only if it is still as it was `seen`. Returns whether it changed.

        Raises LostRace, saying what stands there now. Running again is safe.
        """
        if seen.content == content:
            return False
        condition = {"IfMatch": seen.etag} if seen.etag else {"IfNoneMatch": "*"}
        with self._spoken("move the pointer", name):
            moved = self._put(
                name, content, hashlib.sha256(content), ContentType="application/json", **condition
            )
        if moved:
            return True
        now = self.read(name)
        # The answer to a request that did succeed can be lost, and the request sent again.
        if now.content == content:
            return True
        stands = (now.content or b"nothing").decode(errors="replace").strip()
        raise LostRace(
            f"{self}/{name} was moved by somebody else while we were at work; it stands at "
            f"{stands[:300]} and was left there. What it was to point to is uploaded whole. Run "
            "again to move the pointer to it"
        )

    def make_bucket(self) -> bool:
        """Create the bucket if it is not there. Returns whether it was created."""
        from botocore.exceptions import ClientError

        with self._spoken("look for the bucket of", ""):
            try:
                self._client.head_bucket(Bucket=self.bucket)
                return False
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                    raise
            self._client.create_bucket(Bucket=self.bucket)
        return True

    def written(self, name: str) -> datetime | None:
        """When an object was last written; None if it is not there."""
        from botocore.exceptions import ClientError

        with self._spoken("look for", name):
            try:
                head = self._client.head_object(Bucket=self.bucket, Key=self.key(name))
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return None
                raise
        return head["LastModified"]

    def _is_there(self, name: str) -> bool:
        return self.written(name) is not None

    def _send(self, name: str, source: Path, sha256: str) -> bool:
        with source.open("rb") as body, self._spoken("write", name):
            return self._put(name, body, _Known(sha256), IfNoneMatch="*")

    def _put(self, name: str, body: Any, seen: Any, **told: Any) -> bool:
        """One conditional request; False where the condition did not hold."""
        with _condition() as held:
            self._client.put_object(
                Bucket=self.bucket,
                Key=self.key(name),
                Body=body,
                ChecksumSHA256=base64.b64encode(seen.digest()).decode(),
                **told,
            )
        return held.kept

    def _parts(self, name: str, source: Path, *, only_if_absent: bool = True) -> bool:
        """Send a large file in parts, which become the object in one step at the end."""
        condition = {"IfNoneMatch": "*"} if only_if_absent else {}
        place = {"Bucket": self.bucket, "Key": self.key(name)}
        with self._spoken("write", name):
            upload = self._client.create_multipart_upload(**place, ChecksumAlgorithm="SHA256")
            place["UploadId"] = upload["UploadId"]
            try:
                parts = []
                with source.open("rb") as file:
                    for number, part in enumerate(iter(lambda: file.read(PART), b""), start=1):
                        checksum = base64.b64encode(hashlib.sha256(part).digest()).decode()
                        sent = self._client.upload_part(
                            **place, PartNumber=number, Body=part, ChecksumSHA256=checksum
                        )
                        parts.append(
                            {"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": checksum}
                        )
                with _condition() as held:
                    self._client.complete_multipart_upload(
                        **place, MultipartUpload={"Parts": parts}, **condition
                    )
                if not held.kept:
                    self._client.abort_multipart_upload(**place)
                return held.kept
            except BaseException:
                self._abandon(place)
                raise

    def _abandon(self, place: dict[str, str]) -> None:
        """Parts that never became an object cost money until they are thrown away."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.abort_multipart_upload(**place)
        except (BotoCoreError, ClientError):
            return

    @contextmanager
    def _spoken(self, verb: str, name: str) -> Iterator[None]:
        """Turn the client's errors into ours, which name the object and carry no credentials."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            told = error.response.get("Error", {})
            raise StoreFailed(
                f"could not {verb} {self}/{name}: the store answered {told.get('Code', '?')} "
                f"({told.get('Message', 'no reason given')})"
            ) from error
        except BotoCoreError as error:
            # Its text may hold the endpoint, which may hold a password.
            raise StoreFailed(
                f"could not {verb} {self}/{name}: {type(error).__name__}; check "
                "STATEWIDE_S3_ENDPOINT, the AWS_* settings and the network, then run again"
            ) from None


class _Known:
    """A hash that is known already, with the interface of one that is computed."""

    def __init__(self, sha256: str) -> None:
        self._sha256 = sha256

    def digest(self) -> bytes:
        return bytes.fromhex(self._sha256)


@dataclass
class _Condition:
    kept: bool = True


@contextmanager
def _condition() -> Iterator[_Condition]:
    """Whether the condition of one request held."""
    from botocore.exceptions import ClientError

    held = _Condition()
    try:
        yield held
    except ClientError as error:
        # 409: another conditional request on the same name was under way.
        if error.response["ResponseMetadata"]["HTTPStatusCode"] not in (409, 412):
            raise
        held.kept = False


def _owner_only(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _client() -> Any:
    import boto3
    from botocore.config import Config

    endpoint = os.environ.get("STATEWIDE_S3_ENDPOINT") or None
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        config=Config(
            # Stores of one's own seldom have a host name for each bucket.
            s3={"addressing_style": "path"} if endpoint else {},
            connect_timeout=10,
            read_timeout=60,
            retries={"total_max_attempts": 5, "mode": "standard"},
        ),
    )
