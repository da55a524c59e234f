"""What Statewide adds to Airflow's UI: its page, under Browse in the navigation.

Every process of Airflow reads this file, and the API server alone needs the page; so it is made
when it is first asked for.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin


class Page:
    """The ASGI application of the page, imported at the first request."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from console.page import app

        await app(scope, receive, send)


class Statewide(AirflowPlugin):
    name = "statewide"
    fastapi_apps = [{"app": Page(), "url_prefix": "/statewide", "name": "Statewide"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Statewide",
            # The page in a frame, beside Airflow's own navigation.
            "href": "/statewide/",
            "destination": "nav",
            "url_route": "statewide",
            "nav_top_level": True,
            "icon": "/statewide/static/icon.svg",
        }
    ]
