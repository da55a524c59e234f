"""Tells people what is wrong, and that it is mended: by e-mail, and to a webhook.

Where to comes from the environment and from Airflow's connections, never from a file of ours:

    STATEWIDE_ALERT_EMAIL      who gets e-mails, by comma; they go out by the connection
                               `smtp_default` (AIRFLOW_CONN_SMTP_DEFAULT, or Admin > Connections)
    STATEWIDE_ALERT_FROM       the sender, where that connection does not say `from_email`
    STATEWIDE_ALERT_WEBHOOK    an address that takes Slack's JSON; or the connection
                               `statewide_webhook`, whose password is that address

Nothing configured: nobody is told, and what is wrong stands on the Statewide page all the same.
An alert that cannot be delivered fails no task; it is told again with the next one, and by
`statewide_watch`.

Tasks of an ingest run are noted as they fail and told together at its end, by its report; a publish
run has one task that can fail at a time, and tells at once. DAG files read this module, so it
imports what it needs where it needs it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

log = logging.getLogger(__name__)

WEBHOOK = "statewide_webhook"
# How long a report waits for the notes of tasks that failed a moment ago.
PATIENCE = 5.0
# The tasks of a publish run, and the sections of the runbook.
PUBLISHING = {
    "build": "build",
    "check": "check-the-marts",
    "protect": "protect",
    "approve": "approval",
    "export": "export",
}
# What to clear, where it is not the task that failed.
CLEARED = {
    "check": "When a corrected file is there, clear the fetch task of this extract. When the "
    "state's file was corrected, clear this task."
}
RELEASE = "the next release"
ROLLBACK = "an earlier release"


@contextmanager
def _harmless() -> Iterator[None]:
    """Whatever goes wrong with telling, the work that is told of goes on."""
    try:
        yield
    except Exception as error:
        # Its text may hold the address of a webhook, which is a secret.
        log.warning("an alert could not be told: %s", type(error).__name__)


# ---- callbacks ----------------------------------------------------------------------------------


def failed(context: Any) -> None:
    """A task failed for good: `on_failure_callback` of every task."""
    with _harmless():
        ti = context["ti"]
        state, _, verb = ti.dag_id.partition("_")
        if ti.dag_id.startswith("statewide_"):
            section = ti.dag_id.removeprefix("statewide_")
            _note_of(ti.dag_id, "all states", _part_of_task(ti), section, context)
            tell()
        elif verb == "publish":
            _note_of(state, "publish", RELEASE, _publishing(ti.task_id, context), context)
            tell()
        elif verb == "rollback":
            _note_of(state, "rollback", ROLLBACK, "rollback", context)
            tell()
        elif ti.task_id == "report":
            from include.runs import ExtractsFailed

            # What it reports has been told as what it is.
            if not isinstance(context.get("exception"), ExtractsFailed):
                _note_of(state, "ingest", "report", "report", context)
            tell()
        elif ti.task_id == "announce":
            _note_of(state, "ingest", "announcement", "announce", context)
        else:
            from include.incidents import part_of

            _, extract, step = ti.task_id.split(".")
            year = context["params"]["school_year"]
            _note_of(state, "ingest", part_of(extract, year), step, context)


def _publishing(task_id: str, context: Any) -> str:
    """The section of a publish task's failure. A question that ran out is told anew."""
    is_unanswered = type(context.get("exception")).__name__ == "Unanswered"
    return "unanswered" if is_unanswered else PUBLISHING[task_id]


def succeeded(context: Any) -> None:
    """A task that is about no state works: `on_success_callback` of watch and maintenance."""
    with _harmless():
        from include import incidents

        ti = context["ti"]
        if incidents.mend(ti.dag_id, "all states", [_part_of_task(ti)]):
            tell()


def _part_of_task(ti: Any) -> str:
    number = getattr(ti, "map_index", None)
    return ti.task_id if number is None or number < 0 else f"{ti.task_id} {number}"


def run_failed(context: Any) -> None:
    """A run failed: `on_failure_callback` of a DAG, for tasks that ended before they could tell."""
    with _harmless():
        from include import incidents

        state, _, verb = context["dag"].dag_id.partition("_")
        run = context.get("dag_run")
        since = getattr(run, "start_date", None)
        # Airflow may call this long after the run ended: its task has told by then, and a later run
        # may have mended it.
        known = [*incidents.open_incidents().values(), *incidents.closed_incidents()]
        told = [_last(it) for it in known if (it.state, it.subject) == (state, verb)]
        if since and any(datetime.fromisoformat(it) >= since.replace(microsecond=0) for it in told):
            return
        ti = context.get("ti")
        section = PUBLISHING.get(ti.task_id if ti else "", "build")
        if verb in ("ingest", "rollback"):
            section = {"ingest": "report"}.get(verb, verb)
        part = {"publish": RELEASE, "rollback": ROLLBACK}.get(verb, "a run")
        link = str(ti.log_url) if ti else ""
        incidents.note(state, verb, part, section, incidents.reason_of("stopped"), link)
        tell()


