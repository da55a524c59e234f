"""Which root a run reads its extracts from, where sources name a relative path.

Usually `STATEWIDE_EXTRACTS`, for everybody. A single run may name another (`make refresh
EXTRACTS=...`), provided that somebody with a shell on this machine allowed it first: who may only
start runs must not be able to point one at any folder or server. A run names a root without the
credentials that it may carry; those stay in `STATEWIDE_HOME/origins.json`, for its owner only.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from include import lake

REMOTE = re.compile(
    r"(?P<scheme>https?|s3|sftp)://((?P<login>[^\s/@]*)@)?(?P<rest>[^\s/@]+(/\S*)?)"
)


class NotAllowed(PermissionError):
    """A run named a root that nobody allowed, or that is none. The message says what would do."""


def _file() -> Path:
    return lake.machine() / "origins.json"


def _known() -> dict[str, str]:
    return json.loads(_file().read_text()) if _file().exists() else {}


def shown(root: str) -> str:
    """A root in one spelling and without credentials.

    A root is an existing folder or zip (absolute; `archive.zip!folder` for a part of one) or an
    address. Raises NotAllowed if it is neither.
    """
    if address := REMOTE.fullmatch(root):
        # A query may be a signature, and is as secret as a password.
        return f"{address['scheme']}://{address['rest'].partition('?')[0].rstrip('/')}"
    path, _, member = root.partition("!")
    if not os.path.isabs(path) or not os.path.exists(path):
        raise NotAllowed(
            f"{root.rpartition('@')[2]!r} is neither an existing folder or zip (absolute path) nor "
            "an address that starts with http, https, s3 or sftp"
        )
    return str(Path(path).resolve()) + (f"!{member}" if member else "")


def allow(root: str) -> str:
    """Let runs read from this root from now on. Returns the name that a run gives it."""
    name = shown(root)
    with lake.lock("origins"):
        known = _known()
        full = root if REMOTE.fullmatch(root) else name
        if known.get(name) != full:
            lake.write_json(_file(), known | {name: full})
            _file().chmod(0o600)
    return name


@contextmanager
def reading_from(root: str | None) -> Iterator[None]:
    """`STATEWIDE_EXTRACTS` is this root inside the block, and what it was afterwards.

    None changes nothing, unless there is no `STATEWIDE_EXTRACTS` and one root only that somebody
    allowed: a run that is started in the UI then reads from where `make demo` or
    `make refresh` did.

    Raises NotAllowed, naming the command that allows it.
    """
    before, known = os.environ.get("STATEWIDE_EXTRACTS"), _known()
    if root is None and (before or len(known) != 1):
        yield
        return
    name = shown(root) if root is not None else next(iter(known))
    if before:
        known.setdefault(shown(before), before)
    if name not in known:
        raise NotAllowed(
            f"no one has allowed runs to read from {name}; on the machine that runs them, say "
            f"make refresh STATE=... EXTRACTS={name}"
        )
    os.environ["STATEWIDE_EXTRACTS"] = known[name]
    try:
        yield
    finally:
        if before is None:
            del os.environ["STATEWIDE_EXTRACTS"]
        else:
            os.environ["STATEWIDE_EXTRACTS"] = before
