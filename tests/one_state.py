"""An auth manager for tests: Airflow's simple one, under which a viewer may read Franklin only."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class OneState(SimpleAuthManager):
    """`viewer` reads zz without logs, `user` reads zz with logs, `admin` everything."""

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: Any,
        access_entity: DagAccessEntity | None = None,
        details: Any = None,
    ) -> bool:
        role = (user.role or "").upper()
        if role == "ADMIN":
            return True
        is_franklin = details is None or (details.id or "").startswith("zz_")
        may_read = access_entity != DagAccessEntity.TASK_LOGS or role != "VIEWER"
        return method == "GET" and is_franklin and may_read