def _last(incident: Any) -> str:
    return max(part.last for part in incident.parts.values())


def _note_of(state: str, subject: str, part: str, section: str, context: Any) -> None:
    from include import incidents

    reason = incidents.reason_of(context.get("exception"))
    _end_log_with(incidents.reason_of(context.get("exception"), rest=" above"), section)
    incidents.note(state, subject, part, section, reason, str(context["ti"].log_url))


def _end_log_with(reason: str, section: str) -> None:
    """Say at the end of the task's log why it failed, and where it stands what to do.

    Airflow opens a log at its end, where otherwise nothing but the traceback is seen. It folds away
    what callbacks say, so the fold is closed first.
    """
    from include import incidents

    told = [
        reason,
        *filter(None, [CLEARED.get(section)]),
        f"What to do: {incidents.runbook(section, _base_url())}",
    ]
    log.info("::endgroup::")
    log.error("%s", "\n".join(told))


# ---- at the end of runs -------------------------------------------------------------------------


def after_ingest(
    state: str, school_year: int, outcomes: Sequence[Any], announced: str | None, since: datetime
) -> None:
    """Tell what became of a run: `outcomes` are those of `runs.outcomes`."""
    with _harmless():
        from include import incidents

        part_of = incidents.part_of
        failed = {part_of(it.extract, school_year): it for it in outcomes if it.failed_step}
        known = _noted(state, set(failed), since)
        for name, outcome in failed.items():
            if name not in known:
                incidents.note(
                    state, "ingest", name, outcome.failed_step, incidents.reason_of("stopped")
                )
        mended = [part_of(it.extract, school_year) for it in outcomes if it.outcome == "loaded"]
        if announced in ("success", "skipped"):
            mended.append("announcement")
        incidents.mend(state, "ingest", [*mended, "report", "a run"])
        tell()


def _noted(state: str, parts: set[str], since: datetime) -> set[str]:
    """The parts that were noted since the run began; a task's note comes just after its end."""
    from include import incidents

    patience = time.monotonic() + PATIENCE
    while True:
        incident = incidents.open_incidents().get(f"{state}/ingest")
        found = {
            part.name
            for part in (incident.parts.values() if incident else ())
            if datetime.fromisoformat(part.last) >= since.replace(microsecond=0)
        }
        if parts <= found or time.monotonic() > patience:
            return found
        time.sleep(0.1)


def after_publish(state: str) -> None:
    """A publish run came to its end: what was wrong with publishing is mended."""
    with _harmless():
        from include import incidents

        incidents.mend(state, "publish")
        tell()


def after_rollback(state: str) -> None:
    """Readers see an earlier release: what was wrong with rolling back is mended."""
    with _harmless():
        from include import incidents

        incidents.mend(state, "rollback")
        tell()


def asked(state: str, question: str, link: str) -> None:
    """A release waits for a person."""
    with _harmless():
        from include import incidents

        incidents.note(state, "publish", RELEASE, "approval", question, link)
        tell()


# ---- telling ------------------------------------------------------------------------------------


def tell() -> None:
    """Send what each channel has not heard yet. Raises nothing; what fails is sent next time."""
    with _harmless():
        from include import incidents, lake

        base_url = _base_url()
        for channel, send in _channels().items():
            # Two runs that end at once must not both send what both of them see.
            with lake.lock(f"alerts-{channel}"):
                for message in incidents.pending(channel):
                    with _harmless():
                        send(message, base_url)
                        incidents.told(channel, message)


def _base_url() -> str:
    from airflow.sdk.configuration import conf

    return conf.get("api", "base_url", fallback="") or "http://localhost:8080"


def _channels() -> dict[str, Callable[[Any, str], None]]:
    found: dict[str, Callable[[Any, str], None]] = {}
    if recipients := os.environ.get("STATEWIDE_ALERT_EMAIL"):
        to = [it.strip() for it in recipients.split(",") if it.strip()]
        found["email"] = lambda message, base_url: _email(to, message, base_url)
    if address := os.environ.get("STATEWIDE_ALERT_WEBHOOK") or _connection_webhook():
        found["webhook"] = lambda message, base_url: _post(address, message, base_url)
    return found


def _connection_webhook() -> str | None:
    from airflow.sdk import Connection

    try:
        return Connection.get(WEBHOOK).password
    except Exception:  # there is none, which is no error
        return None


def _email(to: list[str], message: Any, base_url: str) -> None:
    from html import escape

    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    text = escape(message.text(base_url))
    notifier = SmtpNotifier(
        to=to,
        from_email=os.environ.get("STATEWIDE_ALERT_FROM") or None,
        subject=message.subject(),
        html_content=f"<pre>{text}</pre>",
        mime_subtype="alternative",
    )
    # Not through its templates: a header of a file may look like one.
    notifier.notify({})


def _post(address: str, message: Any, base_url: str) -> None:
    from console.webhook import WebhookNotifier

    WebhookNotifier(address=address, content=message.webhook(base_url)).notify({})
