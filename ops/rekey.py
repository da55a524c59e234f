"""Give every person in the lake a new name, by a new key: `python -m ops.rekey [--state nc]`.

To be run with the new `STATEWIDE_HMAC_KEY` (or `hmac.key`) in place and all DAGs paused. Every file
that names people is checked and loaded again from the bytes that landed, without asking the
publisher. Numbers stay as they are, so the next publish finds nothing new. On a shared lake,
machines that still have the old key are refused from the first moment on. If it is killed, run it
again: it goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from include import lake, quality, registry, shared_lake


def rekey(state: str) -> int:
    """Load the state's extracts of persons again, under the key of now. Returns how many.

    Raises lake.NothingLanded where the publisher's bytes are gone, and what `quality.check` raises;
    what was loaded before stays, and the state is not to be published until it is mended.
    """
    with shared_lake.working_copy(state, f"lake/{state}/*", f"quarantine/{state}/*"):
        stale = [
            load
            for load in lake.loads(state)
            if registry.extract_of(state, load.extract).personal_columns
            and load.spec != quality.spec(state, load.extract)
        ]
        for load in stale:
            told = (state, load.extract, load.school_year, load.sha256)
            # Whoever let the file pass did so for a reason, which stays.
            given = lake.override(load) or {"reason": "a new key for identifiers", "by": None}
            quality.check(*told, override_reason=given["reason"], override_by=given["by"])
            lake.replace(*told)
    return len(stale)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ops.rekey", description=__doc__)
    parser.add_argument("--state", choices=sorted(registry.states()), help="default: all")
    told = parser.parse_args(arguments)
    if shared_lake.is_configured():
        shared_lake.change_key()
    for state in [told.state] if told.state else registry.states():
        print(f"{state}: {rekey(state)} extracts loaded again", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
