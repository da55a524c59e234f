"""Debian's Chromium, clicked and typed in: for the documentation's pictures, and for tests.

Needs Chromium (Debian: apt-get install chromium); nothing is downloaded.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

SIZE = {"width": 1600, "height": 1000}
# How long a page, or what is waited for in it, may take, in milliseconds.
PATIENCE = 60_000
# Silent: no look-ups of its own, and no proxy on the way to this machine; it runs as root in a
# container.
QUIET = [
    "--no-sandbox",
    "--no-proxy-server",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]


class NoBrowser(RuntimeError):
    """Chromium is not installed."""


def executable() -> str:
    """Where Chromium is. Raises NoBrowser with the command that installs it."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        raise NoBrowser("Chromium is not installed: apt-get install chromium")
    return found


@contextmanager
def opened() -> Iterator[Browser]:
    """A browser without a window, for as long as the block lasts. Raises NoBrowser."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable(), args=QUIET)
        try:
            yield browser
        finally:
            browser.close()


def signed_in(browser: Browser, address: str, user: str, password: str) -> Page:
    """A page of somebody who asked for this address of Airflow's and was sent to log in first."""
    page = browser.new_context(viewport=SIZE, reduced_motion="reduce").new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda now: "/auth/login" not in now)
    return page
