"""What can go wrong between a publisher and us."""

from __future__ import annotations


class FetchError(RuntimeError):
    """A file could not be fetched.

    The message names what was asked for (state, extract, year), the source without any secret,
    what was found instead of what was expected, and what to do. `transient` tells whether asking
    again later may help.
    """

    transient = False

    def __init__(self, source: str, problem: str, remedy: str) -> None:
        super().__init__(source, problem, remedy)
        self.source = source
        self.problem = problem
        self.remedy = remedy
        # Filled in by `portals.fetch`, which alone knows.
        self.asked_for = ""

    def __str__(self) -> str:
        named = f"{self.asked_for}: {self.source}" if self.asked_for else self.source
        return f"{named}: {self.problem}; {self.remedy}"


class BadLocation(FetchError):
    """A source, root or setting that cannot be understood, or that leaves its root."""


class HostRefused(FetchError):
    """A host, address, certificate or host key that the state's file does not vouch for."""


class AccessDenied(FetchError):
    """The publisher wants other credentials."""


class NotPublished(FetchError):
    """There is no such file. It may be one day, but not because we ask again."""


class NotData(FetchError):
    """A web page came instead of a file."""


class UnexpectedAnswer(FetchError):
    """The publisher answered something that is neither the file nor a passing trouble."""


class TooLarge(FetchError):
    """More bytes than a download or a member of an archive may have."""


class BadArchive(FetchError):
    """A zip that is damaged, or that no honest publisher would send."""


class BrokenManifest(FetchError):
    """The manifest cannot be read, or is not about the bytes that came.

    Transient: a publisher who replaces two files replaces one of them first.
    """

    transient = True


class NoRoom(FetchError):
    """The download could not be written to STATEWIDE_HOME."""


class Interrupted(FetchError):
    """The publisher is busy, or the connection was cut. What arrived is kept for the next try.

    `retry_after` is the wait, in seconds, that the publisher asked for.
    """

    transient = True

    def __init__(
        self, source: str, problem: str, remedy: str, retry_after: float | None = None
    ) -> None:
        super().__init__(source, problem, remedy)
        self.retry_after = retry_after


class Changed(Interrupted):
    """The file is no longer the one of which we hold the beginning: start over."""


class TimedOut(Interrupted):
    """The time for one download is used up. What arrived is kept for the next run."""
