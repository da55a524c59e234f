"""A newcomer's hour: everything by clicks and typing in a real browser, under the real Airflow.

A file is refused; its alert leads to why. The file is put right and only what is needed runs again.
Figures move, a release waits and is let out with a reason, then taken back with another. What the
browser shows is held against the lake and the releases. With STATEWIDE_PICTURES (a folder) it takes
the documentation's pictures on the way.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Locator, Page, expect

from include import lake, release
from ops import browser, configuration, instance, pictures
from ops.client import Client
from tests.drawn import Publisher
from tests.mailbox import Mailbox, receiving

PATIENCE = 600
CORRECTED = "the ledgers were short of the last month"
NOT_WHOLE = "the corrected ledgers were not complete"
pytestmark = [
    pytest.mark.machines,
    pytest.mark.skipif(
        not (shutil.which("chromium") or shutil.which("chromium-browser")),
        reason="needs Chromium (apt-get install chromium)",
    ),
]


class Hour:
    """A machine whose Airflow stays up, a publisher's folder, and somebody new at the desk."""

    def __init__(
        self, client: Client, chromium: Browser, publisher: Publisher, box: Mailbox
    ) -> None:
        self.client, self.chromium = client, chromium
        self.publisher, self.box = publisher, box
        self.passwords = json.loads((configuration.home() / "passwords.json").read_text())
        # What the browser complained of, and the addresses that answered with an error.
        self.complaints: list[str] = []
        self.refused: list[tuple[int, str]] = []
        self._page: Page | None = None
        # A file and its manifest, as they were before they went wrong.
        self.good: dict[Path, bytes] = {}

    @property
    def page(self) -> Page:
        """The newcomer's one window."""
        assert self._page, "the newcomer has not logged in yet"
        return self._page

    def arrive(self, address: str, user: str = "admin") -> Page:
        """Open an address as somebody who has no session yet, and log in on the way."""
        page = browser.signed_in(self.chromium, address, user, self.passwords[user])
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._heard)
        page.on("response", lambda it: it.status >= 400 and self._answered(it.status, it.url))
        if user == "admin":
            self._page = page
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        # What an address answered is kept apart.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def _answered(self, status: int, address: str) -> None:
        self.refused.append((status, address))

    def statewide(self, page: Page | None = None) -> FrameLocator:
        """The Statewide page, by Airflow's navigation."""
        page = page or self.page
        to(page, "Statewide")
        framed = page.frame_locator("iframe")
        # Where the page is open already, the navigation leads nowhere.
        framed.get_by_role("link", name="All states").click()
        expect(framed.get_by_role("heading", name="What is wrong now")).to_be_visible()
        return framed

    def state(self) -> FrameLocator:
        """Franklin's page, by the Statewide page."""
        framed = self.statewide()
        framed.get_by_role("link", name="Franklin", exact=True).click()
        expect(framed.get_by_role("heading", name="Releases")).to_be_visible()
        return framed

    def photograph(self, name: str, height: int = browser.SIZE["height"]) -> None:
        if folder := os.environ.get("STATEWIDE_PICTURES"):
            self.page.set_viewport_size(browser.SIZE | {"height": height})
            pictures.photograph(self.page, Path(folder).resolve() / f"{name}.png")
            self.page.set_viewport_size(browser.SIZE)

    def tasks(self, run: str) -> dict[str, dict[str, Any]]:
        return {it["task_id"]: it for it in self.client.tasks("zz_ingest", run)}


def until(met: Callable[[], Any], what: str) -> Any:
    """Wait for something to become true outside of the browser. Returns it."""
    patience = time.monotonic() + PATIENCE
    while not (found := met()):
        assert time.monotonic() < patience, what
        time.sleep(0.5)
    return found


@pytest.fixture(scope="module")
def hour(tmp_path_factory) -> Iterator[Hour]:
    publisher = Publisher.drawn(tmp_path_factory.mktemp("publisher"))
    home = tmp_path_factory.mktemp("hour") / "home"
    home.mkdir()
    expect.set_options(timeout=browser.PATIENCE)
    with pytest.MonkeyPatch.context() as patch, receiving() as box:
        patch.setenv("STATEWIDE_HOME", str(home))
        patch.setenv("STATEWIDE_EXTRACTS", str(publisher.files))
        patch.setenv("STATEWIDE_FETCH_RETRIES", "0")
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin,viewer:viewer")
        for name, value in box.environment().items():
            patch.setenv(name, value)
        with instance.using() as client, browser.opened() as chromium:
            yield Hour(client, chromium, publisher, box)


def manifest() -> dict[str, Any]:
    path = lake.published("zz") / "current" / release.MANIFEST
    return json.loads(path.read_text()) if path.exists() else {}


