"""Airflow's notifier for an address that takes JSON as Slack's incoming webhooks do."""

from __future__ import annotations

from typing import Any

import requests
from airflow.sdk.bases.notifier import BaseNotifier


class WebhookNotifier(BaseNotifier):
    """Posts `content` to `address`, once. Neither is a template: both may hold what looks like one.

    Raises requests.RequestException, whose text names the address: log its kind only.
    """

    template_fields = ()

    def __init__(self, *, address: str, content: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.address = address
        self.content = content

    def notify(self, context: Any) -> None:
        answer = requests.post(self.address, json=self.content, timeout=(5, 10))
        answer.raise_for_status()
