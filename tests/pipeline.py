"""The way from a publisher's folder to a build, by the functions that the DAGs' tasks call."""

from __future__ import annotations

from include import disclosure, lake, portals, quality, registry, release, warehouse


def load(state: str, school_year: int, *extracts: str) -> dict[str, lake.Load]:
    """Fetch, check and load one year, or some extracts of it."""
    loads = {}
    for extract in extracts or registry.states()[state].due(school_year):
        sha256 = portals.fetch(state, extract, school_year)
        quality.check(state, extract, school_year, sha256)
        loads[extract] = lake.replace(state, extract, school_year, sha256)
    return loads


def build(state: str) -> str:
    """Build the marts, check them, and make them current. Returns the build's name."""
    made = warehouse.create(state)
    quality.check_marts(state, made)
    warehouse.accept(state, made)
    return made


def publish(state: str) -> str | None:
    """Build, check, protect and export. Returns the release's name, None if nothing was new."""
    return release.publish(state, disclosure.protect(state, build(state)))