def extracts_published() -> set[str]:
    return {it["extract"] for it in manifest().get("inputs", ())}


def run_of(page: Page) -> str:
    """The run that a page of Airflow's is about."""
    found = re.search(r"/runs/([^/?]+)", page.url)
    assert found, page.url
    return unquote(found[1])


def to(page: Page, name: str) -> None:
    """Go by Airflow's navigation."""
    page.get_by_test_id("nav-sidebar").get_by_role("link", name=name).last.click()


def ask_for_a_run(page: Page) -> None:
    """Open the form of the DAG whose page this is."""
    # The list of DAGs has one such button for each.
    expect(page.get_by_test_id("trigger-dag-button")).to_have_count(1)
    page.get_by_test_id("trigger-dag-button").click()


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog").last


def test_the_alert_leads_to_why_a_file_was_refused(hour):
    hour.good = {
        path: path.read_bytes()
        for path in hour.publisher.path("finance_ledger").parent.glob("finance_ledger.*")
    }
    hour.publisher.rewrite("finance_ledger", lambda rows: rows, header=("amount", "amuont"))
    hour.client.trigger("zz_ingest", {"school_year": 2025})
    hour.box.wait(lambda box: box.mails, seconds=PATIENCE)
    assert "Franklin: ingest: finance ledger 2025" in hour.box.subjects()[0]
    link = re.search(r"Task:\s+(\S+)", hour.box.text(0))
    assert link

    page = hour.arrive(link[1])
    assert page.url == link[1], "after the login, where the alert led to"
    expect(page.get_by_text("Check finance ledger").first).to_be_visible()
    # The log opens at its end: the reason and what to do are seen without scrolling.
    for said in (
        "every header is declared (unknown: 'amuont')",
        "When a corrected file is there, clear the fetch task of this extract.",
    ):
        expect(page.get_by_text(said).last).to_be_in_viewport()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="/statewide/runbook/check").last.click()
    runbook = opened.value
    expect(runbook.get_by_role("heading", name="Check", exact=True)).to_be_in_viewport()
    expect(runbook.get_by_text("clear the extract's fetch task")).to_be_visible()
    runbook.close()


def test_the_ui_says_that_something_failed_without_an_alert(hour):
    page = hour.page
    to(page, "Home")
    page.get_by_text("Failed Dags").click()
    expect(page.get_by_test_id("dag-id")).to_have_text(["Franklin: ingest"])

    framed = hour.statewide()
    expect(framed.get_by_role("heading", name="Franklin: ingest")).to_be_visible()
    expect(framed.locator("pre")).to_contain_text("every header is declared (unknown: 'amuont')")
    framed.get_by_role("link", name="the task and its log").click()
    page.wait_for_url("**/tasks/finance.finance_ledger.check**")


def test_only_what_is_needed_runs_again_when_the_file_is_right(hour):
    until(lambda: extracts_published() and "finance_ledger" not in extracts_published(), "publish")
    page, run = hour.page, run_of(hour.page)
    assert hour.client.run("zz_ingest", run)["state"] == "failed"
    tries = {name: it["try_number"] for name, it in hour.tasks(run).items()}
    for path, content in hour.good.items():
        path.write_bytes(content)

    page.get_by_test_id("expand-all-button").click()
    page.locator("a[id$='-finance.finance_ledger.fetch']").click()
    expect(page.get_by_role("heading", name="Fetch finance ledger")).to_be_visible()
    page.get_by_label("Press shift+c to clear").click()
    steps = [f"finance.finance_ledger.{it}" for it in ("fetch", "check", "load")]
    cleared = {*steps, "announce", "report"}
    expect(dialog(page)).to_contain_text(f"Affected Tasks: {len(cleared)}")
    for name in cleared:
        expect(dialog(page).get_by_text(name, exact=True)).to_be_visible()
    hour.photograph("airflow-clear")
    dialog(page).get_by_role("button", name="Confirm").click()
    expect(dialog(page)).to_be_hidden()

    until(lambda: hour.client.run("zz_ingest", run)["state"] == "success", "the run's end")
    now = {name: it["try_number"] for name, it in hour.tasks(run).items()}
    assert {name for name in now if now[name] > tries[name]} == cleared
    until(lambda: "finance_ledger" in extracts_published(), "the publish run that follows")
    assert lake.published("zz").joinpath("current").is_symlink()

    framed = hour.statewide()
    expect(framed.get_by_text("Nothing.", exact=True)).to_be_visible()
    expect(framed.get_by_role("cell", name="Franklin: ingest: finance ledger 2025")).to_be_visible()
    hour.box.wait(lambda box: box.subjects()[-1] == "[Statewide] Recovered: Franklin: ingest")


