"""The question that a publish run asks when figures moved that readers have already.

Built on Airflow's human in the loop: the task waits in the state *awaiting input*, which takes no
worker and no triggerer, and whoever may run the DAG answers under Required Actions.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowSkipException

from console import alerts

PUBLISH, KEEP = "Publish", "Keep the last release"


class ApproveWhatMoved(HITLOperator):
    """Asks about a protected build, if there is anything to ask. Returns the build's name.

    `state` is the state's code, `name` what people call it.

    Skips, and with it what follows, where the answer is no. A run that was given a reason has been
    answered already.
    """

    template_fields: Collection[str] = (*HITLOperator.template_fields, "build")

    def __init__(self, *, state: str, name: str, build: Any, **kwargs: Any) -> None:
        # Those of the DAG are handed to every task; the form is for this question's alone.
        kwargs.pop("params", None)
        super().__init__(
            subject=f"{name}: publish figures that moved since the last release?",
            options=[PUBLISH, KEEP],
            # No default: silence is no answer, neither a yes nor a no.
            response_timeout=timedelta(days=float(os.environ.get("STATEWIDE_APPROVAL_DAYS") or 7)),
            params={
                # Airflow validates a task's params before it runs, so the form starts with an
                # empty text that is valid; the answer is held to its length when it comes.
                "why": Param(
                    "",
                    type="string",
                    title="Why",
                    description="What moved the figures, or what is wrong with them, in at least "
                    "ten letters. It stands in the release, with your name.",
                )
            },
            **kwargs,
        )
        self.state = state
        self.build = build

    def execute(self, context: Any) -> str:
        """Ask, unless nothing moved or a reason was given with the run."""
        from include import approvals

        if not approvals.moved(self.state, self.build):
            self.log.info("nothing moved that readers have; nobody is asked")
            return self.build
        if reason := context["params"].get("reason"):
            by = getattr(context["dag_run"], "triggering_user_name", None) or "who started the run"
            how = "a reason given with the run"
            approvals.answer(self.state, self.build, is_yes=True, by=by, how=how, reason=reason)
            self.log.info("approved by %s with the run: %s", by, reason)
            return self.build
        self.body = approvals.question(self.state, self.build)
        told = "\n".join(approvals.moved(self.state, self.build))
        alerts.asked(self.state, told, self.generate_link_to_ui_from_context(context=context))
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> str:
        """Keep the answer; ask again where it gives no reason.

        Raises AirflowSkipException where it is no, approvals.Unanswered where nobody gave one in
        time.
        """
        from include import approvals

        if event.get("error_type") == "timeout":
            raise approvals.Unanswered(
                f"{self.state}: nobody said in {self._days()} whether figures that moved may be "
                "published. Readers keep the last release. The next publish run asks again; to "
                "be asked at once, clear this task"
            )
        given = super().execute_complete(context, event)
        user, why = given["responded_by_user"], given["params_input"].get("why") or ""
        if len(why.strip()) < approvals.LEAST_REASON:
            self.log.warning("%s gave no reason, so the question stays", user)
            return super().execute(context)
        answer = approvals.answer(
            self.state,
            self.build,
            is_yes=given["chosen_options"] == [PUBLISH],
            by=str(user.get("name") or user["id"]),
            how="answered in Airflow",
            reason=why,
        )
        alerts.after_publish(self.state)
        if not answer.is_yes:
            raise AirflowSkipException(
                f"{answer.by} said no: {answer.reason}. Readers keep the last release"
            )
        self.log.info("approved by %s: %s", answer.by, answer.reason)
        return self.build

    def _days(self) -> str:
        assert self.response_timeout
        days = self.response_timeout / timedelta(days=1)
        return f"{days:g} day{'' if days == 1 else 's'}"
