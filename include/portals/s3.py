"""Objects in a bucket, through boto3."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from include.portals.errors import (
    AccessDenied,
    Changed,
    FetchError,
    Interrupted,
    NotPublished,
    UnexpectedAnswer,
)
from include.portals.locations import Location
from include.portals.transfers import CHUNK, Answer, Asked

# SlowDown and its kin come with a 503; these come with a 400.
PASSING = ("RequestTimeout", "RequestTimeTooSkewed", "Throttling", "ThrottlingException")


@contextmanager
def ask(location: Location, asked: Asked) -> Iterator[Answer]:
    """The object from `asked.offset` on, by one GetObject that S3 itself makes conditional."""
    from botocore.exceptions import BotoCoreError, ClientError

    bucket, _, key = location.address.partition("://")[2].partition("/")
    wanted: dict[str, str] = {"Bucket": bucket, "Key": key}
    if asked.offset:
        wanted |= {"Range": f"bytes={asked.offset}-", "IfMatch": asked.version or ""}
    elif asked.previous and (etag := asked.previous["headers"].get("etag")):
        wanted["IfNoneMatch"] = etag
    trouble: FetchError | None = None
    try:
        got = _client(asked).get_object(**wanted)
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = str(error.response.get("Error", {}).get("Code", ""))
        if status == 304 and "IfNoneMatch" in wanted:
            got = None
        else:
            trouble = _refused(location, status, code)
    except BotoCoreError as error:
        trouble = _unreached(location, error)
    if trouble:
        raise trouble
    if got is None:
        yield Answer(unchanged=True)
        return
    told = got["ResponseMetadata"]["HTTPHeaders"]
    headers = {name.lower(): str(value) for name, value in told.items()}
    start, size = 0, got["ContentLength"]
    if asked.offset:
        # "bytes 100-999/1000"
        start = int(got["ContentRange"].split()[1].partition("-")[0])
        size += start
    with got["Body"] as body:
        yield Answer(
            start=start,
            size=size,
            version=got["ETag"],
            headers=headers,
            body=_body(body, location),
        )


def _body(body: Any, location: Location) -> Iterator[bytes]:
    from botocore.exceptions import BotoCoreError
    from urllib3.exceptions import HTTPError

    while True:
        trouble: FetchError | None = None
        try:
            chunk = body.read(CHUNK)
        except (BotoCoreError, HTTPError, OSError) as error:
            damaged = type(error).__name__ == "FlexibleChecksumError"
            kind = Changed if damaged else Interrupted
            trouble = kind(
                location.shown,
                f"the connection was cut ({type(error).__name__})",
                "run fetch again to go on from there",
            )
        if trouble:
            raise trouble
        if not chunk:
            return
        yield chunk


def _client(asked: Asked) -> Any:
    import boto3
    from botocore.config import Config

    # At DEBUG it would log what it signs.
    logging.getLogger("botocore").setLevel(logging.INFO)
    endpoint = os.environ.get("STATEWIDE_S3_ENDPOINT") or None
    # A session of its own: the default one keeps the first credentials that it sees.
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        config=Config(
            connect_timeout=asked.settings.connect_seconds,
            read_timeout=min(asked.settings.read_seconds, max(asked.deadline.left, 1)),
            # Waiting and trying again is done in one place, for all kinds of sources.
            retries={"total_max_attempts": 1, "mode": "standard"},
            s3={"addressing_style": "path"} if endpoint else None,
        ),
    )


def _refused(location: Location, status: int, code: str) -> FetchError:
    if status == 404:
        return NotPublished(
            location.shown,
            f"there is no such object ({code})",
            "check the source in the state's file, STATEWIDE_EXTRACTS and STATEWIDE_S3_ENDPOINT",
        )
    if status in (412, 416):
        return Changed(location.shown, "changed since its beginning was fetched", "fetch it again")
    if status in (401, 403):
        return AccessDenied(
            location.shown,
            f"S3 refused ({code}), as it also does for an object that is not there",
            "give the owner of AWS_ACCESS_KEY_ID the right to list and to read the bucket",
        )
    if status == 429 or status >= 500 or code in PASSING:
        return Interrupted(location.shown, f"S3 is busy ({status} {code})", "run fetch again later")
    return UnexpectedAnswer(
        location.shown, f"S3 answered {status} {code}", "check STATEWIDE_S3_ENDPOINT and the region"
    )


def _unreached(location: Location, error: Exception) -> FetchError:
    from botocore import exceptions

    name = type(error).__name__
    passing = (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.ResponseStreamingError,
    )
    if isinstance(error, passing) and not isinstance(error, exceptions.SSLError):
        return Interrupted(location.shown, f"S3 was not reached ({name})", "run fetch again later")
    return AccessDenied(
        location.shown,
        f"S3 could not be asked ({name})",
        "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION and, for a store other "
        "than Amazon's, STATEWIDE_S3_ENDPOINT",
    )