def test_what_moved_waits_for_an_answer_with_a_reason(hour):
    before = os.readlink(lake.published("zz") / "current")
    hour.publisher.correct_spending()
    page = hour.page
    to(page, "Dags")
    page.get_by_role("link", name="Franklin: ingest").click()
    ask_for_a_run(page)
    for label in ("School year", "Only these extracts", "Fetch again", "Publish afterwards"):
        expect(dialog(page).get_by_text(label).first).to_be_visible()
    page.get_by_test_id("trigger-dag-submit").click()
    page.wait_for_url("**/dags/zz_ingest/runs/**")

    to(page, "Home")
    page.get_by_text("Required Actions").first.click(timeout=1000 * PATIENCE)
    asked = dialog(page)
    expect(asked).to_contain_text("Franklin: publish figures that moved since the last release?")
    row = asked.get_by_role("row", name="ppe_total")
    expect(row).to_contain_text("+7.0%")
    yes = asked.get_by_test_id("hitl-option-Publish")
    expect(yes).to_be_disabled()
    asked.locator("[name=element_why]").fill(CORRECTED)
    expect(yes).to_be_enabled()
    hour.photograph("airflow-question", 1700)
    assert os.readlink(lake.published("zz") / "current") == before, "readers keep what they have"
    yes.click()
    expect(asked).to_contain_text("Pending required actions (0)")
    page.keyboard.press("Escape")

    until(lambda: os.readlink(lake.published("zz") / "current") != before, "the release")
    approval = manifest()["approval"]
    assert (approval["by"], approval["reason"]) == ("admin", CORRECTED)
    framed = hour.state()
    row = framed.get_by_role("row", name=manifest()["release"])
    expect(row).to_contain_text("readers see it")
    expect(row).to_contain_text(f"approved by admin: “{CORRECTED}”")


def test_readers_are_given_the_release_before_again_with_a_reason(hour):
    now = manifest()["release"]
    framed, page = hour.state(), hour.page
    framed.get_by_role("link", name="Franklin: roll back").click()
    ask_for_a_run(page)
    expect(page.get_by_test_id("trigger-dag-submit")).to_be_disabled()
    expect(dialog(page)).to_contain_text("in at least ten letters")
    page.locator("[name=element_reason]").fill(NOT_WHOLE)
    hour.photograph("airflow-rollback")
    page.get_by_test_id("trigger-dag-submit").click()
    page.wait_for_url("**/dags/zz_rollback/runs/**")
    before = until(
        lambda: {os.readlink(lake.published("zz") / "current")} - {now}, "rollback"
    ).pop()
    expect(page.get_by_text("Success").first).to_be_visible()
    last = json.loads((lake.published("zz") / "releases.jsonl").read_text().splitlines()[-1])
    assert (last["action"], last["by"], last["reason"]) == ("rollback", "admin", NOT_WHOLE)
    framed = hour.state()
    withdrawn = framed.get_by_role("row", name=now)
    expect(withdrawn).to_contain_text(f"withdrawn by admin: “{NOT_WHOLE}”")
    again = framed.get_by_role("row", name=before)
    expect(again).to_contain_text("readers see it")
    expect(again).to_contain_text(f"given to readers again by admin: “{NOT_WHOLE}”")
    withdrawn.scroll_into_view_if_needed()
    hour.photograph("statewide-releases")


def test_a_viewer_sees_all_of_it_and_starts_nothing(hour):
    page = hour.arrive(f"{hour.client.url}/statewide/runbook/approval", user="viewer")
    expect(page.get_by_role("heading", name="Approval", exact=True)).to_be_in_viewport()
    refused = len(hour.refused)
    page.get_by_role("link", name="Airflow", exact=True).click()
    framed = hour.statewide(page)
    framed.get_by_role("link", name="Franklin", exact=True).click()
    expect(framed.get_by_role("heading", name="Checks of the last build")).to_be_visible()
    framed.get_by_role("link", name="Franklin: roll back").click()
    runs = hour.client.get("dags/zz_rollback/dagRuns")["total_entries"]
    assert hour.refused[refused:] == [], "to see it, a Viewer needs no more"

    # Airflow shows everybody its buttons, and refuses whoever may not.
    ask_for_a_run(page)
    page.locator("[name=element_reason]").fill("a viewer may not do this")
    page.get_by_test_id("trigger-dag-submit").click()
    expect(dialog(page)).to_contain_text("403 Forbidden")
    assert [it for it, _ in hour.refused[refused:]] == [403]
    del hour.refused[refused:]
    assert hour.client.get("dags/zz_rollback/dagRuns")["total_entries"] == runs


def test_no_page_complained(hour):
    assert hour.complaints == []
    assert hour.refused == []
